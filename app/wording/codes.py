"""The phrases for the codes that errors carry: by class and field, then by code.

A phrase stands in the place of its field in the sentence of `app.wording.sentences.ERRORS`, with
facts in braces. Plain words, no capital and no full stop unless the sentence is nothing else. Data
only.
"""

CODES: dict[tuple[str, str], dict[str, str]] = {
    ("RequestRefused", "code"): {
        "not_found": "There is nothing at this address: {detail}.",
        "wrong_host": "This server does not answer to that name.",
        "cross_origin": "Web pages of other sites are not answered.",
        "invalid_api_key": "The key is missing or wrong; `stillroom serve` shows it.",
        "unsupported_media_type": "The body must be JSON.",
        "body_too_large": "A request may have {limit} MiB at most.",
        "timeout": "The request took too long to arrive.",
        "invalid_request": "The request cannot be read: {detail}.",
        "invalid_json": "The body is not JSON.",
    },
    ("HarnessFailed", "reason"): {
        "ended": "The harness exited with code {exit_code}: {detail}.",
        "no_results": "The harness ended without writing any results.",
    },
    ("UnknownConversation", "reason"): {
        "missing": "There is no conversation {name}.",
        "several": "Several conversations match {name}; use the number of one.",
    },
    ("UnreadableFile", "reason"): {
        "too_large": "it is larger than 20 MB",
        "binary": "it contains no text",
        "damaged": "it may be damaged or locked",
        "empty": "it is empty",
        "missing": "it no longer exists",
    },
}

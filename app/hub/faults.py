"""Which error a response of the hub, or a missing one, means.

Knows the hub's status codes and X-Error-Code headers, and what sign-in pages and proxies do in its
place. Works on plain values; does no requests.
"""

import re
from collections.abc import Mapping
from time import time
from urllib.parse import urlsplit

from app.errors import (
    GatedModel,
    HubError,
    HubUnavailable,
    NotAHubAnswer,
    Offline,
    RateLimited,
    RemoteFileNotFound,
    RepoNotFound,
    RevisionNotFound,
    TokenRefused,
)
from app.hub.endpoint import origin_of

_RESET = re.compile(r"t\s*=\s*(\d+)")
_MAX_WAIT = 3600.0
RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504})
# The hub gave no answer to the request: its last response may be shown instead.
UNREACHABLE_ERRORS = (Offline, NotAHubAnswer, RateLimited, HubUnavailable)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: Retry-After (seconds or a date), else RateLimit's reset."""
    lower = {key.lower(): value.strip() for key, value in headers.items()}
    text = lower.get("retry-after", "")
    if text.isdigit():
        return min(float(text), _MAX_WAIT)
    if text:
        from email.utils import parsedate_to_datetime  # slow to import, and rarely a date

        try:
            wait = parsedate_to_datetime(text).timestamp() - time()
        except (TypeError, ValueError):
            wait = -1.0
        if wait >= 0:
            return min(wait, _MAX_WAIT)
    match = _RESET.search(lower.get("ratelimit", ""))
    return min(float(match[1]), _MAX_WAIT) if match else None


def asked_to_wait(error: BaseException) -> float | None:
    """Seconds that an error of the hub asks to wait; None where it asks for none."""
    return error.retry_after if isinstance(error, RateLimited | HubUnavailable) else None


def public_url(url: str) -> str:
    """`url` without user, query and fragment: what may be shown or logged (signatures may not)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    *,
    endpoint: str,
    url: str,
    repo: str | None = None,
    path: str | None = None,
    revision: str | None = None,
    token_sent: bool = False,
) -> HubError:
    """The error for a response with this status (400 or more).

    A response from another host than the endpoint is from the file store: it knows no
    repositories, and a 403 there means that the address has expired.
    """
    lower = {key.lower(): value for key, value in headers.items()}
    code = lower.get("x-error-code", "")
    page = f"{endpoint}/{repo}" if repo else endpoint
    repo = repo or ""
    if status == 511:
        return NotAHubAnswer(
            endpoint=endpoint, url=public_url(url), content_type=lower.get("content-type", "")
        )
    if status == 429:
        return RateLimited(endpoint=endpoint, retry_after=retry_after(headers))
    if status >= 500 or status in RETRYABLE or origin_of(url) != origin_of(endpoint):
        return HubUnavailable(endpoint=endpoint, status=status, retry_after=retry_after(headers))
    if code == "GatedRepo":
        return GatedModel(endpoint=endpoint, repo=repo, url=page, token_sent=token_sent)
    if code == "RevisionNotFound":
        return RevisionNotFound(endpoint=endpoint, repo=repo, revision=revision or "")
    if code == "EntryNotFound" or (status in (404, 410) and path is not None and not code):
        return RemoteFileNotFound(endpoint=endpoint, repo=repo, path=path or "")
    refused = "invalid" in lower.get("x-error-message", "").lower()
    if status in (401, 403) and token_sent and (refused or not code):
        return TokenRefused(endpoint=endpoint)
    if code == "RepoNotFound" or status in (401, 403, 404, 410):
        return RepoNotFound(endpoint=endpoint, repo=repo, url=page, token_sent=token_sent)
    return HubUnavailable(endpoint=endpoint, status=status, retry_after=None)

"""The OpenAPI document, made of the types of `app.server.schemas`."""

import msgspec

from app import __version__
from app.server.schemas import ChatRequest, CompletionRequest, EmbeddingRequest
from quant.json_types import Json

Schema = dict[str, Json]

_ERRORS = {
    "400": "the request cannot be used",
    "401": "the key is missing or wrong",
    "403": "sent by a web page of another site",
    "404": "no such model",
    "408": "the request took too long to arrive",
    "413": "the request is too large",
    "415": "the body is not JSON",
    "421": "sent to a name this server does not have",
    "429": "too many requests wait; Retry-After says for how long",
    "503": "the model cannot be loaded now",
}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_SECONDS: Schema = {"type": "number", "minimum": 0}
_RATE: Schema = {"type": ["number", "null"], "minimum": 0}
_LOGPROBS: Schema = {"type": ["object", "null"]}
_FINISH: Schema = {"enum": ["stop", "length", "tool_calls"]}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    properties = required | (optional or {})
    return {"type": "object", "properties": properties, "required": sorted(required)}


def _list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_TIMINGS: Schema = _object(
    {
        "queue_seconds": _SECONDS,
        "time_to_first_token": _SECONDS,
        "prefill_seconds": _SECONDS,
        "prefill_tokens_per_second": _RATE,
        "decode_seconds": _SECONDS,
        "decode_tokens_per_second": _RATE,
    }
)
_USAGE: Schema = _object(
    {"prompt_tokens": _NUMBER, "total_tokens": _NUMBER},
    {
        "completion_tokens": _NUMBER,
        "prompt_tokens_details": _object({"cached_tokens": _NUMBER}),
        "completion_tokens_details": _object({"reasoning_tokens": _NUMBER}),
        "timings": _list_of(_TIMINGS),
    },
)


def _reply(kind: str, choice: Schema, usage: Schema | None = None) -> Schema:
    head: Schema = {"id": {"type": "string"}, "object": {"const": kind}, "created": _NUMBER}
    return _object(
        head | {"model": {"type": "string"}, "choices": _list_of(choice), "usage": usage or _USAGE}
    )


_CALL: Schema = {
    "id": {"type": "string"},
    "type": {"const": "function"},
    "function": _object({"name": {"type": "string"}, "arguments": {"type": "string"}}),
}
_MESSAGE: Schema = _object(
    {"role": {"const": "assistant"}, "content": {"type": ["string", "null"]}},
    {
        "refusal": {"type": "null"},
        "reasoning_content": {"type": "string"},
        "tool_calls": _list_of(_object(_CALL)),
    },
)
_DELTA: Schema = _object(
    {},
    {
        "role": {"const": "assistant"},
        "content": {"type": "string"},
        "reasoning_content": {"type": "string"},
        "tool_calls": _list_of(_object({"index": _NUMBER, **_CALL})),
    },
)
_CHAT_CHOICE: Schema = _object(
    {"index": _NUMBER, "finish_reason": _FINISH, "logprobs": _LOGPROBS, "message": _MESSAGE}
)
_TEXT_CHOICE: Schema = _object(
    {"index": _NUMBER, "finish_reason": _FINISH, "logprobs": _LOGPROBS, "text": {"type": "string"}}
)
_NOT_YET: Schema = {"enum": [None, "stop", "length", "tool_calls"]}
_CHUNK_HEAD: Schema = {"index": _NUMBER, "finish_reason": _NOT_YET, "logprobs": _LOGPROBS}
_CHAT_PART: Schema = _object(_CHUNK_HEAD | {"delta": _DELTA})
_TEXT_PART: Schema = _object(_CHUNK_HEAD | {"text": {"type": "string"}})
_OR_NOT: Schema = {"anyOf": [_USAGE, {"type": "null"}]}  # only in the last chunk, if asked for
_MODEL: Schema = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": _NUMBER,
        "owned_by": {"type": "string"},
    }
)
_EMBEDDING: Schema = _object(
    {
        "object": {"const": "embedding"},
        "index": _NUMBER,
        "embedding": {"anyOf": [_list_of({"type": "number"}), {"type": "string"}]},
    }
)
_LIST: Schema = {"const": "list"}
_REPLIES: dict[str, Schema] = {
    "ModelList": _object({"object": _LIST, "data": _list_of(_MODEL)}),
    "ChatReply": _reply("chat.completion", _CHAT_CHOICE),
    "CompletionReply": _reply("text_completion", _TEXT_CHOICE),
    "ChatChunk": _reply("chat.completion.chunk", _CHAT_PART, _OR_NOT),
    "CompletionChunk": _reply("text_completion", _TEXT_PART, _OR_NOT),
    "EmbeddingReply": _object(
        {"object": _LIST, "data": _list_of(_EMBEDDING), "usage": _USAGE},
        {"model": {"type": "string"}},
    ),
    "Error": _object(
        {"error": _object({"message": {"type": "string"}, "type": {"type": "string"}})}
    ),
}


def document() -> Schema:
    """OpenAPI 3.1."""
    requests = (ChatRequest, CompletionRequest, EmbeddingRequest)
    schemas, components = msgspec.json.schema_components(
        requests, ref_template="#/components/schemas/{name}"
    )
    chat, completion, embedding = schemas
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stillroom", "version": __version__},
        "security": [{"key": []}],
        "paths": {
            "/v1/models": {"get": _operation("models", "The models", "ModelList")},
            "/v1/chat/completions": {
                "post": _operation("chat", "Answer a conversation", "ChatReply", chat, "ChatChunk")
            },
            "/v1/completions": {
                "post": _operation(
                    "complete",
                    "Go on with a text",
                    "CompletionReply",
                    completion,
                    "CompletionChunk",
                )
            },
            "/v1/embeddings": {
                "post": _operation("embed", "Texts as vectors", "EmbeddingReply", embedding)
            },
        },
        "components": {
            "schemas": {**components, **_REPLIES},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    name: str,
    summary: str,
    reply: str,
    request: Schema | None = None,
    chunk: str = "",
) -> Schema:
    content: Schema = {"application/json": {"schema": _ref(reply)}}
    if chunk:  # the data of each event but the last, which is the word [DONE]
        content["text/event-stream"] = {"x-itemSchema": _ref(chunk)}
    responses: Schema = {"200": {"description": summary, "content": content}}
    for status, text in _ERRORS.items():
        content = {"application/json": {"schema": _ref("Error")}}
        responses[status] = {"description": text, "content": content}
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "responses": responses,
    }
    if request is not None:
        body = {"application/json": {"schema": request}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}

"""The endpoints: decode a request, ask the pool, answer whole or as a stream of events.

Knows HTTP through Starlette. Never logs what a request or an answer says.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.server.answers import Part, answers, embedding
from app.server.faults import RequestRefused, fault_of, log_fault
from app.server.pool import ModelPool
from app.server.replies import Reply, embedding_reply
from app.server.schemas import ChatRequest, CompletionRequest, EmbeddingRequest
from app.server.translate import (
    chat_logprobs,
    chat_requests,
    completion_requests,
    offered_functions,
    wants_usage,
)
from quant.json_types import Json
from runtime.errors import InvalidRequest

_T = TypeVar("_T")
_DONE = b"data: [DONE]\n\n"


class Endpoints:
    """What the routes call."""

    def __init__(self, pool: ModelPool, most_seconds: float) -> None:
        self._pool = pool
        self._seconds = most_seconds

    async def models(self, _request: Request) -> Response:
        """GET /v1/models: what is installed and can be run."""
        listed = await asyncio.to_thread(self._pool.available)
        data = [
            {
                "id": model.name,
                "object": "model",
                "created": int(datetime.fromisoformat(model.installed_at).timestamp()),
                "owned_by": "stillroom",
            }
            for model in listed
        ]
        return json_response({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        asked = decoded(await request.body(), ChatRequest)
        offer = offered_functions(asked)
        reply = Reply(asked.model, "chat.completion", offer, chat_logprobs(asked), asked.n or 1)
        async with AsyncExitStack() as stack:
            served = await stack.enter_async_context(self._pool.use(asked.model))
            parts = answers(
                self._pool,
                served,
                chat_requests(asked, offer, served.sampling),
                client_of(request, asked.user),
            )
            usage = wants_usage(asked.stream_options)
            return await self._respond(stack, parts, reply, stream=asked.stream, usage=usage)

    async def complete(self, request: Request) -> Response:
        """POST /v1/completions."""
        asked = decoded(await request.body(), CompletionRequest)
        reply = Reply(asked.model, "text_completion", None, asked.logprobs, asked.n or 1)
        async with AsyncExitStack() as stack:
            served = await stack.enter_async_context(self._pool.use(asked.model))
            requests = completion_requests(asked, served.sampling)
            parts = answers(self._pool, served, requests, client_of(request, asked.user))
            usage = wants_usage(asked.stream_options)
            return await self._respond(stack, parts, reply, stream=asked.stream, usage=usage)

    async def embed(self, request: Request) -> Response:
        """POST /v1/embeddings."""
        asked = decoded(await request.body(), EmbeddingRequest)
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        if not all(texts):
            raise InvalidRequest(field="input", reason="empty")
        client = client_of(request, asked.user)
        found = []
        async with self._pool.use(asked.model) as served, asyncio.timeout(self._seconds):
            for text in texts:  # one by one: answers go on in between
                found.append(await embedding(self._pool, served, text, client))
        base64 = asked.encoding_format == "base64"
        return json_response(embedding_reply(asked.model, found, base64=base64))

    async def _respond(
        self,
        stack: AsyncExitStack,
        parts: AsyncGenerator[Part, None],
        reply: Reply,
        *,
        stream: bool | None,
        usage: bool,
    ) -> Response:
        """The whole answer, or a stream once its first part is here: until then an error can still
        be sent as its status."""
        await stack.enter_async_context(aclosing(parts))
        async with asyncio.timeout(self._seconds):
            first = await anext(parts)
            if not stream:
                reply.take(first)
                async for part in parts:
                    reply.take(part)
                return json_response(reply.whole())
        events = _events(parts, first, reply, usage=usage)
        return EventStream(events, stack.pop_all(), self._seconds)


async def _events(
    parts: AsyncGenerator[Part, None], first: Part, reply: Reply, *, usage: bool
) -> AsyncIterator[bytes]:
    if choices := reply.take(first):
        yield _chunk_event(reply, choices)
    async for part in parts:
        if choices := reply.take(part):
            yield _chunk_event(reply, choices)
    if usage:
        yield event(reply.chunk([], usage=True))
    yield _DONE


def _chunk_event(reply: Reply, choices: list[dict[str, Json]]) -> bytes:
    return b"".join([event(reply.chunk([choice])) for choice in choices])


class EventStream(Response):
    """Server-sent events. Closes what it owns when it ends, and when its client goes away."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncIterator[bytes], owned: AsyncExitStack, most_seconds: float
    ) -> None:
        self._events = events
        self._owned = owned
        self._most_seconds = most_seconds
        self.status_code = 200
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._owned:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            try:
                async with asyncio.timeout(self._most_seconds):
                    async for data in self._events:
                        await _send_part(send, data)
            except Exception as error:  # too late for a status: the error goes into the stream
                log_fault(error)
                await _send_part(send, event(fault_of(error).body))
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_part(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def json_response(
    value: object, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    body = msgspec.json.encode(value)
    return Response(body, status, headers, media_type="application/json")


def decoded(body: bytes, kind: type[_T]) -> _T:
    """A request's body as a value. Raises RequestRefused for anything else."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise RequestRefused(status=400, code="invalid_request", detail=str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestRefused(status=400, code="invalid_json") from None


def client_of(request: Request, user: str | None) -> str:
    """Who takes turns with whom: an address, and the `user` values it sends. All share one key, and
    another connection is not another client."""
    return f"{request.client.host if request.client else ''} {user or ''}"


async def on_error(_request: Request, error: Exception) -> Response:
    """Any error as a response."""
    log_fault(error)
    fault = fault_of(error)
    return json_response(fault.body, fault.status, fault.headers)

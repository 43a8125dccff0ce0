"""The application: routes behind guards. Knows how the parts fit; does nothing itself."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.server.faults import RequestRefused
from app.server.guards import AccessPolicy, App, Guards
from app.server.limits import ServeOptions
from app.server.openapi import document
from app.server.pool import ModelPool
from app.server.routes import Endpoints, json_response, on_error

logger = logging.getLogger(__name__)


def application(pool: ModelPool, policy: AccessPolicy, options: ServeOptions) -> App:
    """The server as an ASGI application."""
    endpoints = Endpoints(pool, options.limits.answer_seconds)
    described = document()

    async def openapi(_request: Request) -> Response:
        return json_response(described)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        pool.mailbox.open()
        chores = [asyncio.create_task(each()) for each in (pool.sweep, pool.watch)]
        for chore in chores:
            chore.add_done_callback(_log_end)
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await pool.stop()

    routes = [
        Route("/v1/models", endpoints.models, methods=["GET"]),
        Route("/v1/chat/completions", endpoints.chat, methods=["POST"]),
        Route("/v1/completions", endpoints.complete, methods=["POST"]),
        Route("/v1/embeddings", endpoints.embed, methods=["POST"]),
        Route("/openapi.json", openapi, methods=["GET"]),
    ]
    handlers = {HTTPException: _on_http, Exception: on_error}
    return Guards(
        Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan),
        policy,
        options.limits,
    )


def _log_end(chore: asyncio.Task[None]) -> None:
    """A chore never ends by itself; asyncio would tell only when it is collected."""
    if not chore.cancelled() and (error := chore.exception()) is not None:
        logger.error("a chore of the server ended", exc_info=error)


async def _on_http(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such path, no such method."""
    assert isinstance(error, HTTPException)
    refused = RequestRefused(status=error.status_code, code="not_found", detail=str(error.detail))
    response = await on_error(request, refused)
    response.headers.update(error.headers or {})
    return response

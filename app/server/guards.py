"""Checks before a request is read: where it comes from, its key, and its size.

Pure ASGI. Checked in this order: the host it was sent to (DNS rebinding: a foreign name may point
here), the origin of the page that sends it, the key, the type and size of its body.
Ends a request whose client has disconnected. Knows no model.
"""

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from app.server.faults import Busy, Fault, RequestRefused, fault_of, log_fault
from app.server.keys import same_key
from app.server.limits import Limits

_FULL_SECONDS = 2.0  # Retry-After where there are too many requests

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class AccessPolicy:
    """Which hosts and key are accepted. `hosts` are lower-case names without port; with
    `any_address` a client may also use any numeric address, which DNS rebinding cannot forge."""

    key: str
    port: int
    hosts: frozenset[str]
    any_address: bool = False

    def allows_host(self, host: str) -> bool:
        name, port = _split_port(host.lower())
        if port not in ("", str(self.port)) or (port == "" and self.port != 80):
            return False
        return name in self.hosts or (self.any_address and _is_address(name))


class Guards:
    """ASGI middleware in front of the application."""

    def __init__(self, app: App, policy: AccessPolicy, limits: Limits) -> None:
        self._app = app
        self._policy = policy
        self._limits = limits
        self._open = 0  # accepted requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            self._check(scope)
            if self._open >= self._limits.requests:
                raise Busy(retry_after=_FULL_SECONDS)
        except (RequestRefused, Busy) as error:
            await refuse(send, fault_of(error))
            return
        self._open += 1
        try:
            await self._answer(scope, receive, send)
        finally:
            self._open -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(scope, receive)
        except RequestRefused as error:
            await refuse(send, fault_of(error))
            return
        if body is not None:
            await self._while_connected(scope, body, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = _headers(scope)
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._policy.allows_host(hosts[0]):
            raise RequestRefused(status=421, code="wrong_host")
        origin = headers.get("origin", [])
        site = headers.get("sec-fetch-site", ["none"])[-1]
        if origin not in ([], [f"http://{hosts[0]}"]) or site not in ("none", "same-origin"):
            raise RequestRefused(status=403, code="cross_origin")
        self._check_key(headers.get("authorization", []))
        if scope["method"] in ("POST", "PUT", "PATCH"):
            self._check_body(headers)

    def _check_key(self, given: list[str]) -> None:
        scheme, _, key = (given[0] if len(given) == 1 else "").partition(" ")
        right = same_key(key.strip().encode("latin-1"), self._policy.key.encode())
        if scheme.lower() != "bearer" or not right:
            raise RequestRefused(status=401, code="invalid_api_key")

    def _check_body(self, headers: dict[str, list[str]]) -> None:
        kind = headers.get("content-type", [""])[-1].partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestRefused(status=415, code="unsupported_media_type")
        length = headers.get("content-length", ["0"])[-1]
        if not length.isdecimal() or int(length[:20]) > self._limits.body_bytes:
            raise _too_large(self._limits)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body; None when the client disconnected before its end."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    pieces.append(message.get("body", b""))
                    size += len(pieces[-1])
                    if size > self._limits.body_bytes:
                        raise _too_large(self._limits)
                    if not message.get("more_body", False):
                        return b"".join(pieces)
        except TimeoutError:
            raise RequestRefused(status=408, code="timeout") from None

    async def _while_connected(
        self, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        """Run the application until it has answered or its client is gone."""
        tracked = _TrackedSend(send)
        answering = asyncio.ensure_future(self._app(scope, _replay(body), tracked.send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (answering, leaving):
                task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)
        error = None if answering.cancelled() else answering.exception()
        if isinstance(error, Exception):
            log_fault(error)
            if not tracked.opened:
                await refuse(send, fault_of(error))


class _TrackedSend:
    """`send` that records whether a response has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.opened = False

    async def send(self, message: Message) -> None:
        self.opened = True
        await self._send(message)


async def refuse(send: Send, fault: Fault) -> None:
    """Send an error and close the connection: the rest of the request is not read."""
    body = json.dumps(fault.body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *((name.encode(), value.encode()) for name, value in fault.headers.items()),
    ]
    if fault.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _replay(body: bytes) -> Receive:
    pending = [body]

    async def receive() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        await asyncio.Event().wait()  # the guards handle a client that disconnects
        raise AssertionError

    return receive


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _split_port(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return name + "]", rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _too_large(limits: Limits) -> RequestRefused:
    most = limits.body_bytes // (1024 * 1024)
    return RequestRefused(status=413, code="body_too_large", limit=most)

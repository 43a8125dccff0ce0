"""One request to a remote model's server, and which error its response, or a missing one, means.

Knows HTTP: certificates are checked against the system's roots, proxies are the endpoint's own or
come from the environment (not for this machine itself), redirects are never followed, and sizes
and waits have limits. Knows nothing of chats.
"""

import codecs
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.hub.endpoint import failure_kind, is_loopback, origin_of
from app.hub.faults import public_url, retry_after
from app.remote.endpoints import Endpoint
from app.remote.errors import (
    NotUnderstoodCode,
    RemoteBusy,
    RemoteKeyRefused,
    RemoteNotUnderstood,
    RemoteRedirects,
    RemoteRefused,
    RemoteUnreachable,
)
from quant.json_types import Json

if TYPE_CHECKING:
    import httpx2

_MAX_LINE = 1 << 20  # characters of one event; a token's is some hundred
_MAX_ANSWER = 8 << 20  # bytes of a response that is no stream
_MAX_MESSAGE = 300  # characters of a server's error message that are passed on


@dataclass(frozen=True)
class RemoteTimeouts:
    """Seconds: to connect, and between two reads: a long prompt is silent until its first token."""

    connect: float = 10.0
    read: float = 600.0


@dataclass(frozen=True)
class Transport:
    """One endpoint with its key. `offline` refuses all that would leave this machine."""

    endpoint: Endpoint
    key: str | None
    offline: bool = False
    timeouts: RemoteTimeouts = RemoteTimeouts()

    @contextmanager
    def client(self) -> Iterator["httpx2.Client"]:
        """Connections to the endpoint. Raises RemoteUnreachable when it may not be asked."""
        import httpx2  # late: the import takes a tenth of a second, and most sessions need none

        local = is_loopback(self.endpoint.url)
        if self.offline and not local:
            raise RemoteUnreachable(name=self.name, url=self.url, kind="setting")
        headers = {"User-Agent": "stillroom", "Accept-Encoding": "identity"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        timeout = httpx2.Timeout(self.timeouts.read, connect=self.timeouts.connect)
        roots = httpx2.create_ssl_context()
        try:
            with httpx2.Client(
                headers=headers,
                timeout=timeout,
                verify=roots,
                trust_env=not local,
                proxy=self.endpoint.proxy or None,
            ) as client:
                yield client
        except (httpx2.TransportError, httpx2.InvalidURL, httpx2.DecodingError) as error:
            detail = _plain(str(error) or type(error).__name__)
            raise RemoteUnreachable(
                name=self.name, url=self.url, kind=failure_kind(error), detail=detail
            ) from error

    @contextmanager
    def ask(
        self, client: "httpx2.Client", method: str, path: str, body: object = None
    ) -> Iterator["httpx2.Response"]:
        """The head of an answer with status 200; its body is not read yet. Raises RemoteError."""
        with client.stream(method, self.endpoint.url + path, json=body) as response:
            self._raise_for(response)
            yield response

    def get_json(self, client: "httpx2.Client", path: str) -> Json:
        """A whole JSON document. Raises RemoteError."""
        with self.ask(client, "GET", path) as response:
            content = _limited(response)
        try:
            document: Json = json.loads(content)
            return document
        except (ValueError, RecursionError) as error:
            raise self._not_understood("not_json") from error

    def events(self, response: "httpx2.Response") -> Iterator[str]:
        """The data of server-sent events, one at a time. Raises RemoteError."""
        kind = response.headers.get("content-type", "").partition(";")[0]
        if kind != "text/event-stream":
            raise RemoteNotUnderstood(
                name=self.name,
                url=self.url,
                reason="no_stream" if kind else "no_type",
                found=_plain(kind),
            )
        for line in self._lines(response):
            if line.startswith("data:"):
                yield line[5:].strip()

    def _lines(self, response: "httpx2.Response") -> Iterator[str]:
        decoder, held = codecs.getincrementaldecoder("utf-8")("replace"), ""
        for chunk in response.iter_raw():
            *lines, held = (held + decoder.decode(chunk)).split("\n")
            if len(held) > _MAX_LINE or any(len(line) > _MAX_LINE for line in lines):
                raise RemoteNotUnderstood(
                    name=self.name, url=self.url, reason="long_line", limit=_MAX_LINE
                )
            yield from lines
        yield held

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def url(self) -> str:
        """The endpoint's address as it may be shown."""
        return public_url(self.endpoint.url)

    def _not_understood(self, reason: NotUnderstoodCode) -> RemoteNotUnderstood:
        return RemoteNotUnderstood(name=self.name, url=self.url, reason=reason)

    def _raise_for(self, response: "httpx2.Response") -> None:
        status = response.status_code
        if status == 200:
            return
        if 300 <= status < 400:
            target = response.url.join(response.headers.get("location", ""))
            scheme, host, port = origin_of(str(target))
            raise RemoteRedirects(name=self.name, url=self.url, target=f"{scheme}://{host}:{port}")
        if status == 429:
            raise RemoteBusy(
                name=self.name, url=self.url, retry_after=retry_after(response.headers)
            )
        message = message_of(_limited(response))
        if status in (401, 403):
            sent = bool(self.key)
            raise RemoteKeyRefused(
                name=self.name, url=self.url, status=status, key_sent=sent, detail=message
            )
        raise RemoteRefused(name=self.name, url=self.url, status=status, detail=message)


def message_of(content: bytes | str) -> str:
    """A server's own words about an error, shortened."""
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        data = None
    error = data.get("error", data) if isinstance(data, dict) else data
    text = error.get("message", "") if isinstance(error, dict) else error
    return _plain(text).rstrip(".") if isinstance(text, str) else ""


def hang_up(response: "httpx2.Response") -> None:
    """End a connection from another thread, even one that waits in a read."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _limited(response: "httpx2.Response") -> bytes:
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > _MAX_ANSWER:
            break
    return bytes(data)


def _plain(text: str) -> str:
    """One short line without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)[:_MAX_MESSAGE].strip()

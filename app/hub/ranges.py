"""The response to a range request: how it is checked, and its bytes.

Knows HTTP range semantics and what servers get wrong about them. Knows no repository and no disk.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.errors import NotAHubAnswer, Offline, ServerMisbehaved
from app.hub.endpoint import failure_kind
from app.hub.faults import public_url
from app.hub.values import RemoteFile

if TYPE_CHECKING:
    import httpx2

# Longer responses are read from the socket itself: the HTTP client copies every byte three times,
# and takes three times the processor for it. Their connection is not used again: a new one costs
# some round trips, which is nothing beside so many bytes.
DIRECT_FROM = 64 << 20
_DIRECT_STEP = 256 << 10
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class HubRangeResponse:
    """Bytes `start`..`stop` (exclusive) of a file, on their way; `ranged` is whether the server
    supports ranges. `stop` is None when the server sent no length."""

    def __init__(
        self, response: "httpx2.Response", start: int, stop: int | None, ranged: bool
    ) -> None:
        self._response = response
        self.start = start
        self.stop = stop
        self.ranged = ranged

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes as they come from the network; a chunk is valid until the next is requested."""
        chunks: Iterator[bytes] = self._response.iter_raw()
        link = self._direct_socket()
        if link is None or self.stop is None:
            yield from chunks
            return
        first = next(chunks, b"")  # all that the client has read ahead; after it, nothing is held
        yield first
        view = memoryview(bytearray(_DIRECT_STEP))
        left = self.stop - self.start - len(first)
        while left > 0 and (count := self._receive(link, view[: min(left, _DIRECT_STEP)])) > 0:
            left -= count
            yield view[:count]

    def _receive(self, link: socket.socket, view: memoryview) -> int:
        try:
            return int(link.recv_into(view))
        except OSError as error:
            raise Offline(
                endpoint=_endpoint(str(self._response.url)),
                kind=failure_kind(error),
                detail=str(error) or repr(error),
            ) from error

    def _direct_socket(self) -> socket.socket | None:
        """The socket, if the answer is long and comes over it as it is: no framing, and no second
        encryption inside (as through an https proxy)."""
        headers = self._response.headers
        length = headers.get("content-length", "")
        if self.stop is None or length != str(self.stop - self.start) or int(length) < DIRECT_FROM:
            return None
        stream = self._response.extensions.get("network_stream")
        if stream is None or self._response.http_version != "HTTP/1.1":
            return None
        link, encrypted = stream.get_extra_info("socket"), stream.get_extra_info("ssl_object")
        return link if encrypted is getattr(link, "_sslobj", None) else None

    def abort(self) -> None:
        """Break the connection, from any thread: a `chunks` that waits ends with an error."""
        stream = self._response.extensions.get("network_stream")
        link = stream.get_extra_info("socket") if stream is not None else None
        if link is not None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


def check_range_response(
    response: "httpx2.Response", file: RemoteFile, start: int, stop: int
) -> HubRangeResponse:
    """The response to a request for start..stop of `file`, checked.

    Raises ServerMisbehaved for anything but the exact range or the whole file, NotAHubAnswer for a
    page sent in its place.
    """
    headers = response.headers
    url = public_url(str(response.url))

    misbehaved = partial(ServerMisbehaved, path=file.path, url=url)

    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise misbehaved(reason="encoding", found=headers["content-encoding"][:40])
    if response.status_code == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None:
            raise misbehaved(reason="no_range")
        first, last = int(match[1]), int(match[2])
        if first != start or not start <= last < stop:
            raise misbehaved(
                reason="wrong_range", found=f"{first}-{last}", wanted=f"{start}-{stop - 1}"
            )
        if match[3] not in ("*", str(file.size)):
            raise misbehaved(reason="wrong_size", found=match[3], wanted=file.size)
        return HubRangeResponse(response, first, last + 1, ranged=True)
    if response.status_code != 200:
        raise misbehaved(reason="status", found=response.status_code)
    length = headers.get("content-length", "")
    if (length and length != str(file.size)) or (not length and _is_page(response, file)):
        kind = headers.get("content-type", "")
        if _is_page(response, file):
            raise NotAHubAnswer(endpoint=_endpoint(url), url=url, content_type=kind)
        raise misbehaved(reason="wrong_size", found=length or 0, wanted=file.size)
    return HubRangeResponse(response, 0, int(length) if length else None, ranged=False)


def _is_page(response: "httpx2.Response", file: RemoteFile) -> bool:
    kind = str(response.headers.get("content-type", "")).lower()
    return kind.startswith("text/html") and not file.path.lower().endswith((".html", ".htm"))


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

"""An answer to a range request: what it may look like, and its bytes.

Knows HTTP range semantics and what servers get wrong about them. Knows no repository and no disk.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from app.errors import NotAHubAnswer, ServerMisbehaved
from app.hub_faults import public_url
from app.hub_values import RemoteFile

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class RangeAnswer:
    """Bytes `start`..`stop` (exclusive) of a file, on their way; `ranged` is whether the server
    knows ranges. `stop` is None when the server sent no length."""

    def __init__(self, response: Any, start: int, stop: int | None, ranged: bool) -> None:
        self._response = response
        self.start = start
        self.stop = stop
        self.ranged = ranged

    def chunks(self) -> Iterator[bytes]:
        """The bytes as they come from the network, nothing buffered."""
        chunks: Iterator[bytes] = self._response.iter_raw()
        return chunks

    def abort(self) -> None:
        """Break the connection, from any thread: a `chunks` that waits ends with an error."""
        stream = self._response.extensions.get("network_stream")
        link = stream.get_extra_info("socket") if stream is not None else None
        if link is not None:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


def check_range_answer(response: Any, file: RemoteFile, start: int, stop: int) -> RangeAnswer:
    """The answer to a request for start..stop of `file`, if it is one.

    Raises ServerMisbehaved for anything but the exact range or the whole file, NotAHubAnswer for a
    page sent in its place.
    """
    headers = response.headers
    url = public_url(str(response.url))

    def misbehaved(reason: str) -> ServerMisbehaved:
        return ServerMisbehaved(path=file.path, url=url, reason=reason)

    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        raise misbehaved(f"sent {headers['content-encoding'][:40]} encoding unasked")
    if response.status_code == 206:
        match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
        if match is None:
            raise misbehaved("a partial answer without Content-Range")
        first, last = int(match[1]), int(match[2])
        if first != start or not start <= last < stop:
            raise misbehaved(f"asked for bytes {start}-{stop - 1}, got {first}-{last}")
        if match[3] not in ("*", str(file.size)):
            raise misbehaved(f"the file has {match[3]} bytes there, {file.size} in the listing")
        return RangeAnswer(response, first, last + 1, ranged=True)
    if response.status_code != 200:
        raise misbehaved(f"status {response.status_code}")
    length = headers.get("content-length", "")
    if (length and length != str(file.size)) or (not length and _is_page(response, file)):
        kind = headers.get("content-type", "")
        if _is_page(response, file):
            raise NotAHubAnswer(endpoint=_endpoint(url), url=url, content_type=kind)
        raise misbehaved(f"the file has {length} bytes there, {file.size} in the listing")
    return RangeAnswer(response, 0, int(length) if length else None, ranged=False)


def _is_page(response: Any, file: RemoteFile) -> bool:
    kind = str(response.headers.get("content-type", "")).lower()
    return kind.startswith("text/html") and not file.path.lower().endswith((".html", ".htm"))


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

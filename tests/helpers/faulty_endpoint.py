"""An HTTP server that answers chat completions wrongly, each kind of fault under a path."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret"


def event(content: str = "", **fields: Any) -> bytes:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": content, **fields}, "finish_reason": None}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


END = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
STREAMS: dict[str, tuple[bytes, ...]] = {
    "cut": (event("One "), event("two ")),
    "error": (event("One "), b'data: {"error": {"message": "out of memory"}}\n\n'),
    "huge": (event("One "), *(b"x" * 65536,) * 40),
    "garbage": (event("One "), b"data: {nonsense\n\n"),
    "number": (b"data: 7\n\n",),
    "tags": (event("<th"), event("ink>Hm"), event("m</think>\n\n"), event("Yes"), END),
    "untagged": (event("Hmm"), event("</think>\n\n"), event("Yes"), END),
    "fields": (event(reasoning_content="Hmm"), event("Yes <think>"), END),
    "vllm": (event(reasoning="Hmm"), event("Yes"), END),
    "empty": (END,),
}


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._note(b"")
        self._answer(200, "application/json", b'{"data": [{"id": "one"}]}')

    def do_POST(self) -> None:
        self._note(self.rfile.read(int(self.headers["content-length"])))
        kind = self.path.split("/")[1]
        if kind == "401":
            said = b'{"error": {"message": "Incorrect API key"}}'
            self._answer(401, "application/json", said)
        elif kind == "429":
            self._answer(429, "application/json", b"{}", **{"Retry-After": "7"})
        elif kind == "500":
            self._answer(500, "text/plain", b"\x00no")
        elif kind == "redirect":
            self._answer(
                307, "text/plain", b"", Location=f"http://localhost:{self.server.other}/v1"
            )
        elif kind == "page":
            self._answer(200, "text/html", b"<html>sign in</html>")
        elif kind == "silent":
            self._head(200, "text/event-stream", None)
            self.wfile.write(event("One "))
            self.server.hung_up.set() if self._gone() else None
        else:
            self._head(200, "text/event-stream", None)
            for part in STREAMS[kind]:
                self.wfile.write(part)
                self.wfile.flush()

    def _gone(self, seconds: float = 10.0) -> bool:
        """Whether the client ends the connection in time."""
        self.connection.settimeout(seconds)
        try:
            return not self.connection.recv(1)
        except TimeoutError:
            return False

    def _note(self, body: bytes) -> None:
        self.server.seen.append((self.path, dict(self.headers), body))

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self._head(status, kind, len(body), **headers)
        self.wfile.write(body)

    def _head(self, status: int, kind: str, length: int | None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.hung_up = threading.Event()
        self.other = 0  # port that redirects lead to
        self.elsewhere: _Server | None = None  # the server behind that port

    def handle_error(self, *_arguments: Any) -> None:
        """Clients that hang up are what is tested."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def faulty_endpoint() -> Iterator[_Server]:
    """A running server; `seen` holds (path, headers, body) of each request."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

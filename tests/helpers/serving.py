"""A real server on a real model for tests, and requests without a client library."""

import json
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import psutil

from app.paths import Paths
from app.server.limits import Limits, ServeOptions
from app.server.running import RunningServer
from app.session.session import Session
from app.settings import Settings
from runtime.devices import Device

KEY = "sk-test"
MODEL = "starter"


@dataclass
class Served:
    """A running server with one model installed under the name `MODEL`."""

    server: RunningServer
    home: Path

    @property
    def base(self) -> str:
        return self.server.address.url

    @property
    def port(self) -> int:
        return self.server.address.port

    def request(
        self, method: str, path: str, body: Any = None, **headers: str | None
    ) -> httpx2.Response:
        """One request with the right key; a header given as None is left out."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        usual = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (usual | given).items() if value is not None}
        with httpx2.Client(timeout=60) as client:
            url = f"http://127.0.0.1:{self.port}{path}"
            return client.request(method, url, content=content, headers=sent)

    def chat(self, text: str = "Hello", **fields: Any) -> httpx2.Response:
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
        return self.request("POST", "/v1/chat/completions", body | {"max_tokens": 8} | fields)

    def raw(self, seconds: float = 10.0) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=seconds)

    def head(self, length: int | str, path: str = "/v1/chat/completions") -> bytes:
        """The head of a chat request with a body of `length` bytes, or chunked."""
        size = "transfer-encoding: chunked" if length == "chunked" else f"content-length: {length}"
        lines = [
            f"POST {path} HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            f"authorization: Bearer {KEY}",
            "content-type: application/json",
            size,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def running(self) -> int:
        """Answers that have a place, in all models."""
        return sum(served.turns.running for served in self.server.pool.served)

    def comes_to_rest(self, seconds: float = 10.0) -> bool:
        """Whether nothing is generated any more: no answer has a place, no child of this process
        computes, whether the server knows it or not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = _child_seconds()
            time.sleep(0.3)
            worked = [spent - before.get(pid, 0.0) for pid, spent in _child_seconds().items()]
            if self.running() == 0 and sum(worked) < 0.1:
                return True
        return False


def children() -> list[psutil.Process]:
    """The processes that this one has started and that have not ended."""
    return psutil.Process().children(recursive=True)


def _child_seconds() -> dict[int, float]:
    """Processor time of each child so far."""
    spent = {}
    for child in children():
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent[child.pid] = times.user + times.system
    return spent


class SmallMachine(Session):
    """A session on a machine with room for `BYTES` of models, which its children use up."""

    BYTES = 400_000_000

    def devices(self, *, refresh: bool = False) -> tuple[Device, ...]:
        used = 0
        for child in children():
            with suppress(psutil.NoSuchProcess):
                used += child.memory_info().rss
        free = max(0, self.BYTES - used)
        return tuple(replace(d, memory_free=free) for d in super().devices(refresh=refresh))


@contextmanager
def serving(
    home: Path,
    model: Path,
    limits: Limits | None = None,
    *,
    names: Sequence[str] = (MODEL,),
    kind: type[Session] = Session,
    **options: Any,
) -> Iterator[Served]:
    """Serve `model` under each of `names` on a free port. Small contexts: tests ask short
    questions."""
    session = kind(Paths.under(home), Settings())
    for name in names:
        session.library.add(
            model, name=name, format="gguf", source="import", licence=None, link=True
        )
    chosen: dict[str, Any] = {"parallel": 4, "n_ctx": 512, "limits": limits or Limits()} | options
    server = RunningServer(session, ServeOptions(port=0, **chosen), KEY).start()
    try:
        yield Served(server, home)
    finally:
        server.stop()
        session.close()

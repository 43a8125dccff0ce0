"""`stillroom --self-test [MODEL.gguf]`: whether this copy of the program is whole, in a home of
its own.

What a package forgot shows only when it is used: both engines answer a token from the built-in
model (or, where none was built in, from the file named), the hub's library and TLS load, a window
is drawn. Afterwards nothing may have been written outside the program's own folders and no
connection opened. Knows the session, no widget.
"""

import os
import ssl
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from app.hub.huggingface import load_library
from app.library.catalog import starter
from app.session.entry import open_session
from app.session.session import Session
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.progress import CancelToken, ignore_progress

RECIPE = "onnx-q4-b32"
WINDOW_SECONDS = 180
SMALLEST_PICTURE = 10_000  # bytes of PNG: an empty window has fewer
Check = Callable[[], str]


class Faults(Exception):
    """What a check found wrong."""


def main(arguments: Sequence[str] = ()) -> int:
    """Run every check and print a line for each; 0 when all are in order."""
    given = Path(arguments[0]).absolute() if arguments else None
    with tempfile.TemporaryDirectory(prefix="stillroom-self-test-") as folder:
        root = Path(folder)
        with _own_home(root), _watched() as connections:
            session = open_session(root / "stillroom")
            checks = _Checks(session, root, connections, given)
            results = [_run(name, check) for name, check in checks.all()]
            session.close()
            results.append(_run("folders", checks.folders))
    return 0 if all(results) else 1


def _run(name: str, check: Check) -> bool:
    try:
        detail = check()
    except Exception as error:  # whatever it is, the rest is still of interest
        traceback.print_exc()
        print(f"BAD  {name:<9} {type(error).__name__}: {error}", flush=True)
        return False
    print(f"ok   {name:<9} {detail}", flush=True)
    return True


def _program() -> list[str]:
    frozen = getattr(sys, "frozen", False)
    return [sys.executable] if frozen else [sys.executable, "-P", "-m", "app"]


@contextmanager
def _own_home(root: Path) -> Iterator[None]:
    """An empty home and an empty folder for temporary files, for us and our children."""
    before = dict(os.environ)
    for name in ("user", "tmp"):
        (root / name).mkdir()
    for name in list(os.environ):
        if name.startswith(("XDG_CONFIG", "XDG_DATA_HOME", "XDG_CACHE", "XDG_STATE", "HF_")):
            del os.environ[name]
    os.environ.update(
        {name: str(root / "user") for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA")}
        | {name: str(root / "tmp") for name in ("TMPDIR", "TEMP", "TMP")}
    )
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _watched() -> Iterator[list[str]]:
    """The connections this process tries to make over the network, as they are tried."""
    tried: list[str] = []
    watching = True

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("socket.connect", "socket.getaddrinfo"):
            if event == "socket.getaddrinfo" or isinstance(arguments[1], tuple):
                tried.append(f"{event} {arguments[1:]!r}")

    sys.addaudithook(note)  # cannot be taken away again
    try:
        yield tried
    finally:
        watching = False


class _Checks:
    """The checks in order; the later ones use what the earlier ones installed."""

    def __init__(
        self, session: Session, root: Path, connections: list[str], given: Path | None
    ) -> None:
        self._session = session
        self._root = root
        self._connections = connections
        self._given = given
        self._model = ""

    def all(self) -> list[tuple[str, Check]]:
        """Name and check, but for `folders`, which comes after the end of everything else."""
        return [
            ("system", self.system),
            ("model", self.model),
            ("llama.cpp", lambda: self.answer(self._model, "llamacpp")),
            ("onnx", self.onnx),
            ("genai", lambda: self.answer(f"{self._model}-{RECIPE}", "genai")),
            ("hub", self.hub),
            ("tls", self.tls),
            ("window", self.window),
            ("silence", self.silence),
        ]

    def system(self) -> str:
        devices = self._session.devices()
        return ", ".join(f"{device.id} ({device.name})" for device in devices)

    def model(self) -> str:
        entry = starter(self._session.catalog)
        assert entry is not None
        if self._given is not None:
            model = self._session.library.add(
                self._given, name=entry.id, format="gguf", source="import", link=True
            )
            self._model = model.name
            return f"{self._given.name}, named for the test"
        model = self._session.install(entry.id)
        self._model = model.name
        return f"{model.name}, SHA-256 {model.sha256[:12]}…"

    def answer(self, model: str, engine: str) -> str:
        """A token from one engine, by greedy choice, in a worker process."""
        plan = self._session.plan(model, engine=engine, n_ctx=512)
        report = self._session.load(model, plan, ignore_progress, CancelToken())
        messages = (Message("user", "Hello"),)
        request = GenerationRequest(
            "self-test", messages, SamplingParams(temperature=0), max_tokens=4
        )
        pieces: list[str] = []
        stats = self._session.generate(
            request, lambda streamed: pieces.extend(chunk.text for chunk in streamed.chunks)
        )
        if report.engine != engine or stats.generated_tokens < 1:
            raise Faults(f"{report.engine} generated {stats.generated_tokens} tokens")
        self.children()
        self._session.unload()
        return f"{report.engine_version} said {''.join(pieces)!r}"

    def onnx(self) -> str:
        model, _ = self._session.quantize(
            self._model, RECIPE, ignore_progress, CancelToken(), requantize=True
        )
        return self.answer(model.name, "onnx")

    def hub(self) -> str:
        library = load_library(self._session.paths.hub)
        return f"endpoint {library.endpoint}"

    def tls(self) -> str:
        import httpx2  # as late as the hub's library does it

        context = httpx2.create_ssl_context()
        if context.verify_mode is not ssl.CERT_REQUIRED:
            raise Faults("certificates are not checked")
        return f"{ssl.OPENSSL_VERSION}, {type(context).__module__.split('.')[0]}"

    def window(self) -> str:
        picture = self._root / "stillroom" / "window.png"
        command = [*_program(), "--home", str(self._root / "stillroom")]
        result = subprocess.run(
            [*command, "--screenshot", str(picture)],
            timeout=WINDOW_SECONDS, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if result.returncode:
            raise Faults(f"exit code {result.returncode}: {result.stderr[-1000:]}")
        size = picture.stat().st_size
        if size < SMALLEST_PICTURE:
            raise Faults(f"a picture of {size} bytes")
        return f"a picture of {size} bytes"

    def silence(self) -> str:
        if self._connections:
            raise Faults(", ".join(self._connections))
        return "no connection was tried"

    def children(self) -> None:
        """Raises Faults where a child holds a network socket, or may send usage data."""
        for child in psutil.Process().children(recursive=True):
            found = [*child.net_connections(kind="inet")]
            if found:
                raise Faults(f"process {child.pid} has {found}")

    def folders(self) -> str:
        """Nothing but what is ours; `user` and `tmp` were empty."""
        stray = [
            str(path.relative_to(self._root))
            for name in ("user", "tmp")
            for path in (self._root / name).rglob("*")
            if path.is_file() and "fontconfig" not in path.parts  # the system's own
        ]
        if stray:
            raise Faults(", ".join(stray))
        return "nothing was written elsewhere"

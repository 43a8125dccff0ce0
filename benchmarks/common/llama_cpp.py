"""llama.cpp's own tools, the peer of most benchmarks: llama-bench and llama-server.

Finds the tools or builds them from the very source archive the engine was built from, with the
flags that `installers/native_engine.py` builds it with.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common.results import ROOT

BUILD = ROOT / "build" / "llama-tools"
# The set-up is a script that runs before anything is installed, not a package to import from.
_FLAGS = "import json, native_engine; print(json.dumps(native_engine.compiler_flags()))"


def tool(folder: Path | None, name: str) -> Path:
    """Path of one tool, built as the engine is, and from its source archive, where no folder is
    given."""
    if folder is not None:
        return folder / name
    path = BUILD / "bin" / name
    if not path.exists():
        _build(name)
    return path


def _build(name: str) -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    engine = f"llama-cpp-python=={version('llama-cpp-python')}"
    subprocess.run([*pip, "-d", str(BUILD), engine], check=True)
    with tarfile.open(next(BUILD.glob("llama_cpp_python-*.tar.gz"))) as archive:
        archive.extractall(BUILD, filter="data")
    source = next(BUILD.glob("llama_cpp_python-*/")) / "vendor" / "llama.cpp"
    options = ("TESTS", "EXAMPLES", "UI")
    command = ["cmake", "-S", str(source), "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run(
        [*command, "-DLLAMA_CURL=OFF", *(f"-DLLAMA_BUILD_{option}=OFF" for option in options)],
        check=True,
        env={**os.environ, **compiler_flags()},
    )
    subprocess.run(["cmake", "--build", BUILD, "-j2", "--target", name], check=True)


def compiler_flags() -> dict[str, str]:
    """Environment that the set-up of a checkout compiles the engine with."""
    done = subprocess.run(
        [sys.executable, "-c", _FLAGS],
        cwd=ROOT / "installers",
        check=True,
        capture_output=True,
        text=True,
    )
    flags: dict[str, str] = json.loads(done.stdout)
    return flags


def llama_bench(
    path: Path, model: Path, *, prompt: int = 0, generate: int = 0, depth: int = 0,
    threads: int = 2, repeat: int = 1, more: Sequence[str] = (),
) -> float:  # fmt: skip
    """Mean tokens per second of one llama-bench test, flash attention on as in the product."""
    command = [
        str(path), "-m", str(model), "-p", str(prompt), "-n", str(generate), "-d", str(depth),
        "-t", str(threads), "-r", str(repeat), "-fa", "on", "-o", "json", *more,
    ]  # fmt: skip
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = json.loads(output)
    return float(rows[-1]["avg_ts"])


@contextlib.contextmanager
def llama_server(path: Path, model: Path, *more: str) -> Iterator[str]:
    """A running llama-server with its defaults; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(path), "-m", str(model), "--port", str(port), "--no-webui", *more]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process)
        yield address
    finally:
        process.kill()
        process.wait()


def _wait_until_healthy(address: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health") as answer:
            if answer.status == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("llama-server did not start")


def server_completion(address: str, prompt: Any, n_predict: int) -> dict[str, Any]:
    """Timings of one greedy completion of llama-server."""
    body = {"prompt": prompt, "n_predict": n_predict, "temperature": 0, "ignore_eos": True,
            "cache_prompt": False}  # fmt: skip
    request = urllib.request.Request(
        f"{address}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=280) as answer:
        timings: dict[str, Any] = json.loads(answer.read())["timings"]
    return timings

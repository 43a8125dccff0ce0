"""llama.cpp's own tools beside the engine under test, and what every result file records.

Finds or builds the tools from the very source archive the engine was built from, runs llama-bench,
starts llama-server, prepares the starter model, writes results with the machine's facts.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "installers")]

from app.library.catalog import starter  # noqa: E402
from app.paths import Paths  # noqa: E402
from app.session.session import Session  # noqa: E402
from app.settings import load as load_settings  # noqa: E402
from bootstrap import compiler_flags  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
BUILD = ROOT / "build" / "llama-tools"


def add_options(parser: argparse.ArgumentParser) -> None:
    """--tools and --model, which every benchmark of this engine takes."""
    parser.add_argument("--tools", type=Path, help="folder with llama-bench and llama-server")
    parser.add_argument("--model", type=Path, help="GGUF file (default: the starter as Q4_0)")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--name", help="name of the result files", default=None)


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
    subprocess.run(
        ["cmake", "-S", source, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_CURL=OFF"]
        + [f"-DLLAMA_BUILD_{option}=OFF" for option in options],
        check=True,
        env={**os.environ, **compiler_flags()},
    )
    subprocess.run(["cmake", "--build", BUILD, "-j2", "--target", name], check=True)


def open_session(home: Path) -> Session:
    """A session of its own folder, so that no benchmark touches the user's."""
    return Session(Paths.under(home), load_settings(home / "config" / "settings.json", {})[0])


def starter_q4(home: Path) -> Path:
    """The starter model quantized by the product's own recipe q4_0, made once in `home`."""
    session = open_session(home)
    try:
        entry = starter(session.catalog)
        assert entry is not None
        name = f"{entry.id}-q4_0"
        found = session.library.find(name)
        if found is None:
            session.install(entry.id)
            found, _ = session.quantize(entry.id, "q4_0", name=name)
        return found.path
    finally:
        session.close()


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


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, extremes and the figures themselves."""
    return {
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": [round(value, 3) for value in values],
    }


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    name = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "cpu": name,
        "cores": psutil.cpu_count(logical=False),
        "threads": psutil.cpu_count(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "python": platform.python_version(),
        "engine": f"llama-cpp-python {version('llama-cpp-python')}",
        "system": platform.platform(),
    }


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write_results(name: str, result: dict[str, Any], text: str) -> None:
    """Print `text` and keep both forms under benchmarks/results/."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), **result}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    facts = "\n".join(f"{key}: {value}" for key, value in document["machine"].items())
    (RESULTS / f"{name}.txt").write_text(f"{text}\n\n{facts}\n")
    print(text)

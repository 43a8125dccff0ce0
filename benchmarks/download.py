"""Download a 5 GB sparse file over loopback with our downloader and with curl, alternately.

Prints MB/s of each and of curl with two programs that hash (sha256sum, and openssl, which uses the
processor's SHA instructions as we do), processor seconds, peak memory of the whole process, the
longest gap between two ticks of a 60 Hz timer on the main thread of a bare process, and the longest
gap between two painted frames of the real window, which shows the download on its models page and
is asked for a frame 60 times a second. Run: python -m benchmarks.download
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT
from tests.helpers.hub_server import HubFile, HubRepo, HubServer

REPO = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B-GGUF"
NAME = "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"
HASHING = ("sha256sum", "openssl dgst -sha256")

CLIENT = """
import json, resource, sys, threading, time
from pathlib import Path
from app.downloads.download import Limits, download
from app.hub.client import Hub
endpoint, folder, repo, connections = sys.argv[1:]
hub = Hub(Path(folder) / "cache", endpoint)
file = next(f for f in hub.details(repo).files if f.path.endswith(".gguf"))
gaps, result, stop = [], {}, threading.Event()
def work():
    started = time.perf_counter()
    done = download(hub.source(file), Path(folder) / "ours.gguf",
                    limits=Limits(connections=int(connections)))
    result.update(seconds=time.perf_counter() - started, sha256=done.sha256)
    stop.set()
usage = resource.getrusage(resource.RUSAGE_SELF)
before, cpu_before = usage.ru_maxrss, usage.ru_utime + usage.ru_stime
thread = threading.Thread(target=work)
thread.start()
last = time.perf_counter()
while not stop.is_set():
    time.sleep(1 / 60)
    now = time.perf_counter()
    gaps.append((now - last) * 1000)
    last = now
thread.join()
gaps.sort()
usage = resource.getrusage(resource.RUSAGE_SELF)
result.update(peak=usage.ru_maxrss * 1024, before=before * 1024,
              cpu=usage.ru_utime + usage.ru_stime - cpu_before,
              gap_max=gaps[-1], gap_p99=gaps[int(len(gaps) * 0.99)], ticks=len(gaps))
print(json.dumps(result))
"""

WINDOW = """
import json, resource, sys, time
from pathlib import Path
from PySide6.QtCore import QEvent, QObject, QTimer, Qt
from PySide6.QtWidgets import QApplication
from app.gui.parts import theme
from app.gui.main_window import MainWindow
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
endpoint, folder, repo = sys.argv[1:]
application = QApplication(["stillroom"])
application.setStyle("Fusion")
look = theme.choose("light", 100, False)
theme.apply(application, look)
session = Session(Paths.under(Path(folder) / "home"), Settings(hub_endpoint=endpoint))
window = MainWindow(session, look)
window.show()
window.start()
window.show_page("models")
limit = time.monotonic() + 120
while window.bridge.busy or not window.library.items:
    application.processEvents()
    assert time.monotonic() < limit
downloads, gaps = window.library.downloads, []
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
request = session.request("hub:" + repo)
last = [time.perf_counter()]
panel = window.models_page.downloads
class Frames(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            now = time.perf_counter()
            gaps.append((now - last[0]) * 1000)
            last[0] = now
        return False
frames = Frames()
panel.installEventFilter(frames)
timer = QTimer()
timer.setTimerType(Qt.TimerType.PreciseTimer)
timer.timeout.connect(panel.update)
def shown():
    last[0] = time.perf_counter()
    gaps.clear()
ended = lambda item: application.quit() if item.state in ("done", "failed") else None
downloads.changed.connect(lambda: [ended(item) for item in downloads.items])
downloads.add(request)
while not panel.isVisible():
    application.processEvents()
started = time.perf_counter()
shown()
timer.start(16)
application.exec()
seconds = time.perf_counter() - started
(item,) = downloads.items
gaps.sort()
print(json.dumps(dict(state=item.state, error=item.error, seconds=seconds, before=before * 1024,
                      peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
                      gap_max=gaps[-1], gap_p99=gaps[int(len(gaps) * 0.99)], ticks=len(gaps))))
window.close()
session.close()
"""


def _serve(path: Path, digest: str) -> None:
    """Child: the hub, until stdin closes."""
    with HubServer({REPO: HubRepo({NAME: HubFile(path, digest)}, tags=["gguf"])}) as hub:
        print(hub.endpoint, flush=True)
        sys.stdin.read()


def _ours(endpoint: str, folder: Path, connections: int) -> dict[str, Any]:
    command = [sys.executable, "-c", CLIENT, endpoint, str(folder), REPO, str(connections)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (folder / "ours.gguf").unlink()
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _in_window(endpoint: str, folder: Path) -> dict[str, Any]:
    """The same in the real window. A sparse file is no model: at its end it is refused."""
    command = [sys.executable, "-c", WINDOW, endpoint, str(folder), REPO]
    environment = {**os.environ, "QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen")}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    shutil.rmtree(folder / "home")
    result: dict[str, Any] = json.loads(done.stdout)
    if result["state"] != "failed" or result["error"]["type"] != "CorruptFile":
        raise SystemExit(f"the download in the window ended as {result}")
    return {key: value for key, value in result.items() if key not in ("state", "error")}


def _curl(endpoint: str, folder: Path, hashing: str = "") -> float:
    url = f"{endpoint}/{REPO}/resolve/main/{NAME}"
    target = folder / "curl.gguf"
    started = time.perf_counter()
    if hashing:
        command = f"curl -sL '{url}' | tee '{target}' | {hashing} >/dev/null"
        subprocess.run(["sh", "-c", command], check=True)
    else:
        subprocess.run(["curl", "-sL", "-o", str(target), url], check=True)
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds


def _digest_of_zeros(size: int) -> str:
    digest, block = hashlib.sha256(), bytes(1 << 20)
    for _ in range(size >> 20):
        digest.update(block)
    digest.update(bytes(size & ((1 << 20) - 1)))
    return digest.hexdigest()


def main() -> None:
    parser = command_line(__doc__, "benchmarks.download")
    parser.add_argument("--size", type=int, default=5_000_000_000, help="bytes")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--serve", nargs=2, metavar=("PATH", "SHA256"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(Path(options.serve[0]), options.serve[1])
        return
    folder = Path(tempfile.mkdtemp(prefix="download-benchmark-"))
    try:
        _measure(folder, options.size, options.repeat, options.connections)
    finally:
        shutil.rmtree(folder)


def _measure(folder: Path, size: int, repeat: int, connections: int) -> None:
    served = folder / "served.gguf"
    with served.open("wb") as stream:
        stream.truncate(size)
    digest = _digest_of_zeros(size)
    command = [sys.executable, "-m", "benchmarks.download", "--serve", str(served), digest]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    endpoint = server.stdout.readline().strip()
    ours, shown, plain = [], [], []
    hashed: dict[str, list[float]] = {program: [] for program in HASHING}
    try:
        for _ in range(repeat):
            ours.append(_ours(endpoint, folder, connections))
            shown.append(_in_window(endpoint, folder))
            plain.append(_curl(endpoint, folder))
            for program, runs in hashed.items():
                runs.append(_curl(endpoint, folder, program))
    finally:
        server.communicate()
    _report(size, connections, digest, ours, shown, plain, hashed)


def _report(
    size: int,
    connections: int,
    digest: str,
    ours: list[dict[str, Any]],
    shown: list[dict[str, Any]],
    plain: list[float],
    hashed: dict[str, list[float]],
) -> None:
    def rate(seconds: list[float]) -> float:
        return size / statistics.median(seconds) / 1e6

    mine = [run["seconds"] for run in ours]
    right = all(run["sha256"] == digest for run in ours)
    print(
        f"{size / 1e9:.1f} GB sparse file, {len(ours)} alternating runs, {connections} connections"
    )
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"ours, SHA-256 checked, synced to disk  {rate(mine):7.0f} MB/s  right: {right}")
    print(f"curl, written to a file                {rate(plain):7.0f} MB/s")
    for program, runs in hashed.items():
        print(f"{f'curl | tee file | {program}':38} {rate(runs):7.0f} MB/s")
    for program, runs in hashed.items():
        print(f"{f'ours / curl with {program}':38} {rate(mine) / rate(runs):7.2f}")
    print(f"ours / curl without hashing            {rate(mine) / rate(plain):7.2f}")
    cpu = statistics.median(run["cpu"] for run in ours) / size * 1e9
    print(f"processor seconds per GB               {cpu:7.2f}")
    print(f"peak memory                            {max(r['peak'] for r in ours) / 1e6:7.0f} MB")
    print(f"memory before the download             {max(r['before'] for r in ours) / 1e6:7.0f} MB")
    print(f"60 Hz timer: longest gap               {max(r['gap_max'] for r in ours):7.1f} ms")
    print(f"60 Hz timer: p99 gap                   {max(r['gap_p99'] for r in ours):7.1f} ms")
    grown = max(run["peak"] - run["before"] for run in shown)
    print(f"in the window: rate                    {rate([r['seconds'] for r in shown]):7.0f} MB/s")
    frames = min(run["ticks"] / run["seconds"] for run in shown)
    peak = max(run["peak"] for run in shown)
    print(f"in the window: painted frames          {frames:7.1f} a second")
    print(f"in the window: longest frame gap       {max(r['gap_max'] for r in shown):7.1f} ms")
    print(f"in the window: p99 frame gap           {max(r['gap_p99'] for r in shown):7.1f} ms")
    print(f"in the window: whole process, peak     {peak / 1e6:7.0f} MB")
    print(f"in the window: memory it grew by       {grown / 1e6:7.0f} MB")


if __name__ == "__main__":
    main()

"""Through an independent mirror (olah) between client and hub: details, a resumed download.

The mirror is installed from the package index into a scratch environment; without it, skipped.
"""

import os
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.downloads.download import Limits, download
from app.downloads.rate_limit import RateLimit
from app.hub.client import Hub
from runtime.progress import Cancelled, CancelToken, Progress
from tests.helpers.hub_server import HubFile, HubRepo, HubServer

# Names a folder with the mirror's virtual environment, to spare its installation.
MIRROR_VARIABLE = "STILLROOM_TEST_MIRROR"
MIRROR = "olah==0.5.4"
REPO = "deepseek-ai/R1-GGUF"
NAME = "model-Q4_0.gguf"
DATA = os.urandom(20_000_000)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def mirror_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    given = os.environ.get(MIRROR_VARIABLE)
    folder = Path(given) if given else tmp_path_factory.mktemp("mirror")
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    if not given:
        venv.create(folder, with_pip=True)
        install = [str(scripts / "python"), "-m", "pip", "install", "-q", MIRROR]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"{MIRROR} cannot be installed: {done.stderr[-200:]}")
    return str(scripts / "olah-cli")


@pytest.fixture
def server() -> Iterator[HubServer]:
    files = {NAME: HubFile(DATA), "config.json": HubFile(b'{"a": 1}')}
    with HubServer({REPO: HubRepo(files, tags=["gguf"])}) as server:
        yield server


@pytest.fixture
def mirror(mirror_command: str, server: HubServer, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hub, store = (url.removeprefix("http://") for url in (server.endpoint, server.cdn))
    here = f"127.0.0.1:{port}"
    command = [mirror_command, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--hf-scheme", "http", "--hf-netloc", hub, "--hf-lfs-netloc", store]
    command += ["--mirror-scheme", "http", "--mirror-netloc", here, "--mirror-lfs-netloc", here]
    command += ["--repos-path", str(tmp_path / "repos"), "--log-path", str(tmp_path / "log")]
    with (tmp_path / "mirror.log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, (tmp_path / "mirror.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"http://{here}"
    finally:
        process.terminate()
        process.wait(20)


def test_stopped_and_resumed_through_a_mirror(
    mirror: str, server: HubServer, tmp_path: Path
) -> None:
    hub = Hub(tmp_path / "cache", mirror)
    details = hub.details(REPO)
    assert {file.path: file.size for file in details.files} == {NAME: len(DATA), "config.json": 8}
    file = next(file for file in details.files if file.path == NAME)
    cancel = CancelToken()

    def stop(progress: Progress) -> None:
        if progress.done > 4_000_000:
            cancel.cancel()

    slow = Limits(unit=4 << 20, reserve=0, rate=RateLimit(8_000_000))
    target = tmp_path / NAME
    with pytest.raises(Cancelled):
        download(hub.source(file), target, stop, cancel, limits=slow)
    done = download(hub.source(file), target, limits=Limits(unit=4 << 20, reserve=0))
    assert done.resumed_from > 4_000_000
    assert target.read_bytes() == DATA

"""A download killed with SIGKILL at random points: nothing written is lost, the end is right."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.downloads.part_file import part_received
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

ROOT = Path(__file__).resolve().parents[3]
REPO = "deepseek-ai/R1-GGUF"
NAME = "model-Q4_0.gguf"
CLIENT = """
import sys
from pathlib import Path
from app.downloads.download import Limits, download
from app.hub.client import Hub
endpoint, folder, repo, name = sys.argv[1:]
hub = Hub(Path(folder) / "cache", endpoint)
file = next(f for f in hub.details(repo).files if f.path == name)
print("start", flush=True)
limits = Limits(unit=4 << 20, reserve=0)
done = download(hub.source(file), Path(folder) / name, limits=limits)
print("done", done.resumed_from, done.sha256, flush=True)
"""


def _client(server: HubServer, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CLIENT, server.endpoint, str(folder), REPO, NAME]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _kill_at_random_points(folder: Path, points: int, seed: int) -> None:
    data = os.urandom(40_000_000)
    digest = hashlib.sha256(data).hexdigest()
    rng = random.Random(seed)
    with HubServer({REPO: HubRepo({NAME: HubFile(data)}, tags=["gguf"])}) as server:
        # four connections at this rate are not through before the last kill
        server.faults = [Fault("cdn", None, rate=int(len(data) / (points * 0.5 * 4)))]
        kept = 0
        for _ in range(points):
            sent_before = server.sent_bytes("cdn")
            client = _client(server, folder)
            assert client.stdout is not None
            assert client.stdout.readline() == "start\n"
            time.sleep(rng.uniform(0.02, 0.6))
            client.send_signal(signal.SIGKILL)
            client.communicate()
            received = part_received(folder / NAME)
            assert received >= kept, "bytes of an earlier attempt were lost"
            # what the server sent and the client did not keep was on its way, in socket buffers
            sent = server.sent_bytes("cdn") - sent_before
            assert received - kept >= sent - (1 << 20)
            kept = received
        assert kept < len(data), "the last kills hit nothing"
        server.faults = []
        client = _client(server, folder)
        output, _ = client.communicate(timeout=60)
        resumed_from = int(output.split()[2])
        assert resumed_from >= kept - (1 << 20)
        assert output.split()[3] == digest
        assert hashlib.sha256((folder / NAME).read_bytes()).hexdigest() == digest
        assert not list(folder.glob("*.part*"))


def test_killed_three_times(tmp_path: Path) -> None:
    _kill_at_random_points(tmp_path, points=3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_twenty_times(tmp_path: Path) -> None:
    _kill_at_random_points(tmp_path, points=20, seed=100)

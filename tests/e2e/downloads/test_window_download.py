"""The whole way through the real window, in a process that is killed in the middle of it.

Search, details, Download, pause, SIGKILL, start, resume, verified, Quantize, Chat: against a hub on
loopback that serves the starter's real weights under the name of an R1 distill.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.library.folder import InstalledModel, Library
from app.paths import Paths
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

ROOT = Path(__file__).resolve().parents[3]
REPO = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B-GGUF"
OFFICIAL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
CARD = b"---\nlicense: mit\n---\n# DeepSeek-R1\nUse a temperature of 0.6.\n"


@pytest.fixture
def hub(starter_model: InstalledModel) -> Iterator[HubServer]:
    files = {
        "DeepSeek-R1-Distill-Qwen-7B-Q4_1.gguf": HubFile(starter_model.path, starter_model.sha256),
        "README.md": HubFile(CARD),
    }
    tags = ["gguf", "license:mit", f"base_model:quantized:{OFFICIAL}"]
    facts = {"total": 134_515_008, "architecture": "llama", "context_length": 2048}
    with HubServer({REPO: HubRepo(files, tags=tags, gguf=facts)}) as server:
        server.faults = [Fault("cdn", None, rate=20_000_000)]
        yield server


def window(part: str, endpoint: str) -> "subprocess.Popen[str]":
    """The program with its window, taking the steps of `part`."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.helpers.window_driver", part],
        cwd=ROOT,
        env={
            **os.environ,
            "HF_ENDPOINT": endpoint,
            "STILLROOM_TOUR_SEEN": "1",
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(output: str) -> dict[str, Any]:
    """What the driver told, line by line."""
    facts: dict[str, Any] = {}
    for line in output.splitlines():
        facts |= json.loads(line)
    return facts


@pytest.mark.timeout(400)
def test_from_search_to_chat_with_a_kill_in_the_middle(
    hub: HubServer, stillroom_home: Path, starter_model: InstalledModel
) -> None:
    first = window("download", hub.endpoint)
    assert first.stdout is not None
    lines = []
    for line in first.stdout:
        lines.append(line)
        if "paused" in line:
            break
    first.send_signal(signal.SIGKILL)
    _, problems = first.communicate(timeout=30)
    assert first.returncode == -signal.SIGKILL, problems
    before = said("".join(lines))
    assert before["variants"] == ["Q4_1"]
    assert 20_000_000 < before["paused"] < starter_model.size
    sent = hub.sent_bytes("cdn")

    second = window("chat", hub.endpoint)
    output, problems = second.communicate(timeout=240)
    assert second.returncode == 0, problems
    after = said(output)
    assert after["state"] == "paused"
    assert after["found"] >= before["paused"]
    assert hub.sent_bytes("cdn") - sent <= starter_model.size - after["found"] + (1 << 20)
    assert after["notice"].startswith("deepseek-r1-distill-qwen-7b-gguf-q4_1")
    assert after["verified"]
    assert after["quantized"] < starter_model.size
    assert len(after["answer"]) > 10

    library = Library(Paths.under(stillroom_home).models)
    installed = {model.name: model for model in library.installed()}
    assert set(installed) == {after["model"], after["model"].removesuffix("-q4_0")}
    fetched = installed[after["model"].removesuffix("-q4_0")]
    assert hashlib.sha256(fetched.path.read_bytes()).hexdigest() == starter_model.sha256
    assert (fetched.source, fetched.licence) == (REPO, "mit")
    assert not list((library.root / ".downloads").iterdir())

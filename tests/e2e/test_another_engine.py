"""An engine that Stillroom does not know: one file and one line that names it, and all of it works.

Everything runs as installed: the command line in its own process, its workers in theirs.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from runtime import registry
from tests.e2e.server.test_serve_command import serve
from tests.helpers.command_line import json_of, stillroom
from tests.helpers.shapes import write_small_gguf
from tests.helpers.tiny_checkpoints import write_checkpoint
from tests.helpers.toy_engine import ENGINE, PROCESS_BYTES, SENTENCE

ROOT = Path(__file__).resolve().parents[2]
TOY = ("small", "--engine", "toy")


@pytest.fixture(autouse=True)
def small(
    stillroom_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """A small model is installed, and the toy engine is named for every process that starts."""
    monkeypatch.setenv(registry.VARIABLE, "tests.helpers.toy_engine")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    session = Session(Paths.under(stillroom_home), Settings())
    gguf = write_small_gguf(tmp_path / "small.gguf")
    session.library.add(gguf, name="small", format="gguf", source="import", link=True)
    yield session
    session.close()


def test_it_is_planned_by_its_own_descriptor() -> None:
    plan = json_of(stillroom("plan", *TOY, "--context", "256", "--json"))
    placement, (host,) = plan["placement"], plan["memory"]["devices"]
    assert placement["engine"] == "toy"
    assert (placement["kv_type_k"], placement["n_ubatch"]) == ("q8_0", 64)
    assert (host["device"], host["overhead"]) == ("cpu", PROCESS_BYTES)


def test_it_yields_to_the_engine_it_names_unless_it_is_asked_for() -> None:
    plan = json_of(stillroom("plan", "small", "--json"))
    assert plan["placement"]["engine"] == "llamacpp"
    engines = {each["placement"]["engine"] for each in plan["alternatives"]}
    assert "toy" not in engines


def test_it_chats() -> None:
    process = stillroom("chat", *TOY, "--prompt", "What do toys answer?")
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == SENTENCE


def test_it_runs_a_checkpoint_that_no_built_in_engine_runs(
    small: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint(tmp_path / "full", "llama")
    small.library.add(folder, name="full", format="safetensors", source="import", link=True)
    process = stillroom("chat", "full", "--prompt", "What do toys answer?", "--context", "64")
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == SENTENCE
    monkeypatch.delenv(registry.VARIABLE)
    refused = stillroom("chat", "full", "--prompt", "What do toys answer?")
    assert refused.returncode != 0
    assert refused.stdout == ""


def test_it_is_benchmarked() -> None:
    options = ("--prompt-tokens", "64", "--generate-tokens", "20", "--repeat", "2", "--depths", "0")
    run = json_of(stillroom("bench", *TOY, "--context", "256", *options, "--json"))
    assert (run["engine"], run["engine_version"]) == ("toy", "7")
    assert {row["kind"]: row["tps"]["median"] > 0 for row in run["rows"]} == {
        "prefill": True,
        "decode": True,
    }


def test_it_answers_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLROOM_ENGINE", "toy")
    with serve() as command:
        key = command.until("Key: ").removeprefix("Key: ").strip()
        body: dict[str, Any] = {
            "model": "small",
            "messages": [{"role": "user", "content": "What do toys answer?"}],
        }
        url = f"http://127.0.0.1:{command.port}/v1/chat/completions"
        headers = {"authorization": f"Bearer {key}"}
        reply = httpx2.post(url, json=body, headers=headers, timeout=60).json()
        (choice,) = reply["choices"]
        assert choice["message"]["content"].strip() == SENTENCE
        assert choice["finish_reason"] == "stop"
        with httpx2.stream(
            "POST", url, json=body | {"stream": True}, headers=headers, timeout=60
        ) as streamed:
            text = "".join(re.findall(r'"content": ?"([^"]*)"', streamed.read().decode()))
        assert text.strip() == SENTENCE


def python(program: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_settings_offer_it_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "from app.settings import parse; print(parse('engine', 'toy'))"
    assert python(program).stdout == "toy\n"
    monkeypatch.delenv(registry.VARIABLE)
    assert "SettingsError" in python(program).stderr


def test_a_module_that_is_not_there_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.VARIABLE, "no_such_engine")
    said = python("import runtime.registry").stderr
    assert "no engine in the module 'no_such_engine'" in said


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="llamacpp"):
        registry.register(registry.engine("llamacpp"))
    assert ENGINE.name not in {engine.name for engine in registry.engines()}

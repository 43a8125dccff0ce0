"""The whole value pipeline through the installed console script, on the real starter model."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.session.session import Session
from tests.helpers.command_line import SCRIPT, files_below, json_of, stillroom, without_display
from tests.helpers.fake_engine import children_of, wait_until_gone

QUESTION = "What is the capital of France? Answer in one sentence."


def test_every_command_in_order(session: Session, stillroom_home: Path) -> None:
    name = session.installed()[0].name
    info = json_of(stillroom("inspect", name, "--json"))
    assert (info["shape"]["block_count"], info["shape"]["context_length"]) == (30, 8192)
    plan = json_of(stillroom("plan", name, "--json", "--context", "1024"))
    assert plan["placement"]["n_ctx"] == 1024
    made = json_of(stillroom("quantize", name, "--requantize", "--json"))
    assert made["model"]["name"] == f"{name}-q4_1"  # of what is smaller than the starter
    assert made["report"]["bits_per_weight_by_role"]["embedding"] == pytest.approx(5.0)
    small = made["model"]["name"]
    listed = {model["name"]: model for model in json_of(stillroom("list", "--json"))}
    assert set(listed) == {name, small}
    assert listed[small]["size"] < listed[name]["size"]
    assert json_of(stillroom("verify", small, "--json")) == {"name": small, "sound": True}
    answer = json_of(
        stillroom(
            "chat", small, "--prompt", QUESTION, "--seed", "1", "--max-tokens", "60", "--json"
        )
    )
    assert "Paris" in answer["answer"]
    assert answer["stats"]["decode_tps"] > 1
    assert answer["stats"]["peak_memory"] > listed[small]["size"]
    assert len(session.store.runs()) == 1
    removed = stillroom("remove", small)
    assert removed.returncode == 0
    assert small in removed.stdout
    assert [model["name"] for model in json_of(stillroom("list", "--json"))] == [name]
    assert not [path for path in files_below(stillroom_home) if ".staging" in path]


def test_an_own_recipe_weighed_by_an_own_text(session: Session, tmp_path: Path) -> None:
    recipe, text = tmp_path / "mine.json", tmp_path / "text.txt"
    formats = {"default": "Q4_0", "attention": "Q8_0"}
    recipe.write_text(json.dumps({"name": "mine", "formats": formats}))
    text.write_text("The capital of France is Paris. " * 80)
    name = session.installed()[0].name
    own = ("--recipe", recipe, "--calibrate", text, "--requantize")
    made = json_of(stillroom("quantize", name, *own, "--json"))
    assert made["model"]["name"] == f"{name}-mine"
    assert made["report"]["importance"]
    bits = made["report"]["bits_per_weight_by_role"]
    assert (bits["attention"], bits["feed_forward"]) == (8.5, 4.5)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("recipe", ["q4_0", "onnx-q4-b32"])
def test_the_starter_from_float16_chats_sensibly(session: Session, recipe: str) -> None:
    """Both conversions from the same full-precision file, asked as a person asks."""
    name = session.installed()[0].name
    full = json_of(stillroom("quantize", name, "--recipe", "f16", "--json"))["model"]["name"]
    made = json_of(stillroom("quantize", full, "--recipe", recipe, "--json"))["model"]["name"]
    for question, word in (
        (QUESTION, "Paris"),
        ("Write one sentence about a dog.", "dog"),
    ):
        answer = json_of(
            stillroom(
                "chat", made, "--prompt", question, "--seed", "1", "--max-tokens", "60", "--json"
            )
        )["answer"]
        assert word in answer.lower() or word in answer, answer


def test_try_walks_the_path(session: Session) -> None:
    process = stillroom("try")
    assert process.returncode == 0, process.stderr
    assert "Paris" in process.stdout
    for figure in ("prefill ", "decode ", "first token after ", "peak memory "):
        assert figure in process.stderr
    assert "bits per weight: embedding " in process.stderr
    assert "demo model" in process.stderr


@pytest.mark.slow  # twice the same, and on a busy machine each looks for a quiet moment
def test_try_again_quantizes_nothing(session: Session) -> None:
    stillroom("try")
    again = stillroom("try", "--json")
    assert "Already quantized" in again.stderr
    document = json_of(again)
    assert "Paris" in document["answer"]
    assert document["plan"]["memory"]["devices"]


def test_chat_streams_before_it_ends(session: Session) -> None:
    name = session.installed()[0].name
    command = [str(SCRIPT), "chat", name, "--prompt", "Tell a long story.", "--max-tokens", "96"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=without_display()
    )
    assert process.stdout is not None
    arrivals = []
    while os.read(process.stdout.fileno(), 65536):
        arrivals.append(time.monotonic())
    assert process.wait() == 0
    process.stdout.close()
    assert len(arrivals) > 3
    assert arrivals[-1] - arrivals[0] > 0.1


class Terminal:
    """A pseudo-terminal with `stillroom chat` in it."""

    def __init__(self, model: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [str(SCRIPT), "chat", model, "--seed", "1", "--max-tokens", "400"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=without_display(),
            preexec_fn=lambda: os.login_tty(slave),  # so that Ctrl+C reaches the whole group
        )
        os.close(slave)
        self.shown = ""

    def wait_for(self, text: str, after: int = 0, seconds: float = 60) -> int:
        """Read until `text` is shown past position `after`; returns the position behind it."""
        deadline = time.monotonic() + seconds
        while text not in self.shown[after:]:
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if ready:
                try:
                    self.shown += os.read(self._master, 65536).decode("utf-8", "replace")
                except OSError:  # the other side is closed
                    break
            assert time.monotonic() < deadline, self.shown
        assert text in self.shown[after:], self.shown
        return self.shown.index(text, after) + len(text)

    def wait_for_answer(self, after: int) -> None:
        """Read until some words of an answer are shown past `after`."""
        deadline = time.monotonic() + 60
        while len(self.shown[after:].rpartition("\r")[2].strip()) < 30:
            assert time.monotonic() < deadline, self.shown
            if select.select([self._master], [], [], 0.2)[0]:
                self.shown += os.read(self._master, 65536).decode("utf-8", "replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def worker(self) -> int:
        (pid,) = children_of(self.process.pid)
        return pid

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(session: Session) -> Iterator[Terminal]:
    terminal = Terminal(session.installed()[0].name)
    yield terminal
    terminal.close()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_chat_survives_a_killed_worker(terminal: Terminal, number: signal.Signals) -> None:
    start = terminal.wait_for("> ")
    terminal.type("Tell me a very long story about the sea.\n")
    start = terminal.wait_for("sea.\r\n", start)
    terminal.wait_for_answer(start)
    os.kill(terminal.worker(), number)
    start = terminal.wait_for(number.name, start)
    start = terminal.wait_for("> ", start)
    terminal.type(QUESTION + "\n")
    terminal.wait_for("Paris", terminal.wait_for("sentence.\r\n", start))
    terminal.wait_for("peak memory", start)
    assert terminal.process.poll() is None


def test_interrupt_stops_the_answer_and_not_the_chat(terminal: Terminal) -> None:
    start = terminal.wait_for("> ")
    terminal.type("Tell me a very long story about the sea.\n")
    start = terminal.wait_for("sea.\r\n", start)
    terminal.wait_for_answer(start)
    terminal.type("\x03")
    start = terminal.wait_for("peak memory", start, seconds=5)
    start = terminal.wait_for("> ", start)
    terminal.type("\n")
    assert terminal.process.wait(10) == 0
    assert "Traceback" not in terminal.shown


def test_a_killed_worker_ends_a_single_answer_with_one_sentence(session: Session) -> None:
    name = session.installed()[0].name
    command = [str(SCRIPT), "chat", name, "--prompt", "Tell a long story.", "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=without_display(),
    )
    worker = _generating_worker(process.pid, session.paths.worker_log)
    os.kill(worker, signal.SIGSEGV)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert json.loads(out)["error"] == "WorkerDied"
    assert "SIGSEGV" in json.loads(out)["sentence"]
    assert "Traceback" not in err


def _generating_worker(parent: int, log: Path) -> int:
    """The worker of `parent`, once it has made its context and half a second has gone by."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = children_of(parent)
        if children and log.exists() and "KV buffer size" in log.read_text(errors="replace"):
            time.sleep(0.5)
            return children[0]
        time.sleep(0.05)
    raise AssertionError("no answer began")


def test_no_command_without_a_display_says_what_to_do() -> None:
    process = stillroom()
    assert process.returncode == 1
    assert "stillroom chat" in process.stderr


def test_killing_the_program_ends_its_worker(session: Session) -> None:
    name = session.installed()[0].name
    process = subprocess.Popen(
        [str(SCRIPT), "chat", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=without_display(),
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.read(1)  # the prompt: the model is loaded
    (worker,) = children_of(process.pid)
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert wait_until_gone(worker, 3)

"""The life of a worker process: how it starts, and that it never outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import runtime.process.client
from app.wording.explain import explain
from runtime.backends.fake import Fault
from runtime.errors import ProtocolMismatch, WorkerDied, WorkerError, WorkerStartFailed
from runtime.process.client import Worker, worker_command
from runtime.process.protocol import PROTOCOL_VERSION, Hello, Load, decode_event, encode
from tests.helpers.fake_engine import (
    WORDS,
    Collector,
    ask,
    fake_placement,
    wait_until_gone,
    write_script,
)


def spawn() -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        worker_command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    hello = decode_event(process.stdout.readline())
    assert hello == Hello(PROTOCOL_VERSION, process.pid)
    return process


def close_pipes(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()


def test_end_of_input_ends_an_idle_worker() -> None:
    process = spawn()
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(2) == 0
    close_pipes(process)


def test_end_of_input_ends_a_worker_that_hangs(tmp_path: Path) -> None:
    process = spawn()
    assert process.stdin is not None
    script = write_script(tmp_path / "a.fake", Fault("hang", "load", deaf=True))
    process.stdin.write(encode(Load("1", str(script), fake_placement())))
    process.stdin.flush()
    assert process.stdout is not None
    process.stdout.readline()  # the progress event before it hangs
    process.stdin.close()
    assert process.wait(2) == 0
    close_pipes(process)


def test_a_command_that_is_none_ends_the_worker_with_a_reason() -> None:
    process = spawn()
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"hello\n")
    process.stdin.flush()
    assert process.wait(5) == 1
    assert b"ProtocolError" in process.stderr.read()
    close_pipes(process)


PARENT = """
    import sys, time
    from tests.helpers.fake_engine import Collector, ask, fake_placement
    from runtime.process.client import Worker
    worker = Worker.start()
    worker.load(sys.argv[1], fake_placement())
    print(worker.pid, flush=True)
    worker.generate(ask(), Collector())
"""


def test_no_worker_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = write_script(tmp_path / "a.fake", pieces=WORDS, decode_seconds_per_token=0.1)
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    worker_pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait(5)
    parent.stdout.close()
    assert wait_until_gone(worker_pid, 2)


def test_closing_is_clean_quick_and_repeatable(tmp_path: Path) -> None:
    worker = Worker.start()
    worker.load(str(write_script(tmp_path / "a.fake", pieces=WORDS)), fake_placement())
    started = time.monotonic()
    ended = worker.close()
    assert ended.kind == "clean"
    assert ended.exit_code == 0
    assert time.monotonic() - started < 1.5
    assert worker.close() == ended


def test_closing_a_dead_worker_is_quiet() -> None:
    worker = Worker.start()
    os.kill(worker.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while worker.exit is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.close().kind == "killed"


def program(tmp_path: Path, code: str) -> list[str]:
    path = tmp_path / "not_a_worker.py"
    path.write_text(textwrap.dedent(code))
    return [sys.executable, str(path)]


@pytest.mark.parametrize(
    ("code", "error", "word"),
    [
        ("raise SystemExit(7)", WorkerStartFailed, "7"),
        ("import sys; sys.stderr.write('no such library'); sys.exit(1)", WorkerStartFailed, "1"),
        ("import os; os.kill(os.getpid(), 11)", WorkerStartFailed, "SIGSEGV"),
        ("print('Welcome!', flush=True); import time; time.sleep(60)", ProtocolMismatch, "None"),
        (
            'print(\'{"type":"Hello","data":{"protocol":999,"pid":1}}\', flush=True)\n'
            "import time; time.sleep(60)",
            ProtocolMismatch,
            "999",
        ),
    ],
    ids=["exit", "stderr", "crash", "chatter", "version"],
)
def test_what_is_no_worker_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    error: type[WorkerError],
    word: str,
) -> None:
    command = program(tmp_path, code)
    monkeypatch.setattr(runtime.process.client, "worker_command", lambda: command)
    with pytest.raises(error) as caught:
        Worker.start()
    assert word in explain(caught.value).sentence


def test_a_program_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = program(tmp_path, "import time; time.sleep(60)")
    monkeypatch.setattr(runtime.process.client, "worker_command", lambda: command)
    monkeypatch.setattr(runtime.process.client, "START_SECONDS", 0.5)
    with pytest.raises(WorkerStartFailed) as caught:
        Worker.start()
    assert caught.value.reason == "silent"


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.process.client, "worker_command", lambda: ["/nowhere/python"])
    with pytest.raises(WorkerStartFailed) as caught:
        Worker.start()
    assert "No such file" in explain(caught.value).sentence


def test_only_the_end_of_a_long_log_is_kept(tmp_path: Path) -> None:
    noise = "x" * 400 + "\n"
    worker = Worker.start(tmp_path / "worker.log")
    fault = Fault("signal", 300)
    script = write_script(tmp_path / "a.fake", fault, pieces=WORDS, noise=noise)
    worker.load(str(script), fake_placement())
    with pytest.raises(WorkerDied) as caught:
        worker.generate(ask(), Collector())
    assert 0 < len(caught.value.stderr_tail) <= runtime.process.client.STDERR_TAIL_BYTES
    assert (tmp_path / "worker.log").stat().st_size >= 300 * len(noise)
    worker.close()

"""A real worker that crashes, is killed, runs out of memory or talks nonsense: all survived."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import runtime.process.client
from app.session.session import Session
from app.wording.explain import explain
from runtime.backends.fake import Fault
from runtime.errors import WorkerDied, WorkerError, WorkerStalled
from runtime.process.client import Worker
from runtime.progress import Progress
from tests.helpers.fake_engine import WORDS, Collector, ask, fake_placement, fake_plan, write_script


def crash(tmp_path: Path, fault: Fault) -> WorkerDied:
    worker = Worker.start()
    worker.load(str(write_script(tmp_path / "crash.fake", fault, pieces=WORDS)), fake_placement())
    with pytest.raises(WorkerDied) as caught:
        worker.generate(ask(), Collector())
    assert not worker.alive
    assert worker.close() == worker.exit
    return caught.value


CRASHES = [
    (Fault("signal", 4, "SIGSEGV"), "crashed", "SIGSEGV"),
    (Fault("signal", "prefill", "SIGABRT"), "crashed", "SIGABRT"),
    (Fault("signal", 4, "SIGBUS"), "crashed", "SIGBUS"),
    (Fault("signal", 4, "SIGILL"), "crashed", "SIGILL"),
    (Fault("signal", 4, "SIGKILL"), "killed", "SIGKILL"),
    (Fault("signal", 4, "SIGTERM"), "killed", "SIGTERM"),
    (Fault("out_of_memory", 4), "out_of_memory", "SIGABRT"),
    (Fault("exit", 4, exit_code=3), "crashed", ""),
]


@pytest.mark.parametrize(("fault", "kind", "cause"), CRASHES, ids=lambda value: str(value)[:60])
def test_an_end_is_classified_and_worded(
    tmp_path: Path, fault: Fault, kind: str, cause: str
) -> None:
    error = crash(tmp_path, fault)
    assert (error.facts["kind"], error.facts["cause"]) == (kind, cause)
    words = explain(error)
    assert (cause or "exit code 3") in words.sentence
    assert words.hint
    assert "{" not in words.sentence + words.hint
    assert "unknown" not in words.sentence + words.hint


def test_illegal_instruction_names_the_processor(tmp_path: Path) -> None:
    words = explain(crash(tmp_path, Fault("signal", 1, "SIGILL")))
    assert "processor" in words.title


def test_out_of_memory_keeps_the_engines_words(tmp_path: Path) -> None:
    error = crash(tmp_path, Fault("out_of_memory", 2))
    assert "failed to allocate" in error.stderr_tail
    assert "smaller" in explain(error).hint


@pytest.mark.parametrize(
    "text",
    [
        "Segmentation fault (core dumped)\n",
        '{"type":"Streamed"}\n',
        '{"type":"Nothing","data":{}}\n',
        '{"type":"Finished","data":{"id":"request","stats":{}}}\n',
        "[" * 100_000 + "\n",
        "\x00\xff\n",
    ],
    ids=["text", "no data", "no type", "wrong data", "deep", "binary"],
)
def test_garbage_in_the_event_stream_ends_the_worker(tmp_path: Path, text: str) -> None:
    error = crash(tmp_path, Fault("garbage", 4, text=text))
    assert error.facts["kind"] == "lost_protocol"
    assert "could not read" in explain(error).sentence


def test_a_silent_worker_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.process.client, "GENERATE_STALL_SECONDS", 0.5)
    worker = Worker.start()
    script = write_script(tmp_path / "hang.fake", Fault("hang", 2, deaf=True), pieces=WORDS)
    worker.load(str(script), fake_placement())
    started = time.monotonic()
    with pytest.raises(WorkerStalled) as caught:
        worker.generate(ask(), Collector())
    assert 0.5 <= time.monotonic() - started < 2
    assert "0.5 seconds" in explain(caught.value).sentence
    assert worker.close().kind == "stalled"


def test_asking_a_dead_worker_says_how_it_died(tmp_path: Path) -> None:
    worker = Worker.start()
    os.kill(worker.pid, signal.SIGSEGV)
    deadline = time.monotonic() + 5
    while worker.exit is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(WorkerDied) as caught:
        worker.count_tokens(ask())
    assert caught.value.facts["cause"] == "SIGSEGV"
    worker.close()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_session_answers_again_after_a_kill(
    session: Session, tmp_path: Path, number: signal.Signals
) -> None:
    script = write_script(tmp_path / "slow.fake", pieces=WORDS[:40], decode_seconds_per_token=0.02)
    session.load(str(script), fake_plan())
    worker = session._worker
    assert worker is not None
    threading.Timer(0.2, os.kill, (worker.pid, number)).start()
    cut = Collector()
    with pytest.raises(WorkerError) as caught:
        session.generate(ask(), cut)
    assert number.name in explain(caught.value).sentence
    assert 0 < cut.tokens < 40
    seen, progress = Collector(), list[Progress]()
    stats = session.generate(ask(), seen, on_progress=progress.append)
    assert seen.text == "".join(WORDS[:40])
    assert progress[0].phase == "restart"
    assert stats.cached_tokens == 0
    assert len(session.store.runs()) == 1


def test_session_that_could_not_restart_can_try_again(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "a.fake"
    session.load(str(write_script(path, Fault("signal", 1), pieces=WORDS[:4])), fake_plan())
    with pytest.raises(WorkerDied):
        session.generate(ask(), Collector())
    write_script(path, Fault("signal", "load"), pieces=WORDS[:4])
    with pytest.raises(WorkerDied):
        session.generate(ask(), Collector())
    write_script(path, pieces=WORDS[:4])
    seen = Collector()
    session.generate(ask(), seen)
    assert seen.text == "".join(WORDS[:4])

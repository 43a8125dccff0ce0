"""Stopping a real worker: in the prompt, in the answer, while loading, and when it is deaf."""

import io
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import runtime.process.client
from runtime.backends.fake import Fault
from runtime.generation import GenerationStats
from runtime.process.client import Worker
from runtime.process.worker import CommandReader
from runtime.progress import Cancelled, CancelToken
from tests.helpers.fake_engine import WORDS, Collector, ask, fake_placement, write_script

PROMISED_SECONDS = 0.2
GRACE = 0.6  # in place of 2 s, to save the tests' time
ROUNDS = 3  # the median of three: one busy moment of the machine is no fault of ours


def cancel_latency(run: Callable[[CancelToken], object], after: float) -> float:
    """Seconds between a cancel `after` so many seconds and the end of `run`."""
    token, at = CancelToken(), list[float]()

    def cancel() -> None:
        at.append(time.monotonic())
        token.cancel()

    timer = threading.Timer(after, cancel)
    timer.start()
    try:
        run(token)
    except Cancelled:
        pass
    ended = time.monotonic()
    timer.join()
    assert at, "the work ended before it was cancelled"
    return ended - at[0]


def test_cancel_in_the_prompt_is_quick_and_the_next_answer_works(tmp_path: Path) -> None:
    worker = Worker.start()
    script = write_script(tmp_path / "a.fake", pieces=WORDS[:5], prefill_seconds_per_token=0.002)
    worker.load(str(script), fake_placement(100_000))
    long = ask("x" * 50_000)
    seconds = [
        cancel_latency(lambda token: worker.generate(long, Collector(), token), after=0.2)
        for _ in range(ROUNDS)
    ]
    seen = Collector()
    worker.generate(ask(), seen)
    worker.close()
    assert statistics.median(seconds) < PROMISED_SECONDS, seconds
    assert seen.text == "".join(WORDS[:5])


def test_cancel_in_the_answer_is_quick_and_keeps_what_came(tmp_path: Path) -> None:
    worker = Worker.start()
    script = write_script(tmp_path / "a.fake", pieces=WORDS, decode_seconds_per_token=0.02)
    worker.load(str(script), fake_placement())
    results: list[tuple[GenerationStats, Collector]] = []

    def run(token: CancelToken) -> None:
        seen = Collector()
        results.append((worker.generate(ask(), seen, token), seen))

    seconds = [cancel_latency(run, after=0.3) for _ in range(ROUNDS)]
    worker.close()
    assert statistics.median(seconds) < PROMISED_SECONDS, seconds
    for stats, seen in results:
        assert stats.finish_reason == "cancelled"
        assert 0 < stats.generated_tokens < len(WORDS)
        assert "".join(WORDS).startswith(seen.text)
        assert seen.tokens == stats.generated_tokens


def test_cancel_before_the_start_ends_at_once(tmp_path: Path) -> None:
    worker = Worker.start()
    script = write_script(tmp_path / "a.fake", pieces=WORDS, prefill_seconds_per_token=0.01)
    worker.load(str(script), fake_placement())
    token = CancelToken()
    token.cancel()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        worker.generate(ask("x" * 2000), Collector(), token)
    assert time.monotonic() - started < 1
    assert worker.alive
    worker.close()


def test_cancel_while_loading(tmp_path: Path) -> None:
    worker = Worker.start()
    script = str(write_script(tmp_path / "a.fake", load_seconds=30))
    seconds = cancel_latency(
        lambda token: worker.load(script, fake_placement(), cancel=token), after=0.2
    )
    assert worker.alive
    worker.close()
    assert seconds < PROMISED_SECONDS


@pytest.mark.parametrize(("deaf", "graces"), [(False, 1), (True, 2)])
def test_a_hung_engine_is_ended_by_the_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool, graces: int
) -> None:
    monkeypatch.setattr(runtime.process.client, "GRACE_SECONDS", GRACE)
    worker = Worker.start()
    fault = Fault(do="hang", at=3, deaf=deaf)
    worker.load(str(write_script(tmp_path / "a.fake", fault, pieces=WORDS)), fake_placement())
    caught = []

    def run(token: CancelToken) -> None:
        try:
            worker.generate(ask(), Collector(), token)
        except Cancelled as error:
            caught.append(error)
            raise

    seconds = cancel_latency(run, after=0.2)
    assert caught
    assert graces * GRACE <= seconds < graces * GRACE + 1
    assert worker.exit is not None
    assert worker.exit.kind == "cancelled"
    assert worker.exit.cause == ("SIGKILL" if deaf else "SIGTERM")


def test_a_cancel_of_an_ended_command_cannot_reach_the_next_one() -> None:
    """The reader acts on a late Cancel while the main thread ends that command: `forget` waits."""
    reader = CommandReader(io.BytesIO())
    order: list[str] = []
    acting, go_on = threading.Event(), threading.Event()

    def stop_the_engine() -> None:
        acting.set()
        go_on.wait(5)
        order.append("engine stopped")

    reader.token("first").on_cancel(stop_the_engine)
    canceller = threading.Thread(target=reader.cancel, args=("first",))
    canceller.start()
    assert acting.wait(5)
    threading.Timer(0.1, go_on.set).start()
    reader.forget("first")
    order.append("next command")
    canceller.join()
    assert order == ["engine stopped", "next command"]
    assert not reader.token("second").cancelled

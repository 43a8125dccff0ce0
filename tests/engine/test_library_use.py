"""Stillroom as a library: README's lines on the real starter, and the iterator over an answer."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.session import AnswerPart, GenerationRequest, Message, SamplingParams, Session
from runtime.errors import InvalidRequest
from runtime.progress import Cancelled, CancelToken

ROOT = Path(__file__).resolve().parents[2]
STARTER = "smollm2-135m-instruct"
COUNT = GenerationRequest(
    "count", (Message("user", "Count from 1 to 500."),), SamplingParams(temperature=0)
)


def readme_lines() -> str:
    """The program in README's section on the library."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## As a library", 1)[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_readme_s_five_lines(session: Session, stillroom_home: Path) -> None:
    session.close()
    program = readme_lines()
    assert len([line for line in program.splitlines() if line]) == 5
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT), "STILLROOM_HOME": str(stillroom_home)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert re.search(r"[A-Za-z]{3}", ended.stdout), (
        "the starter draws its words: only that it answers is sure"
    )
    assert ended.stderr == ""


def test_the_parts_tell_how_far_an_answer_is(session: Session) -> None:
    session.load(STARTER)
    request = GenerationRequest("r", COUNT.messages, COUNT.sampling, max_tokens=24)
    parts = list(session.stream(request))
    *before, last = parts
    assert "".join(part.text for part in parts) == last.so_far.answer
    assert last.so_far.settled
    assert (last.finish_reason, last.tokens) == ("length", 24)
    assert last.stats is not None
    assert last.stats.generated_tokens == 24
    counts = [part.tokens for part in before]
    assert counts == sorted(counts)
    assert all(part.finish_reason is None and part.stats is None for part in before)
    assert not before[0].so_far.settled
    first = before[0].seconds_to_first_token
    assert first is not None
    assert 0 < first < 60
    assert any((part.tokens_per_second or 0) > 0 for part in before)


def busy_seconds(session: Session) -> float:
    """Processor time that the worker takes within 0.4 s."""
    assert session.worker_pid is not None
    worker = psutil.Process(session.worker_pid)
    before = sum(worker.cpu_times()[:2])
    time.sleep(0.4)
    return float(sum(worker.cpu_times()[:2]) - before)


@pytest.mark.parametrize("how", ["break", "close", "error"])
def test_leaving_the_loop_stops_the_engine_at_once(session: Session, how: str) -> None:
    session.load(STARTER)
    parts = session.stream(COUNT)
    next(parts)
    left = time.monotonic()
    if how == "close":
        parts.close()
    elif how == "break":
        for _part in parts:
            left = time.monotonic()
            del parts
            break
    else:
        with pytest.raises(LookupError):
            _fail_in(parts)
        del parts
    took = time.monotonic() - left
    assert busy_seconds(session) < 0.1, "the worker still computes"
    assert took < 0.2 * patience()


def _fail_in(parts: Iterator[AnswerPart]) -> None:
    for _part in parts:
        raise LookupError


def patience() -> float:
    """How much longer than alone things take while other work runs."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def test_a_cancel_ends_the_answer_with_what_there_is(session: Session) -> None:
    session.load(STARTER)
    cancel = CancelToken()
    for part in session.stream(COUNT, cancel):
        if part.tokens > 4:
            cancel.cancel()
    assert part.finish_reason == "cancelled"
    assert 4 < part.tokens < 400
    with pytest.raises(Cancelled):
        list(session.stream(COUNT, cancel))


def test_errors_are_raised_where_the_answer_is_read(session: Session) -> None:
    parts = session.stream("Hello")
    with pytest.raises(InvalidRequest):
        next(parts)

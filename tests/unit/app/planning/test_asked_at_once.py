"""Threads that ask for the same thing at the same time: a child does it once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from app.planning.inspection import Inspection
from app.planning.machine import Machine
from runtime.devices import Device
from runtime.machine.host import cpu_device
from runtime.process.job_values import ProbeArgs

T = TypeVar("T")
ASKING = 4


class Slow:
    """Answers when nobody else has come for a while, and counts who came."""

    def __init__(self, answer: object) -> None:
        self.calls = 0
        self._answer = answer
        self._another = threading.Semaphore(0)

    def __call__(self, *_: object, **__: object) -> object:
        self.calls += 1
        self._another.release()
        self._another.acquire()
        self._another.acquire(timeout=0.2)
        return self._answer


def at_once(ask: Callable[[], T]) -> list[T]:
    ready = threading.Barrier(ASKING)

    def one() -> T:
        ready.wait()
        return ask()

    with ThreadPoolExecutor(ASKING) as threads:
        return [future.result() for future in [threads.submit(one) for _ in range(ASKING)]]


def test_a_header_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = object()
    read = Slow(header)
    monkeypatch.setattr("app.planning.inspection.run_job", read)
    inspection = Inspection(lambda: tmp_path / "log")
    assert all(found is header for found in at_once(lambda: inspection.inspect(tmp_path)))
    assert read.calls == 1


def test_devices_are_looked_for_once(tmp_path: Path) -> None:
    found = (cpu_device(),)
    probe = Slow(found)

    def probing(args: ProbeArgs, log: Path) -> tuple[Device, ...]:
        probe(args, log)
        return found

    machine = Machine(lambda: tmp_path / "log", lambda: "", probing)
    assert at_once(machine.devices) == [found] * ASKING
    assert probe.calls == 1
    assert machine.devices(refresh=True) == found
    assert probe.calls == 2

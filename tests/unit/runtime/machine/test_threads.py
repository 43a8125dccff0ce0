"""The thread count follows the machine's load, down and up at once."""

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from runtime.machine.threads import (
    CpuSample,
    ThreadGovernor,
    own_running_threads,
    read_other_threads,
    read_sample,
    usable_cores,
)


class Machine:
    """A machine whose free cores in each window are known."""

    def __init__(self, free: list[float]) -> None:
        self._free = [0.0, *free]
        self._idle = self._at = 0.0

    def __call__(self) -> CpuSample:
        self._idle += self._free.pop(0)
        self._at += 1.0
        return CpuSample(self._at, self._idle, 0.0)


@pytest.mark.parametrize(
    ("most", "free", "counts"),
    [
        (2, [2.0, 2.0], [2, 2]),
        (2, [1.0, 1.0], [1, 1]),
        (2, [1.34, 1.34], [1, 1]),  # two threads beside one busy process on two cores
        (2, [1.5], [1]),
        (2, [1.6], [2]),
        (2, [0.1], [1]),
        (2, [1.0, 2.0, 2.0], [1, 2, 2]),
        (2, [1.0, 2.0, 1.0, 2.0], [1, 2, 1, 2]),
        (8, [8.0, 3.0, 8.0], [8, 3, 8]),
        (1, [0.0], [1]),
        (0, [4.0], [1]),
    ],
)
def test_the_count_of_each_window(most: int, free: list[float], counts: list[int]) -> None:
    governor = ThreadGovernor(most, Machine(free), watch=False)
    assert [governor.update() for _ in free] == counts


@pytest.mark.parametrize(
    ("busy", "count"),
    [
        ([0, 0, 0], 2),
        ([1, 0, 1], 2),  # passing work
        ([1, 1, 1], 1),
        ([2, 1, 3], 1),
        ([5, 5, 5], 1),
    ],
)
def test_a_look_sees_this_moment_and_not_the_last_window(
    busy: list[int], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    others = iter(busy)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    governor = ThreadGovernor(2, Machine([0.1, 0.0, 2.0]), lambda: next(others), watch=False)
    assert governor.update() == 1
    assert governor.sample_now() == count


def test_a_look_begins_a_new_window() -> None:
    machine = Machine([0.1, 0.1, 2.0])
    governor = ThreadGovernor(2, machine, lambda: 0, watch=False)
    governor.update()
    governor.sample_now()
    assert governor.update() == 2


def test_without_a_count_of_what_runs_the_windows_decide() -> None:
    governor = ThreadGovernor(2, Machine([0.1]), lambda: None, watch=False)
    assert governor.update() == 1
    assert governor.sample_now() == 1


def test_a_window_too_short_to_count_changes_nothing() -> None:
    samples = iter([CpuSample(0.0, 0.0, 0.0), CpuSample(0.05, 0.0, 0.0), CpuSample(0.2, 0.4, 0.0)])
    governor = ThreadGovernor(2, lambda: next(samples), watch=False)
    assert governor.update() == 2
    assert governor.update() == 2


def test_our_own_time_counts_as_ours() -> None:
    before, after = CpuSample(0.0, 0.0, 0.0), CpuSample(2.0, 1.0, 3.0)
    assert usable_cores(before, after) == 2.0


def test_begins_with_all_it_may_use() -> None:
    assert ThreadGovernor(4, Machine([]), watch=False).n_threads == 4


LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="read from /proc")
CORES = os.cpu_count() or 1


@pytest.mark.parametrize(
    ("allowed", "others", "count"),
    [
        ({0, 1}, 0, 2),
        ({0, 1}, 5, 2),  # the other six cores have room for them
        ({0, 1}, 7, 1),
        (set(range(8)), 5, 3),
    ],
)
def test_a_look_counts_only_cores_it_may_use(
    allowed: set[int], others: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    governor = ThreadGovernor(8, Machine([8.0]), lambda: others, watch=False)
    assert governor.sample_now() == count


@LINUX
@pytest.mark.skipif(CORES < 2, reason="one core cannot be left out")
def test_idle_time_is_that_of_the_cores_it_may_use() -> None:
    before = os.sched_getaffinity(0)
    whole = read_sample().idle
    try:
        os.sched_setaffinity(0, {min(before)})
        one = read_sample().idle
    finally:
        os.sched_setaffinity(0, before)
    assert 0 < one < whole


@LINUX
def test_threads_of_our_own_that_run_are_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing runs without the interpreter's lock, so beside the thread that looks."""
    loadavg = tmp_path / "loadavg"
    loadavg.write_text(f"0.00 0.00 0.00 {CORES + 3 + 4}/200 1\n")  # four are of others
    monkeypatch.setattr("runtime.machine.threads._LOADAVG", loadavg)
    stop = threading.Event()
    data = bytes(8_000_000)

    def work() -> None:
        while not stop.is_set():
            hashlib.sha256(data)

    workers = [threading.Thread(target=work) for _ in range(CORES + 2)]
    for worker in workers:
        worker.start()
    try:
        time.sleep(0.05)
        running, others = own_running_threads(), read_other_threads()
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert running >= CORES + 1  # one or the other may just be between two hashes
    assert others is not None
    assert others <= 4 + 2

"""The thread count follows the machine's load, down and up at once."""

import os

import pytest

from runtime.threads import CpuSample, ThreadGovernor, cores_for_us


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
    governor = ThreadGovernor(2, Machine([0.1, 0.0, 2.0]), lambda: next(others) + 1, watch=False)
    assert governor.update() == 1
    assert governor.look() == count


def test_a_look_begins_a_new_window() -> None:
    machine = Machine([0.1, 0.1, 2.0])
    governor = ThreadGovernor(2, machine, lambda: 1, watch=False)
    governor.update()
    governor.look()
    assert governor.update() == 2


def test_without_a_count_of_what_runs_the_windows_decide() -> None:
    governor = ThreadGovernor(2, Machine([0.1]), lambda: None, watch=False)
    assert governor.update() == 1
    assert governor.look() == 1


def test_a_window_too_short_to_count_changes_nothing() -> None:
    samples = iter([CpuSample(0.0, 0.0, 0.0), CpuSample(0.05, 0.0, 0.0), CpuSample(0.2, 0.4, 0.0)])
    governor = ThreadGovernor(2, lambda: next(samples), watch=False)
    assert governor.update() == 2
    assert governor.update() == 2


def test_our_own_time_counts_as_ours() -> None:
    before, after = CpuSample(0.0, 0.0, 0.0), CpuSample(2.0, 1.0, 3.0)
    assert cores_for_us(before, after) == 2.0


def test_begins_with_all_it_may_use() -> None:
    assert ThreadGovernor(4, Machine([]), watch=False).n_threads == 4

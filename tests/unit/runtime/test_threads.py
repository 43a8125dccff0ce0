"""The thread count follows the machine's load: down at once, up when two windows agree."""

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


def test_our_own_time_counts_as_ours() -> None:
    before, after = CpuSample(0.0, 0.0, 0.0), CpuSample(2.0, 1.0, 3.0)
    assert cores_for_us(before, after) == 2.0


def test_begins_with_all_it_may_use() -> None:
    assert ThreadGovernor(4, Machine([]), watch=False).n_threads == 4

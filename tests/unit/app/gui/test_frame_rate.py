"""Fewer frames while an engine uses all cores, and at once more when it does not."""

import os

from app.gui.chat.frame_rate import (
    FULL_MILLISECONDS,
    SPARING_MILLISECONDS,
    FrameRate,
    processor_seconds,
)


class Machine:
    """A clock, and processes whose use of it is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used: dict[int, float] = {}

    def step(self, pid: int, seconds: float, cores: float) -> None:
        self.now += seconds
        self.used[pid] = self.used.get(pid, 0.0) + seconds * cores


def test_the_rate_follows_what_the_engine_leaves() -> None:
    machine = Machine()
    rate = FrameRate(2, lambda pid: machine.used.get(pid), lambda: machine.now)
    assert rate.milliseconds(None) == FULL_MILLISECONDS
    found = []
    for cores in (0.0, 1.0, 1.3, 1.5, 1.9, 1.9, 0.4):
        machine.step(7, 0.6, cores)
        found.append(rate.milliseconds(7))
    full, sparing = FULL_MILLISECONDS, SPARING_MILLISECONDS
    assert found == [full, full, full, sparing, sparing, sparing, full]


def test_it_looks_four_times_a_second_and_a_new_engine_begins_at_the_full_rate() -> None:
    machine = Machine()
    looks: list[int] = []

    def used(pid: int) -> float | None:
        looks.append(pid)
        return machine.used.get(pid)

    rate = FrameRate(2, used, lambda: machine.now)
    for _ in range(100):
        machine.step(7, 0.03, 2.0)
        rate.milliseconds(7)
    assert len(looks) <= 13
    assert rate.milliseconds(7) == SPARING_MILLISECONDS
    machine.step(8, 0.03, 2.0)
    assert rate.milliseconds(8) == FULL_MILLISECONDS
    machine.step(8, 1.0, 2.0)
    assert rate.milliseconds(8) == SPARING_MILLISECONDS
    machine.used.clear()  # it ended
    machine.now += 1.0
    rate.milliseconds(8)
    assert rate.milliseconds(None) == FULL_MILLISECONDS


def test_after_a_pause_the_rate_is_what_it_was() -> None:
    machine = Machine()
    rate = FrameRate(2, lambda pid: machine.used.get(pid), lambda: machine.now)
    for _ in range(20):
        machine.step(7, 0.1, 2.0)
        rate.milliseconds(7)
    machine.step(7, 60.0, 0.0)  # the answer is read, the next one asked for
    assert rate.milliseconds(7) == SPARING_MILLISECONDS
    machine.step(7, 0.3, 0.5)
    assert rate.milliseconds(7) == FULL_MILLISECONDS


def test_processor_time_of_a_process_is_read_and_of_none_is_unknown() -> None:
    assert (processor_seconds(os.getpid()) or 0.0) > 0.0
    assert processor_seconds(2**22 + 1) is None

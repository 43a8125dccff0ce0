"""Numbers as people read them."""

import pytest

from app.wording.units import (
    format_bytes,
    format_count,
    format_interval,
    format_seconds,
    format_tps,
    pace,
)
from runtime.plan import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.00 kB"), (98_362_432, "98.4 MB"),
     (7_900_000_000, "7.90 GB"), (671e9, "671 GB"), (1.5e15, "1500 TB")],
)  # fmt: skip
def test_bytes(value: float, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "12 ms"), (1.25, "1.2 s"), (61, "1 min 1 s"), (3725, "1 h 2 min")],
)
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


def test_rates_and_counts() -> None:
    assert format_tps(None) == "– tok/s"
    assert format_tps(9.96) == "10.0 tok/s"
    assert format_tps(131.6) == "132 tok/s"
    assert format_interval(None) == "not predicted"
    assert format_interval(Interval(9.4, 10, 11.2)) == "9.4-11.2 tok/s"
    assert format_interval(Interval(94.6, 100, 112.2)) == "95-112 tok/s"
    assert format_count(134_515_008) == "135 M"
    assert format_count(7_615_616_512) == "7.6 B"
    assert format_count(671_026_419_200) == "671 B"


def test_pace_beside_a_reader() -> None:
    found = [pace(Interval(t / 2, t, t * 2)) for t in (1.0, 6.0, 30.0)]
    assert found == ["slower than reading", "reading speed", "faster than reading"]

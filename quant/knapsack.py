"""One option for each item, at the least cost that a budget of bytes allows: the multiple-choice
knapsack, solved exactly.

Knows numbers only: no tensor, no format.

Bellman's dynamic programme over bytes: the best cost of the first items for every total. Totals are
counted in the greatest unit that all differences of sizes share, so nothing is rounded; only where
that would take more than `MOST_CELLS` cells of memory are totals counted more coarsely, sizes being
rounded up, and the choice is then the best of the rounded sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_CELLS = 200_000_000  # one byte each: which option of an item leads to which total


@dataclass(frozen=True)
class Option:
    """One way to store an item: its bytes, and what it costs."""

    nbytes: int
    cost: float


def choose(
    items: Sequence[Sequence[Option]], least: int, most: int, cells: int = MOST_CELLS
) -> list[int] | None:
    """The index of one option for each item, so that the bytes of all lie between `least` and
    `most` and no other choice within these costs less; None where there is no such choice."""
    floor = sum(min(option.nbytes for option in options) for options in items)
    steps = [[option.nbytes - min(o.nbytes for o in options) for option in options]
             for options in items]  # fmt: skip
    room = min(most - floor, sum(max(more) for more in steps))
    if room < 0:
        return None
    unit = _unit(steps, room, cells)
    width = room // unit + 1
    best = np.full(width, np.inf)
    best[0] = 0.0
    taken = []
    for options, more in zip(items, steps, strict=True):
        best, choice = _add(
            best, [(-(-m // unit), o.cost) for m, o in zip(more, options, strict=True)]
        )
        taken.append(choice)
    start = max(0, -(-(least - floor) // unit)) if least > floor else 0
    if start >= width or not np.isfinite(best[start:]).any():
        return None
    total = start + int(np.argmin(best[start:]))
    return _back(taken, steps, unit, total)


def _unit(steps: Sequence[Sequence[int]], room: int, cells: int) -> int:
    """Bytes that totals are counted in."""
    shared = math.gcd(*(size for more in steps for size in more)) or 1
    finest = -(-(room + 1) * len(steps) // max(cells, 1))
    return shared * max(1, -(-finest // shared))


def _add(
    best: npt.NDArray[np.float64], options: Sequence[tuple[int, float]]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """The best costs with one more item, and which of its options each is by."""
    new = np.full(len(best), np.inf)
    choice = np.zeros(len(best), np.uint8)
    for index, (size, cost) in enumerate(options):
        if size >= len(best):
            continue
        trial = best[: len(best) - size] + cost
        better = trial < new[size:]
        np.copyto(new[size:], trial, where=better)
        choice[size:][better] = index
    return new, choice


def _back(
    taken: Sequence[npt.NDArray[np.uint8]], steps: Sequence[Sequence[int]], unit: int, total: int
) -> list[int]:
    chosen = []
    for choice, more in zip(reversed(taken), reversed(steps), strict=True):
        index = int(choice[total])
        chosen.append(index)
        total -= -(-more[index] // unit)
    return chosen[::-1]

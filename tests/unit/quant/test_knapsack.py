"""The choice of options within a budget: against all choices, and against every uniform one."""

import itertools
import random
from collections.abc import Sequence

import pytest

from quant.knapsack import Option, choose

Items = Sequence[Sequence[Option]]


def items_of(seed: int, unit: int = 1) -> Items:
    """Up to four items of one to four options, dominated ones among them."""
    draw = random.Random(seed)
    return [
        [
            Option(unit * draw.randint(1, 40), draw.choice([0.0, draw.random(), draw.random()]))
            for _ in range(draw.randint(1, 4))
        ]
        for _ in range(draw.randint(1, 4))
    ]


def total(items: Items, chosen: Sequence[int]) -> tuple[int, float]:
    picked = [options[index] for options, index in zip(items, chosen, strict=True)]
    return sum(option.nbytes for option in picked), sum(option.cost for option in picked)


def cheapest(items: Items, least: int, most: int) -> float | None:
    """By trying all choices."""
    sums = (total(items, each) for each in itertools.product(*(range(len(o)) for o in items)))
    costs = [cost for size, cost in sums if least <= size <= most]
    return min(costs, default=None)


@pytest.mark.parametrize("seed", range(150))
def test_no_choice_within_the_budget_costs_less(seed: int) -> None:
    items = items_of(seed, unit=random.Random(-seed).choice([1, 7, 32]))
    draw = random.Random(seed + 1000)
    sizes = [total(items, [draw.randrange(len(o)) for o in items])[0] for _ in range(2)]
    least, most = min(sizes) - draw.randint(0, 30), max(sizes) + draw.randint(-30, 30)
    chosen, wanted = choose(items, least, most), cheapest(items, least, most)
    if wanted is None:
        assert chosen is None
        return
    assert chosen is not None
    size, cost = total(items, chosen)
    assert least <= size <= most
    assert cost == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_counted_coarsely_the_budget_still_holds(seed: int) -> None:
    """With few cells sizes are rounded up: never over the budget, and nearly as good."""
    items = [*items_of(seed, unit=97), *items_of(seed + 7, unit=97)]
    most = total(items, [random.Random(seed).randrange(len(o)) for o in items])[0]
    fine, coarse = choose(items, 0, most), choose(items, 0, most, cells=200 * len(items))
    assert fine is not None
    if coarse is not None:
        assert total(items, coarse)[0] <= most
        assert total(items, coarse)[1] >= total(items, fine)[1] - 1e-12


@pytest.mark.parametrize("seed", range(60))
def test_never_worse_than_one_option_for_all_at_the_same_size(seed: int) -> None:
    draw = random.Random(seed)
    widths = (3.4375, 4.25, 4.5, 5.5, 6.5625, 8.5)
    items = []
    for _ in range(40):
        weights, strength = draw.choice([256, 1024, 4096]) * 32, draw.expovariate(1.0)
        items.append([Option(int(weights * w / 8), strength * 4.0**-w) for w in widths])
    for index in range(len(widths)):
        size, cost = total(items, [index] * len(items))
        chosen = choose(items, 0, size)
        assert chosen is not None
        assert total(items, chosen)[0] <= size
        assert total(items, chosen)[1] <= cost + 1e-12


def test_a_large_model_is_quick_and_filled() -> None:
    """Qwen2 7B's matrices: 28 blocks of seven and two tables."""
    widths = {"Q3_K": 110, "IQ4_XS": 136, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210, "Q8_0": 272}
    draw = random.Random(0)
    shapes = [(3584, 3584), (512, 3584), (512, 3584), (3584, 3584)] + [(18944, 3584)] * 3
    blocks = [rows * columns // 256 for rows, columns in shapes * 28 + [(152064, 3584)] * 2]
    items = [
        [Option(n * width, n * draw.random() * 2.0 ** (-width / 16)) for width in widths.values()]
        for n in blocks
    ]
    most = sum(blocks) * 150
    chosen = choose(items, 0, most)
    assert chosen is not None
    size, _ = total(items, chosen)
    assert most * 0.999 < size <= most

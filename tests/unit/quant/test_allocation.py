"""Formats by what errors cost: strengths from a few runs, and what a size is spent on."""

import random
from pathlib import Path

import pytest

from quant.allocation import (
    Place,
    Sensitivities,
    Sensitivity,
    allocate,
    read_sensitivities,
    strengths_of,
    write_sensitivities,
)
from quant.errors import CorruptCheckpoint, MissingTensor, SizeOutOfRange
from quant.formats import nbytes
from quant.gguf.export import open_view, quantize_gguf
from quant.gguf.sensitivity import (
    SHORT_CANDIDATES,
    allocate_view,
    candidates,
    matrices,
    size_of_bits,
)
from tests.helpers.checkpoints import write_checkpoint

WIDE = {
    "Q3_K": 0.03,
    "IQ4_XS": 0.008,
    "Q4_K": 0.007,
    "Q5_K": 0.002,
    "Q6_K": 0.0005,
    "Q8_0": 0.00003,
}


def test_strengths_that_are_products_are_found_from_a_run_for_each_block_and_kind() -> None:
    draw = random.Random(3)
    kinds = [f"kind{n}" for n in range(7)]
    blocks = {block: draw.expovariate(1.0) + 0.1 for block in range(12)}
    factors = {kind: draw.expovariate(1.0) + 0.1 for kind in kinds}
    errors = {Place(b, k): draw.uniform(0.5, 1.5) * 1e-3 for b in blocks for k in kinds}
    costs = {place: blocks[place.block] * factors[place.kind] * e for place, e in errors.items()}
    by_block = {b: sum(c for place, c in costs.items() if place.block == b) for b in blocks}
    # Larger errors saturate: the runs of kinds show a constant share of what they would.
    by_kind = {k: 0.7 * sum(c for place, c in costs.items() if place.kind == k) for k in kinds}
    found = strengths_of(errors, by_block, by_kind)
    for place, strength in found.items():
        assert strength == pytest.approx(blocks[place.block] * factors[place.kind], rel=1e-6)


def test_what_a_run_could_not_measure_is_nearly_free() -> None:
    errors = {Place(b, k): 1e-3 for b in range(2) for k in "xy"}
    found = strengths_of(errors, {0: 0.02, 1: -1e-7}, {"x": 0.01, "y": 0.01})
    assert found[Place(0, "x")] == pytest.approx(10.0, rel=1e-3)
    assert 0 < found[Place(1, "x")] < 1e-5


def model(seed: int) -> tuple[list[Sensitivity], dict[str, dict[str, int]]]:
    draw = random.Random(seed)
    found, sizes = [], {}
    for index in range(30):
        elements = draw.choice([256, 1024, 4096]) * 256
        errors = {name: error * draw.uniform(0.8, 1.25) for name, error in WIDE.items()}
        found.append(Sensitivity(f"t{index}", elements, draw.expovariate(1.0), errors))
        sizes[f"t{index}"] = {name: nbytes(name, elements) for name in errors}
    return found, sizes


@pytest.mark.parametrize("uniform", WIDE)
@pytest.mark.parametrize("seed", range(5))
def test_never_worse_than_the_uniform_format_of_the_same_size(seed: int, uniform: str) -> None:
    found, sizes = model(seed)
    size = 1000 + sum(each[uniform] for each in sizes.values())
    same = sum(each.strength * each.errors[uniform] for each in found)
    allocation = allocate(found, sizes, 1000, size)
    assert 0.99 * size <= allocation.size <= size
    assert allocation.cost <= same * (1 + 1e-12)
    if uniform not in ("Q3_K", "Q8_0"):  # the smallest and the largest leave no choice
        assert allocation.cost < 0.9 * same


def test_a_size_that_cannot_be_is_refused_with_the_sizes_that_can() -> None:
    found, sizes = model(0)
    least = 1000 + sum(min(each.values()) for each in sizes.values())
    most = 1000 + sum(max(each.values()) for each in sizes.values())
    for asked in (least - 1, int(most * 1.02)):
        with pytest.raises(SizeOutOfRange) as caught:
            allocate(found, sizes, 1000, asked)
        assert caught.value.facts == {"asked": asked, "least": least, "most": most}
    assert allocate(found, sizes, 1000, least).size == least
    assert allocate(found, sizes, 1000, most).size == most


def test_the_recipe_gives_each_tensor_its_own_format() -> None:
    found, sizes = model(1)
    size = sum(each["Q5_K"] for each in sizes.values())
    allocation = allocate(found, sizes, 0, size)
    recipe = allocation.recipe("mine")
    assert len(recipe.overrides) <= len(WIDE)
    role = next(iter(recipe.formats))
    for each in allocation.tensors:
        assert recipe.format_for(each.name, role, block_count=1, tied=False) == each.format
    for name in ("t3x", "t300", "xt3"):  # not another's that begins or ends alike
        assert recipe.format_for(name, role, block_count=1, tied=False) == recipe.formats[role]


def test_the_file_has_the_size_that_was_planned(tmp_path: Path) -> None:
    """Header, norms and all; rows of 64 weights."""
    folder = write_checkpoint("qwen2", tmp_path / "m")
    view = open_view(folder)
    errors = {"IQ4_NL": 0.008, "Q5_0": 0.002, "Q8_0": 0.00003}
    tensors = tuple(
        Sensitivity(each.name, each.elements, 1.0 + index, errors)
        for index, each in enumerate(matrices(view))
    )
    measured = Sensitivities("m", False, 1, 1, tensors)
    asked = size_of_bits(view, 7.0)
    allocation = allocate_view(view, measured, asked)
    report = quantize_gguf(folder, tmp_path / "q.gguf", allocation.recipe("mine"))
    assert report.target_bytes == allocation.size == (tmp_path / "q.gguf").stat().st_size
    assert 0.99 * asked <= report.target_bytes <= asked
    assert report.bits_per_weight == pytest.approx(7.0, rel=0.02)
    given = {each.name: each.target_format for each in report.tensors}
    assert all(given[each.name] == each.format for each in allocation.tensors)
    other = Sensitivities("other", False, 1, 1, tensors[1:])
    with pytest.raises(MissingTensor):
        allocate_view(view, other, asked)


def test_rows_take_the_formats_whose_blocks_divide_them() -> None:
    assert candidates(1536) == ("Q3_K", "IQ4_XS", "Q4_K", "Q5_K", "Q6_K", "Q8_0")
    assert candidates(576) == SHORT_CANDIDATES
    assert candidates(576, ("Q4_K", "Q5_0")) == ("Q5_0",)
    assert candidates(40) == ()


def test_what_was_measured_is_kept_and_read_again(tmp_path: Path) -> None:
    found, _ = model(2)
    measured = Sensitivities("m", True, 384, 40, tuple(found))
    write_sensitivities(tmp_path / "s.json", measured)
    assert read_sensitivities(tmp_path / "s.json") == measured
    (tmp_path / "other.json").write_text('{"model": "m"}')
    for name in ("other.json", "absent.json"):
        with pytest.raises(CorruptCheckpoint) as caught:
            read_sensitivities(tmp_path / name)
        assert caught.value.reason == "no_sensitivities"

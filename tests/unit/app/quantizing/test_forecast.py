"""What is predicted before a quantization."""

import json
from pathlib import Path

import pytest

from app.quantizing.forecast import FAST, STARTER_LOSS, expected
from quant.recipe import RECIPES
from runtime.shape import ModelShape

RESULTS = Path(__file__).parents[4] / "benchmarks" / "results" / "quantize-starter-cpu.json"
SHAPE = ModelShape(
    architecture="qwen2",
    block_count=28,
    embedding_length=1536,
    feed_forward_length=8960,
    head_count=12,
    head_count_kv=2,
    key_length=128,
    value_length=128,
    vocab_size=151936,
    context_length=131072,
    tied_embeddings=False,
)


@pytest.mark.parametrize("case", list(STARTER_LOSS))
def test_losses_shown_are_the_measured_ones(case: tuple[str, bool]) -> None:
    recipe, weighed = case
    if recipe == "q4_0-search" and weighed:
        recipe = "q4_0-best"  # the same search, which demands the text
    recipe = {FAST: "onnx-q4-b128-asym-search"}.get(recipe, recipe)
    rows = json.loads(RESULTS.read_text())["rows"]
    (row,) = (r for r in rows if (r["recipe"], r["importance"]) == (recipe, weighed))
    shown = STARTER_LOSS[case]
    assert shown.same_top == pytest.approx(row["same_top"]["value"], abs=0.0005)
    assert shown.kl_mean == pytest.approx(row["kl_mean"]["value"], abs=0.00005)


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_has_a_size_and_a_time(name: str) -> None:
    found = expected(SHAPE, RECIPES[name], 2)
    assert 0.5e9 < found.size < 4e9
    assert found.seconds > expected(SHAPE, RECIPES[name], 4).seconds


def test_a_search_takes_longer_than_rounding_and_an_onnx_one_under_a_minute() -> None:
    """1.5B weights on two threads."""
    seconds = {name: expected(SHAPE, RECIPES[name], 2).seconds for name in RECIPES}
    assert seconds["onnx-q4-b32"] < seconds["onnx-q4-b32-search"] < 60
    assert seconds["q4_0"] < seconds["q4_0-search"]

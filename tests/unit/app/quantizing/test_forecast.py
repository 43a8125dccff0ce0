"""What is predicted before a quantization."""

import pytest

from app.quantizing.forecast import expected
from quant.recipe import RECIPES
from runtime.shape import ModelShape

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

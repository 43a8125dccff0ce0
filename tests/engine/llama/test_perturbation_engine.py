"""A model that answers as if its weights were others, against one whose weights are."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quant.blocks.native import open_native
from quant.gguf.export import open_view, quantize_view
from quant.gguf.sensitivity import deviations, matrices
from quant.gguf.views import GgufView, ViewTensor
from quant.recipe import QuantRecipe, uniform
from runtime.backends.llama.evaluation import LlamaEvaluator
from runtime.backends.llama.perturbation import Difference, open_perturbed
from tests.helpers.checkpoints import write_checkpoint

F32 = npt.NDArray[np.float32]
TOKENS = [5, 17, 99, 200, 3, 42, 256, 77, 140, 11, 64, 250, 17, 5]
FULL = QuantRecipe("full", uniform("F32"))


def logits_of(evaluator: LlamaEvaluator) -> F32:
    return np.concatenate(list(evaluator.logits(TOKENS, 0)))


def changed(view: GgufView, differences: Mapping[str, Difference]) -> GgufView:
    """The view with the differences in its weights."""

    def rows(tensor: ViewTensor) -> ViewTensor:
        add = differences.get(tensor.name)
        if add is None:
            return tensor
        return replace(tensor, rows=lambda a, b: tensor.rows(a, b) + add(a, b), raw=None)

    return replace(view, tensors=tuple(map(rows, view.tensors)))


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "deepseek_v2", "deepseek_v3"])
@pytest.mark.parametrize("which", ["token_embd", "output", "attn", "ffn", ""])
def test_answers_as_a_model_with_those_weights(kind: str, which: str, tmp_path: Path) -> None:
    """Tables, heads of MLA, and experts too."""
    view, native = open_view(write_checkpoint(kind, tmp_path / "m")), open_native()
    names = [each for each in matrices(view) if which in each.name]
    assert names
    differences = {each.name: deviations(each, native) for each in names}
    exact, other = tmp_path / "exact.gguf", tmp_path / "other.gguf"
    quantize_view(view, exact, FULL)
    quantize_view(changed(view, differences), other, FULL)
    evaluator, change = open_perturbed(exact, 1, 64)
    written = LlamaEvaluator(other, 1, 64)
    try:
        before = logits_of(evaluator)
        change.differences = differences
        perturbed = logits_of(evaluator)
        assert change.errors == []
        expected = logits_of(written)
        moved = np.abs(expected - before).max()
        assert moved > 1e-3
        assert np.abs(perturbed - expected).max() < 1e-3 * moved + 1e-4
        change.differences = {}
        assert np.array_equal(logits_of(evaluator), before)
    finally:
        evaluator.close()
        written.close()


def test_an_error_within_is_kept_for_the_caller(tmp_path: Path) -> None:
    """It must not cross the engine's frames, and the next run begins anew."""
    view, exact = open_view(write_checkpoint("qwen2", tmp_path / "m")), tmp_path / "exact.gguf"
    quantize_view(view, exact, FULL)
    evaluator, change = open_perturbed(exact, 1, 64)

    def fail(_start: int, _stop: int) -> F32:
        raise ZeroDivisionError

    try:
        before = logits_of(evaluator)
        change.differences = {"blk.0.attn_q.weight": fail}
        logits_of(evaluator)
        assert isinstance(change.errors[0], ZeroDivisionError)
        change.differences = {}
        assert np.array_equal(logits_of(evaluator), before)
    finally:
        evaluator.close()

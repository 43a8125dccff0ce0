"""The sampler against plain definitions of its filters, and its statistics."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answer.sampling import Sampler, top_k_tokens
from runtime.errors import InvalidRequest
from runtime.generation import SamplingParams


def _logits(seed: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, size).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1000), size=st.integers(1, 9000), k=st.integers(1, 300))
def test_top_k_equals_a_full_sort(seed: int, size: int, k: int) -> None:
    logits = _logits(seed, size)
    wanted = np.sort(logits)[::-1][:k]
    np.testing.assert_array_equal(logits[top_k_tokens(logits, k)], wanted)


def test_greedy_takes_the_largest() -> None:
    logits = _logits(1, 5000)
    assert Sampler(SamplingParams(temperature=0)).draw(logits) == int(np.argmax(logits))
    assert Sampler(SamplingParams(temperature=1, top_k=1)).draw(logits) == int(np.argmax(logits))


def test_a_seed_repeats_and_another_differs() -> None:
    logits = _logits(2, 2000)

    def drawn(seed: int) -> list[int]:
        sampler = Sampler(SamplingParams(temperature=1.5, top_k=0, top_p=1, seed=seed))
        return [sampler.draw(logits) for _ in range(30)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def _allowed(logits: np.ndarray, params: SamplingParams) -> set[int]:
    """Tokens the filters leave, by their definitions."""
    order = np.argsort(-logits, kind="stable")
    if params.top_k:
        order = order[: params.top_k]
    shares = np.exp(logits[order].astype(np.float64) - logits[order[0]])
    shares /= shares.sum()
    keep = len(order)
    if params.top_p < 1:
        keep = next(i + 1 for i in range(len(order)) if shares[: i + 1].sum() >= params.top_p)
    return {
        int(token)
        for place, token in enumerate(order[:keep])
        if shares[place] >= params.min_p * shares[0]
    }


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(temperature=3.0, top_k=5, top_p=1.0),
        SamplingParams(temperature=3.0, top_k=0, top_p=0.5),
        SamplingParams(temperature=3.0, top_k=40, top_p=0.8),
        SamplingParams(temperature=3.0, top_k=0, top_p=1.0, min_p=0.2),
        SamplingParams(temperature=3.0, top_k=0, top_p=0.999),
    ],
)
def test_only_tokens_the_filters_leave_are_drawn(params: SamplingParams) -> None:
    logits = _logits(3, 3000)
    allowed = _allowed(logits, params)
    sampler = Sampler(params)
    drawn = {sampler.draw(logits) for _ in range(400)}
    assert drawn <= allowed
    assert len(drawn) >= min(len(allowed), 4)


def test_frequencies_follow_the_temperature() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    sampler = Sampler(SamplingParams(temperature=0.5, top_k=0, top_p=1, seed=1))
    counts = np.bincount([sampler.draw(logits) for _ in range(20000)], minlength=3) / 20000
    squares = np.array([0.25, 0.09, 0.04]) / 0.38  # temperature 0.5 squares the shares
    np.testing.assert_allclose(counts, squares, atol=0.015)


def test_repeat_penalty_follows_history_and_draws() -> None:
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    params = SamplingParams(temperature=0, repeat_penalty=1.2)
    assert Sampler(params).draw(logits) == 0
    assert Sampler(params, history=[0]).draw(logits) == 1
    sampler = Sampler(params)
    assert [sampler.draw(logits) for _ in range(2)] == [0, 1]
    assert logits[0] == 2.0  # the engine's array is not written to


def test_logits_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        Sampler(SamplingParams()).draw(np.full(10, np.nan, np.float32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 1.5),
        ("top_k", -1),
        ("min_p", -0.1),
        ("repeat_penalty", 0.0),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Sampler(replace(SamplingParams(), **{field: value}))  # type: ignore[arg-type]
    assert caught.value.facts["field"] == field

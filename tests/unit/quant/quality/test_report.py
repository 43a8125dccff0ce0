"""Quality figures against logits whose divergence is known beforehand."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from quant.errors import IncompatibleShape, InvalidRecipe
from quant.estimate import Estimate
from quant.gguf.views import GgufView, ViewTensor
from quant.gguf.writer import GgufValue
from quant.quality.figures import QualityReport
from quant.quality.report import compare, verdict_of
from quant.quality.schemes import SCHEMES, round_to_grid, scheme_bits, scheme_view
from quant.quality.scores import Windows
from runtime.process.job import Job
from tests.helpers.bigrams import model, softmax, table, text

F32 = npt.NDArray[np.float32]


def test_figures_are_those_worked_out_by_hand() -> None:
    source, target, tokens = table(1), table(2), text(100)
    report = compare(
        {"t": tokens}, model(source, 7), model(target, 5), windows=Windows(context=100, skip=10)
    )
    p, q = softmax(source), softmax(target)
    seen, following = tokens[10:99], tokens[11:100]
    kl = [float((p[t] * np.log(p[t] / q[t])).sum()) for t in seen]
    nll = [-math.log(q[a, b]) for a, b in zip(seen, following, strict=True)]
    assert report.tokens == 89
    assert report.kl_mean.value == pytest.approx(np.mean(kl), rel=1e-5)
    assert report.kl_p99.value == pytest.approx(np.quantile(kl, 0.99), rel=1e-5)
    assert report.perplexity.value == pytest.approx(math.exp(np.mean(nll)), rel=1e-5)
    same = [p[t].argmax() == q[t].argmax() for t in seen]
    assert report.same_top.value == pytest.approx(np.mean(same))
    assert report.verdict == "damaged"


def test_a_model_against_itself_loses_nothing() -> None:
    rows = table(1)
    report = compare({"t": text(600)}, model(rows, 64), model(rows, 64))
    assert report.kl_mean.value == pytest.approx(0, abs=1e-9)
    assert report.same_top.value == 1
    assert report.perplexity_ratio.value == pytest.approx(1)
    assert report.verdict == "faithful"


@pytest.mark.parametrize("blocks", [(1, 64), (3, 5), (64, 1), (512, 512)])
def test_how_the_engines_cut_their_blocks_changes_nothing(blocks: tuple[int, int]) -> None:
    source, target, texts = table(1), table(2), {"a": text(700), "b": text(300, 1)}
    expected = compare(texts, model(source, 9), model(target, 9))
    found = compare(texts, model(source, blocks[0]), model(target, blocks[1]))
    assert found.kl_mean.value == pytest.approx(expected.kl_mean.value)
    assert found.tokens == expected.tokens
    assert [t.tokens for t in found.texts] == [t.tokens for t in expected.texts]


def bounds(report: QualityReport) -> tuple[float, float]:
    """The interval of the mean divergence."""
    low, high = report.kl_mean.low, report.kl_mean.high
    assert low is not None
    assert high is not None
    return low, high


def test_interval_holds_the_truth_about_nineteen_times_in_twenty() -> None:
    """Each text is a sample of the same bigram source; its true mean KL is known."""
    source, target = table(1), table(2)
    p, q = softmax(source), softmax(target)
    truth = float(np.mean((p * np.log(p / q)).sum(axis=1)))
    held = 0
    for seed in range(100):
        report = compare({"t": text(2000, seed)}, model(source, 64), model(target, 64))
        low, high = bounds(report)
        held += low <= truth <= high
    assert held >= 86


def test_neighbours_that_err_together_count_as_few_observations() -> None:
    source, target = table(1), table(2)
    apart, together = text(3200), [token for token in text(160) for _ in range(20)]
    widths = []
    for tokens in (apart, together):
        low, high = bounds(compare({"t": tokens}, model(source, 64), model(target, 64)))
        widths.append(high - low)
    assert 2.5 < widths[1] / widths[0] < 6


def test_windows_cut_as_they_say() -> None:
    tokens = list(range(1000))
    assert [len(w) for w in Windows(512, 64).cut(tokens)] == [512, 488]
    assert [len(w) for w in Windows(512, 256, whole_only=True).cut(tokens)] == [512]
    assert [len(w) for w in Windows(512, 64).cut(tokens[:600])] == [512]
    assert Windows(512, 64).cut([1, 2, 3]) == []


def test_first_token_takes_the_place_of_each_window_s_first() -> None:
    windows = Windows(4, 1, first_token=99).cut([1, 2, 3, 4, 5, 6, 7, 8])
    assert windows == [[99, 2, 3, 4], [99, 6, 7, 8]]


def test_too_short_a_text_and_two_vocabularies_are_refused() -> None:
    rows = table(1)
    with pytest.raises(IncompatibleShape, match="text_too_short"):
        compare({"t": [1, 2, 3]}, model(rows, 8), model(rows, 8))
    with pytest.raises(IncompatibleShape, match="vocabularies_differ"):
        compare({"t": text(300)}, model(rows, 8), model(rows[:, :40], 8))


def test_cancelling_stops_between_blocks() -> None:
    calls = 0

    def stop(done: int, total: int, name: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare({"t": text(600)}, model(table(1), 8), model(table(1), 8), on_tokens=stop)
    assert calls == 3


@pytest.mark.parametrize(
    ("kl", "same", "verdict"),
    [
        (0.001, 0.99, "faithful"),
        (0.001, 0.93, "close"),
        (0.03, 0.99, "close"),
        (0.2, 0.8, "noticeable"),
        (0.4, 0.9, "damaged"),
    ],
)
def test_verdicts_need_both_figures(kl: float, same: float, verdict: str) -> None:
    assert verdict_of(kl, same) == verdict


@pytest.mark.parametrize("damage", [np.nan, np.inf, -np.inf])
def test_a_model_that_gives_no_numbers_is_told_as_damaged(damage: float) -> None:
    broken = table(1)
    broken[3, 7] = damage
    report = compare({"t": text(600)}, model(table(1), 64), model(broken, 64))
    assert report.verdict == "damaged"
    assert report.kl_mean == Estimate(None)
    assert report.perplexity.value is None or math.isfinite(report.perplexity.value)
    assert report.texts[0].kl_mean is None
    assert report.source_perplexity.value == pytest.approx(report.texts[0].source_perplexity)
    job = Job("here:echo_job", QualityReport, QualityReport)
    assert job.read_answer(job.write_args(report)) == report


def test_a_model_that_finds_a_text_all_but_impossible_is_told_as_damaged() -> None:
    report = compare({"t": text(600)}, model(table(1), 64), model(table(2) * 1000, 64))
    assert report.verdict == "damaged"
    perplexity = report.texts[0].perplexity
    assert perplexity is not None
    assert perplexity > 1e300


# -- schemes ------------------------------------------------------------------------------------


def view_of(weights: F32) -> GgufView:
    tensor = ViewTensor("blk.0.ffn_up.weight", weights.shape, "F32", lambda a, b: weights[a:b])
    return GgufView(
        Path("x"),
        {"general.architecture": GgufValue(8, "llama")},
        (tensor,),
        weights.nbytes,
    )


def test_smaller_groups_err_less_and_cost_more() -> None:
    random = np.random.default_rng(5)
    weights = random.standard_normal((64, 512)).astype(np.float32)
    weights *= random.uniform(0.1, 3, (64, 1)).astype(np.float32)
    weights[:, 7] *= 8
    view = view_of(weights)
    errors, bits = [], []
    for scheme in SCHEMES:
        rounded = scheme_view(view, scheme).tensors[0].rows(0, 64)
        errors.append(float(((rounded - weights) ** 2).sum()))
        bits.append(scheme_bits(view, scheme))
    assert list(SCHEMES) == ["per-tensor", "per-channel", "block-128", "block-64", "block-32"]
    assert errors == sorted(errors, reverse=True)
    assert bits == sorted(bits)
    assert bits[-1] == 4.5


def test_per_tensor_scale_is_one_for_all_slabs() -> None:
    weights = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    fake = scheme_view(view_of(weights), "per-tensor").tensors[0]
    halves = np.concatenate([fake.rows(0, 32), fake.rows(32, 64)])
    assert len(np.unique(halves)) <= 16
    assert np.array_equal(halves, fake.rows(0, 64))


def test_unknown_scheme_is_refused() -> None:
    with pytest.raises(InvalidRecipe):
        scheme_view(view_of(np.ones((2, 32), np.float32)), "per-mood")


def test_grid_keeps_the_extreme_exactly() -> None:
    rows = np.array([[-4.0, 1.0, 2.0, 3.5] + [0.0] * 28], dtype=np.float32)
    rounded = round_to_grid(rows, 32)
    assert rounded[0, 0] == -4.0
    assert np.abs(rounded - rows).max() <= 0.5

"""What a format is expected to lose on a model nobody measured, and how often that holds."""

import json
import math
from pathlib import Path

import pytest

from quant.quality.expected_loss import (
    ExpectedLoss,
    expected_loss,
    fit,
    measurements,
    sources,
)
from quant.recipe import RECIPES

OURS = Path(__file__).parents[4] / "benchmarks" / "results" / "quantize-starter-cpu.json"


def loss(label: str, parameters: float, imatrix: bool | None = None) -> ExpectedLoss:
    found = expected_loss(label, round(parameters), imatrix)
    assert found is not None
    return found


def test_a_held_out_model_lies_within_the_interval_nine_times_in_ten() -> None:
    """Each model predicted from the others alone."""
    within = []
    for model in {row.model for row in measurements()}:
        known = fit([row for row in measurements() if row.model != model])
        for row in measurements():
            interval = known.log_interval(row.label, row.parameters, row.imatrix)
            if row.model == model and interval is not None:
                within.append(interval[0] <= math.log(row.kl) <= interval[2])
    assert len(within) > 20
    assert sum(within) / len(within) >= 0.9


def test_more_bits_lose_less_and_larger_models_lose_less() -> None:
    labels = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q4_0", "Q2_K")
    for size in (0.5e9, 1.5e9, 8e9, 32e9, 70e9):
        likely = [loss(label, size).likely for label in labels]
        assert likely == sorted(likely)
        assert loss("Q4_0", 2 * size).likely < likely[labels.index("Q4_0")]


def test_a_format_that_only_a_tiny_model_bears_is_no_better_on_a_large_one() -> None:
    """On the starter Q4_1 lost a seventh of Q4_0, on the 8B that both were measured on as much."""
    assert loss("Q4_1", 8e9).likely == pytest.approx(loss("Q4_0", 8e9).likely, rel=0.02)


def test_an_importance_matrix_lowers_the_loss_and_unknown_lies_between() -> None:
    known = [loss("Q4_K_M", 8e9, imatrix).likely for imatrix in (True, None, False)]
    assert known == sorted(known)
    assert known[0] < known[2]


def test_a_recipe_measured_on_the_starter_alone_is_carried_over_with_more_doubt() -> None:
    carried, direct = loss("onnx-q4-b32", 8e9, False), loss("Q4_0", 8e9, False)
    assert (carried.carried_from, direct.carried_from) == ("Q4_0", None)
    assert carried.likely == pytest.approx(direct.likely, rel=0.02)
    assert carried.high / carried.low > 1.2 * direct.high / direct.low
    # Without a calibration text: the figure without one, not a better one.
    assert loss("onnx-q4-b32-search", 8e9, True).likely < 0.7 * carried.likely


MEASURED = [name for name in sorted(RECIPES) if not name.endswith("-feedback")]


@pytest.mark.parametrize("name", MEASURED)
def test_every_measured_recipe_has_an_expectation_that_names_its_sources(name: str) -> None:
    found = loss(name, 7e9)
    assert 0 < found.low < found.likely < found.high
    assert found.sources
    assert found.smallest <= found.largest


def test_a_label_is_read_in_either_case_and_an_unknown_one_has_no_expectation() -> None:
    assert expected_loss("q4_k_m", 7_000_000_000) == expected_loss("Q4_K_M", 7_000_000_000)
    assert expected_loss("UD-Q9_K_XL", 7_000_000_000) is None
    with pytest.raises(ValueError, match="0 parameters"):
        expected_loss("Q4_K_M", 0)


def test_figures_that_are_ours_are_the_measured_ones() -> None:
    rows = json.loads(OURS.read_text())["rows"]
    measured = {
        (row["recipe"].lower(), row["importance"]): row["kl_mean"]["value"]
        for row in rows
        if "kl_mean" in row
    }
    ours = [r for r in measurements() if r.source == "this project"]
    assert len(ours) > 15
    for row in ours:
        if row.label == "q4_0-search" and row.imatrix:
            continue  # the same search as q4_0-best, which demands the text
        assert row.kl == pytest.approx(measured[row.label.lower(), bool(row.imatrix)], abs=5e-7)


def test_every_figure_has_a_source_and_no_file_that_fell_back_to_wider_formats_counts() -> None:
    assert {row.source for row in measurements()} <= set(sources())
    # The starter's rows of 576 weights take no K blocks: its Q4_K_M holds 6.2 bits a weight.
    assert not [r for r in measurements() if r.parameters < 2e8 and "_K" in r.label]

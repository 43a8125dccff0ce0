"""What a conversion did, as the command line tells it."""

from pathlib import Path

import numpy as np

from app.cli.commands.convert import pair_text, report_text
from quant.gguf.export import quantize_gguf
from quant.quality.paired import compare_pair
from quant.recipe import QuantRecipe, recipe_named, uniform
from tests.helpers.bigrams import model, table
from tests.helpers.bigrams import text as words
from tests.helpers.checkpoints import write_checkpoint


def test_a_search_is_shown_beside_plain_rounding(tmp_path: Path) -> None:
    folder, target = write_checkpoint("qwen2", tmp_path / "m"), tmp_path / "q.gguf"
    report = quantize_gguf(folder, target, recipe_named("q4_0-search"))
    text = report_text("mine", report.target_bytes, report)
    searched, plain = report.error_by_role["attention"], report.plain_error_by_role["attention"]
    (line,) = (line for line in text.splitlines() if line.startswith("attention"))
    assert line.split()[2:] == [f"{100 * searched:.1f}", "%", f"{100 * plain:.1f}", "%"]


def test_rows_that_fell_back_are_named(tmp_path: Path) -> None:
    folder, target = write_checkpoint("qwen2", tmp_path / "m"), tmp_path / "q.gguf"
    report = quantize_gguf(folder, target, QuantRecipe("wide", uniform("Q4_K")))
    text = report_text("mine", report.target_bytes, report)
    assert (
        f"{len(report.fallbacks)} tensors have rows that the recipe's blocks do not divide" in text
    )
    assert report.fallbacks[0].name in text


def test_a_pair_is_told_by_text_and_over_all() -> None:
    """In bigram models; the time runs out before the second window."""
    source = table(1)
    noise = table(2) / np.float32(8)
    texts = {"a": words(1000), "b": words(200, 1)}
    models = model(source, 64), model(source + noise, 64), model(source + 2 * noise, 64)
    pair = compare_pair(texts, *models, within=0)
    lines = pair_text(pair, "mine", "theirs", "full").splitlines()
    assert lines[0].startswith(
        "mine is closer to full than theirs: its mean KL divergence is lower"
    )
    assert [line.split()[0] for line in lines[1:4]] == ["TEXT", "a", "all"]
    assert f"{pair.kl_difference.value:.4f}" in lines[3]
    assert lines[4].startswith("Time ran out: measured 447 of ")
    whole = compare_pair(texts, *models)
    assert "Time ran out" not in pair_text(whole, "mine", "theirs", "full")

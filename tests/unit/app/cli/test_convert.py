"""What a conversion did, as the command line tells it."""

from pathlib import Path

from app.cli.commands.convert import report_text
from quant.gguf.export import quantize_gguf
from quant.recipe import QuantRecipe, recipe_named, uniform
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

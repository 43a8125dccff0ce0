"""What a conversion cost is remembered by the model's content."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.cli.commands.convert import quality_text
from app.gui.models.facts import quality_words
from app.quantizing.quality_file import KeptQuality, QualityFile
from app.wording.explain import reason_text
from quant.estimate import Estimate
from quant.quality.figures import QualityReport
from runtime.plan import Reason

ANY = Estimate(6.0, 5.0, 7.0)
REPORT = QualityReport(
    source="source",
    target="target",
    tokens=100,
    planned=100,
    source_perplexity=ANY,
    perplexity=ANY,
    perplexity_ratio=ANY,
    kl_mean=Estimate(0.05, 0.04),
    kl_p99=ANY,
    same_top=Estimate(0.9),
    verdict="close",
    texts=(),
)


def test_figures_are_kept_by_the_models_content(tmp_path: Path) -> None:
    file = QualityFile(tmp_path / "machine" / "quality.json")
    assert file.get("aa") is None
    file.put("aa", "source", REPORT)
    file.put("bb", "source", replace(REPORT, kl_mean=Estimate(0.5)))
    again = QualityFile(tmp_path / "machine" / "quality.json")
    assert again.get("aa") == KeptQuality("source", 0.05, 0.9, 100)
    assert again.get("bb") == KeptQuality("source", 0.5, 0.9, 100)
    assert again.get("cc") is None


def test_a_quick_measurement_does_not_replace_a_fuller_one(tmp_path: Path) -> None:
    file, quick = QualityFile(tmp_path / "quality.json"), Estimate(0.07)
    file.put("aa", "source", REPORT)
    file.put("aa", "source", replace(REPORT, kl_mean=quick, tokens=99))
    assert file.get("aa") == KeptQuality("source", 0.05, 0.9, 100)
    file.put("aa", "source", replace(REPORT, kl_mean=quick, tokens=100))
    assert file.get("aa") == KeptQuality("source", 0.07, 0.9, 100)
    file.put("aa", "another source", replace(REPORT, tokens=9))
    assert file.get("aa") == KeptQuality("another source", 0.05, 0.9, 9)


def test_a_limit_of_time_and_the_interval_are_told() -> None:
    sure = replace(REPORT, kl_mean=Estimate(0.05, 0.04, 0.0613))
    assert "0.0500 (0.0400 to 0.0613)" in quality_words(sure)
    assert "Time ran out" not in quality_words(sure) + quality_text(sure)
    cut = replace(sure, planned=400, seconds=50.0)
    assert "Time ran out after 100 of 400 positions." in quality_words(cut)
    assert "Time ran out: measured 100 of 400 tokens in 50.0 s." in quality_text(cut)


def test_a_damaged_model_is_kept_and_told_as_one(tmp_path: Path) -> None:
    damaged = replace(REPORT, kl_mean=Estimate(None), perplexity=Estimate(None), verdict="damaged")
    file = QualityFile(tmp_path / "quality.json")
    file.put("aa", "source", damaged)
    kept = file.get("aa")
    assert kept == KeptQuality("source", None, 0.9, 100)
    told = reason_text(Reason("other_build_damaged", {"build": "b", **asdict(kept)}))
    assert told == (
        "Using the build b, which is damaged: some of its predictions are not numbers."
        " Quantize or download it again."
    )
    for text in (quality_text(damaged), quality_words(damaged)):
        assert "Damaged: " in text
        assert "90.0" in text
        assert "None" not in text
        assert "nan" not in text
    assert "mean KL         not a number" in quality_text(damaged)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"aa": {}}', '{"aa": 1}'])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "quality.json"
    path.write_text(text)
    file = QualityFile(path)
    assert file.get("aa") is None
    file.put("aa", "source", REPORT)
    assert file.get("aa") is not None

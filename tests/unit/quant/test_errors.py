"""Errors and conversion jobs: facts survive the pipe, faults are named."""

from pathlib import Path

import pytest

from quant.error_base import StillroomError
from quant.errors import CorruptCheckpoint
from quant.recipe import recipe_named
from runtime.errors import InvalidRequest, UnsupportedModel
from runtime.process.job_values import QualityArgs, QuantizeArgs
from runtime.progress import Progress, ignore_progress
from runtime.tasks.convert import anonymous_memory, quantize_gguf_job
from runtime.tasks.evaluation import kind_of
from runtime.tasks.quality import quality_job
from tests.helpers.checkpoints import write_checkpoint


def test_errors_are_rebuilt_with_their_facts() -> None:
    error = CorruptCheckpoint(path="a.gguf", reason="past_end", tensor="blk.0")
    rebuilt = StillroomError.from_json(error.to_json())
    assert type(rebuilt) is CorruptCheckpoint
    assert rebuilt.facts == error.facts
    assert "blk.0" in str(rebuilt)


def test_quality_windows_that_score_nothing_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"GGUF")
    args = QualityArgs(source=tmp_path / "a", target=tmp_path / "b", context=64, skip=64)
    with pytest.raises(InvalidRequest) as caught:
        quality_job(args, ignore_progress)
    assert caught.value.facts["field"] == "skip"


def test_kind_of_tells_models_apart(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "body.onnx").touch()
    assert kind_of(tmp_path / "m.gguf") == "gguf"
    assert kind_of(tmp_path / "onnx") == "onnx"
    with pytest.raises(UnsupportedModel):
        kind_of(tmp_path / "nothing")


def test_conversion_job_reports_progress_and_memory(tmp_path: Path) -> None:
    folder = write_checkpoint("llama3", tmp_path / "m")
    seen: list[Progress] = []
    args = QuantizeArgs(folder, tmp_path / "o.gguf", recipe_named("q4_0"), threads=1)
    report = quantize_gguf_job(args, seen.append)
    assert report.recipe == "q4_0"
    assert seen[-1].done == seen[-1].total == len(report.tensors)
    assert report.peak_anonymous > 1_000_000
    assert anonymous_memory() > 1_000_000

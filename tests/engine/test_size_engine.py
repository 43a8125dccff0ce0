"""A model made as large as a person says, formats by what errors cost."""

import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.library.folder import Library
from app.library.targets import Target
from app.quantizing.budget import Budget
from app.quantizing.conversion import Conversion
from quant.allocation import read_sensitivities
from quant.errors import SizeOutOfRange
from quant.gguf.export import open_view, quantize_gguf
from quant.gguf.sensitivity import matrices
from quant.recipe import QuantRecipe, uniform
from runtime.process.job_values import SizeArgs
from runtime.progress import Cancelled, CancelToken, Progress, ignore_progress
from runtime.tasks.size import quantize_to_size_job
from tests.helpers.checkpoints import write_checkpoint

TEXT = "he ll in the an on er re lo " * 60


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 64 weights: blocks of 32."""
    return write_checkpoint("qwen2", tmp_path_factory.mktemp("size") / "m")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_text(TEXT)
    return file


def args_of(source: Path, text: Path, target: Path) -> SizeArgs:
    return SizeArgs(source, target, "mine", bits=6.0, calibrate=str(text), threads=1)


def test_every_matrix_gets_a_format_and_a_reason(source: Path, text: Path, tmp_path: Path) -> None:
    phases: list[str] = []
    kept = tmp_path / "s.json"
    args = replace(args_of(source, text, tmp_path / "q.gguf"), sensitivities=kept)
    report = quantize_to_size_job(args, lambda progress: phases.append(progress.phase))
    order = ["convert", "calibrate", "rounding", "sensitivity", "quantize"]
    assert list(dict.fromkeys(phases)) == order
    assert 0.99 * 6 <= report.bits_per_weight <= 6.0
    assert report.importance
    allotted = {tensor.name: tensor for tensor in report.tensors if tensor.cost is not None}
    assert set(allotted) == {tensor.name for tensor in matrices(open_view(source))}
    assert len({tensor.target_format for tensor in allotted.values()}) > 1
    assert report.expected_kl == pytest.approx(sum(t.cost or 0 for t in allotted.values()))
    measured = read_sensitivities(kept)
    assert measured.runs == 2 + 7 + 2  # blocks, kinds of matrix, two tables
    assert all(tensor.strength > 0 for tensor in measured.tensors)
    assert {path.name for path in tmp_path.iterdir()} == {"q.gguf", "s.json"}


def test_what_was_measured_serves_another_size(source: Path, text: Path, tmp_path: Path) -> None:
    kept = tmp_path / "s.json"
    args = replace(args_of(source, text, tmp_path / "a.gguf"), sensitivities=kept)
    quantize_to_size_job(args, ignore_progress)
    before, phases = kept.read_bytes(), []
    again = replace(args, target=tmp_path / "b.gguf", bits=5.0)
    report = quantize_to_size_job(again, lambda progress: phases.append(progress.phase))
    assert "sensitivity" not in phases
    assert kept.read_bytes() == before
    assert 0.99 * 5 <= report.bits_per_weight <= 5.0


@pytest.mark.parametrize("bits", [3.0, 9.0])
def test_a_size_that_cannot_be_is_refused_before_anything_is_evaluated(
    source: Path, text: Path, tmp_path: Path, bits: float
) -> None:
    phases: list[str] = []
    args = replace(args_of(source, text, tmp_path / "q.gguf"), bits=bits)
    with pytest.raises(SizeOutOfRange) as caught:
        quantize_to_size_job(args, lambda progress: phases.append(progress.phase))
    assert caught.value.least < caught.value.most
    assert phases == []
    assert list(tmp_path.iterdir()) == []


def test_expected_to_lose_less_than_the_uniform_format_of_its_size(
    source: Path, text: Path, tmp_path: Path
) -> None:
    """By the same measured costs, in files of the same size."""
    kept, plain = tmp_path / "s.json", tmp_path / "plain.gguf"
    quantize_gguf(source, plain, QuantRecipe("plain", uniform("Q5_0")))
    size = plain.stat().st_size
    args = replace(
        args_of(source, text, tmp_path / "q.gguf"), bits=None, size=size, sensitivities=kept
    )
    report = quantize_to_size_job(args, ignore_progress)
    assert 0.99 * size <= report.target_bytes <= size
    uniformly = sum(t.strength * t.errors["Q5_0"] for t in read_sensitivities(kept).tensors)
    assert report.expected_kl is not None
    assert report.expected_kl < uniformly


@pytest.mark.parametrize("phase", ["calibrate", "sensitivity", "quantize"])
def test_a_cancel_is_heard_at_once_and_leaves_nothing(
    source: Path, text: Path, tmp_path: Path, phase: str
) -> None:
    library, log = Library(tmp_path / "models"), tmp_path / "log"
    conversion = Conversion(
        lambda name: Target(name, source, None), lambda _: None, library, lambda: log
    )
    cancel, cancelled = CancelToken(), []

    def stop(progress: Progress) -> None:
        if progress.phase == phase:
            cancelled.append(time.monotonic())
            cancel.cancel()

    place = tmp_path / "there"
    place.mkdir()
    budget = Budget(bits=6.0)
    with pytest.raises(Cancelled):
        conversion.quantize("m", budget, stop, cancel, calibrate=text)
    assert time.monotonic() - cancelled[0] < 2  # on a busy machine
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        conversion.quantize_to(place / "q.gguf", "m", budget, stop, cancel, calibrate=text)
    assert list(place.iterdir()) == []
    assert [path for path in library.root.rglob("*") if path.is_file()] == []

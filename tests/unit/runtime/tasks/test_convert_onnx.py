"""The export job: a report and a folder come out."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from quant.onnx.manifest import read_manifest
from quant.recipe import QuantRecipe, recipe_named, uniform
from runtime.process.job_values import ExportArgs
from runtime.progress import Progress, ignore_progress
from runtime.tasks.convert import export_onnx_job
from tests.helpers import tiny_checkpoints

RECIPE = "onnx-q4-b32-search"


@pytest.fixture
def args(tmp_path: Path) -> ExportArgs:
    source = tiny_checkpoints.write_checkpoint(tmp_path / "source", "qwen3")
    return ExportArgs(source, tmp_path / "target", recipe_named(RECIPE), threads=1)


def test_a_checkpoint_becomes_a_folder(args: ExportArgs) -> None:
    seen: list[Progress] = []
    report = export_onnx_job(replace(args, static_context=256, rope_context=128), seen.append)
    manifest = read_manifest(args.target)
    assert report.recipe == manifest.recipe == RECIPE
    assert sorted((body.rows, body.context) for body in manifest.static_bodies) == [
        (1, 256),
        (32, 256),
    ]
    assert manifest.rope_context == 128
    assert (seen[-1].unit, seen[-1].done) == ("tensors", seen[-1].total)


def test_no_fixed_shapes_and_another_recipe(args: ExportArgs) -> None:
    recipe = QuantRecipe("mine", uniform("onnx-q4-b64"), method="search")
    export_onnx_job(replace(args, static_context=0, recipe=recipe), ignore_progress)
    manifest = read_manifest(args.target)
    assert (manifest.recipe, manifest.block_size, manifest.static_bodies) == ("mine", 64, ())

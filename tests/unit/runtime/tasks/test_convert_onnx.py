"""The export job: JSON in, a report and a folder out, wrong arguments named."""

from pathlib import Path
from typing import Any

import pytest

from quant.errors import InvalidRecipe
from quant.onnx.manifest import read_manifest
from quant.recipe import QuantReport
from runtime.errors import InvalidRequest
from runtime.jobs import Progress
from runtime.tasks.convert import DEFAULT_ONNX, export_onnx_job
from tests.helpers import tiny_checkpoints


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    source = tiny_checkpoints.write_checkpoint(tmp_path / "source", "qwen3")
    return {"source": str(source), "target": str(tmp_path / "target"), "threads": 1}


def test_a_checkpoint_becomes_a_folder(arguments: dict[str, Any]) -> None:
    seen: list[Progress] = []
    report = QuantReport.from_json(
        export_onnx_job({**arguments, "static_context": 256, "rope_context": 128}, seen.append)
    )
    manifest = read_manifest(Path(arguments["target"]))
    assert report.recipe == manifest.recipe == DEFAULT_ONNX
    assert sorted((body.rows, body.context) for body in manifest.static_bodies) == [
        (1, 256),
        (32, 256),
    ]
    assert manifest.rope_context == 128
    assert (seen[-1].unit, seen[-1].done) == ("tensors", seen[-1].total)


def test_no_fixed_shapes_and_another_recipe(arguments: dict[str, Any]) -> None:
    recipe = {"name": "mine", "formats": {"default": "onnx-q4-b64"}, "method": "search"}
    export_onnx_job({**arguments, "static_context": 0, "recipe": recipe}, lambda _: None)
    manifest = read_manifest(Path(arguments["target"]))
    assert (manifest.recipe, manifest.block_size, manifest.static_bodies) == ("mine", 64, ())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source": ""}, "source"),
        ({"target": None}, "target"),
        ({"threads": 0}, "threads"),
        ({"static_context": -1}, "static_context"),
        ({"rope_context": True}, "rope_context"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        export_onnx_job({**arguments, **change}, lambda _: None)
    assert caught.value.facts["field"] == field


def test_an_unknown_recipe_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecipe):
        export_onnx_job({**arguments, "recipe": "q99"}, lambda _: None)

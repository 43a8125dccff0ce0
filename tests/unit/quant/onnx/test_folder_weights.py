"""An exported folder's weights beside those of its checkpoint, whatever the order of the rows."""

from pathlib import Path

import numpy as np
import pytest

from quant.checkpoint.sources import open_source
from quant.gguf.export import quantize_gguf
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.folder_weights import folder_weight_errors
from quant.recipe import QuantReport, recipe_named
from tests.helpers import tiny_checkpoints

ROLES = {"embedding", "attention", "feed_forward"}


def ignore(_done: int, _total: int, _name: str) -> None:
    pass


def exported(source: Path, target: Path, recipe: str = "onnx-q4-b32") -> QuantReport:
    options = ExportOptions(static_shapes=(), threads=1)
    return export_onnx(open_source(source), target, recipe_named(recipe), ignore, options)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_weights_that_four_bits_hold_exactly_have_no_error(kind: str, tmp_path: Path) -> None:
    """Against the checkpoint and against a GGUF of it, whose rows Llama's are permuted in."""
    source = tiny_checkpoints.write_checkpoint(tmp_path / "m", kind)
    exported(source, tmp_path / "onnx")
    quantize_gguf(source, tmp_path / "m.gguf", recipe_named("f16"))
    wanted = ROLES | ({"lm_head"} if kind == "qwen2" else set())
    for original in (source, tmp_path / "m.gguf"):
        errors = folder_weight_errors(open_source(original), tmp_path / "onnx")
        assert errors == dict.fromkeys(wanted, 0.0)


@pytest.mark.parametrize("recipe", ["onnx-q4-b32-search", "onnx-q4-b64-asym", "onnx-q4-b128"])
def test_errors_are_those_of_the_export(recipe: str, tmp_path: Path) -> None:
    source = tiny_checkpoints.write_checkpoint(tmp_path / "m", "qwen2")
    random = np.random.default_rng(0)
    tensors = {
        name: tensor
        if tensor.ndim < 2
        else np.asarray(random.standard_normal(tensor.shape), np.float32)
        for name, tensor in tiny_checkpoints.tensors_of("qwen2").items()
    }
    tiny_checkpoints.write_safetensors(source / "model.safetensors", tensors)
    report = exported(source, tmp_path / "onnx", recipe)
    errors = folder_weight_errors(open_source(source), tmp_path / "onnx")
    # a sample of the rows
    assert errors == pytest.approx(report.error_by_role, rel=0.1)


def test_a_model_of_other_dimensions_is_not_compared(tmp_path: Path) -> None:
    exported(tiny_checkpoints.write_checkpoint(tmp_path / "m", "qwen2"), tmp_path / "onnx")
    other = tiny_checkpoints.write_checkpoint(tmp_path / "other", "qwen2")
    tensors = tiny_checkpoints.tensors_of("qwen2")
    cut = {name: tensor for name, tensor in tensors.items() if ".layers.1." not in name}
    tiny_checkpoints.write_safetensors(other / "model.safetensors", cut)
    config = (other / "config.json").read_text()
    layers = '"num_hidden_layers": 2'
    assert layers in config
    (other / "config.json").write_text(config.replace(layers, '"num_hidden_layers": 1'))
    assert folder_weight_errors(open_source(other), tmp_path / "onnx") == {}

"""YaRN: the ONNX export and llama.cpp compute the same model."""

import json
from pathlib import Path

import numpy as np
import pytest

from quant.checkpoint.sources import open_source
from quant.gguf.export import quantize_gguf
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.tasks.evaluation import open_evaluator
from tests.helpers import tiny_checkpoints
from tests.helpers.checkpoints import write_tokenizer

CONTEXT = 64


def distance(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(left - right) / np.linalg.norm(right))


@pytest.mark.parametrize("factor", [None, 0.5])
def test_yarn_gives_llama_cpp_s_logits(factor: float | None, tmp_path: Path) -> None:
    """Frequencies and attention factor, from config.json and from the GGUF's metadata."""
    source = tiny_checkpoints.write_checkpoint(tmp_path / "m", "qwen3")
    write_tokenizer("qwen3", source)  # one with merges, which llama.cpp wants
    tensors = tiny_checkpoints.tensors_of("qwen3")
    for name in tensors:
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            tensors[name] *= 3  # so that answers hang on where a token looks
    tiny_checkpoints.write_safetensors(source / "model.safetensors", tensors)
    plain = tiny_checkpoints.config_of("qwen3") | {"rope_theta": 10000.0}
    yarn = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 16}
    logits = {}
    for name, rope in (("plain", None), ("yarn", {**yarn, "attn_factor": factor})):
        (source / "config.json").write_text(json.dumps({**plain, "rope_scaling": rope}))
        quantize_gguf(source, tmp_path / f"{name}.gguf", recipe_named("f16"))
        for kind in ("gguf", "hf"):
            target = tmp_path / f"{name}-{kind}"
            origin = tmp_path / f"{name}.gguf" if kind == "gguf" else source
            options = ExportOptions(static_shapes=(), threads=1)
            recipe = recipe_named("onnx-q4-b32")
            export_onnx(open_source(origin), target, recipe, lambda *_: None, options)
            logits[f"{name}-{kind}"] = long_logits(target)
        logits[name] = long_logits(tmp_path / f"{name}.gguf")
    apart = distance(logits["plain"], logits["yarn"])
    for name in ("plain", "yarn"):
        assert distance(logits[f"{name}-hf"], logits[name]) < apart / 10
        assert distance(logits[f"{name}-gguf"], logits[name]) < apart / 10


def long_logits(model: Path) -> np.ndarray:
    """After a prompt of several turns of the fast rotary dimensions."""
    evaluator = open_evaluator(model, 1, CONTEXT)
    tokens = [*tiny_checkpoints.PROMPT] * 4
    block = list(evaluator.logits(tokens, len(tokens) - 1))[-1]
    evaluator.close()
    last: np.ndarray = block[-1]
    return last

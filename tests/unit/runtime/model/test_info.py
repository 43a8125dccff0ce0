"""What a header says of a model, and what is refused before memory is sized by it."""

import os
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import CorruptFile, ModelFileError, UnsupportedModel
from runtime.model.info import ModelInfo, inspect, inspect_gguf_bytes
from runtime.process.job_values import InspectArgs
from runtime.progress import ignore_progress
from runtime.tasks.inspect import inspect_job
from tests.helpers.gguf_files import ARRAY, F32, LLAMA, STRING, TENSORS, U32, gguf


def info(metadata: dict[str, tuple[int, Any]] = LLAMA, **more: Any) -> ModelInfo:
    data = gguf(metadata, **more)
    return inspect_gguf_bytes(data, "tiny.gguf", len(data))


def test_the_shape_and_the_bytes_by_role() -> None:
    found = info()
    assert (found.name, found.shape.architecture, found.shape.vocab_size) == ("Tiny", "llama", 4)
    assert (found.shape.key_length, found.shape.head_count_kv) == (16, 2)
    assert found.shape.tied_embeddings
    assert found.weights.embedding == 144
    assert found.weights.blocks == (2304, 2304)
    assert found.weights.lm_head == 0
    assert found.weights.other == 256
    assert found.parameters == 64 * 4 + 2 * 64 * 64 + 64
    assert found.bits_per_weight == pytest.approx(8 * (144 + 4608 + 256) / found.parameters)


def test_an_lm_head_of_its_own_is_not_tied() -> None:
    found = info(tensors=(*TENSORS, ("output.weight", (64, 4), 2)))
    assert not found.shape.tied_embeddings
    assert found.weights.lm_head == 144


def test_only_the_used_share_of_experts_is_active() -> None:
    keys = {**LLAMA, "llama.expert_count": (U32, 8), "llama.expert_used_count": (U32, 2)}
    experts = ("blk.0.ffn_up_exps.weight", (64, 32, 8), 2)
    found = info(keys, tensors=(*TENSORS, experts))
    stored = 64 * 32 * 8 // 32 * 18
    assert found.weights.blocks[0] == 2304 + stored
    assert found.weights.blocks_active[0] == 2304 + stored // 4


def test_long_lists_stay_out_of_the_metadata() -> None:
    found = info()
    assert "tokenizer.ggml.tokens" not in found.metadata
    assert found.metadata["general.name"] == "Tiny"


@pytest.mark.parametrize("key", ["llama.block_count", "llama.embedding_length",
                                 "llama.attention.head_count", "llama.context_length"])  # fmt: skip
def test_a_missing_key_is_named(key: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        info({name: value for name, value in LLAMA.items() if name != key})
    assert key in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llama.block_count", (U32, 0)),
        ("llama.block_count", (U32, 4_000_000_000)),
        ("llama.block_count", (STRING, "many")),
        ("llama.embedding_length", (U32, 0)),
        ("llama.attention.head_count", (U32, 0)),
        ("llama.attention.head_count", (ARRAY, (U32, []))),
        ("llama.attention.head_count_kv", (U32, 0)),
        ("llama.context_length", (U32, 0)),
        ("llama.context_length", (F32, float("inf"))),
        ("llama.context_length", (F32, float("nan"))),
        ("tokenizer.ggml.tokens", (ARRAY, (STRING, []))),
        ("general.architecture", (U32, 3)),
        ("general.type", (STRING, "adapter")),
    ],
)
def test_impossible_values_are_refused(key: str, value: tuple[int, Any]) -> None:
    with pytest.raises((CorruptFile, UnsupportedModel)):
        info({**LLAMA, key: value})


def test_paths_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as missing:
        inspect(tmp_path / "absent.gguf")
    assert missing.value.facts["reason"] == "missing"
    with pytest.raises(UnsupportedModel):
        inspect(tmp_path)
    (tmp_path / "empty.gguf").touch()
    with pytest.raises(CorruptFile):
        inspect(tmp_path / "empty.gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(CorruptFile):
        inspect(tmp_path / "pipe.gguf")
    (tmp_path / "stillroom.json").write_text("{}")
    with pytest.raises(CorruptFile):
        inspect(tmp_path)


def test_the_job_leaves_tensors_out_where_few_words_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf())
    found = inspect_job(InspectArgs(path), ignore_progress)
    assert found.shape.block_count == 2
    assert len(found.tensors) == len(TENSORS)
    assert inspect_job(InspectArgs(path, brief=True), ignore_progress).tensors == ()

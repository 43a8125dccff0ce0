"""Decoders opened for export: row orders, tied heads, and headers that are not to be believed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quant.checkpoint.sources import Source, SourceTensor, open_gguf, open_source
from quant.errors import CorruptCheckpoint, IncompatibleShape, QuantError
from quant.gguf.export import quantize_gguf
from quant.onnx.checkpoint import DecoderTensor, open_checkpoint
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.tokenizer_files import rebuild_from_gguf
from quant.recipe import recipe_named
from tests.helpers import tiny_checkpoints


def ignore(_done: int, _total: int, _name: str) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.write_checkpoint(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="module")
def gguf(folder: Path) -> Source:
    target = folder.parent / "llama.gguf"
    quantize_gguf(folder, target, recipe_named("bf16"))
    return open_gguf(target)


class CountedRows(SourceTensor):
    """A tensor that says which rows were decoded."""

    def rows(self, start: int = 0, stop: int | None = None) -> Any:
        READ.append((start, self.row_count if stop is None else stop))
        return super().rows(start, stop)


READ: list[tuple[int, int]] = []


def counted(tensor: DecoderTensor) -> DecoderTensor:
    found = tensor.source
    return replace(
        tensor, source=CountedRows(found.name, found.shape, found.format, found.raw, found.scales)
    )


@pytest.mark.parametrize("part", ["q", "k"])
def test_rows_of_a_llama_gguf_come_in_the_checkpoint_s_order(
    part: str, folder: Path, gguf: Source
) -> None:
    theirs = open_checkpoint(open_source(folder)).block(1, part)
    ours = open_checkpoint(gguf).block(1, part)
    count = theirs.source.row_count
    whole = theirs.rows(0, count)
    np.testing.assert_array_equal(ours.rows(0, count), whole)
    for start, stop in ((0, 1), (3, 9), (30, 35), (count - 5, count)):
        np.testing.assert_array_equal(ours.rows(start, stop), whole[start:stop])


def test_a_permuted_bias_comes_in_the_checkpoint_s_order() -> None:
    stored = np.array([0, 4, 1, 5, 2, 6, 3, 7, 10, 14, 11, 15, 12, 16, 13, 17], np.float32)
    bias = SourceTensor("blk.0.attn_q.bias", (16,), "F32", stored.view(np.uint8))
    wanted = [[*range(8), *range(10, 18)]]
    assert DecoderTensor(bias, bias.name, 2).rows(0, 1).tolist() == wanted


def test_a_chunk_of_rows_decodes_no_more_than_its_heads(gguf: Source) -> None:
    tensor = counted(open_checkpoint(gguf).block(0, "q"))
    READ.clear()
    step, count = 8, tensor.source.row_count
    for start in range(0, count, step):
        tensor.rows(start, start + step)
    head = tiny_checkpoints.HEAD
    assert READ == [
        (start // head * head, start // head * head + head) for start in range(0, count, step)
    ]


def with_head(folder: Path, change: float) -> Path:
    """The checkpoint with its embedding stored a second time as LM head."""
    tensors = tiny_checkpoints.tensors_of("llama")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].copy()
    tensors["lm_head.weight"][-1, -1] += change
    tiny_checkpoints.write_checkpoint(folder, "llama")
    tiny_checkpoints.write_safetensors(folder / "model.safetensors", tensors)
    return folder


def test_an_embedding_stored_twice_is_exported_once(folder: Path, tmp_path: Path) -> None:
    sizes = {}
    sources = {
        "tied": folder,
        "twice": with_head(tmp_path / "twice", 0.0),
        "untied": with_head(tmp_path / "untied", 0.5),
    }
    for name, source in sources.items():
        target = tmp_path / f"{name}-onnx"
        options = ExportOptions(static_shapes=(), threads=1)
        export_onnx(open_source(source), target, recipe_named("onnx-q4-b32"), ignore, options)
        sizes[name] = (target / "weights.data").stat().st_size
    assert sizes["twice"] == sizes["tied"] < sizes["untied"]


HOSTILE_METADATA: Mapping[str, tuple[dict[str, Any], str]] = {
    "heads no number": ({"llama.attention.head_count": "x"}, "llama.attention.head_count"),
    "no heads": ({"llama.attention.head_count": 0}, "llama.attention.head_count"),
    "heads by block": ({"llama.attention.head_count_kv": [2, 2]}, "head_count_kv"),
    "too many heads": ({"llama.attention.head_count_kv": 3}, "head_count_kv"),
    "no width": ({"llama.embedding_length": None}, "llama.embedding_length"),
    "long heads": ({"llama.attention.key_length": 10**10}, "llama.attention.key_length"),
    "odd heads": ({"llama.attention.key_length": 31}, "llama.attention.key_length"),
    "blocks": ({"llama.block_count": 2**31 - 1}, "blk.2."),
    "context": ({"llama.context_length": "long"}, "llama.context_length"),
    "epsilon": ({"llama.attention.layer_norm_rms_epsilon": "small"}, "rms_epsilon"),
    "no epsilon": ({"llama.attention.layer_norm_rms_epsilon": None}, "rms_epsilon"),
    "base": ({"llama.rope.freq_base": float("nan")}, "llama.rope.freq_base"),
    "linear": ({"llama.rope.scaling.type": "linear"}, "llama.rope.scaling.factor"),
    "yarn": (
        {"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0},
        "llama.rope.scaling.original_context_length",
    ),
    "scaling": ({"llama.rope.scaling.type": [1]}, "rope_scaling"),
    "architecture": ({"general.architecture": ["llama"]}, "architecture"),
}


@pytest.mark.parametrize("fault", list(HOSTILE_METADATA))
def test_hostile_metadata_are_refused_with_file_and_field(fault: str, gguf: Source) -> None:
    changes, field = HOSTILE_METADATA[fault]
    changed = replace(gguf, metadata={**gguf.metadata, **changes})
    with pytest.raises(QuantError) as caught:
        open_checkpoint(changed)
    facts = caught.value.facts
    assert field in f"{facts.get('reason')} {facts.get('tensor')} {facts.get('key')}"
    assert facts["path"] == str(gguf.path)


HOSTILE_TOKENS: Mapping[str, tuple[dict[str, Any], str]] = {
    "end no number": ({"eos_token_id": "x"}, "eos_token_id"),
    "ends no numbers": ({"eos_token_id": [1, None]}, "eos_token_id"),
    "end below zero": ({"eos_token_id": -1}, "eos_token_id"),
    "begin no number": ({"bos_token_id": {}}, "bos_token_id"),
}


@pytest.mark.parametrize("fault", list(HOSTILE_TOKENS))
def test_impossible_token_ids_are_refused_with_file_and_field(fault: str, tmp_path: Path) -> None:
    source = tiny_checkpoints.write_checkpoint(tmp_path / "m", "llama")
    changes, field = HOSTILE_TOKENS[fault]
    config = {**tiny_checkpoints.config_of("llama"), **changes}
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(CorruptCheckpoint) as caught:
        export_onnx(open_source(source), tmp_path / "o", recipe_named("onnx-q4-b32"), ignore)
    assert caught.value.facts["path"] == str(source / "config.json")
    assert field in str(caught.value.key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokenizer.ggml.tokens", None),
        ("tokenizer.ggml.token_type", [1]),
        ("tokenizer.ggml.eos_token_id", 10**9),
        ("tokenizer.ggml.bos_token_id", "x"),
        ("tokenizer.ggml.merges", 7),
        ("tokenizer.chat_template", [1]),
    ],
)
def test_an_impossible_vocabulary_is_the_file_s_fault(
    key: str, value: Any, gguf: Source, tmp_path: Path
) -> None:
    changed = {k: v for k, v in {**gguf.metadata, key: value}.items() if v is not None}
    with pytest.raises(CorruptCheckpoint) as caught:
        rebuild_from_gguf(changed, tmp_path, path=str(gguf.path))
    assert caught.value.facts["path"] == str(gguf.path)


@pytest.mark.parametrize("tokens", [7, [1], [{"content": "x"}], [{"content": "x", "id": "y"}]])
def test_impossible_added_tokens_are_the_tokenizer_s_fault(tokens: Any, tmp_path: Path) -> None:
    source = tiny_checkpoints.write_checkpoint(tmp_path / "m", "llama")
    document = json.loads((source / "tokenizer.json").read_text())
    (source / "tokenizer.json").write_text(json.dumps({**document, "added_tokens": tokens}))
    with pytest.raises(CorruptCheckpoint) as caught:
        export_onnx(open_source(source), tmp_path / "o", recipe_named("onnx-q4-b32"), ignore)
    assert caught.value.facts["path"] == str(source / "tokenizer.json")


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (np.ones(15, np.float32), IncompatibleShape),
        (np.zeros(16, np.float32), CorruptCheckpoint),
        (np.full(16, np.nan, np.float32), CorruptCheckpoint),
    ],
    ids=["too few", "zero", "not a number"],
)
def test_impossible_rope_factors_are_refused(
    values: np.ndarray, error: type[QuantError], gguf: Source
) -> None:
    name = "rope_freqs.weight"
    factors = SourceTensor(name, values.shape, "F32", values.view(np.uint8))
    with pytest.raises(error) as caught:
        open_checkpoint(replace(gguf, tensors={**gguf.tensors, name: factors}))
    assert caught.value.facts["tensor"] == name

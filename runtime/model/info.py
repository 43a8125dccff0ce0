"""Header facts of a model on disk, without loading its weights.

Knows GGUF metadata keys and what an ONNX folder's manifest says; knows no engine. Untrusted files
are inspected in a child process (`runtime.tasks.inspect`).
"""

import mmap
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from quant.checkpoint.gguf_header import (
    GgufData,
    GgufHeader,
    HeaderError,
    HeaderTruncated,
    read_header,
)
from quant.json_types import Json
from quant.onnx.tokenizer_files import read_chat_template
from runtime.errors import CorruptFile, UnsupportedModel, UnusableFile, corrupt_file
from runtime.model.genai_folder import CONFIG as GENAI_CONFIG
from runtime.model.genai_folder import read_genai_folder
from runtime.shape import ModelShape, WeightBytes

ModelFormat = Literal["gguf", "onnx", "genai", "safetensors"]
_BLOCK = re.compile(r"^blk\.(\d+)\.")


@dataclass(frozen=True)
class TensorInfo:
    """One stored tensor; `dims` with the contiguous dimension first, `nbytes` as stored."""

    name: str
    dims: tuple[int, ...]
    format: str
    nbytes: int


@dataclass(frozen=True)
class ModelInfo:
    """What a model's header says. `weights` counts stored bytes by role.

    `context_limit` is the longest context the file can run where that is less than what the model
    was trained for, else 0. `compiled_contexts` are those of its fixed-shape bodies for NPUs.
    """

    path: str
    format: ModelFormat
    name: str
    shape: ModelShape
    weights: WeightBytes
    file_size: int
    parameters: int
    chat_template: str | None
    tokenizer: str
    licence: str
    tensors: tuple[TensorInfo, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    context_limit: int = 0
    compiled_contexts: tuple[int, ...] = ()

    @property
    def bits_per_weight(self) -> float:
        return self.weights.total * 8 / self.parameters


def inspect(path: Path) -> ModelInfo:
    """Read a model's header. Raises CorruptFile, UnsupportedModel or ModelFileError."""
    if not path.exists():
        raise UnusableFile(path=str(path), reason="missing")
    if path.is_dir():
        return _inspect_folder(path)
    size = path.stat().st_size
    if size == 0:  # and devices and pipes, which opening would wait for
        raise CorruptFile(path=str(path), reason="empty")
    try:
        with path.open("rb") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                header = read_header(data, size)
    except HeaderError as error:
        raise corrupt_file(error, str(path)) from error
    except OSError as error:
        raise UnusableFile(path=str(path), reason="unreadable", detail=str(error)) from error
    return gguf_info(header, str(path), size)


def inspect_gguf_bytes(data: bytes, path: str, file_size: int) -> ModelInfo:
    """ModelInfo from the first bytes of a GGUF whose whole size is `file_size`.

    Raises quant.checkpoint.gguf_header.HeaderTruncated (with `needed`) when `data` is too short.
    """
    try:
        header = read_header(data, file_size)
    except HeaderTruncated:
        raise
    except HeaderError as error:
        raise corrupt_file(error, path) from error
    return gguf_info(header, path, file_size)


def gguf_info(header: GgufHeader, path: str, file_size: int) -> ModelInfo:
    """ModelInfo from a parsed header. Raises UnsupportedModel when a needed key is missing."""
    keys = header.metadata
    if keys.get("general.type", "model") != "model":
        raise UnsupportedModel(
            path=path, reason="not_a_model", found=str(keys["general.type"])[:40]
        )
    architecture = keys.get("general.architecture")
    if not isinstance(architecture, str):
        raise UnsupportedModel(path=path, reason="no_architecture")
    tensors = tuple(
        TensorInfo(tensor.name, tensor.dims, tensor.format, tensor.nbytes)
        for tensor in header.tensors
    )
    try:
        shape = _shape(keys, architecture, tensors)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnsupportedModel(path=path, reason="header_key", detail=str(error)) from error
    _check_shape(shape, len(tensors), path)
    return ModelInfo(
        path=path,
        format="gguf",
        name=str(keys.get("general.name", Path(path).stem)),
        shape=shape,
        weights=weight_bytes(tensors, shape),
        file_size=file_size,
        parameters=sum(_elements(tensor.dims) for tensor in tensors),
        chat_template=_text_or_none(keys.get("tokenizer.chat_template")),
        tokenizer=str(keys.get("tokenizer.ggml.model", "")),
        licence=str(keys.get("general.license", "")),
        tensors=tensors,
        metadata={key: value for key, value in keys.items() if not isinstance(value, list)},
    )


def _shape(keys: Mapping[str, GgufData], arch: str, tensors: tuple[TensorInfo, ...]) -> ModelShape:
    names = {tensor.name: tensor for tensor in tensors}

    def number(key: str, default: int | None = None) -> int:
        value = keys.get(f"{arch}.{key}", default)
        if isinstance(value, list):
            value = max(value, default=0)
        if value is None:
            raise KeyError(f"{arch}.{key}")
        return int(value)

    heads = number("attention.head_count")
    if heads < 1:
        raise ValueError(f"attention.head_count ({heads})")
    width = number("embedding_length")
    vocab = keys.get("tokenizer.ggml.tokens")
    return ModelShape(
        architecture=arch,
        block_count=number("block_count"),
        embedding_length=width,
        feed_forward_length=number("feed_forward_length", 0),
        head_count=heads,
        head_count_kv=number("attention.head_count_kv", heads),
        key_length=_head_length(number, "key", width // heads),
        value_length=_head_length(number, "value", width // heads),
        vocab_size=len(vocab) if isinstance(vocab, list) else number("vocab_size"),
        context_length=number("context_length"),
        tied_embeddings="output.weight" not in names,
        attention_bias="blk.0.attn_q.bias" in names,
        qk_norm="blk.0.attn_q_norm.weight" in names,
        q_lora_rank=number("attention.q_lora_rank", 0),
        kv_lora_rank=number("attention.kv_lora_rank", 0),
        rope_dimension_count=number("rope.dimension_count", 0),
        expert_count=number("expert_count", 0),
        expert_used_count=number("expert_used_count", 0),
        expert_shared_count=number("expert_shared_count", 0),
        expert_feed_forward_length=number("expert_feed_forward_length", 0),
        leading_dense_block_count=number("leading_dense_block_count", 0),
        sliding_window=number("attention.sliding_window", 0),
    )


def _check_shape(shape: ModelShape, n_tensors: int, path: str) -> None:
    """Refuse numbers no model has, before memory is sized by them."""
    counts = {
        "block_count": shape.block_count,
        "embedding_length": shape.embedding_length,
        "attention.head_count": shape.head_count,
        "attention.head_count_kv": shape.head_count_kv,
        "context_length": shape.context_length,
        "vocab_size": shape.vocab_size,
    }
    for key, value in counts.items():
        if value < 1:
            raise CorruptFile(path=path, reason="field_impossible", key=key, found=value)
    if shape.block_count > n_tensors:
        raise CorruptFile(
            path=path, reason="too_many_blocks", found=shape.block_count, wanted=n_tensors
        )


def _head_length(number: Callable[[str, int], int], which: str, default: int) -> int:
    """Width of one head. MLA files give the compressed width under the plain key, the real one
    under the `_mla` key (llama.cpp, gguf-py constants)."""
    return number(f"attention.{which}_length_mla", 0) or number(
        f"attention.{which}_length", default
    )


def weight_bytes(tensors: tuple[TensorInfo, ...], shape: ModelShape) -> WeightBytes:
    """Stored bytes by role; active bytes count the used share of stacked expert tensors."""
    blocks = [0] * shape.block_count
    active = [0.0] * shape.block_count
    embedding = lm_head = other = 0
    share = shape.expert_used_count / shape.expert_count if shape.expert_count else 1.0
    for tensor in tensors:
        match = _BLOCK.match(tensor.name)
        if match and int(match[1]) < shape.block_count:
            blocks[int(match[1])] += tensor.nbytes
            active[int(match[1])] += tensor.nbytes * (share if "_exps." in tensor.name else 1.0)
        elif tensor.name == "token_embd.weight":
            embedding += tensor.nbytes
        elif tensor.name == "output.weight":
            lm_head += tensor.nbytes
        else:
            other += tensor.nbytes
    return WeightBytes(embedding, tuple(blocks), tuple(int(n) for n in active), lm_head, other)


def _inspect_folder(path: Path) -> ModelInfo:
    """An ONNX folder written by quant.onnx carries its ModelInfo in `stillroom.json`; one of
    onnxruntime-genai's is read itself."""
    manifest = path / "stillroom.json"
    if not manifest.is_file() and (path / GENAI_CONFIG).is_file():
        return _genai_info(path)
    if not manifest.is_file():
        raise UnsupportedModel(
            path=str(path), reason="no_model", found=manifest.name, wanted=GENAI_CONFIG
        )
    try:
        data = msgspec.json.decode(manifest.read_bytes())
        contexts = sorted({body["context"] for body in data["static_bodies"]})
        found = {"path": str(path), "context_limit": data["rope_context"]}
        return msgspec.convert(
            {**data["model"], **found, "compiled_contexts": contexts}, type=ModelInfo
        )
    except (msgspec.MsgspecError, KeyError, TypeError, OSError) as error:
        raise CorruptFile(
            path=str(manifest), reason="impossible_value", detail=str(error)
        ) from error


def _genai_info(path: Path) -> ModelInfo:
    model = read_genai_folder(path)
    return ModelInfo(
        path=str(path),
        format="genai",
        name=path.name,
        shape=model.shape,
        weights=model.weights,
        file_size=model.file_size,
        parameters=model.parameters,
        chat_template=read_chat_template(path),
        tokenizer="",
        licence="",
    )


def _elements(dims: tuple[int, ...]) -> int:
    count = 1
    for dim in dims:
        count *= dim
    return count


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None

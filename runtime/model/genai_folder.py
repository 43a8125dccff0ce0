"""A monolithic onnxruntime-genai folder as people have them: checked and described.

Knows `genai_config.json` and the names that exporters give to weights; reads the graph without its
weights. Stock genai itself accepts a wrong layer count silently. Imports no engine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quant.errors import DamageCode
from quant.json_types import Json
from runtime.errors import CorruptFile, UnsupportedModel
from runtime.shape import ModelShape, WeightBytes

if TYPE_CHECKING:
    import onnx

CONFIG = "genai_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_SECTIONS = frozenset({"model", "search", "engine"})
_NO_MATRIX = re.compile(r"embed|table|scale|cos|sin")  # counted apart, or no weights at all
_BLOCK = re.compile(r"\b(?:layers|block|blk)\.(\d+)\.")


@dataclass(frozen=True)
class GenaiModel:
    """What a folder holds. `parameters` counts matrices and the embedding table; `files` names all
    that decide what it computes: configuration, tokenizer, graph, weights."""

    shape: ModelShape
    weights: WeightBytes
    file_size: int
    parameters: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Decoder:
    """The "decoder" of a configuration. A pipeline of graphs has no `filename` of its own."""

    head_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    filename: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    pipeline: tuple[Mapping[str, Json], ...] = ()


@dataclass(frozen=True)
class Config:
    """The "model" section of genai_config.json, as far as it is used here."""

    type: str
    vocab_size: int
    context_length: int
    eos_token_id: int | tuple[int, ...]
    decoder: Decoder
    bos_token_id: int | None = None

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Token ids that end a turn."""
        ends = self.eos_token_id
        return (ends,) if isinstance(ends, int) else ends


@dataclass(frozen=True)
class _Document:
    model: Config


def read_config(folder: Path) -> Config:
    """The "model" section of genai_config.json. Raises CorruptFile, for an unknown section too:
    genai itself ignores one silently."""
    path = folder / CONFIG
    try:
        data = path.read_bytes()
        config = msgspec.json.decode(data, type=_Document).model
        unknown = sorted(set(msgspec.json.decode(data, type=dict[str, object])) - _SECTIONS)
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise CorruptFile(
            path=str(path), reason="impossible_value", detail=f"{type(error).__name__}: {error}"
        ) from error
    if unknown:
        raise CorruptFile(path=str(path), reason="unknown_section", key=unknown[0][:80])
    for end in config.end_tokens:
        if not 0 <= end < config.vocab_size:
            raise CorruptFile(
                path=str(path), reason="end_token", found=end, wanted=config.vocab_size
            )
    return config


def read_genai_folder(folder: Path) -> GenaiModel:
    """Read and check a folder. Raises CorruptFile with the name of the file that is wrong, or
    UnsupportedModel for a pipeline of several graphs."""
    config, path = read_config(folder), folder / CONFIG
    filename = config.decoder.filename
    if not filename and config.decoder.pipeline:
        raise UnsupportedModel(path=str(path), reason="pipeline")
    if not filename:
        raise CorruptFile(path=str(path), reason="field_missing", key="decoder.filename")
    graph, shape = folder / filename, _shape(config)
    model = _load(graph)
    _check(model, shape, config.decoder, path)
    weights = _weight_files(folder, model)
    size = graph.stat().st_size + sum(weights.values())
    files = (CONFIG, *TOKENIZER_FILES, filename, *weights)
    return GenaiModel(shape, _weights(model, shape), size, _parameters(model, shape), files)


def _shape(config: Config) -> ModelShape:
    decoder = config.decoder
    return ModelShape(
        architecture=config.type,
        block_count=decoder.num_hidden_layers,
        embedding_length=decoder.hidden_size,
        feed_forward_length=0,  # not stated, and the weights' bytes are known without it
        head_count=decoder.num_attention_heads,
        head_count_kv=decoder.num_key_value_heads,
        key_length=decoder.head_size,
        value_length=decoder.head_size,
        vocab_size=config.vocab_size,
        context_length=config.context_length,
    )


def _load(graph: Path) -> "onnx.ModelProto":
    import onnx  # heavy, and this runs in children only

    try:
        model = onnx.load(graph, load_external_data=False)
    except Exception as error:  # protobuf and onnx raise classes of their own
        raise CorruptFile(
            path=str(graph), reason="refused", detail=f"{type(error).__name__}: {error}"
        ) from error
    if not model.graph.node:  # what an empty file reads as
        raise CorruptFile(path=str(graph), reason="no_graph")
    return model


def _check(model: "onnx.ModelProto", shape: ModelShape, decoder: Decoder, path: Path) -> None:
    """The configuration against the graph: blocks, heads and their size, vocabulary."""
    names = decoder.inputs.get("past_key_names", "past_key_values.%d.key")
    dims = {value.name: _dims(value) for value in (*model.graph.input, *model.graph.output)}
    blocks = 0
    while names % blocks in dims:
        blocks += 1
    if blocks != shape.block_count:
        raise CorruptFile(
            path=str(path), reason="graph_blocks", found=blocks, wanted=shape.block_count
        )
    said: dict[DamageCode, int] = {
        "graph_heads": shape.head_count_kv,
        "graph_head_size": shape.key_length,
    }
    has = dict(zip(said, dims[names % 0][1::2], strict=False))
    said["graph_vocabulary"] = shape.vocab_size
    has["graph_vocabulary"] = dims.get("logits", [0])[-1]
    for code, value in said.items():
        if has.get(code) not in (0, None, value):  # 0: the graph leaves it open
            raise CorruptFile(path=str(path), reason=code, found=has[code], wanted=value)


def _dims(value: "onnx.ValueInfoProto") -> list[int]:
    """The dimensions of a graph's input or output, 0 where they are free."""
    return [int(dim.dim_value) for dim in value.type.tensor_type.shape.dim]


def _stored(tensor: "onnx.TensorProto") -> int:
    """Bytes of one initializer, in the graph or beside it."""
    external = {entry.key: entry.value for entry in tensor.external_data}
    return int(external["length"]) if "length" in external else len(tensor.raw_data)


def _weights(model: "onnx.ModelProto", shape: ModelShape) -> WeightBytes:
    blocks = [0] * shape.block_count
    embedding = head = other = 0
    for tensor in model.graph.initializer:
        found = _BLOCK.search(tensor.name)
        if found and int(found[1]) < shape.block_count:
            blocks[int(found[1])] += _stored(tensor)
        elif "embed" in tensor.name:
            embedding += _stored(tensor)
        elif "lm_head" in tensor.name:
            head += _stored(tensor)
        else:
            other += _stored(tensor)
    return WeightBytes(embedding, tuple(blocks), tuple(blocks), head, other)


def _weight_files(folder: Path, model: "onnx.ModelProto") -> dict[str, int]:
    """The files that a graph's weights are in, with their bytes. Raises CorruptFile for a missing
    or short one."""
    ends: dict[str, int] = {}
    for tensor in model.graph.initializer:
        external = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in external:
            end = int(external.get("offset", 0)) + int(external.get("length", 0))
            ends[external["location"]] = max(end, ends.get(external["location"], 0))
    sizes = {}
    for name, end in ends.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else -1
        if size < end:
            if size < 0:
                raise CorruptFile(path=str(path), reason="missing")
            raise CorruptFile(path=str(path), reason="wrong_size", found=size, wanted=end)
        sizes[name] = size
    return sizes


def _parameters(model: "onnx.ModelProto", shape: ModelShape) -> int:
    total = shape.vocab_size * shape.embedding_length
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            sizes = {item.name: item.i for item in node.attribute}
            total += sizes["K"] * sizes["N"]
    floats = (1, 10, 16)  # FLOAT, FLOAT16, BFLOAT16 of TensorProto
    for tensor in model.graph.initializer:
        matrix = len(tensor.dims) == 2 and tensor.data_type in floats
        if matrix and not _NO_MATRIX.search(tensor.name):
            total += tensor.dims[0] * tensor.dims[1]
    return int(total)

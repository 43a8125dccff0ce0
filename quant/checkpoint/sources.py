"""Checkpoints as named tensors: memory-mapped, read a few rows at a time, decoded to float32.

One shape for safetensors (f64, f32, f16, bf16, fp8 e4m3 with 128x128 block scales) and GGUF (every
format the gguf library decodes). Peak memory is what the caller asks rows for. Knows no
architecture: names and shapes are the file's own.
"""

import math
import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import ml_dtypes
import numpy as np
import numpy.typing as npt
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize

from quant.checkpoint.gguf_header import GgufHeader, HeaderError, read_header
from quant.checkpoint.safetensors import Entry, read_checkpoint, read_json
from quant.errors import CorruptCheckpoint, IncompatibleShape, MissingTensor, UnsupportedFormat
from quant.formats import ggml_type
from quant.json_types import Json

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

SCALE_SUFFIX = "_scale_inv"
SCALE_BLOCK = 128
_PART_NAME = re.compile(r"^(.+)-(\d{5})-of-(\d{5})\.gguf$")
_MAX_PARTS = 1000

_PLAIN: Mapping[str, np.dtype[np.generic]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("u1"),
}


@dataclass(frozen=True)
class SourceTensor:
    """One tensor of a checkpoint. `shape` is in numpy order (the row length last), `raw` a view of
    its stored bytes. Row `i` counts through all leading dimensions.

    `scales` multiplies fp8 weights: float32, one per 128x128 block of the matrix.
    """

    name: str
    shape: tuple[int, ...]
    format: str
    raw: U8
    scales: F32 | None = None

    @property
    def row_length(self) -> int:
        return self.shape[-1] if self.shape else 1

    @property
    def row_count(self) -> int:
        return math.prod(self.shape[:-1])

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def rows(self, start: int = 0, stop: int | None = None) -> F32:
        """Rows start..stop as float32 [stop - start, row_length], newly allocated or read-only."""
        stop = self.row_count if stop is None else min(stop, self.row_count)
        per_row = self.raw.size // max(self.row_count, 1)
        piece = self.raw[start * per_row : stop * per_row].reshape(stop - start, per_row)
        plain = _PLAIN.get(self.format)
        if plain is None:
            decoded: F32 = dequantize(piece, GGMLQuantizationType(ggml_type(self.format)))
            return decoded.reshape(stop - start, self.row_length)
        values: F32 = piece.view(plain).astype(np.float32)
        return values if self.scales is None else _scaled(values, self.scales, start)

    def values(self) -> F32:
        """The whole tensor as float32 in its shape."""
        return self.rows().reshape(self.shape)


def _scaled(values: F32, scales: F32, start: int) -> F32:
    rows = (start + np.arange(len(values))) // SCALE_BLOCK
    columns = np.arange(values.shape[1]) // SCALE_BLOCK
    values *= scales[rows][:, columns]
    return values


@dataclass(frozen=True)
class Source:
    """An opened checkpoint. `metadata` is a GGUF's key -> value or a safetensors folder's
    config.json; `header` is the GGUF header, None for safetensors. Dropping it unmaps the files.
    """

    path: Path
    kind: Literal["safetensors", "gguf"]
    tensors: Mapping[str, SourceTensor]
    metadata: Mapping[str, Json]
    header: GgufHeader | None = None

    def __iter__(self) -> Iterator[SourceTensor]:
        return iter(self.tensors.values())

    def __getitem__(self, name: str) -> SourceTensor:
        """The tensor called `name`. Raises MissingTensor."""
        found = self.tensors.get(name)
        if found is None:
            raise MissingTensor(tensor=name, path=str(self.path))
        return found

    @property
    def metadata_path(self) -> Path:
        """The file `metadata` come from."""
        if self.kind == "gguf":
            return self.path
        return (self.path if self.path.is_dir() else self.path.parent) / "config.json"

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as stored."""
        return sum(tensor.raw.size for tensor in self)


def open_source(path: Path) -> Source:
    """Open a GGUF file, a safetensors file, or a folder of either.

    Raises CorruptCheckpoint, UnsupportedFormat; OSError where a file cannot be opened.
    """
    if not path.exists():
        raise CorruptCheckpoint(path=str(path), reason="missing")
    if path.is_file() and _begins_with(path, b"GGUF"):
        return open_gguf(path)
    if path.is_dir() and not any(path.glob("*.safetensors*")):
        files = sorted(path.glob("*.gguf"))
        if len(files) == 1 or (files and _PART_NAME.match(files[0].name)):
            return open_gguf(files[0])
    if path.is_file() and path.suffix != ".safetensors":
        raise UnsupportedFormat(path=str(path), reason="not_weights")
    return open_safetensors(path)


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _map(path: Path) -> U8:
    """The file's bytes, mapped read-only."""
    with path.open("rb") as file:
        try:
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file cannot be mapped
            raise CorruptCheckpoint(path=str(path), reason="empty") from error
    return np.frombuffer(mapping, dtype=np.uint8)


def open_gguf(path: Path) -> Source:
    """Open a GGUF file, with its other parts when it is one of a split model's. Raises
    CorruptCheckpoint with the file and, where one is to blame, the tensor."""
    header, tensors = _open_gguf_part(path)
    count = header.metadata.get("split.count", 0)
    if not isinstance(count, int) or count <= 1:
        return Source(path, "gguf", tensors, header.metadata, header)
    first, merged = header, {}
    for index, part in enumerate(_parts_of(path, count)):
        header, tensors = _open_gguf_part(part)
        if header.metadata.get("split.no") != index or header.metadata.get("split.count") != count:
            raise CorruptCheckpoint(
                path=str(part), reason="wrong_part", found=index + 1, wanted=count
            )
        for name, tensor in tensors.items():
            if name in merged:
                raise CorruptCheckpoint(path=str(part), reason="in_two_parts", tensor=name)
            merged[name] = tensor
        first = header if index == 0 else first
    kept = {key: v for key, v in first.metadata.items() if not key.startswith("split.")}
    types = {key: first.value_types[key] for key in kept}
    return Source(path, "gguf", merged, kept, replace(first, metadata=kept, value_types=types))


def _parts_of(path: Path, count: int) -> list[Path]:
    """The files of a split model, which are named NAME-00001-of-00003.gguf."""
    named = _PART_NAME.match(path.name)
    if named is None or count > _MAX_PARTS or int(named[3]) != count:
        raise CorruptCheckpoint(path=str(path), reason="part_name", wanted=count)
    width = len(named[3])
    parts = [
        path.with_name(f"{named[1]}-{index + 1:0{width}d}-of-{named[3]}.gguf")
        for index in range(count)
    ]
    for part in parts:
        if not part.is_file():
            raise CorruptCheckpoint(path=str(part), reason="missing")
    return parts


def _open_gguf_part(path: Path) -> tuple[GgufHeader, dict[str, SourceTensor]]:
    data = _map(path)
    try:
        header = read_header(data.data, file_size=data.size)  # type: ignore[arg-type]
    except HeaderError as error:
        raise error.in_file(str(path)) from None
    tensors = {}
    for info in header.tensors:
        start = header.data_offset + info.offset
        raw = data[start : start + info.nbytes]
        tensors[info.name] = SourceTensor(info.name, info.dims[::-1], info.format, raw)
    return header, tensors


def open_safetensors(path: Path) -> Source:
    """Open a safetensors file or folder; `metadata` is the config.json beside it ({} without)."""
    entries = read_checkpoint(path)
    config = (path if path.is_dir() else path.parent) / "config.json"
    metadata = read_json(config) if config.is_file() else {}
    if not isinstance(metadata, dict):
        raise CorruptCheckpoint(path=str(config), reason="not_object")
    maps = {file: _map(file) for file in {entry.path for entry in entries.values()}}
    tensors = {
        name: _tensor(entry, entries, maps)
        for name, entry in entries.items()
        if not (name.endswith(SCALE_SUFFIX) and name.removesuffix(SCALE_SUFFIX) in entries)
    }
    return Source(path, "safetensors", tensors, metadata)


def _raw(entry: Entry, maps: Mapping[Path, U8]) -> U8:
    return maps[entry.path][entry.offset : entry.offset + entry.nbytes]


def _tensor(entry: Entry, entries: Mapping[str, Entry], maps: Mapping[Path, U8]) -> SourceTensor:
    scales = None
    if entry.format == "F8_E4M3":
        scale = entries.get(entry.name + SCALE_SUFFIX)
        if scale is not None:
            scales = _scales(entry, scale, maps)
    return SourceTensor(entry.name, entry.shape, entry.format, _raw(entry, maps), scales)


def _scales(entry: Entry, scale: Entry, maps: Mapping[Path, U8]) -> F32:
    wanted = tuple(-(-size // SCALE_BLOCK) for size in entry.shape)
    if len(entry.shape) != 2 or scale.shape != wanted or scale.format not in ("F32", "BF16"):
        raise IncompatibleShape(
            reason="scales",
            tensor=scale.name,
            shape=list(scale.shape),
            key=entry.name,
            wanted=str(list(wanted)),
        )
    values: F32 = _raw(scale, maps).view(_PLAIN[scale.format]).astype(np.float32)
    return values.reshape(wanted)

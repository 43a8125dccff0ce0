"""Reads the header of a GGUF file: metadata and the tensor table, never the weights.

Works on any bytes-like object (a memory map, or the first megabytes of a remote file) and trusts
nothing in it: every count and length is checked against the bytes at hand before it is used, so a
hostile header costs neither memory nor a crash. Does not know what the metadata mean.

Format: the GGUF specification, version 2 and 3 (gguf.md of ggml-org/ggml).
"""

import itertools
import mmap
import struct
from dataclasses import dataclass, field

from quant.error_base import LogOnly
from quant.errors import CorruptCheckpoint, DamageCode, FileDamage, QuantError
from quant.formats import format_numbered

MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 20
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9
_MIN_KV_BYTES = 8 + 4 + 1
_MIN_TENSOR_BYTES = 8 + 4 + 4 + 8


class HeaderError(FileDamage, QuantError):
    """The bytes contradict the format; whoever knows the file says which."""

    def in_file(self, path: str) -> CorruptCheckpoint:
        """The same of the file at `path`."""
        return CorruptCheckpoint(
            path=path,
            reason=self.reason,
            tensor=self.tensor,
            key=self.key,
            found=self.found,
            wanted=self.wanted,
        )


class HeaderTruncated(HeaderError):
    """The header goes on past the bytes given: at least `needed` bytes are required."""

    reason: DamageCode = "truncated_header"
    needed: LogOnly[int]


@dataclass(frozen=True)
class GgufTensor:
    """One row of the tensor table. `dims` is in GGUF order: the contiguous dimension first."""

    name: str
    dims: tuple[int, ...]
    format: str
    offset: int  # from the start of the data section
    nbytes: int


GgufScalar = str | int | float
GgufData = GgufScalar | list[GgufScalar]


@dataclass(frozen=True)
class GgufHeader:
    """Everything before the weights. `data_offset` is where they begin in the file.

    `value_types` holds the GGUF type number of each metadata value, and of an array's elements
    (-1 for a scalar), for writers that must copy them as they are.
    """

    version: int
    metadata: dict[str, GgufData]
    tensors: tuple[GgufTensor, ...]
    data_offset: int
    value_types: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def file_size(self) -> int:
        """The smallest size a file with this header can have."""
        ends = [tensor.offset + tensor.nbytes for tensor in self.tensors]
        return self.data_offset + max(ends, default=0)


_LENGTH = struct.Struct("<Q")


class _Cursor:
    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.view = memoryview(data)
        self.at = 0

    def require(self, count: int) -> None:
        if count > len(self.view) - self.at:
            raise HeaderTruncated(needed=self.at + count)

    def integer(self, code: str) -> int:
        return int(self.scalar(code))

    def scalar(self, code: str) -> float:
        """A whole number, a truth value or a float, as `code` says."""
        size = struct.calcsize(code)
        self.require(size)
        value: float
        (value,) = struct.unpack_from(code, self.view, self.at)
        self.at += size
        return value

    def peek(self, code: str) -> int:
        value = self.integer(code)
        self.at -= struct.calcsize(code)
        return value

    def string(self) -> str:
        length = self.integer("<Q")
        self.require(length)
        raw = bytes(self.view[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8", errors="replace")

    def strings(self, count: int) -> list[GgufScalar]:
        """So many strings, in a loop of its own: a vocabulary has hundreds of thousands."""
        self.require(count * 8)
        view, at, end, length_at = self.view, self.at, len(self.view), _LENGTH.unpack_from
        found: list[GgufScalar] = []
        for _ in range(count):
            start = at + _LENGTH.size
            if start > end:
                raise HeaderTruncated(needed=start)
            at = start + length_at(view, at)[0]
            if at > end:
                raise HeaderTruncated(needed=at)
            found.append(str(view[start:at], "utf-8", "replace"))
        self.at = at
        return found

    def value(self, kind: int) -> GgufData:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise HeaderError(reason="metadata_type", found=kind)
        return self.scalar(_SCALARS[kind])

    def array(self) -> GgufData:
        kind = self.integer("<I")
        count = self.integer("<Q")
        if kind == _ARRAY:
            raise HeaderError(reason="nested_arrays")
        if kind == _STRING:
            return self.strings(count)
        if kind not in _SCALARS:
            raise HeaderError(reason="metadata_type", found=kind)
        code = _SCALARS[kind]
        size = struct.calcsize(code)
        self.require(count * size)
        values = struct.unpack_from(f"<{count}{code[1:]}", self.view, self.at)
        self.at += count * size
        return list(values)


def read_header(data: bytes | mmap.mmap, file_size: int | None = None) -> GgufHeader:
    """Parse the header at the start of `data`.

    With `file_size`, tensors that end past it are refused. Raises HeaderTruncated when `data` is
    too short for the header itself, HeaderError for everything else.
    """
    cursor = _Cursor(data)
    try:
        return _read(cursor, file_size)
    finally:
        cursor.view.release()  # a memory map with a view on it cannot be closed


def _read(cursor: _Cursor, file_size: int | None) -> GgufHeader:
    cursor.require(4)
    if bytes(cursor.view[:4]) != b"GGUF":
        raise HeaderError(reason="no_magic")
    cursor.at = 4
    version = cursor.integer("<I")
    if version not in (2, 3):
        raise HeaderError(reason="gguf_version", found=version)
    n_tensors, n_kv = cursor.integer("<Q"), cursor.integer("<Q")
    _plausible(n_tensors, _MIN_TENSOR_BYTES, "tensor_count", file_size)
    _plausible(n_kv, _MIN_KV_BYTES, "metadata_count", file_size)
    metadata: dict[str, GgufData] = {}
    value_types: dict[str, tuple[int, int]] = {}
    for _ in range(n_kv):
        key = cursor.string()
        if key in metadata:
            raise HeaderError(reason="repeated_key", key=key[:80])
        kind = cursor.integer("<I")
        value_types[key] = (kind, cursor.peek("<I") if kind == _ARRAY else -1)
        metadata[key] = cursor.value(kind)
    tensors = _tensor_table(cursor, n_tensors)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= MAX_ALIGNMENT:
        raise HeaderError(reason="alignment", found=str(alignment)[:40])
    data_offset = -(-cursor.at // alignment) * alignment
    header = GgufHeader(version, metadata, tensors, data_offset, value_types)
    _check_extents(header, file_size)
    return header


def _plausible(count: int, smallest: int, what: DamageCode, file_size: int | None) -> None:
    limit = (file_size if file_size is not None else 1 << 40) // smallest
    if count > limit:
        raise HeaderError(reason=what, found=count)


def _tensor_table(cursor: _Cursor, count: int) -> tuple[GgufTensor, ...]:
    tensors: dict[str, GgufTensor] = {}
    for _ in range(count):
        name = cursor.string()
        n_dims = cursor.integer("<I")
        if not 1 <= n_dims <= MAX_DIMS:
            raise HeaderError(reason="dimension_count", tensor=name, found=n_dims)
        dims = tuple(cursor.integer("<Q") for _ in range(n_dims))
        kind, offset = cursor.integer("<I"), cursor.integer("<Q")
        if name in tensors:
            raise HeaderError(reason="tensor_twice", tensor=name)
        format_name, nbytes = _format_of(kind, dims, name)
        tensors[name] = GgufTensor(name, dims, format_name, offset, nbytes)
    return tuple(tensors.values())


def _format_of(kind: int, dims: tuple[int, ...], name: str) -> tuple[str, int]:
    known = format_numbered(kind)
    if known is None:
        raise HeaderError(reason="tensor_type", tensor=name, found=kind)
    block, size = known.block_size, known.block_bytes
    elements = 1
    for dim in dims:
        elements *= dim
    if elements <= 0 or elements >= 1 << 62:
        raise HeaderError(reason="dimensions", tensor=name, found=str(list(dims)))
    if dims[0] % block:
        raise HeaderError(reason="row_length", tensor=name, found=dims[0], wanted=block)
    return known.name, elements // block * size


def _check_extents(header: GgufHeader, file_size: int | None) -> None:
    ordered = sorted(header.tensors, key=lambda tensor: tensor.offset)
    for before, after in itertools.pairwise(ordered):
        if before.offset + before.nbytes > after.offset:
            raise HeaderError(reason="overlap", tensor=after.name, key=before.name)
    if file_size is None:
        return
    for tensor in header.tensors:
        if header.data_offset + tensor.offset + tensor.nbytes > file_size:
            raise HeaderError(
                reason="past_end",
                tensor=tensor.name,
                found=header.data_offset + tensor.offset + tensor.nbytes,
                wanted=file_size,
            )

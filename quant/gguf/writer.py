"""Writes GGUF files in one pass: metadata and tensor table first, then each tensor as it is made.

The file appears under its name only when it is whole. Knows the container's layout; knows no
architecture and no quantization.
"""

import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from gguf.constants import GGUFValueType

from quant.checkpoint.gguf_header import GgufScalar
from quant.errors import NO_SPACE, NotEnoughDisk
from quant.formats import format_named, ggml_type, nbytes

ALIGNMENT = 32
_VERSION = 3

_SCALARS: Mapping[int, str] = {
    GGUFValueType.UINT8: "<B",
    GGUFValueType.INT8: "<b",
    GGUFValueType.UINT16: "<H",
    GGUFValueType.INT16: "<h",
    GGUFValueType.UINT32: "<I",
    GGUFValueType.INT32: "<i",
    GGUFValueType.FLOAT32: "<f",
    GGUFValueType.BOOL: "<?",
    GGUFValueType.UINT64: "<Q",
    GGUFValueType.INT64: "<q",
    GGUFValueType.FLOAT64: "<d",
}

Item = GgufScalar | bytes


@dataclass(frozen=True)
class GgufValue:
    """One metadata value with its GGUF type number; `items` is an array's element type, else -1."""

    type: int
    value: Item | Sequence[Item]
    items: int = -1


@dataclass(frozen=True)
class TensorSlot:
    """One tensor to be written: `shape` in numpy order, `format` a GGUF format name."""

    name: str
    shape: tuple[int, ...]
    format: str

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return nbytes(self.format, self.elements)


Chunks = Callable[[TensorSlot], Iterable[npt.NDArray[np.generic]]]


def encode_value(value: GgufValue) -> bytes:
    """One metadata value as GGUF stores it, its type first."""
    head = struct.pack("<I", value.type)
    if value.type != GGUFValueType.ARRAY:
        return head + _encode_item(value.type, value.value)
    if isinstance(value.value, Item):
        raise TypeError(f"{type(value.value).__name__} where an array belongs")
    items = b"".join(_encode_item(value.items, item) for item in value.value)
    return head + struct.pack("<IQ", value.items, len(value.value)) + items


def _encode_item(kind: int, item: Item | Sequence[Item]) -> bytes:
    if kind == GGUFValueType.STRING:
        if not isinstance(item, str | bytes):
            raise TypeError(f"{type(item).__name__} where a string belongs")
        text = item if isinstance(item, bytes) else item.encode("utf-8")
        return struct.pack("<Q", len(text)) + text
    return struct.pack(_SCALARS[kind], item)


def _header(metadata: Mapping[str, GgufValue], slots: Sequence[TensorSlot]) -> bytes:
    parts = [b"GGUF", struct.pack("<IQQ", _VERSION, len(slots), len(metadata))]
    for key, value in metadata.items():
        parts.append(_encode_item(GGUFValueType.STRING, key) + encode_value(value))
    offset = 0
    for slot in slots:
        dims = slot.shape[::-1]
        parts.append(_encode_item(GGUFValueType.STRING, slot.name))
        parts.append(struct.pack(f"<I{len(dims)}Q", len(dims), *dims))
        parts.append(struct.pack("<IQ", ggml_type(slot.format), offset))
        offset += padded(slot.nbytes)
    return b"".join(parts)


def padded(size: int) -> int:
    """Bytes that `size` bytes of a tensor take in a file."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def file_size(metadata: Mapping[str, GgufValue], slots: Sequence[TensorSlot]) -> int:
    """Bytes of the file that `write_gguf` makes of these."""
    return padded(len(_header(metadata, slots))) + sum(padded(slot.nbytes) for slot in slots)


def write_gguf(
    target: Path,
    metadata: Mapping[str, GgufValue],
    slots: Sequence[TensorSlot],
    chunks: Chunks,
) -> int:
    """Write `target` whole or not at all; `chunks(slot)` yields a tensor's bytes in order.

    Returns its size. Raises NotEnoughDisk before the first byte where the size is known not to
    fit; whatever `chunks` raises passes through and leaves nothing behind.
    """
    header = _header(metadata, slots)
    total = file_size(metadata, slots)
    with whole_file(target, total) as file:
        file.write(header)
        file.write(bytes(padded(len(header)) - len(header)))
        for slot in slots:
            written = 0
            for chunk in chunks(slot):
                data = np.ascontiguousarray(chunk)
                file.write(data.view(np.uint8).reshape(-1).data)
                written += data.nbytes
            if written != slot.nbytes:
                raise ValueError(f"{slot.name}: {written} bytes made, {slot.nbytes} announced")
            file.write(bytes(padded(written) - written))
    return total


def part_of(target: Path) -> Path:
    """Where `target` is while it is being written: what a killed process leaves, and the next run
    overwrites."""
    return target.with_name(target.name + ".part")


@contextmanager
def whole_file(target: Path, size: int) -> Iterator[BinaryIO]:
    """A file that takes the name `target` only once it was written and synced without an error."""
    available = shutil.disk_usage(target.parent).free
    if size > available:
        raise NotEnoughDisk(path=str(target), needed=size, available=available)
    part = part_of(target)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        if error.errno in NO_SPACE:
            left = shutil.disk_usage(target.parent).free
            raise NotEnoughDisk(path=str(target), needed=size, available=left) from error
        raise
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def row_bytes(format_name: str, length: int) -> int:
    """Bytes of one row of `length` weights, a whole number of blocks."""
    block = format_named(format_name)
    return length // block.block_size * block.block_bytes

"""Reads safetensors files and sharded folders: where each tensor lies, checked before use.

Trusts nothing in the files: lengths, offsets, names and the index are checked against what is on
disk, so that a hostile checkpoint costs neither memory nor a crash. Knows no tensor's meaning.

Format: an 8-byte little-endian header length, a JSON object (name -> dtype, shape, data_offsets),
then the data.
"""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NoReturn

from quant.errors import CorruptCheckpoint, DamageCode, UnsupportedFormat
from quant.json_types import Json

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
MAX_HEADER = 100_000_000
MAX_JSON = 100_000_000

# dtype -> (our format name, bytes per element)
DTYPES: dict[str, tuple[str, int]] = {
    "F64": ("F64", 8),
    "F32": ("F32", 4),
    "F16": ("F16", 2),
    "BF16": ("BF16", 2),
    "F8_E4M3": ("F8_E4M3", 1),
    "I64": ("I64", 8),
    "I32": ("I32", 4),
    "I16": ("I16", 2),
    "I8": ("I8", 1),
    "U8": ("U8", 1),
    "BOOL": ("BOOL", 1),
}


@dataclass(frozen=True)
class Entry:
    """One tensor: `offset` is from the start of file `path`, `shape` in numpy order."""

    name: str
    path: Path
    format: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


def read_json(path: Path) -> Json:
    """The JSON document in `path`. Raises CorruptCheckpoint, also for a repeated key."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise CorruptCheckpoint(path=str(path), reason="json_too_large")
        return _parse(path.read_bytes(), path)
    except OSError as error:
        raise CorruptCheckpoint(
            path=str(path), reason="unreadable", detail=error.strerror
        ) from error


def _parse(data: bytes, path: Path) -> Json:
    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key, value in pairs:
            if key in found:
                raise CorruptCheckpoint(path=str(path), reason="repeated_key", key=key[:80])
            found[key] = value
        return found

    def no_constant(text: str) -> NoReturn:
        raise ValueError(f"{text} is no JSON number")

    try:
        document: Json = json.loads(data, object_pairs_hook=unique, parse_constant=no_constant)
        return document
    except (ValueError, RecursionError) as error:
        raise CorruptCheckpoint(
            path=str(path), reason="bad_json", detail=str(error)[:120]
        ) from None


def read_entries(path: Path) -> dict[str, Entry]:
    """Every tensor of one safetensors file, in file order. Raises CorruptCheckpoint."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise CorruptCheckpoint(
                path=str(path), reason="header_length", found=length, wanted=size
            )
        header = _parse(file.read(length), path)
    if not isinstance(header, dict):
        raise CorruptCheckpoint(path=str(path), reason="header_not_object")
    start = 8 + length
    entries = {
        name: _entry(path, name, info, start, size)
        for name, info in header.items()
        if name != "__metadata__"
    }
    _refuse_overlap(path, entries)
    return entries


def _entry(path: Path, name: str, info: object, start: int, size: int) -> Entry:
    def corrupt(
        reason: DamageCode, found: str | int | None = None, wanted: int | None = None
    ) -> CorruptCheckpoint:
        return CorruptCheckpoint(
            path=str(path), reason=reason, tensor=name, found=found, wanted=wanted
        )

    if not isinstance(info, dict):
        raise corrupt("tensor_not_described")
    given = info.get("shape"), info.get("data_offsets")
    shape, offsets = map(_naturals, given)
    if shape is None or offsets is None or len(offsets) != 2 or len(shape) > 8:
        raise corrupt("tensor_layout", ", ".join(str(each)[:80] for each in given))
    dtype = info.get("dtype")
    known = DTYPES.get(dtype) if isinstance(dtype, str) else None
    if known is None:
        raise UnsupportedFormat(
            path=str(path), reason="tensor_type", tensor=name, found=str(dtype)[:40]
        )
    if any(value > size for value in (*shape, *offsets)):
        raise corrupt("tensor_too_large", size)
    begin, end = offsets
    wanted = math.prod(shape) * known[1]
    if end - begin != wanted:
        raise corrupt("tensor_size", end - begin, wanted)
    if start + end > size:
        raise corrupt("past_end", start + end, size)
    return Entry(name, path, known[0], tuple(shape), start + begin, wanted)


def _naturals(value: object) -> list[int] | None:
    if isinstance(value, list) and all(type(v) is int and v >= 0 for v in value):
        return value
    return None


def _refuse_overlap(path: Path, entries: dict[str, Entry]) -> None:
    ordered = sorted(entries.values(), key=lambda entry: (entry.offset, entry.nbytes))
    for before, after in itertools.pairwise(ordered):
        if before.offset + before.nbytes > after.offset:
            raise CorruptCheckpoint(
                path=str(path), reason="overlap", tensor=after.name, key=before.name
            )


def read_checkpoint(path: Path) -> dict[str, Entry]:
    """Every tensor of a safetensors file, or of a folder with one file or an index and shards.

    Raises CorruptCheckpoint, UnsupportedFormat.
    """
    if path.is_file():
        return read_entries(path)
    index = path / INDEX_NAME
    if index.is_file():
        return _read_sharded(index)
    single = path / SINGLE_NAME
    if single.is_file():
        return read_entries(single)
    raise UnsupportedFormat(
        path=str(path), reason="no_weights", found=SINGLE_NAME, wanted=INDEX_NAME
    )


def _read_sharded(index: Path) -> dict[str, Entry]:
    document = read_json(index)
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptCheckpoint(path=str(index), reason="no_weight_map")
    shards: dict[str, dict[str, Entry]] = {}
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            raise CorruptCheckpoint(
                path=str(index), reason="bad_shard_name", tensor=name, found=str(shard)[:80]
            )
        if shard not in shards:
            file = index.parent / shard
            if not file.is_file():
                raise CorruptCheckpoint(
                    path=str(index), reason="missing_shard", tensor=name, key=shard
                )
            shards[shard] = read_entries(file)
        if name not in shards[shard]:
            raise CorruptCheckpoint(
                path=str(index.parent / shard), reason="not_in_shard", tensor=name
            )
    return _merge(index, weight_map, shards)


def _merge(
    index: Path, weight_map: dict[str, str], shards: dict[str, dict[str, Entry]]
) -> dict[str, Entry]:
    """All tensors in shard order; one found in two shards, or left out of the index, is refused."""
    entries: dict[str, Entry] = {}
    for shard, found in sorted(shards.items()):
        for name, entry in found.items():
            if weight_map.get(name) != shard:
                raise CorruptCheckpoint(
                    path=str(index.parent / shard), reason="not_in_index", tensor=name
                )
            entries[name] = entry
    return entries


def _is_plain_name(name: str) -> bool:
    """Whether `name` can only mean a file in the same folder, on any system."""
    if not name or name in (".", "..") or "\0" in name or ":" in name:
        return False
    return PurePosixPath(name).name == name and PureWindowsPath(name).name == name

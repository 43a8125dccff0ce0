"""Checkpoints as tensors: what is stored is what is read, and hostile files are refused in time."""

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from quant.checkpoint.sources import open_source
from quant.errors import (
    CorruptCheckpoint,
    IncompatibleShape,
    MissingTensor,
    QuantError,
    UnsupportedFormat,
)
from quant.gguf.export import quantize_gguf
from quant.recipe import recipe_named
from tests.helpers.checkpoints import tensors_of, write_checkpoint, write_safetensors
from tests.helpers.gguf_files import split


def test_every_stored_float_is_read_as_its_value(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((6, 40)).astype(np.float32)
    stored: dict[str, np.ndarray] = {
        "f32": values,
        "f16": values.astype(np.float16),
        "bf16": values.astype(ml_dtypes.bfloat16),
        "fp8": values.astype(ml_dtypes.float8_e4m3fn),
    }
    write_safetensors(tmp_path / "model.safetensors", stored)
    source = open_source(tmp_path / "model.safetensors")
    for name, array in stored.items():
        assert np.array_equal(source[name].values(), array.astype(np.float32))
        assert np.array_equal(source[name].rows(2, 5), array[2:5].astype(np.float32))


def test_fp8_blocks_are_scaled_where_they_lie(tmp_path: Path) -> None:
    values = np.ones((300, 200), dtype=np.float32).astype(ml_dtypes.float8_e4m3fn)
    scales = np.arange(6, dtype=np.float32).reshape(3, 2) + 1
    tensors = {"w": values, "w_scale_inv": scales}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    source = open_source(tmp_path / "model.safetensors")
    assert set(source.tensors) == {"w"}
    read = source["w"].rows(120, 300)
    for row, column in ((120, 0), (127, 199), (128, 0), (128, 128), (299, 199)):
        assert read[row - 120, column] == scales[row // 128, column // 128]


def test_fp8_scales_of_the_wrong_shape_are_refused(tmp_path: Path) -> None:
    values = np.ones((300, 200), dtype=np.float32).astype(ml_dtypes.float8_e4m3fn)
    tensors = {"w": values, "w_scale_inv": np.ones((2, 2), np.float32)}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(IncompatibleShape, match="w_scale_inv"):
        open_source(tmp_path / "model.safetensors")


def test_shards_hold_what_one_file_holds(tmp_path: Path) -> None:
    source = open_source(write_checkpoint("qwen3", tmp_path / "sharded", shards=4))
    expected = tensors_of("qwen3")
    assert set(source.tensors) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(source[name].values(), array.astype(np.float32))


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    source = open_source(write_checkpoint("qwen3", tmp_path / "m"))
    with pytest.raises(MissingTensor) as caught:
        source["model.nothing"]
    assert caught.value.facts["tensor"] == "model.nothing"


def rewrite_header(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


NAME = "model.norm.weight"

HOSTILE_TENSORS: dict[str, dict[str, Any]] = {
    "past the end": {"data_offsets": [10**9, 10**9 + 128]},
    "backwards": {"data_offsets": [128, 0]},
    "negative": {"data_offsets": [-128, 0]},
    "huge dimension": {"shape": [1 << 62, 1 << 62]},
    "dimensions with 4000 digits": {"shape": [10**4000, 10**4000]},
    "offsets with 4300 digits": {"data_offsets": [10**4299, 10**4300 - 1]},
    "endless empty rows": {"shape": [1 << 62, 0], "data_offsets": [0, 0]},
    "wrong size": {"shape": [63]},
    "wrong type": {"dtype": "F32"},
    "unknown type": {"dtype": "F7"},
    "type no text": {"dtype": 5},
    "float offsets": {"data_offsets": [0.0, 128.0]},
    "bool shape": {"shape": [True]},
    "no offsets": {"data_offsets": None},
}


@pytest.mark.parametrize("fault", list(HOSTILE_TENSORS))
def test_hostile_tensor_entry_is_refused_with_file_and_tensor(fault: str, tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    path = folder / "model.safetensors"
    rewrite_header(path, lambda header: header[NAME].update(HOSTILE_TENSORS[fault]))
    with pytest.raises((CorruptCheckpoint, UnsupportedFormat)) as caught:
        open_source(folder)
    assert caught.value.facts["path"] == str(path)
    assert caught.value.facts["tensor"] == NAME


def test_overlapping_tensors_are_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    overlap = {"data_offsets": [0, 128]}
    rewrite_header(folder / "model.safetensors", lambda header: header[NAME].update(overlap))
    with pytest.raises(CorruptCheckpoint, match=r"overlap.*key='model\.norm\.weight'"):
        open_source(folder)


def test_duplicate_name_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    path = folder / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = data[8 : 8 + length].replace(b'"model.norm.weight"', b'"lm_head.weight"   ')
    path.write_bytes(data[:8] + text + data[8 + length :])
    with pytest.raises(CorruptCheckpoint, match=r"lm_head\.weight"):
        open_source(folder)


@pytest.mark.parametrize("size", [0, 4, 8, 100, 5000])
def test_truncated_safetensors_is_refused(size: int, tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptCheckpoint) as caught:
        open_source(folder)
    assert caught.value.facts["path"] == str(path)


def test_header_longer_than_the_file_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    with pytest.raises(CorruptCheckpoint, match="header_length"):
        open_source(path)


def test_deeply_nested_header_is_refused(tmp_path: Path) -> None:
    text = b"[" * 100_000
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(CorruptCheckpoint):
        open_source(tmp_path)


@pytest.mark.parametrize(
    "shard", ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "C:\\x", "", 7, "no"]
)
def test_index_that_points_elsewhere_is_refused(shard: object, tmp_path: Path) -> None:
    write_safetensors(tmp_path / "secret.safetensors", {NAME: np.zeros(4, np.float32)})
    folder = write_checkpoint("qwen2", tmp_path / "m", shards=2)
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    document["weight_map"][NAME] = shard
    index.write_text(json.dumps(document))
    with pytest.raises(CorruptCheckpoint) as caught:
        open_source(folder)
    assert caught.value.facts["tensor"] == NAME


def test_tensor_in_another_shard_than_the_index_says_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m", shards=2)
    index = folder / "model.safetensors.index.json"
    document = json.loads(index.read_text())
    names = list(document["weight_map"])
    first, second = names[0], names[-1]
    swapped = document["weight_map"]
    swapped[first], swapped[second] = swapped[second], swapped[first]
    index.write_text(json.dumps(document))
    with pytest.raises(CorruptCheckpoint):
        open_source(folder)


def gguf_file(tmp_path: Path) -> Path:
    target = tmp_path / "m.gguf"
    quantize_gguf(write_checkpoint("qwen2", tmp_path / "m"), target, recipe_named("q4_0"))
    return target


def test_gguf_cut_anywhere_is_refused_or_whole(tmp_path: Path) -> None:
    data = gguf_file(tmp_path).read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in [0, 3, 4, 8, 20, 24, 30, *range(100, len(data) - 64, len(data) // 40)]:
        cut.write_bytes(data[:size])
        with pytest.raises((CorruptCheckpoint, UnsupportedFormat)):
            open_source(cut)


def test_gguf_with_flipped_bytes_never_crashes(tmp_path: Path) -> None:
    data = bytearray(gguf_file(tmp_path).read_bytes())
    random = np.random.default_rng(7)
    broken = tmp_path / "broken.gguf"
    refused = 0
    for _ in range(200):
        copy = bytearray(data)
        for position in random.integers(0, 12_000, 3):
            copy[position] = random.integers(256)
        broken.write_bytes(copy)
        try:
            source = open_source(broken)
            for tensor in source:
                tensor.rows(0, 1)
        except QuantError:
            refused += 1
    assert refused > 20


def gguf_claiming(pairs: bytes = b"", tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + pairs


KEY = struct.pack("<Q", 1) + b"k"
CLAIMS = {
    "tensors": gguf_claiming(tensors=1 << 60),
    "keys": gguf_claiming(keys=1 << 60),
    "string": gguf_claiming(KEY + struct.pack("<IQ", 8, 1 << 60), keys=1),
    "array of bytes": gguf_claiming(KEY + struct.pack("<IIQ", 9, 0, 1 << 60), keys=1),
    "array of strings": gguf_claiming(KEY + struct.pack("<IIQ", 9, 8, 1 << 60), keys=1),
    "nested array": gguf_claiming(KEY + struct.pack("<IIQ", 9, 9, 1 << 60), keys=1),
    "huge tensor": gguf_claiming(
        struct.pack("<Q", 1) + b"t" + struct.pack("<IQQIQ", 2, 1 << 40, 1 << 20, 0, 0), tensors=1
    ),
    "huge offset": gguf_claiming(
        struct.pack("<Q", 1) + b"t" + struct.pack("<IQIQ", 1, 32, 0, 1 << 62), tensors=1
    ),
}


@pytest.mark.parametrize("claim", list(CLAIMS))
def test_a_claim_larger_than_the_file_allocates_nothing(claim: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(CLAIMS[claim] + bytes(64))
    tracemalloc.start()
    try:
        with pytest.raises((CorruptCheckpoint, UnsupportedFormat)) as caught:
            open_source(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.facts["path"] == str(path)


def test_split_gguf_reads_as_the_whole_one(tmp_path: Path) -> None:
    whole = gguf_file(tmp_path)
    parts = split(whole, 3)
    expected = open_source(whole)
    for part in parts:
        source = open_source(part)
        assert {t.name: t.raw.tobytes() for t in source} == {
            t.name: t.raw.tobytes() for t in expected
        }
        assert dict(source.metadata) == dict(expected.metadata)
    quantize_gguf(parts[0], tmp_path / "merged.gguf", recipe_named("q4_0"))
    assert set(open_source(tmp_path / "merged.gguf").tensors) == set(expected.tensors)


def test_split_gguf_with_a_part_missing_or_swapped_is_refused(tmp_path: Path) -> None:
    parts = split(gguf_file(tmp_path), 3)
    saved = parts[1].read_bytes()
    parts[1].unlink()
    with pytest.raises(CorruptCheckpoint, match="missing"):
        open_source(parts[0])
    parts[1].write_bytes(parts[2].read_bytes())
    with pytest.raises(CorruptCheckpoint, match=r"wrong_part.*found=2, wanted=3"):
        open_source(parts[0])
    parts[1].write_bytes(saved)
    renamed = tmp_path / "renamed.gguf"
    parts[0].rename(renamed)
    with pytest.raises(CorruptCheckpoint, match="part_name"):
        open_source(renamed)


def test_a_text_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UnsupportedFormat):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(UnsupportedFormat):
        open_source(tmp_path)
    with pytest.raises(CorruptCheckpoint, match="missing"):
        open_source(tmp_path / "gone")

"""The GGUF header reader against true, truncated, mutated and hostile bytes."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quant.checkpoint.gguf_header import HeaderError, HeaderTruncated, read_header
from tests.helpers.gguf_files import ARRAY, BOOL, LLAMA, STRING, TENSORS, U32, gguf, text

WHOLE = gguf()
HEADER_BYTES = read_header(WHOLE).data_offset


def test_reads_metadata_and_tensors() -> None:
    header = read_header(WHOLE, len(WHOLE))
    assert header.version == 3
    assert header.metadata["llama.block_count"] == 2
    assert header.metadata["tokenizer.ggml.tokens"] == ["a", "b", "c", "d"]
    assert header.value_types["tokenizer.ggml.tokens"] == (ARRAY, STRING)
    assert header.value_types["llama.block_count"] == (U32, -1)
    first, *_, last = header.tensors
    assert (first.name, first.dims, first.format, first.nbytes) == (
        "token_embd.weight",
        (64, 4),
        "Q4_0",
        144,
    )
    assert (last.format, last.nbytes) == ("F32", 256)
    assert header.data_offset % 32 == 0
    assert header.file_size == len(WHOLE)


@given(st.integers(0, HEADER_BYTES - 40))
def test_a_cut_header_tells_how_much_more_it_needs(cut: int) -> None:
    with pytest.raises(HeaderTruncated) as caught:
        read_header(WHOLE[:cut], len(WHOLE))
    assert cut < caught.value.needed <= HEADER_BYTES


def test_strings_that_end_the_file_are_whole() -> None:
    last = {"words": (ARRAY, (STRING, ["a", "bc"]))}
    whole = gguf(last, ())
    assert read_header(whole).metadata["words"] == ["a", "bc"]
    end = whole.index(b"bc") + 2
    with pytest.raises(HeaderTruncated) as caught:
        read_header(whole[: end - 1])
    assert caught.value.needed == end


@pytest.mark.parametrize("missing", [1, 100, 2000])
def test_cut_weights_name_the_tensor(missing: int) -> None:
    with pytest.raises(HeaderError) as caught:
        read_header(WHOLE, len(WHOLE) - missing)
    assert caught.value.reason == "past_end"
    assert caught.value.tensor


def test_an_alignment_of_its_own_moves_the_weights() -> None:
    data = gguf({**LLAMA, "general.alignment": (U32, 128)})
    assert read_header(data).data_offset % 128 == 0


HOSTILE = {
    "magic": (b"GGML" + WHOLE[4:], "no_magic"),
    "version 1": (gguf(version=1), "gguf_version"),
    "version 4": (gguf(version=4), "gguf_version"),
    "big endian": (WHOLE[:4] + struct.pack(">I", 3) + WHOLE[8:], "gguf_version"),
    "tensor count": (gguf(counts=(1 << 60, 0)), "tensor_count"),
    "metadata count": (gguf(counts=(0, 1 << 60)), "metadata_count"),
    "twice": (gguf(tensors=(*TENSORS, TENSORS[0])), "tensor_twice"),
    "no dims": (gguf(tensors=(("x", (), 0),)), "dimension_count"),
    "five dims": (gguf(tensors=(("x", (1, 1, 1, 1, 1), 0),)), "dimension_count"),
    "zero dim": (gguf(tensors=(("x", (32, 0), 0),)), "dimensions"),
    "product": (gguf(tensors=(("x", (1 << 40, 1 << 40), 0),), weights=False), "dimensions"),
    "row": (gguf(tensors=(("x", (33, 32), 2),)), "row_length"),
    "type": (gguf(tensors=(("x", (32,), 999),), weights=False), "tensor_type"),
    "overlap": (gguf(offsets={"blk.1.attn_q.weight": 0}), "overlap"),
    "beyond": (gguf(offsets={"output_norm.weight": 1 << 50}), "past_end"),
    "alignment 0": (gguf({"general.alignment": (U32, 0)}), "alignment"),
    "alignment text": (gguf({"general.alignment": (STRING, "x")}), "alignment"),
    "alignment vast": (gguf({"general.alignment": (U32, 1 << 31)}), "alignment"),
    "kind": (WHOLE[:24] + text("k") + struct.pack("<I", 77) + bytes(4000), "metadata_type"),
    "nested": (
        WHOLE[:24] + text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(4000),
        "nested_arrays",
    ),
    "key twice": (
        WHOLE[:16] + struct.pack("<Q", 2) + 2 * (text("k") + struct.pack("<I?", BOOL, True))
        + bytes(4000),
        "repeated_key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_headers_are_refused_by_name(what: str) -> None:
    data, code = HOSTILE[what]
    with pytest.raises(HeaderError) as caught:
        read_header(data, len(data))
    assert caught.value.reason == code


@pytest.mark.parametrize("length", [1 << 20, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("kind", [STRING, U32])
def test_a_vast_length_costs_no_memory(kind: int, length: int) -> None:
    data = WHOLE[:24] + text("k") + struct.pack("<IIQ", ARRAY, kind, length) + bytes(2000)
    tracemalloc.start()
    with pytest.raises(HeaderError):
        read_header(data, 1 << 40)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(HeaderError):
        read_header(b"GGUF" + data, 10_000)


@given(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255))
def test_one_wrong_byte_is_read_or_refused(at: int, byte: int) -> None:
    data = bytearray(WHOLE)
    data[at] = byte
    try:
        header = read_header(bytes(data), len(data))
    except HeaderError:
        return
    assert header.file_size <= len(data)

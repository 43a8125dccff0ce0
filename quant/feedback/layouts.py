"""Where a GGUF block keeps its scales and its codes: read the first, write the second.

One table for all formats that can be quantized with error feedback. Layouts as in ggml's
`ggml-common.h` and `ggml-quants.c` (dequantize_row_*). Knows no weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quant.formats import format_named

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]

# kvalues_iq4nl of ggml-common.h
NON_LINEAR: F32 = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32
)


@dataclass(frozen=True)
class Levels:
    """What the codes of blocks mean: `scale` and `offset` float32 [n, sub-blocks] such that a
    weight is scale * level + offset, its level being the code, or `codebook[code]`."""

    scale: F32
    offset: F32


@dataclass(frozen=True)
class _Bits:
    """For each weight of a block: the byte and the shift of so many bits of its code."""

    byte: Index
    shift: Index
    width: int


@dataclass(frozen=True)
class BlockLayout:
    """`levels(blocks [n, bytes])` reads scales; `sub` weights share one. Codes have `bits` bits,
    the lowest in the first of `places`."""

    format: str
    sub: int
    bits: int
    levels: Callable[[U8], Levels]
    places: tuple[_Bits, ...]
    codebook: F32 | None = None

    @property
    def span(self) -> int:
        """Weights in a block."""
        return format_named(self.format).block_size

    def with_codes(self, blocks: U8, codes: U8) -> U8:
        """Blocks [n, bytes] with other codes [n, span] under the same scales."""
        written, rest = blocks.copy(), codes
        for place in self.places:
            mask = np.uint8((1 << place.width) - 1)
            for shift in np.unique(place.shift):
                chosen = np.flatnonzero(place.shift == shift)
                bits = (rest[:, chosen] & mask) << np.uint8(shift)
                kept = np.uint8(0xFF ^ (int(mask) << int(shift)))
                columns = place.byte[chosen]
                written[:, columns] = (written[:, columns] & kept) | bits
            rest = rest >> np.uint8(place.width)
        return written


def _half(blocks: U8, at: int) -> F32:
    """The float16 at byte `at` of each block, [n, 1]."""
    values: F32 = np.ascontiguousarray(blocks[:, at : at + 2]).view("<f2").astype(np.float32)
    return values


def _symmetric(zero: int) -> Callable[[U8], Levels]:
    def levels(blocks: U8) -> Levels:
        scale = _half(blocks, 0)
        return Levels(scale, scale * np.float32(-zero))

    return levels


def _with_minimum(blocks: U8) -> Levels:
    return Levels(_half(blocks, 0), _half(blocks, 2))


def _non_linear(blocks: U8) -> Levels:
    scale = _half(blocks, 0)
    return Levels(scale, np.zeros_like(scale))


def _six_bit_scales(blocks: U8) -> Levels:
    """Of Q4_K and Q5_K: eight 6-bit scales and minima in the twelve bytes after d and dmin."""
    packed = blocks[:, 4:16]
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scales = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1)
    return Levels(_half(blocks, 0) * scales, -_half(blocks, 2) * minima)


def _signed_scales(blocks: U8) -> Levels:
    """Of Q6_K: sixteen signed bytes, then d; codes count from -32."""
    scale = _half(blocks, 208) * np.ascontiguousarray(blocks[:, 192:208]).view(np.int8)
    return Levels(scale, scale * np.float32(-32))


def _split_scales(blocks: U8) -> Levels:
    """Of IQ4_XS: eight scales, their two high bits in two bytes and their low ones in four."""
    high = np.ascontiguousarray(blocks[:, 2:4]).view("<u2")
    low = np.stack([blocks[:, 4:8] & 15, blocks[:, 4:8] >> 4], axis=2).reshape(-1, 8)
    shifts = np.arange(0, 16, 2, dtype=np.uint16)
    whole = low | (((high >> shifts) & 3) << 4).astype(np.uint8)
    scale = _half(blocks, 0) * (whole.astype(np.float32) - 32)
    return Levels(scale, np.zeros_like(scale))


def _nibbles(start: int, groups: int, half: int) -> _Bits:
    """Groups of 2 * `half` weights: the first half in the low nibbles of `half` bytes, the second
    in the high ones; groups follow each other from byte `start`."""
    weight = np.arange(groups * 2 * half)
    group, place = np.divmod(weight, 2 * half)
    return _Bits(start + group * half + place % half, 4 * (place // half), 4)


def _fifth_bits(start: int, groups: int) -> _Bits:
    """Of Q5_K: bit j of 32 bytes belongs to sub-block j."""
    sub, place = np.divmod(np.arange(groups * 32), 32)
    return _Bits(start + place, sub, 1)


def _fifth_bits_in_a_word(start: int) -> _Bits:
    """Of Q5_0 and Q5_1: bit i of a 32-bit word belongs to weight i."""
    weight = np.arange(32)
    return _Bits(start + weight // 8, weight % 8, 1)


def _q6_k_places() -> tuple[_Bits, _Bits]:
    half, place = np.divmod(np.arange(256), 128)
    quarter, column = np.divmod(place, 32)
    low = _Bits(64 * half + 32 * (quarter % 2) + column, 4 * (quarter // 2), 4)
    return low, _Bits(128 + 32 * half + column, 2 * quarter, 2)


def _table() -> Mapping[str, BlockLayout]:
    layouts = (
        BlockLayout("Q4_0", 32, 4, _symmetric(8), (_nibbles(2, 1, 16),)),
        BlockLayout("Q4_1", 32, 4, _with_minimum, (_nibbles(4, 1, 16),)),
        BlockLayout("Q5_0", 32, 5, _symmetric(16), (_nibbles(6, 1, 16), _fifth_bits_in_a_word(2))),
        BlockLayout("Q5_1", 32, 5, _with_minimum, (_nibbles(8, 1, 16), _fifth_bits_in_a_word(4))),
        BlockLayout("IQ4_NL", 32, 4, _non_linear, (_nibbles(2, 1, 16),), NON_LINEAR),
        BlockLayout("IQ4_XS", 32, 4, _split_scales, (_nibbles(8, 8, 16),), NON_LINEAR),
        BlockLayout("Q4_K", 32, 4, _six_bit_scales, (_nibbles(16, 4, 32),)),
        BlockLayout("Q5_K", 32, 5, _six_bit_scales, (_nibbles(48, 4, 32), _fifth_bits(16, 8))),
        BlockLayout("Q6_K", 16, 6, _signed_scales, _q6_k_places()),
    )
    return {layout.format: layout for layout in layouts}


LAYOUTS: Mapping[str, BlockLayout] = _table()

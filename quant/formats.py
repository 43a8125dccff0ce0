"""Block formats as data: how many weights share a block and how many bits a block takes.

Knows the GGUF formats and the ONNX 4-bit block formats we write. Knows no tensor, file or
quantization method, and imports no numpy: planning needs it at the start of every process.
"""

from dataclasses import dataclass
from typing import Literal

from quant.errors import UnsupportedFormat

Family = Literal["gguf", "onnx"]

_FLOATS = frozenset({"F32", "F16", "BF16", "F64"})
_INTEGERS = frozenset({"I8", "I16", "I32", "I64"})

# name: (type number in a GGUF file, weights per block, bytes per block), as in ggml's type table
_GGUF: dict[str, tuple[int, int, int]] = {
    "F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "F64": (28, 1, 8),
    "I8": (24, 1, 1), "I16": (25, 1, 2), "I32": (26, 1, 4), "I64": (27, 1, 8),
    "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20), "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24),
    "Q8_0": (8, 32, 34), "Q8_1": (9, 32, 40), "Q2_K": (10, 256, 84), "Q3_K": (11, 256, 110),
    "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210), "Q8_K": (15, 256, 292),
    "IQ2_XXS": (16, 256, 66), "IQ2_XS": (17, 256, 74), "IQ3_XXS": (18, 256, 98),
    "IQ1_S": (19, 256, 50), "IQ4_NL": (20, 32, 18), "IQ3_S": (21, 256, 110),
    "IQ2_S": (22, 256, 82), "IQ4_XS": (23, 256, 136), "IQ1_M": (29, 256, 56),
    "TQ1_0": (34, 256, 54), "TQ2_0": (35, 256, 66), "MXFP4": (39, 32, 17), "NVFP4": (40, 64, 36),
    "Q1_0": (41, 128, 18),
}  # fmt: skip


@dataclass(frozen=True)
class BlockFormat:
    """One way to store weights. `block_size` counts weights, `block_bits` their stored bits.

    `gguf_type` is the type number in a GGUF file, None for ONNX formats.
    """

    name: str
    family: Family
    block_size: int
    block_bits: int
    gguf_type: int | None = None

    @property
    def bits_per_weight(self) -> float:
        return self.block_bits / self.block_size

    @property
    def block_bytes(self) -> int:
        """Bytes of one block, rounded up (only asymmetric ONNX blocks end within a byte)."""
        return -(-self.block_bits // 8)

    @property
    def is_float(self) -> bool:
        return self.name in _FLOATS

    @property
    def is_quantized(self) -> bool:
        return self.name not in _FLOATS and self.name not in _INTEGERS


def _gguf_formats() -> dict[str, BlockFormat]:
    return {
        name: BlockFormat(name, "gguf", size, nbytes * 8, number)
        for name, (number, size, nbytes) in _GGUF.items()
    }


def _onnx_formats() -> dict[str, BlockFormat]:
    """4 bits per weight and a float32 scale per block; asymmetric adds a 4-bit zero point."""
    formats = {}
    for size in (32, 64, 128):
        name = f"onnx-q4-b{size}"
        formats[name] = BlockFormat(name, "onnx", size, 4 * size + 32)
        formats[f"{name}-asym"] = BlockFormat(f"{name}-asym", "onnx", size, 4 * size + 36)
    return formats


FORMATS: dict[str, BlockFormat] = {**_gguf_formats(), **_onnx_formats()}

_BY_GGUF_TYPE: dict[int, BlockFormat] = {
    f.gguf_type: f for f in FORMATS.values() if f.gguf_type is not None
}


def format_named(name: str) -> BlockFormat:
    """The format called `name`, e.g. "Q4_0" or "onnx-q4-b32". Raises UnsupportedFormat."""
    found = FORMATS.get(name)
    if found is None:
        raise UnsupportedFormat(path=None, reason="unknown_format", found=name)
    return found


def format_numbered(gguf_type: int) -> BlockFormat | None:
    """The format with a type number of a GGUF file, None for an unknown one."""
    return _BY_GGUF_TYPE.get(gguf_type)


def ggml_type(name: str) -> int:
    """The type number in a GGUF file of a format name. Raises UnsupportedFormat."""
    number = format_named(name).gguf_type
    if number is None:
        raise UnsupportedFormat(path=None, reason="not_gguf_format", found=name)
    return number


def nbytes(name: str, elements: int) -> int:
    """Bytes that `elements` weights take in format `name`; a last partial block counts whole."""
    block = format_named(name)
    blocks = -(-elements // block.block_size)
    return -(-blocks * block.block_bits // 8)

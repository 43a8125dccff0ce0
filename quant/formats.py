"""Block formats as data: how many weights share a block and how many bits a block takes.

Knows the GGUF formats (numbers from the gguf library's own table) and the ONNX 4-bit block formats
we write. Knows no tensor, file or quantization method.
"""

from dataclasses import dataclass
from typing import Literal

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from quant.errors import UnsupportedFormat

Family = Literal["gguf", "onnx"]

_FLOATS = frozenset({"F32", "F16", "BF16", "F64"})
_INTEGERS = frozenset({"I8", "I16", "I32", "I64"})


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
        kind.name: BlockFormat(kind.name, "gguf", size, nbytes * 8, int(kind))
        for kind, (size, nbytes) in GGML_QUANT_SIZES.items()
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
        raise UnsupportedFormat(path=None, format=name, detail="unknown format")
    return found


def ggml_type(name: str) -> GGMLQuantizationType:
    """The gguf library's type for a GGUF format name. Raises UnsupportedFormat."""
    number = format_named(name).gguf_type
    if number is None:
        raise UnsupportedFormat(path=None, format=name, detail="not a GGUF format")
    return GGMLQuantizationType(number)


def nbytes(name: str, elements: int) -> int:
    """Bytes that `elements` weights take in format `name`; a last partial block counts whole."""
    block = format_named(name)
    blocks = -(-elements // block.block_size)
    return -(-blocks * block.block_bits // 8)

"""Matrices already quantized, kept in a folder until the file that holds them is written.

Knows names and arrays; the folder is the caller's to remove.
"""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.onnx.blocks import PackedRows

U8 = npt.NDArray[np.uint8]


class FinishedMatrices:
    """Blocks of GGUF tensors, or packed rows for ONNX, under the tensors' GGUF names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._errors: dict[str, tuple[float, float]] = {}
        self.names: set[str] = set()

    def _file(self, name: str, part: str) -> Path:
        # Names come from files, and may hold what no file system takes.
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.{part}.npy"

    def put_blocks(self, name: str, blocks: U8) -> None:
        """Keep the stored rows [n, bytes per row] of a GGUF tensor."""
        np.save(self._file(name, "blocks"), blocks)
        self.names.add(name)

    def blocks(self, name: str) -> U8 | None:
        """The stored rows of a tensor, mapped from disk; None where it was not quantized here."""
        if name not in self.names:
            return None
        found: U8 = np.load(self._file(name, "blocks"), mmap_mode="r")
        return found

    def put_packed(self, name: str, rows: PackedRows) -> None:
        """Keep a matrix in the layout of MatMulNBits, its rows in the checkpoint's own order."""
        np.save(self._file(name, "packed"), rows.packed)
        np.save(self._file(name, "scales"), rows.scales)
        if rows.zeros is not None:
            np.save(self._file(name, "zeros"), rows.zeros)
        self._errors[name] = (rows.squared_error, rows.squared_sum)
        self.names.add(name)

    def packed(self, name: str) -> PackedRows | None:
        """The packed rows of a matrix, mapped from disk; None where it was not quantized here."""
        if name not in self._errors:
            return None
        zeros = self._file(name, "zeros")
        return PackedRows(
            np.load(self._file(name, "packed"), mmap_mode="r"),
            np.load(self._file(name, "scales"), mmap_mode="r"),
            np.load(zeros, mmap_mode="r") if zeros.exists() else None,
            *self._errors[name],
        )

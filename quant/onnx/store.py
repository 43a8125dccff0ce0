"""The one external-data file all stage graphs share: appended to, hashed and never read back.

Knows byte offsets and element types; not what a tensor means.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import onnx

_ALIGNMENT = 4096  # so that onnxruntime can map a tensor without copying it
_ELEMENT_TYPES = {
    np.dtype(np.float32): onnx.TensorProto.FLOAT,
    np.dtype(np.uint8): onnx.TensorProto.UINT8,
    np.dtype(np.int64): onnx.TensorProto.INT64,
}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies in the weight file. Rows are the first dimension, contiguous."""

    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def rows(self, first: int, count: int) -> "StoredTensor":
        """The same bytes, only `count` rows from `first`."""
        per_row = self.nbytes // self.shape[0]
        return replace(self, shape=(count, *self.shape[1:]), offset=self.offset + first * per_row)

    def reshaped(self, *shape: int) -> "StoredTensor":
        """The same bytes in another shape of as many elements."""
        return replace(self, shape=shape)

    def initializer(self, name: str, location: str) -> onnx.TensorProto:
        """A TensorProto whose data is this range of the file `location`."""
        proto = onnx.TensorProto()
        proto.name = name
        proto.data_type = _ELEMENT_TYPES[np.dtype(self.dtype)]
        proto.dims.extend(self.shape)
        proto.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (
            ("location", location),
            ("offset", str(self.offset)),
            ("length", str(self.nbytes)),
        ):
            entry = proto.external_data.add()
            entry.key, entry.value = key, value
        return proto


class WeightFile:
    """Appends tensors to a file; knows its size and SHA-256 when closed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self.name = path.name
        self.size = 0

    def __enter__(self) -> "WeightFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def align(self) -> None:
        """Pad with zeros to the next page."""
        self._write(bytes(-self.size % _ALIGNMENT))

    def append(self, *arrays: npt.NDArray[np.generic]) -> StoredTensor:
        """Write arrays of equal row shape one after another; returns them as one tensor."""
        self.align()
        offset, first = self.size, arrays[0]
        for array in arrays:
            self.write(array)
        rows = sum(len(array) for array in arrays)
        return StoredTensor(first.dtype.name, (rows, *first.shape[1:]), offset)

    def write(self, array: npt.NDArray[np.generic]) -> None:
        """Write an array's bytes where the file ends, without alignment."""
        self._write(np.ascontiguousarray(array).data.cast("B"))

    def finish(self) -> None:
        """Wait until everything written so far is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

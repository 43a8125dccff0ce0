"""The errors of the quant layer. They carry facts; the application alone words them.

QuantError
├── UnsupportedFormat      a file, format or architecture that no code here reads or writes
├── IncompatibleShape      a tensor whose shape is not what its place demands
├── CorruptCheckpoint      a file whose bytes contradict its format
├── AlreadyQuantized       requantizing was not allowed
├── NonFiniteWeights       NaN or infinite values
├── InvalidRecipe          a field of a recipe
├── MissingTensor
├── NotEnoughDisk          bytes
└── NativeQuantizerFailed
"""

import errno

from quant.error_base import StillroomError

# What the system says where NotEnoughDisk is meant: no room, a quota, a limit on a file's size.
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class QuantError(StillroomError):
    """Base of all quant errors."""


class UnsupportedFormat(QuantError):
    """`path` is None where a format was named without a file."""

    path: str | None
    format: str | None = None
    architecture: str | None = None
    tensor: str | None = None
    detail: str | None = None


class IncompatibleShape(QuantError):
    """`tensor` is None where no single one is to blame."""

    tensor: str | None
    shape: list[int]
    detail: str


class CorruptCheckpoint(QuantError):
    """The file's bytes contradict its format. `tensor` is None where the whole file is to blame."""

    path: str
    tensor: str | None
    detail: str


class AlreadyQuantized(QuantError):
    path: str
    format: str
    tensor: str


class NonFiniteWeights(QuantError):
    tensor: str
    count: int


class InvalidRecipe(QuantError):
    field: str
    reason: str


class MissingTensor(QuantError):
    tensor: str
    path: str


class NotEnoughDisk(QuantError):
    """Amounts in bytes; `reserve` is what is to stay free beside what is needed."""

    path: str
    needed: int
    available: int
    reserve: int = 0


class NativeQuantizerFailed(QuantError):
    reason: str

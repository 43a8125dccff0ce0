"""The errors of the quant layer. They carry facts; the application alone words them.

QuantError
├── UnsupportedFormat      path, format or architecture that no code here reads or writes
├── IncompatibleShape      tensor, shape, and what was expected of it
├── CorruptCheckpoint      path, tensor (None where the file as a whole is to blame), detail
├── AlreadyQuantized       path, format: requantizing was not allowed
├── NonFiniteWeights       tensor, count of NaN or infinite values
├── InvalidRecipe          field, reason
├── MissingTensor          tensor, path
├── NotEnoughDisk          path, needed, available (bytes)
└── NativeQuantizerFailed  reason
"""

import errno
from typing import Any, ClassVar

# What the system says where NotEnoughDisk is meant: no room, a quota, a limit on a file's size.
NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class QuantError(Exception):
    """Base of all quant errors; `facts` are JSON values."""

    registry: ClassVar[dict[str, type["QuantError"]]] = {}

    def __init__(self, **facts: Any) -> None:
        super().__init__(", ".join(f"{key}={value!r}" for key, value in facts.items()))
        self.facts: dict[str, Any] = facts

    def __init_subclass__(cls) -> None:
        QuantError.registry[cls.__name__] = cls

    def to_json(self) -> dict[str, Any]:
        return {"type": type(self).__name__, "facts": self.facts}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "QuantError":
        """Rebuild an error that crossed a pipe; an unknown type becomes QuantError."""
        cls = QuantError.registry.get(str(data.get("type")), QuantError)
        return cls(**data.get("facts", {}))


class UnsupportedFormat(QuantError):
    """facts: path, and format or architecture, detail."""


class IncompatibleShape(QuantError):
    """facts: tensor, shape, detail."""


class CorruptCheckpoint(QuantError):
    """facts: path, tensor (or None), detail. The file's bytes contradict its format."""


class AlreadyQuantized(QuantError):
    """facts: path, format."""


class NonFiniteWeights(QuantError):
    """facts: tensor, count."""


class InvalidRecipe(QuantError):
    """facts: field, reason."""


class MissingTensor(QuantError):
    """facts: tensor, path."""


class NotEnoughDisk(QuantError):
    """facts: path, needed, available (bytes)."""


class NativeQuantizerFailed(QuantError):
    """facts: reason."""

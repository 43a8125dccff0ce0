"""Values of a config.json or of GGUF metadata, checked before use.

Every refusal names the file and the field. Knows no field's meaning.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from quant.errors import CorruptCheckpoint, DamageCode
from quant.json_types import Json

_MOST = 2**31 - 1
_LARGEST, _SMALLEST = 3e38, 1e-30
_SHOWN = 40


@dataclass(frozen=True)
class Fields:
    """`values` as they stand in the file `path`; `prefix` is what their names begin with there.

    A field that is null counts as absent. Every method raises CorruptCheckpoint for a field that
    is absent without a default, or of another kind.
    """

    values: Mapping[str, Json]
    path: str
    prefix: str = ""

    def count(self, key: str, default: int | None = None, *, least: int = 1) -> int:
        """A whole number from `least` to 2^31 - 1."""
        value = self._given(key, default)
        if type(value) is not int or not least <= value <= _MOST:
            raise self.wrong(key, "not_whole", least)
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A number that float32 can hold."""
        value = self._given(key, default)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not abs(value) <= _LARGEST
        ):
            raise self.wrong(key, "not_number")
        return float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        """A number above zero, by enough for its reciprocal."""
        value = self.number(key, default)
        if value < _SMALLEST:
            raise self.wrong(key, "not_positive")
        return value

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(key) is not None

    def wrong(
        self, key: str, reason: DamageCode, wanted: str | int | None = None
    ) -> CorruptCheckpoint:
        """The error for a field that is of another kind than `wanted`."""
        shown = repr(self.values.get(key))[:_SHOWN]
        return CorruptCheckpoint(
            path=self.path, reason=reason, key=f"{self.prefix}{key}", found=shown, wanted=wanted
        )

    def _given(self, key: str, default: float | None) -> Json:
        value = self.values.get(key)
        if value is None:
            value = default
        if value is None:
            raise CorruptCheckpoint(
                path=self.path, reason="field_missing", key=f"{self.prefix}{key}"
            )
        return value

"""A size that a person names for a quantized model, instead of a recipe."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmg]i?)?b?", re.IGNORECASE)


@dataclass(frozen=True)
class Budget:
    """`size` bytes of the whole file, or as many as take its tensors to `bits` per weight where
    that is given. `sensitivities` is where what is measured for it is kept and found again."""

    size: int = 0
    bits: float | None = None
    sensitivities: Path | None = None

    family: ClassVar[Literal["gguf"]] = "gguf"

    @property
    def name(self) -> str:
        """What stands for a recipe's name, e.g. mixed-4.5gb or mixed-4.6bits."""
        if self.bits is not None:
            return f"mixed-{self.bits:g}bits"
        unit, suffix = (10**9, "gb") if self.size >= 10**9 else (10**6, "mb")
        return f"mixed-{self.size / unit:.4g}{suffix}"


def parse_size(text: str) -> int:
    """Bytes of a text like 4.5GB, 700 MB or 1.2GiB. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return round(float(found["number"]) * _UNITS[(found["unit"] or "").lower()])

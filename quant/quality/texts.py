"""The bundled texts that models are measured and calibrated on (licences: quant/data/LICENCE.md).

Knows names and files only.
"""

from collections.abc import Mapping
from importlib.resources import files

QUALITY_TEXTS = ("english", "chinese", "code", "mathematics")
CALIBRATION_TEXT = "calibration"


def read_text(name: str) -> str:
    """A bundled text by name: one of QUALITY_TEXTS, or CALIBRATION_TEXT."""
    if name not in (*QUALITY_TEXTS, CALIBRATION_TEXT):
        raise ValueError(f"no bundled text {name!r}")
    return (files("quant") / "data" / f"{name}.txt").read_text(encoding="utf-8")


def quality_texts() -> Mapping[str, str]:
    """Name -> text of the whole quality set."""
    return {name: read_text(name) for name in QUALITY_TEXTS}

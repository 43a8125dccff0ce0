"""The bundled texts that models are calibrated and measured on, in three sets that share nothing
(licences: quant/data/LICENCE.md).

Knows names and files only.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

# calibration: what recipes learn from. tuning: may be looked at while their constants are chosen.
# evaluation: used for neither, so that it can tell what a model lost and decide between recipes.
TextSet = Literal["calibration", "tuning", "evaluation"]

_KINDS = ("english", "chinese", "code", "mathematics")
TEXTS: Mapping[TextSet, tuple[str, ...]] = {
    "calibration": ("mixed", *_KINDS, "reasoning"),
    "tuning": _KINDS,
    "evaluation": (*_KINDS, "reasoning"),
}


def bundled_texts(which: TextSet) -> Mapping[str, str]:
    """Name -> text of a whole set."""
    folder = files("quant") / "data" / which
    return {name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in TEXTS[which]}


def calibration_text() -> str:
    """The calibration set as one text."""
    return "\n\n".join(text.strip() for text in bundled_texts("calibration").values())

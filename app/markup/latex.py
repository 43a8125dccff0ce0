"""LaTeX formulas as SVG, drawn offline by ziamath. Knows fonts and baselines; knows no Qt."""

import logging
import warnings
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

MAX_SOURCE = 4000  # characters; a longer "formula" is a runaway answer, not mathematics


@dataclass(frozen=True)
class Drawing:
    """An SVG element, and how many pixels of it lie below the baseline of the text around it."""

    svg: str
    below: float


def draw(source: str, *, inline: bool, size: float, colour: str) -> Drawing | None:
    """The drawn formula, or None when the source is not LaTeX that can be drawn."""
    if len(source) > MAX_SOURCE or not source.strip():
        return None
    library = renderer_library()
    try:
        drawn = library.Latex(source, size=size, color=colour, inline=inline, margin=1)
        return Drawing(str(drawn.svg()), -float(drawn.getyofst()))
    except Exception as error:  # the parser raises whatever it stumbles over
        log.debug("formula left as text: %s", type(error).__name__)
        return None


def renderer_library() -> Any:
    """ziamath, imported late: it takes 0.3 s, only paid by a window that shows mathematics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its fonts in an old way
        import ziamath
    ziamath.config.svg2 = False  # plain paths: Qt's renderer has no <symbol> before 6.7
    return ziamath

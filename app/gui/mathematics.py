"""LaTeX formulas as pictures, drawn offline by ziamath. Knows fonts, sizes and baselines only."""

import logging
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

log = logging.getLogger(__name__)

MAX_SOURCE = 4000  # characters; a longer "formula" is a runaway answer, not mathematics
_KEPT = 512


@dataclass(frozen=True)
class Formula:
    """A drawn formula. `width`, `ascent` and `descent` (below the baseline) are logical pixels."""

    image: QImage
    width: float
    ascent: float
    descent: float


class FormulaCache:
    """Draws each formula once per size, colour and pixel ratio; keeps the last few hundred."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bool, float, str, float], Formula | None] = OrderedDict()

    def formula(
        self, source: str, *, inline: bool, size: float, colour: str, ratio: float
    ) -> Formula | None:
        """The drawn formula, or None when the source is not LaTeX that can be drawn."""
        key = (source, inline, size, colour, ratio)
        if key not in self._kept:
            self._kept[key] = _draw(source, inline, size, colour, ratio)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _draw(source: str, inline: bool, size: float, colour: str, ratio: float) -> Formula | None:
    if len(source) > MAX_SOURCE or not source.strip():
        return None
    renderer_library = _renderer_library()
    try:
        drawn = renderer_library.Latex(source, size=size, color=colour, inline=inline, margin=1)
        svg = drawn.svg().encode()
        below = -float(drawn.getyofst())
    except Exception as error:  # the parser raises whatever it stumbles over
        log.debug("formula left as text: %s", type(error).__name__)
        return None
    renderer = QSvgRenderer(QByteArray(svg))
    box = renderer.viewBoxF()
    if not renderer.isValid() or box.isEmpty() or box.width() > 8000 or box.height() > 4000:
        return None
    image = QImage(
        QSize(max(round(box.width() * ratio), 1), max(round(box.height() * ratio), 1)),
        QImage.Format.Format_ARGB32_Premultiplied,
    )
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter, QRectF(0, 0, image.width(), image.height()))
    painter.end()
    image.setDevicePixelRatio(ratio)
    descent = max(box.bottom(), below)
    return Formula(image, box.width(), box.height() - descent, descent)


def warm_up() -> None:
    """Load the renderer, so that the first formula of an answer does not stop the window."""
    _renderer_library()


def _renderer_library() -> Any:
    """ziamath, imported late: it takes 0.3 s, only paid by a window that shows mathematics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads its fonts in an old way
        import ziamath
    ziamath.config.svg2 = False  # plain paths: Qt's renderer has no <symbol> before 6.7
    return ziamath


def on_axis(formula: Formula, x_height: float) -> Formula:
    """The formula padded so that Qt's "middle" alignment puts its baseline on the text's.

    Qt centres an inline picture half an x-height above the baseline; a formula rarely has its
    baseline there, so transparent rows are added above or below.
    """
    missing = x_height / 2 - (formula.ascent - formula.descent)
    top, bottom = max(missing, 0.0), max(-missing, 0.0)
    ratio = formula.image.devicePixelRatio()
    rows = round((formula.ascent + formula.descent + top + bottom) * ratio)
    padded = QImage(formula.image.width(), rows, formula.image.format())
    padded.fill(Qt.GlobalColor.transparent)
    padded.setDevicePixelRatio(ratio)
    painter = QPainter(padded)
    painter.drawImage(QRectF(0, top, formula.width, formula.image.height() / ratio), formula.image)
    painter.end()
    return Formula(padded, formula.width, formula.ascent + top, formula.descent + bottom)

"""LaTeX formulas as pictures. Knows sizes, pixels and baselines; `latex` draws."""

from collections import OrderedDict
from dataclasses import dataclass

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from app.markup import latex

_MAX_CACHED = 512


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
            if len(self._kept) > _MAX_CACHED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _draw(source: str, inline: bool, size: float, colour: str, ratio: float) -> Formula | None:
    drawing = latex.draw(source, inline=inline, size=size, colour=colour)
    if drawing is None:
        return None
    renderer = QSvgRenderer(QByteArray(drawing.svg.encode()))
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
    descent = max(box.bottom(), drawing.below)
    return Formula(image, box.width(), box.height() - descent, descent)


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

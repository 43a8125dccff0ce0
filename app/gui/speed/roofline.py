"""The most tokens per second that memory allows, the predicted ranges below it, what was measured.

A decode step reads every active weight once, so the roof over a model is read rate / bytes a token.
"""

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt

from app.gui.parts import words
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.gui.speed.bandwidth import size_axis
from app.gui.speed.sheet import Column, Row
from app.gui.speed.view import SpeedView
from app.session.speed_report import SpeedReport, fastest_read, marks
from app.wording.units import READING_TPS


class RooflineView(SpeedView):
    """Both axes are logarithmic."""

    name = "roofline"

    def __init__(self, theme: Theme) -> None:
        self.axes = (tr("bytes read per token"), tr("tok/s"))
        super().__init__(tr("Roofline"), theme)

    def columns(self) -> Sequence[Column]:
        return (
            Column("model", tr("Model")),
            Column("bytes_per_token", tr("Read per token"), words.size),
            Column("roof_tps", tr("Limit"), words.rate),
            Column("predicted_low_tps", tr("Predicted (low)"), words.rate),
            Column("predicted_tps", tr("Predicted"), words.rate),
            Column("predicted_high_tps", tr("Predicted (high)"), words.rate),
            Column("measured_tps", tr("Measured (median)"), words.rate),
            Column("runs", tr("Runs")),
        )

    def rows(self, report: SpeedReport) -> Sequence[Row]:
        curve = fastest_read(report.profile) if report.profile else None
        if curve is None:
            return ()
        rows = []
        for point in sorted(report.marked, key=lambda each: each.working_set):
            roof = curve.at(point.working_set) / point.working_set
            known = point.predicted
            range_ = (known.low, known.median, known.high) if known else (None, None, None)
            middle = sorted(point.measured)[len(point.measured) // 2] if point.measured else None
            rows.append((point.name, point.working_set, roof, *range_, middle, len(point.measured)))
        return rows

    def describe(self, report: SpeedReport) -> str:
        if report.profile is None:
            return tr("Shown once this machine has been measured.")
        return tr(
            "Line: limit set by memory bandwidth. Bars: predicted. Dots: measured."
            " Dotted line: reading speed."
        )

    def draw(self, report: SpeedReport) -> None:
        import pyqtgraph

        assert report.profile is not None
        curve = fastest_read(report.profile)
        assert curve is not None
        marked = report.marked
        sets = [each.working_set for each in marked]
        low, high = math.log10(min(sets) / 1.5), math.log10(max(sets) * 2)
        x = [low + (high - low) * i / 80 for i in range(81)]
        y = [math.log10(curve.at(10**each)) - each for each in x]
        self.plot.plot(x, y, pen=pyqtgraph.mkPen(self.theme.segments[1], width=2))
        reading = pyqtgraph.InfiniteLine(
            math.log10(READING_TPS), 0,
            pen=pyqtgraph.mkPen(self.theme.strong_border, style=Qt.PenStyle.DotLine),
        )  # fmt: skip
        self.plot.addItem(reading)
        for point, name in marks(marked):
            at = math.log10(point.working_set)
            if point.predicted is not None:
                self.plot.plot(
                    [at, at],
                    [math.log10(point.predicted.low), math.log10(point.predicted.high)],
                    pen=pyqtgraph.mkPen(self.theme.segments[0], width=6),
                )
                text = pyqtgraph.TextItem(name, color=self.theme.muted, angle=40, anchor=(0, 1))
                text.setPos(at, math.log10(point.predicted.high))
                self.plot.addItem(text, ignoreBounds=True)
            self.plot.plot(
                [at] * len(point.measured), [math.log10(tps) for tps in point.measured],
                pen=None, symbol="o", symbolSize=7, symbolBrush=self.theme.accent,
                symbolPen=self.theme.surface,
            )  # fmt: skip
        top = max(y)
        self.plot.setYRange(min(y[-1], math.log10(READING_TPS)) - 0.3, top + 0.4)
        ticks = [(math.log10(v), f"{v:g}") for v in (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)]
        self.plot.getAxis("left").setTicks([ticks])
        size_axis(self.plot)

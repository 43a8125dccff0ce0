"""Read rate over working set, by threads, with the models' working sets marked."""

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt

from app.gui import words
from app.gui.speed_sheet import Column
from app.gui.speed_view import SpeedView
from app.gui.theme import Theme
from app.gui.words import tr
from app.speed_report import SpeedReport, marks

PLAIN = "plain read"


class BandwidthView(SpeedView):
    """The caches are the left part of the curve, memory the right."""

    name = "bandwidth"

    def __init__(self, theme: Theme) -> None:
        self.axes = (tr("working set"), tr("GB/s"))
        super().__init__(tr("Memory bandwidth"), theme)

    def columns(self) -> Sequence[Column]:
        return (
            Column("device", tr("Device")),
            Column("kernel", tr("Kernel")),
            Column("threads", tr("Threads")),
            Column("working_set_bytes", tr("Working set"), words.size),
            Column("bytes_per_second", tr("Read rate"), lambda v: f"{v / words.GB:.1f} GB/s"),
        )

    def rows(self, report: SpeedReport) -> Sequence[Sequence[Any]]:
        return [
            (device.device, kernel, curve.threads, point.working_set, point.bytes_per_second)
            for device in (report.profile.devices if report.profile else ())
            for kernel, curves in {PLAIN: device.plain, **device.products}.items()
            for curve in curves
            for point in curve.points
        ]

    def describe(self, report: SpeedReport) -> str:
        if report.profile is None:
            return tr("Not measured yet. Predictions need one measurement of about a minute.")
        return tr("Line: what is read in a second. Dashed: what a model reads for each token.")

    def draw(self, report: SpeedReport) -> None:
        import pyqtgraph

        device = report.profile.devices[0] if report.profile else None
        curves = device.plain if device else ()
        self.plot.addLegend(offset=(-8, 4), labelTextColor=self.theme.text)
        for number, curve in enumerate(curves):
            colour = self.colour(number)
            self.plot.plot(
                [math.log10(point.working_set) for point in curve.points],
                [point.bytes_per_second / words.GB for point in curve.points],
                pen=pyqtgraph.mkPen(colour, width=2), symbol="o", symbolSize=5,
                symbolBrush=colour, symbolPen=None, name=tr("Threads: {0}", curve.threads),
            )  # fmt: skip
        for point, name in marks(report.marked):
            line = pyqtgraph.InfiniteLine(
                math.log10(point.working_set), 90,
                pen=pyqtgraph.mkPen(self.theme.strong_border, style=Qt.PenStyle.DashLine),
                label=name or None,
                labelOpts={
                    "color": self.theme.muted, "position": 0.03, "rotateAxis": (1, 0),
                    "anchors": [(0, 0), (0, 0)],
                },
            )  # fmt: skip
            self.plot.addItem(line)
        rates = [p.bytes_per_second for curve in curves for p in curve.points]
        self.plot.setYRange(0, max(rates, default=words.GB) / words.GB * 1.05)
        size_axis(self.plot)


def size_axis(plot: Any) -> None:
    """Label a logarithmic axis of bytes."""
    plot.getAxis("bottom").setTicks([[(p, words.size(10**p)) for p in range(4, 13)]])

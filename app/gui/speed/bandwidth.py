"""Read rate over working set, by threads, with the models' working sets marked."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from PySide6.QtCore import Qt

from app.gui.parts import words
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.gui.speed.sheet import Column, Row
from app.gui.speed.view import SpeedView
from app.session.speed_report import SpeedReport, marks
from runtime.planning.bandwidth import BandwidthProfile, Curve

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

    def rows(self, report: SpeedReport) -> Sequence[Row]:
        return [
            (device.device, kernel, curve.threads, point.working_set, point.bytes_per_second)
            for device in (report.profile.devices if report.profile else ())
            for kernel, curves in {PLAIN: device.plain, **device.products}.items()
            for curve in curves
            for point in curve.points
        ]

    def describe(self, report: SpeedReport) -> str:
        if report.profile is None:
            return tr(
                "Not measured yet. Predictions need a measurement, which takes a few seconds."
            )
        return tr(
            "Line: bytes read per second. Dashed: bytes a model reads per token. Dotted: CPU"
            " cache sizes."
        )

    def draw(self, report: SpeedReport) -> None:
        import pyqtgraph

        curves = list(_curves(report.profile))
        # A GPU's memory is a hundred times as fast as the host's: both are seen on powers of ten.
        scale = math.log10 if len(report.profile.devices if report.profile else ()) > 1 else float
        self.plot.addLegend(offset=(-8, 4), labelTextColor=self.theme.text)
        for number, (name, curve) in enumerate(curves):
            colour = self.colour(number)
            self.plot.plot(
                [math.log10(point.working_set) for point in curve.points],
                [scale(point.bytes_per_second / words.GB) for point in curve.points],
                pen=pyqtgraph.mkPen(colour, width=2), symbol="o", symbolSize=5,
                symbolBrush=colour, symbolPen=None, name=name,
            )  # fmt: skip
        for level, size in (report.profile.caches if report.profile else {}).items():
            self._mark(size, f"L{level}", Qt.PenStyle.DotLine, 0.9)
        for point, name in marks(report.marked):
            self._mark(point.working_set, name, Qt.PenStyle.DashLine, 0.03)
        rates = [scale(p.bytes_per_second / words.GB) for _, curve in curves for p in curve.points]
        top = max(rates, default=1.0)
        self.plot.setYRange(min(0.0, *rates) if rates else 0, top + 0.05 * abs(top))
        ticks = [(math.log10(v), f"{v:g}") for v in (0.1, 1, 10, 100, 1000, 10000)]
        self.plot.getAxis("left").setTicks([ticks] if scale is math.log10 else None)
        size_axis(self.plot)

    def _mark(self, size: int, name: str, style: Qt.PenStyle, position: float) -> None:
        """A vertical line at so many bytes."""
        import pyqtgraph

        line = pyqtgraph.InfiniteLine(
            math.log10(size), 90, pen=pyqtgraph.mkPen(self.theme.strong_border, style=style),
            label=name or None,
            labelOpts={
                "color": self.theme.muted, "position": position, "rotateAxis": (1, 0),
                "anchors": [(0, 0), (0, 0)],
            },
        )  # fmt: skip
        self.plot.addItem(line)


def _curves(profile: BandwidthProfile | None) -> Iterator[tuple[str, Curve]]:
    """The host's plain reads by threads, and each accelerator's with its fastest kernel."""
    for device in profile.devices if profile else ():
        for curve in device.plain:
            yield tr("Threads: {0}", curve.threads), curve
        if not device.plain:
            kernels = [
                (name, curve) for name, curves in device.products.items() for curve in curves
            ]
            name, best = max(kernels, key=lambda each: each[1].points[-1].bytes_per_second)
            yield f"{device.device} {name}", best


def size_axis(plot: Any) -> None:
    """Label a logarithmic axis of bytes."""
    plot.getAxis("bottom").setTicks([[(p, words.size(10**p)) for p in range(4, 13)]])

"""What was predicted beside what happened, run by run."""

import time
from collections.abc import Sequence

from app.gui.parts import words
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.gui.speed.sheet import Column, Row
from app.gui.speed.view import SpeedView
from app.session.speed_report import SpeedReport


class HistoryView(SpeedView):
    """Oldest at the left of the plot, newest at the top of the table."""

    name = "runs"

    def __init__(self, theme: Theme) -> None:
        self.axes = (tr("run"), tr("tok/s"))
        super().__init__(tr("Predicted and measured"), theme)

    def columns(self) -> Sequence[Column]:
        return (
            Column("time", tr("When"), _when),
            Column("model", tr("Model")),
            Column("devices", tr("Device")),
            Column("predicted_low_tps", tr("Predicted (low)"), words.rate),
            Column("predicted_high_tps", tr("Predicted (high)"), words.rate),
            Column("measured_tps", tr("Measured"), words.rate),
            Column("predicted_memory_bytes", tr("Memory planned"), words.size),
            Column("measured_memory_bytes", tr("Memory measured"), words.size),
        )

    def rows(self, report: SpeedReport) -> Sequence[Row]:
        rows = []
        for run in report.runs:
            known = run.predicted_decode_tps
            rows.append(
                (
                    run.time,
                    run.model,
                    " + ".join(run.devices),
                    known.low if known else None,
                    known.high if known else None,
                    run.measured_decode_tps,
                    run.predicted_memory,
                    run.measured_memory,
                )
            )
        return rows

    def describe(self, report: SpeedReport) -> str:
        if not report.runs:
            return tr("No runs yet: every answer adds one.")
        if report.record is None:
            return tr("Bars: predicted. Dots: measured.")
        return tr(
            "Bars: predicted. Dots: measured. Runs: {0}. Median error {1} %, {2} % within the"
            " predicted range.",
            report.record.runs,
            round(100 * report.record.median_error),
            round(100 * report.record.coverage),
        )

    def draw(self, report: SpeedReport) -> None:
        import pyqtgraph

        runs = [run for run in reversed(report.runs) if run.measured_decode_tps]
        numbers = list(range(1, len(runs) + 1))
        highest = [1.0]
        for number, run in zip(numbers, runs, strict=True):
            known = run.predicted_decode_tps
            if known is not None:
                self.plot.plot(
                    [number, number], [known.low, known.high],
                    pen=pyqtgraph.mkPen(self.theme.segments[1], width=6),
                )  # fmt: skip
                highest.append(known.high)
        measured = [run.measured_decode_tps or 0.0 for run in runs]
        self.plot.plot(
            numbers, measured, pen=None, symbol="o", symbolSize=7,
            symbolBrush=self.theme.accent, symbolPen=self.theme.surface,
        )  # fmt: skip
        self.plot.setYRange(0, max(highest + measured) * 1.1)
        self.plot.setXRange(0.5, max(len(runs), 8) + 0.5)
        step = max(len(runs) // 10, 1)
        self.plot.getAxis("bottom").setTicks([[(n, str(n)) for n in numbers[::step]]])


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))

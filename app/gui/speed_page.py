"""How fast this machine is: bandwidth by working set, and promises beside what happened.

Every plot has a table with the same numbers. pyqtgraph is imported when the page is first shown.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFileDialog,
    QHeaderView,
    QProgressBar,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.gui import words
from app.gui.bridge import Bridge, Job
from app.gui.controls import button, label, row
from app.gui.theme import SPACE_L, SPACE_M, SPACE_S, Theme
from app.gui.words import tr
from app.records import RunRecord
from app.session import Session
from runtime.bandwidth import BandwidthProfile
from runtime.jobs import Progress

RUNS_SHOWN = 100
PLOT_HEIGHT = 240


class SpeedPage(QScrollArea):
    """Reads the calibration and the runs when shown; measures when asked."""

    measured = Signal(object)  # BandwidthProfile

    def __init__(
        self, session: Session, bridge: Bridge, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._theme = theme
        self._job: Job | None = None
        self._profile: BandwidthProfile | None = None
        self._runs: Sequence[RunRecord] = ()
        self.setObjectName("page")
        self.setWidgetResizable(True)
        self.setAccessibleName(tr("Speed"))
        self.measure = button(tr("Measure this machine"), "primary")
        self.measure.clicked.connect(self._measure)
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(tr("Progress"))
        self._progress.hide()
        self._state = label("", "muted", wrap=True)
        self._no_runs = label(tr("No runs yet: every answer adds one."), "muted")
        self.curve_tabs = QTabWidget()
        self.run_tabs = QTabWidget()
        self.curve_table = _table((tr("Threads"), tr("Working set"), tr("Read rate")))
        self.curve_table.setAccessibleName(tr("Bandwidth by working set"))
        self.run_table = _table(
            (tr("When"), tr("Model"), tr("Device"), tr("Predicted"), tr("Measured"), tr("Memory"))
        )
        self.run_table.setAccessibleName(tr("Runs"))
        self._curve_heading = label(tr("Memory bandwidth"), "heading")
        self.setWidget(self._body())
        self._curve_plot: Any = None
        self._run_plot: Any = None

    def _body(self) -> QWidget:
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(SPACE_L + 8, SPACE_L, SPACE_L + 8, SPACE_L)
        layout.setSpacing(SPACE_M)
        layout.addLayout(row(label(tr("Speed"), "title"), 1, self.measure))
        layout.addWidget(self._progress)
        layout.addWidget(self._state)
        layout.addWidget(self._curve_heading)
        layout.addWidget(self.curve_tabs)
        layout.addSpacing(SPACE_S)
        layout.addWidget(label(tr("Promised and measured"), "heading"))
        layout.addWidget(self._no_runs)
        layout.addWidget(self.run_tabs)
        layout.addStretch(1)
        return body

    def refresh(self) -> None:
        """Read what is known again."""
        self._build_plots()
        job = self._bridge.call(
            lambda: (self._session.learning.load().profile, self._session.store.runs(RUNS_SHOWN))
        )
        job.finished.connect(lambda found: self.show_data(*found))

    def show_data(self, profile: BandwidthProfile | None, runs: Sequence[RunRecord]) -> None:
        """Fill plots and tables."""
        self._profile, self._runs = profile, runs
        self._show_curve()
        self._show_runs()

    # -- measuring -------------------------------------------------------------------------------

    def _measure(self) -> None:
        if self._job is not None:
            self._job.cancel()
            return
        job = self._bridge.run(
            lambda progress, cancel: self._session.profile(on_progress=progress, cancel=cancel)
        )
        self._job = job
        self.measure.setText(tr("Cancel"))
        self._progress.setRange(0, 0)
        self._progress.show()
        job.progressed.connect(self._progressed)
        job.finished.connect(self.measured)
        job.failed.connect(lambda error: self._state.setText(str(error)))
        job.ended.connect(self._measured)

    def _progressed(self, progress: Progress) -> None:
        if progress.total:
            self._progress.setRange(0, progress.total)
            self._progress.setValue(progress.done)

    def _measured(self) -> None:
        self._job = None
        self._progress.hide()
        self.measure.setText(tr("Measure this machine"))
        self.refresh()

    # -- showing ---------------------------------------------------------------------------------

    def _build_plots(self) -> None:
        if self._curve_plot is not None:
            return
        import pyqtgraph

        pyqtgraph.setConfigOptions(antialias=True)
        self._curve_plot = self._plot(pyqtgraph, tr("working set"), tr("GB/s"))
        self._run_plot = self._plot(pyqtgraph, tr("run"), tr("tok/s"))
        plots = (
            (self.curve_tabs, self._curve_plot, self.curve_table, "bandwidth.png"),
            (self.run_tabs, self._run_plot, self.run_table, "runs.png"),
        )
        for tabs, plot, table, name in plots:
            save = button(tr("Save picture"), "quiet")
            save.clicked.connect(lambda _c=False, plot=plot, name=name: self._save(plot, name))
            tabs.addTab(plot, tr("Plot"))
            tabs.addTab(table, tr("Table"))
            tabs.setCornerWidget(save)
            tabs.setFixedHeight(PLOT_HEIGHT + 44)

    def _plot(self, pyqtgraph: Any, x: str, y: str) -> Any:
        plot = pyqtgraph.PlotWidget(background=self._theme.surface)
        plot.setMinimumHeight(PLOT_HEIGHT)
        plot.setMouseEnabled(False, False)
        plot.hideButtons()
        plot.setMenuEnabled(False)
        for side, name in (("bottom", x), ("left", y)):
            axis = plot.getAxis(side)
            axis.setLabel(name, color=self._theme.muted)
            axis.setPen(self._theme.border)
            axis.setTextPen(self._theme.muted)
            axis.enableAutoSIPrefix(False)
        plot.showGrid(x=False, y=True, alpha=0.25)
        plot.setAccessibleName(f"{y} / {x}")
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return plot

    def _show_curve(self) -> None:
        import pyqtgraph

        profile, plot = self._profile, self._curve_plot
        device = profile.devices[0] if profile and profile.devices else None
        plot.clear()
        self.curve_tabs.setVisible(device is not None)
        self._curve_heading.setVisible(device is not None)
        rows: list[tuple[str, ...]] = []
        if device is None or profile is None:
            self._state.setText(
                tr("Not measured yet. Predictions need one measurement of about a minute.")
            )
            _fill(self.curve_table, rows)
            return
        doubts = "; ".join(profile.doubts)
        text = tr("Measured {0}", profile.measured_at[:16].replace("T", " "))
        self._state.setText(f"{text}. {tr('Not trusted')}: {doubts}" if doubts else text)
        for number, curve in enumerate(device.plain):
            colour = self._theme.segments[number % len(self._theme.segments)]
            x = [math.log10(point.working_set) for point in curve.points]
            y = [point.bytes_per_second / words.GB for point in curve.points]
            pen = pyqtgraph.mkPen(colour, width=2)
            plot.plot(x, y, pen=pen, symbol="o", symbolSize=5, symbolBrush=colour, symbolPen=None)
            rows += [
                (str(curve.threads), words.size(p.working_set),
                 f"{p.bytes_per_second / words.GB:.1f} GB/s")
                for p in curve.points
            ]  # fmt: skip
        for model in self._session.installed():
            dashed = pyqtgraph.mkPen(self._theme.muted, style=Qt.PenStyle.DashLine)
            line = pyqtgraph.InfiniteLine(
                math.log10(model.size), 90, pen=dashed,
                label=model.name, labelOpts={"color": self._theme.muted, "position": 0.12},
            )  # fmt: skip
            plot.addItem(line)
        ticks = [(p, words.size(10**p)) for p in range(4, 11)]
        plot.getAxis("bottom").setTicks([ticks])
        plot.setYRange(0, max((p.bytes_per_second for c in device.plain for p in c.points),
                              default=words.GB) / words.GB * 1.05)  # fmt: skip
        _fill(self.curve_table, rows)

    def _show_runs(self) -> None:
        import pyqtgraph

        plot = self._run_plot
        plot.clear()
        runs = [run for run in reversed(self._runs) if run.measured_decode_tps]
        self.run_tabs.setVisible(bool(runs))
        self._no_runs.setVisible(not runs)
        numbers = list(range(1, len(runs) + 1))
        predicted = [
            (n, run.predicted_decode_tps)
            for n, run in zip(numbers, runs, strict=True)
            if run.predicted_decode_tps is not None
        ]
        for number, interval in predicted:
            plot.plot(
                [number, number], [interval.low, interval.high],
                pen=pyqtgraph.mkPen(self._theme.segments[1], width=6),
            )  # fmt: skip
        plot.plot(
            numbers, [run.measured_decode_tps for run in runs], pen=None, symbol="o",
            symbolSize=7, symbolBrush=self._theme.accent, symbolPen=self._theme.surface,
        )  # fmt: skip
        highest = [run.measured_decode_tps or 0.0 for run in runs]
        highest += [interval.high for _number, interval in predicted]
        if runs:
            plot.setYRange(0, max(highest) * 1.1)
            plot.setXRange(0.5, max(len(runs), 8) + 0.5)
            step = max(len(runs) // 10, 1)
            plot.getAxis("bottom").setTicks([[(n, str(n)) for n in numbers[::step]]])
        _fill(self.run_table, [_run_row(run) for run in self._runs])

    def _save(self, plot: QWidget, name: str) -> None:
        target, _kind = QFileDialog.getSaveFileName(self, tr("Save picture"), name, "PNG (*.png)")
        if target:
            plot.grab().save(target)

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        if self._curve_plot is not None:
            self.curve_tabs.clear()
            self.run_tabs.clear()
            self._curve_plot = None
            self.refresh()


def _run_row(run: RunRecord) -> tuple[str, ...]:
    expected = run.predicted_decode_tps
    return (
        time.strftime("%Y-%m-%d %H:%M", time.localtime(run.time)),
        run.model,
        " + ".join(run.devices),
        f"{words.span(expected)} tok/s" if expected else "–",
        words.rate(run.measured_decode_tps),
        tr("{0} of {1}", words.size(run.measured_memory), words.size(run.predicted_memory)),
    )


def _table(headers: Sequence[str]) -> QTableWidget:
    table = QTableWidget(0, len(headers))
    table.setHorizontalHeaderLabels(list(headers))
    table.verticalHeader().hide()
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
    table.setShowGrid(False)
    table.setTabKeyNavigation(False)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table


def _fill(table: QTableWidget, rows: Sequence[Sequence[str]]) -> None:
    table.setRowCount(len(rows))
    for number, values in enumerate(rows):
        for column, value in enumerate(values):
            table.setItem(number, column, QTableWidgetItem(value))

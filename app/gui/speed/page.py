"""How fast this machine is: four views over one report, and the button that measures.

Each plot has a table with the same numbers, and both can be saved.
"""

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from app.gui.parts.bridge import Bridge, Job
from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M, Theme
from app.gui.parts.words import tr
from app.gui.speed.bandwidth import BandwidthView
from app.gui.speed.history import HistoryView
from app.gui.speed.memory import MemoryView
from app.gui.speed.roofline import RooflineView
from app.session.engine_timing import time_engines
from app.session.session import Session
from app.session.speed_report import SpeedReport, speed_report
from app.wording.explain import explain
from app.wording.sentences import DOUBTS
from runtime.planning.bandwidth import BandwidthProfile
from runtime.progress import CancelToken, OnProgress, Progress

TWO_COLUMNS_FROM = 940  # pixels of page width


class SpeedPage(QScrollArea):
    """Reads the calibration and the runs when shown; measures when asked."""

    measured = Signal(object)  # BandwidthProfile

    def __init__(
        self, session: Session, bridge: Bridge, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._job: Job | None = None
        self._columns = 0
        self.setObjectName("page")
        self.setWidgetResizable(True)
        self.setAccessibleName(tr("Speed"))
        self.measure = button(tr("Measure this machine"), "primary")
        self.measure.clicked.connect(lambda: self._measure(full=False))
        self.thorough = button(
            tr("Full measurement"), "quiet", tr("Under a minute, with more formats and sizes")
        )
        self.thorough.clicked.connect(lambda: self._measure(full=True))
        self._new: BandwidthProfile | None = None
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(tr("Progress"))
        self._progress.hide()
        self._state = label("", "muted", wrap=True)
        self.bandwidth = BandwidthView(theme)
        self.roofline = RooflineView(theme)
        self.history = HistoryView(theme)
        self.memory = MemoryView(theme)
        self.views = (self.bandwidth, self.roofline, self.history, self.memory)
        for view in self.views:
            view.failed.connect(self._show_error)
        self._grid = QGridLayout()
        self._grid.setSpacing(SPACE_L)
        self._arrange(1)
        self.setWidget(self._body())

    def _body(self) -> QWidget:
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(SPACE_L + 8, SPACE_L, SPACE_L + 8, SPACE_L)
        layout.setSpacing(SPACE_M)
        layout.addLayout(row(label(tr("Speed"), "title"), 1, self.thorough, self.measure))
        layout.addWidget(self._progress)
        layout.addWidget(self._state)
        layout.addLayout(self._grid)
        layout.addStretch(1)
        return body

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        columns = 2 if event.size().width() >= TWO_COLUMNS_FROM else 1
        if columns != self._columns:
            self._arrange(columns)

    def _arrange(self, columns: int) -> None:
        self._columns = columns
        for number, view in enumerate(self.views):
            self._grid.addWidget(view, number // columns, number % columns)
        for place in range(2):
            self._grid.setColumnStretch(place, 1 if place < columns else 0)

    def refresh(self) -> None:
        """Read what is known again."""
        job = self._bridge.call(lambda: speed_report(self._session))
        job.finished.connect(self.show_report)
        job.failed.connect(self._show_error)

    def show_report(self, report: SpeedReport) -> None:
        """Fill all views."""
        profile = report.profile
        self._state.setVisible(profile is not None)
        if profile is not None:
            doubts = [tr(DOUBTS.get(doubt, doubt)) for doubt in profile.doubts]
            when = tr("Measured {0}", profile.measured_at[:16].replace("T", " "))
            if self._new is not None and self._new != profile:
                doubts.append(tr("The new measurement was unreliable and was discarded"))
            if report.unmeasured:
                doubts.append(tr("Not measured: {0}", ", ".join(report.unmeasured)))
            self._state.setText("\n".join((when, *doubts)))
        for view in self.views:
            view.show_report(report)

    def _measure(self, *, full: bool) -> None:
        if self._job is not None:
            self._job.cancel()
            return

        def work(on_progress: OnProgress, cancel: CancelToken) -> BandwidthProfile:
            profile = self._session.profile(full=full, on_progress=on_progress, cancel=cancel)
            time_engines(self._session, on_progress, cancel)
            return profile

        job = self._bridge.run(work)
        self._job = job
        self.measure.setText(tr("Cancel"))
        self.thorough.setEnabled(False)
        self._progress.setRange(0, 0)
        self._progress.show()
        job.progressed.connect(self._progressed)
        job.finished.connect(self._keep_new)
        job.finished.connect(self.measured)
        job.failed.connect(self._show_error)
        job.ended.connect(self._measured)

    def _progressed(self, progress: Progress) -> None:
        if progress.total:
            self._progress.setRange(0, progress.total)
            self._progress.setValue(progress.done)

    def _keep_new(self, profile: BandwidthProfile) -> None:
        self._new = profile

    def _measured(self) -> None:
        self._job = None
        self.thorough.setEnabled(True)
        self._progress.hide()
        self.measure.setText(tr("Measure this machine"))
        self.refresh()

    def _show_error(self, error: Exception) -> None:
        wording = explain(error)
        self._state.setVisible(True)
        self._state.setText(f"{tr(wording.sentence)} {tr(wording.hint)}")

    def set_theme(self, theme: Theme) -> None:
        """Draw everything in other colours."""
        for view in self.views:
            view.set_theme(theme)

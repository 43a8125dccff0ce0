"""The numbers in sight: model, device, speed and its prediction, first token, memory."""

import time
from collections import deque

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.gui.parts import words
from app.gui.parts.controls import ElidedLabel, button, label
from app.gui.parts.speech import announce
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.history.records import AnswerFigures
from runtime.backend import LoadReport
from runtime.plan import Interval, Plan
from runtime.registry import title as engine_title

LIVE_SECONDS = 0.25  # figures that change faster cannot be read, and each costs a layout


class StatusBar(QFrame):
    """One line. Every figure has its unit; predicted ones have their range."""

    why_asked = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self._predicted: Interval | None = None
        self._planned = 0
        self._elsewhere = ""
        self._live_shown = 0.0
        self.model = ElidedLabel("", "")
        self.model.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        self.device = label()
        self.speed = label()
        self.spark = Sparkline(theme)
        self.first = label()
        self.memory = label()
        self.work = label()
        self.why = button(tr("Why?"), "status", tr("What determines this speed"))
        self.why.clicked.connect(self.why_asked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 0, 8, 0)
        layout.setSpacing(14)
        names = {
            self.model: tr("Model"),
            self.device: tr("Device and engine"),
            self.speed: tr("Speed"),
            self.first: tr("Time to first token"),
            self.memory: tr("Memory"),
            self.work: tr("Work in progress"),
        }
        for each, name in names.items():
            each.setAccessibleName(name)
            if each is self.first:
                layout.addWidget(self.spark)
                layout.addWidget(self.why)
            layout.addWidget(each)
            if each is self.memory:
                layout.addStretch(1)
        self.setFixedHeight(theme.px(28))
        self.show_model("")

    def show_model(self, name: str) -> None:
        self.model.setText(name or tr("No model"))
        for each in (self.device, self.speed, self.first, self.memory):
            self._set(each, "")
        self.why.hide()
        self.spark.clear()

    def show_plan(self, plan: Plan | None) -> None:
        """What is predicted."""
        if plan is None:
            return
        self._planned = plan.memory.host_resident
        others = [part for part in plan.memory.devices if part.device != "cpu"]
        self._elsewhere = "".join(f" · {p.device} {words.size(p.total)}" for p in others)
        self._predicted = plan.speed.decode_tps if plan.speed else None
        devices = list(dict.fromkeys(part.device for part in plan.placement.layers))
        self._set(self.device, f"{' + '.join(devices)} · {engine_title(plan.placement.engine)}")
        self._set(self.memory, tr("{0} planned", words.size(self._planned)) + self._elsewhere)
        self._show_speed(None)
        self.why.show()

    def show_loaded(self, report: LoadReport | None) -> None:
        """What was loaded, read from the engine."""
        if report is None:
            return
        host = [parts for name, parts in report.buffers.items() if name.upper().startswith("CPU")]
        total = sum(sum(parts.values()) for parts in host)
        if total:
            self._show_memory(total)

    def show_live(self, tps: float | None) -> None:
        """The speed so far."""
        now = time.monotonic()
        if tps is not None and now - self._live_shown >= LIVE_SECONDS:
            self._live_shown = now
            self.spark.add(tps)
            self._show_speed(tps)

    def show_figures(self, figures: AnswerFigures) -> None:
        """What was measured of an answer."""
        if figures.decode_tps:
            self._show_speed(figures.decode_tps)
        if figures.time_to_first_token is not None:
            first = words.seconds(figures.time_to_first_token)
            self._set(self.first, tr("first token {0}", first))
        if figures.peak_memory:
            self._show_memory(figures.peak_memory)

    def announce(self, text: str) -> None:
        """Short news, also for screen readers; polite: it waits for what is being spoken."""
        self.show_work(text)
        announce(self.work, text)

    def show_work(self, text: str) -> None:
        """Downloads, loading and the like, at the right end."""
        self._set(self.work, text)

    def set_theme(self, theme: Theme) -> None:
        self.spark.theme = theme
        self.spark.update()

    def _show_speed(self, tps: float | None) -> None:
        text = words.rate(tps) if tps is not None else ""
        if self._predicted is not None:
            expected = words.span(self._predicted)
            if text:
                text += f" ({tr('{0} predicted', expected)})"
            else:
                text = tr("{0} tok/s expected", expected)
        self._set(self.speed, text)

    def _show_memory(self, used: int) -> None:
        if self._planned:
            text = tr("memory {0} of {1} planned", words.size(used), words.size(self._planned))
        else:
            text = tr("memory {0}", words.size(used))
        self._set(self.memory, text + self._elsewhere)

    def _set(self, where: QLabel, text: str) -> None:
        where.setText(text)
        where.setVisible(bool(text))


class Sparkline(QWidget):
    """The last half minute of decode speed as a small line; its text twin is the speed beside
    it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._values: deque[float] = deque(maxlen=120)
        self.setAccessibleName(tr("Speed over time"))
        self.setFixedSize(60, 16)
        self.hide()

    def add(self, value: float) -> None:
        self._values.append(value)
        self.setVisible(len(self._values) > 2)
        self.update()

    def clear(self) -> None:
        self._values.clear()
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        if len(self._values) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(self.theme.accent), 1.5))
        top = max(self._values) * 1.1
        step = self.width() / (len(self._values) - 1)
        height = self.height() - 4
        points = [
            QPointF(step * i, 2 + height * (1 - value / top))
            for i, value in enumerate(self._values)
        ]
        painter.drawPolyline(points)

"""A plan drawn: one bar per device to the scale of its memory, its parts as labelled segments."""

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleEvent,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QLabel, QToolTip, QWidget

from app.gui.parts import words
from app.gui.parts.theme import TEXT_SMALL, Theme, ui_font
from app.gui.parts.words import tr
from runtime.plan import Plan
from runtime.planning.plan_parts import Part, PartKind, parts

COLOURS: dict[PartKind, int] = {  # an index into the theme's segment colours
    "embedding": 4, "blocks": 0, "weights": 0, "lm_head": 5, "kv_cache": 1, "compute": 2,
    "program": 3,
}  # fmt: skip


def name_of(part: Part) -> str:
    """What a part is called."""
    if part.kind == "blocks":
        return tr("{0} blocks", part.blocks)
    return {
        "embedding": tr("embeddings"),
        "weights": tr("weights"),
        "lm_head": tr("LM head"),
        "kv_cache": tr("KV cache"),
        "compute": tr("compute buffers"),
        "program": tr("program"),
    }[part.kind]


def size_of(part: Part) -> str:
    """How much of the device it takes; a tied LM head is the embedding table itself."""
    return words.size(part.nbytes) if part.nbytes else tr("shared")


class PlacementPicture(QLabel):
    """Arrow keys move over the parts; each is read out with its bytes and milliseconds.

    A label with a picture, so that it is one to assistive technology as well.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self._plan: Plan | None = None
        self._parts: list[Part] = []
        self._rects: list[QRectF] = []
        self._current = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setPixmap(QPixmap(1, 1))
        self.setAccessibleName(tr("Placement of the model"))

    def show_plan(self, plan: Plan | None, found: tuple[Part, ...] = ()) -> None:
        """Draw a plan and its parts; without them, those that follow from its sums."""
        self._plan = plan
        self._parts = list(found or parts(plan, None, {})) if plan else []
        self._current = -1
        told = [self.describe(index) for index in range(len(self._parts))]
        self.setAccessibleDescription("; ".join(told))
        self.updateGeometry()
        self.update()

    def describe(self, index: int) -> str:
        """One part in words: where, what, bytes, time of a token."""
        part = self._parts[index]
        text = f"{part.device.upper()} · {name_of(part)} · "
        text += size_of(part) if part.nbytes else tr("shared with the embeddings")
        if part.milliseconds is None:
            return text
        time = f"{part.milliseconds:.1f} ms"
        if part.kind == "kv_cache":
            return f"{text} · {tr('{0} more per token when full', time)}"
        return f"{text} · {tr('{0} per token', time)}"

    def sizeHint(self) -> QSize:
        devices = len(self._plan.memory.devices) if self._plan else 1
        lines = sum(1 for _ in self._parts)
        return QSize(240, self.theme.px(devices * 46 + lines * 20 + 4))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._plan is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = ui_font(self.theme)
        font.setPixelSize(self.theme.px(TEXT_SMALL))
        painter.setFont(font)
        self._rects = []
        y = 0.0
        largest = max(max(d.available, d.total) for d in self._plan.memory.devices)
        for device in self._plan.memory.devices:
            y = self._paint_device(
                painter, device.device, device.total, device.available, largest, y
            )
        if self.hasFocus() and self._current < 0:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(self.theme.focus), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)

    def _paint_device(
        self, painter: QPainter, device: str, total: int, available: int, largest: int, y: float
    ) -> float:
        theme, line = self.theme, float(self.theme.px(20))
        painter.setPen(QColor(theme.text))
        text = f"{device.upper()} · " + tr(
            "{0} of {1} free", words.size(total), words.size(available)
        )
        area = QRectF(0, y, self.width(), line)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, text)
        y += line + 2
        scale = (self.width() - 2) / max(largest, 1)
        bar = QRectF(1, y, max(available, total) * scale, theme.px(14))
        painter.setPen(QPen(QColor(theme.strong_border), 1))
        painter.setBrush(QColor(theme.selected))
        painter.drawRect(bar)
        x = bar.x()
        parts = [(i, p) for i, p in enumerate(self._parts) if p.device == device]
        painter.setPen(Qt.PenStyle.NoPen)
        for _index, part in parts:
            width = max(part.nbytes * scale, 2.0) if part.nbytes else 0.0
            painter.setBrush(QColor(theme.segments[COLOURS[part.kind]]))
            painter.drawRect(QRectF(x, y + 1, width, bar.height() - 1))
            x += width
        y += bar.height() + 6
        for index, part in parts:
            rect = QRectF(0, y, self.width(), line)
            self._rects.append(rect)
            self._paint_row(painter, rect, part, current=index == self._current)
            y += line
        return y + 8

    def _paint_row(self, painter: QPainter, rect: QRectF, part: Part, *, current: bool) -> None:
        theme = self.theme
        if current:
            painter.setPen(QPen(QColor(theme.focus), 1))
            painter.setBrush(QColor(theme.hover))
            painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 3, 3)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.segments[COLOURS[part.kind]]))
        painter.drawRect(QRectF(5, rect.center().y() - 4, 8, 8))
        painter.setPen(QColor(theme.muted))
        inner = rect.adjusted(20, 0, -4, 0)
        size = size_of(part)
        room = round(inner.width()) - painter.fontMetrics().horizontalAdvance(size) - 8
        name = painter.fontMetrics().elidedText(name_of(part), Qt.TextElideMode.ElideRight, room)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, name)
        painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, size)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
        if not step or not self._parts:
            super().keyPressEvent(event)
            return
        self._current = min(max(self._current + step, 0), len(self._parts) - 1)
        self.setAccessibleName(self.describe(self._current))
        QAccessible.updateAccessibility(QAccessibleEvent(self, QAccessible.Event.NameChanged))
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        for index, rect in enumerate(self._rects):
            if rect.contains(event.position()):
                QToolTip.showText(event.globalPosition().toPoint(), self.describe(index), self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self.update()

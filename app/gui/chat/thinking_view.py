"""What a model thinks: one line while collapsed, a box of plain text when expanded.

Plain text in a view of its own, because thinking runs to hundreds of thousands of characters; the
cost of a frame depends on the new text, not on the whole.
"""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QTextCursor, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from app.gui.parts import icons, words
from app.gui.parts.controls import ElidedLabel, button
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr

MAX_PARAGRAPH = 2000  # characters after which a line is broken, so that layout stays cheap
_BREAKS = " 。，；！？、"
BOX_HEIGHT = 260
COUNT_SECONDS = 0.25  # between two counts in the title: each costs a layout of the message


class ThinkingView(QFrame):
    """Collapsible. `append` while the model thinks, `finish` when it answers."""

    toggled = Signal(bool)

    def __init__(self, theme: Theme, *, expanded: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._tokens = 0
        self._seconds = 0.0
        self._running = False
        self._line_length = 0
        self._last_line = ""
        self._pending: list[str] = []
        self.setObjectName("thinking")
        self._title = button(tr("Thinking"), "fold")
        self._title.clicked.connect(lambda: self.set_expanded(not self.expanded))
        self._line = ElidedLabel("", "small", Qt.TextElideMode.ElideLeft)
        self._box = _Box()
        self._box.setVisible(False)
        self._box.setAccessibleName(tr("Thinking, full text"))
        header = QHBoxLayout()
        header.setContentsMargins(0, 0, 0, 0)
        header.setSpacing(8)
        header.addWidget(self._title)
        header.addWidget(self._line, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 6, 10, 6)
        layout.addLayout(header)
        layout.addWidget(self._box)
        self._draw_arrow()
        if expanded:
            self.set_expanded(True)

    @property
    def expanded(self) -> bool:
        return not self._box.isHidden()

    def text(self) -> str:
        """All of the thinking."""
        return self._box.toPlainText() + "".join(self._pending)

    def set_text(self, text: str, tokens: int, seconds: float) -> None:
        """Settled thinking, as it was stored; what is shown already stays where it is."""
        if "".join(text.split()) != "".join(self.text().split()):
            self._box.clear()
            self._line_length = 0
            self._pending = [_broken(text)]
            if self.expanded:
                self._flush()
                self._box.verticalScrollBar().setValue(0)
        self.finish(tokens, seconds)

    def append(self, text: str, tokens: int, seconds: float) -> None:
        """More thinking; `tokens` and `seconds` count from its start."""
        self._pending.append(self._bounded(text))
        self._last_line = (self._last_line + text)[-400:].rpartition("\n\n")[2] or self._last_line
        if not self._running or seconds - self._seconds >= COUNT_SECONDS:
            self._running = True
            self._count(tokens, seconds)
        if self.expanded:
            self._flush()
        else:
            self._line.setText(" ".join(self._last_line.split())[-200:])

    def finish(self, tokens: int, seconds: float) -> None:
        """The answer begins: only the counts stay in sight."""
        self._running = False
        self._line.setText("")
        self._count(tokens, seconds)

    def set_expanded(self, expanded: bool) -> None:
        if expanded:
            self._flush()
        self._box.setVisible(expanded)
        self._draw_arrow()
        self._describe()
        self.toggled.emit(expanded)

    def mark(self, place: int | None, length: int = 0) -> None:
        """Select a place of the text (in UTF-16 units, as cursors count), expanded for it; None
        takes the selection away."""
        cursor = self._box.textCursor()
        if place is None and not cursor.hasSelection():
            return  # setting a cursor scrolls to it
        cursor.clearSelection()
        if place is not None:
            if not self.expanded:
                self.set_expanded(True)
            cursor.setPosition(place)
            cursor.setPosition(place + length, QTextCursor.MoveMode.KeepAnchor)
        self._box.setTextCursor(cursor)

    def marked(self) -> str:
        """The selected words."""
        return self._box.textCursor().selectedText()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._draw_arrow()

    def _count(self, tokens: int, seconds: float) -> None:
        self._tokens, self._seconds = tokens, seconds
        parts = [tr("Thinking") if self._running else tr("Thought")]
        if seconds > 0:
            parts.append(words.seconds(seconds))
        if tokens:
            parts.append(tr("{0} tokens", words.count(tokens)))
        self._title.setText(" · ".join(parts))
        self._describe()

    def _describe(self) -> None:
        state = tr("expanded") if self.expanded else tr("collapsed")
        name = f"{self._title.text()}, {state}"
        self.setAccessibleName(name)
        self._title.setAccessibleName(name)

    def _flush(self) -> None:
        """Move what has arrived into the box; it follows only when it stood at its end."""
        if not self._pending:
            return
        bar = self._box.verticalScrollBar()
        following = bar.value() >= bar.maximum() - 1
        cursor = QTextCursor(self._box.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText("".join(self._pending))
        self._pending.clear()
        if following:
            bar.setValue(bar.maximum())

    def _bounded(self, text: str) -> str:
        newline = text.rfind("\n")
        self._line_length = (
            len(text) - newline - 1 if newline >= 0 else self._line_length + len(text)
        )
        at = _last_break(text) if self._line_length > MAX_PARAGRAPH else 0
        if not at and self._line_length > 2 * MAX_PARAGRAPH:
            at = len(text)
        if not at:
            return text
        self._line_length = len(text) - at
        return f"{text[:at].rstrip(' ')}\n{text[at:]}"

    def _draw_arrow(self) -> None:
        name = "down" if self.expanded else "right"
        self._title.setIcon(icons.icon(name, self._theme.muted, self._theme.px(16)))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.position().y() < 34:
            self.set_expanded(not self.expanded)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.set_expanded(not self.expanded)
        else:
            super().keyPressEvent(event)


class _Box(QPlainTextEdit):
    """The whole text, in a box that scrolls by itself until its end, then lets the page scroll."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setUndoRedoEnabled(False)
        self.setFixedHeight(BOX_HEIGHT)
        self.setTabChangesFocus(True)
        self.setProperty("kind", "thinking")

    def sizeHint(self) -> QSize:
        return QSize(400, BOX_HEIGHT)

    def wheelEvent(self, event: QWheelEvent) -> None:
        bar = self.verticalScrollBar()
        up = event.angleDelta().y() > 0
        if (up and bar.value() == bar.minimum()) or (not up and bar.value() == bar.maximum()):
            event.ignore()
            return
        super().wheelEvent(event)


def _broken(text: str) -> str:
    """Settled text with over-long paragraphs broken at spaces and marks."""
    lines = []
    for line in text.split("\n"):
        while len(line) > MAX_PARAGRAPH:
            at = _last_break(line[:MAX_PARAGRAPH]) or MAX_PARAGRAPH
            lines.append(line[:at].rstrip(" "))
            line = line[at:]
        lines.append(line)
    return "\n".join(lines)


def _last_break(text: str) -> int:
    """Behind the last space or mark at which a line may end, Chinese ones too; 0 without any."""
    return max(text.rfind(mark) for mark in _BREAKS) + 1

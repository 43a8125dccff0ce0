"""Ctrl+F: find words in the conversation that is shown. Knows the transcript, not the store."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QWidget

from app.gui.chat.transcript import Transcript
from app.gui.parts.controls import button, label
from app.gui.parts.words import tr


class _Hit(NamedTuple):
    """A place in what a message says, or in what was thought before. Place and length are counted
    in UTF-16 units, as cursors are."""

    message: int
    thought: bool
    place: int
    length: int


class FindBar(QFrame):
    """Enter finds the next place, Shift+Enter the one before, Esc closes."""

    closed = Signal()

    def __init__(self, transcript: Transcript, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcript = transcript
        self._hits: list[_Hit] = []
        self._at = -1
        self.setAccessibleName(tr("Find in this conversation"))
        self.field = QLineEdit()
        self.field.setPlaceholderText(tr("Find in this conversation"))
        self.field.setAccessibleName(tr("Find in this conversation"))
        self.field.setClearButtonEnabled(True)
        self.field.textChanged.connect(self._search)
        self.count = label("", "small")
        before = button(tr("Previous"), "quiet", tr("Shift+Enter"))
        before.clicked.connect(lambda: self.step(-1))
        after = button(tr("Next"), "quiet", tr("Enter"))
        after.clicked.connect(lambda: self.step(1))
        done = button(tr("Close"), "quiet", tr("Esc"))
        done.clicked.connect(self.leave)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(24, 6, 12, 6)
        layout.addWidget(self.field, 1)
        for each in (self.count, before, after, done):
            layout.addWidget(each)
        self.hide()

    def begin(self) -> None:
        """Open, with the cursor in the field."""
        self._transcript.show_all()
        self.show()
        self.field.setFocus()
        self.field.selectAll()
        self._search(self.field.text())

    def leave(self) -> None:
        """Close; what was marked is no longer."""
        self._mark(None)
        self.hide()
        self.closed.emit()

    def step(self, by: int) -> None:
        """Go to the next or previous place, around the ends."""
        if self._hits:
            self._at = (self._at + by) % len(self._hits)
            self._mark(self._hits[self._at])
        self._show_count()

    def _search(self, text: str) -> None:
        self._hits = []
        for view in self._transcript.views() if text else ():
            number = view.message.id
            if view.thinking is not None:
                places = _places(view.thinking.text(), text)
                self._hits += [_Hit(number, True, *place) for place in places]
            places = _places(view.answer.toPlainText(), text)
            self._hits += [_Hit(number, False, *place) for place in places]
        self._at = -1
        self._mark(None)
        self.step(1)

    def _show_count(self) -> None:
        if not self.field.text():
            self.count.setText("")
        elif not self._hits:
            self.count.setText(tr("Nothing found"))
        else:
            self.count.setText(tr("{0} of {1}", self._at + 1, len(self._hits)))

    def _mark(self, hit: _Hit | None) -> None:
        """Select the place, and nothing elsewhere."""
        for view in self._transcript.views():
            here = hit if hit is not None and hit.message == view.message.id else None
            if view.thinking is not None:
                thought = here if here is not None and here.thought else None
                view.thinking.mark(thought.place if thought else None, hit.length if hit else 0)
            cursor = view.answer.textCursor()
            cursor.clearSelection()
            if here and not here.thought:
                cursor.setPosition(here.place)
                end = here.place + here.length
                cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
            view.answer.setTextCursor(cursor)
        if hit is not None and hit.thought:
            self._transcript.show_thinking_of(hit.message)
        elif hit is not None:
            self._transcript.show_place(hit.message, hit.place)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            back = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.step(-1 if back else 1)
        else:
            super().keyPressEvent(event)


def _places(text: str, wanted: str) -> Iterator[tuple[int, int]]:
    """Where `wanted` stands in `text`, whatever the case: start and length in UTF-16 units."""
    start = units = 0
    for found in re.finditer(re.escape(wanted), text, re.IGNORECASE):
        units += _units(text[start : found.start()])
        start = found.start()
        yield units, _units(found[0])


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2

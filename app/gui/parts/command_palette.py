"""Ctrl+K: type a few letters of anything the window can do, and do it. Knows callables only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from app.gui.parts.words import tr

SHOWN = 12


@dataclass(frozen=True)
class Command:
    """Something that can be done. `hint` is a shortcut or a kind, shown beside the name."""

    name: str
    hint: str
    do: Callable[[], object]


def matching(commands: Sequence[Command], text: str) -> list[Command]:
    """Commands that hold every word, those that begin with the text first."""
    words = text.lower().split()
    found = [c for c in commands if all(w in f"{c.name} {c.hint}".lower() for w in words)]
    return sorted(found, key=lambda c: not c.name.lower().startswith(text.lower()))[:SHOWN]


class CommandPalette(QFrame):
    """Opened over the window; arrow keys choose, Enter does, Esc closes."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self._commands: Sequence[Command] = ()
        self._found: list[Command] = []
        self.setObjectName("palette")
        self.setAccessibleName(tr("Command palette"))
        self.field = QLineEdit()
        self.field.setPlaceholderText(tr("Type what you want to do"))
        self.field.setAccessibleName(tr("Command"))
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setAccessibleName(tr("Matching commands"))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(lambda _item: self._do())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(self.field)
        layout.addWidget(self.list)
        self.hide()

    def open(self, commands: Sequence[Command]) -> None:
        """Show all commands and wait for letters."""
        self._commands = commands
        self.field.clear()
        self._filter("")
        width = min(560, self._window.width() - 40)
        self.setGeometry((self._window.width() - width) // 2, 60, width, 420)
        self.show()
        self.raise_()
        self.field.setFocus()

    def _filter(self, text: str) -> None:
        self._found = matching(self._commands, text)
        self.list.clear()
        for command in self._found:
            hint = f"     {command.hint}" if command.hint else ""
            self.list.addItem(QListWidgetItem(f"{command.name}{hint}"))
        self.list.setCurrentRow(0)

    def _do(self) -> None:
        at = self.list.currentRow()
        self.hide()
        if 0 <= at < len(self._found):
            self._found[at].do()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.FocusOut and not self.isAncestorOf(
            self._window.focusWidget() or self._window
        ):
            self.hide()
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                row = self.list.currentRow() + step
                self.list.setCurrentRow(max(0, min(row, self.list.count() - 1)))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._do()
                return True
            if event.key() == Qt.Key.Key_Escape:
                self.hide()
                return True
        return False

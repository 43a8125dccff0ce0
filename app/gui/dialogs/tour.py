"""Three steps over the window at its first start: ask, choose, read the numbers. Knows no page."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M, SPACE_S
from app.gui.parts.words import tr

WIDTH = 340


@dataclass(frozen=True)
class Step:
    """What to point at, and what to say about it."""

    target: QWidget
    title: str
    text: str


def three_steps(composer: QWidget, models: QWidget, numbers: QWidget) -> tuple[Step, ...]:
    """What a newcomer is shown: where to type, where to choose a model, and the status bar."""
    return (
        Step(
            composer,
            tr("Ask anything"),
            tr("Type here and press Enter. It stays on this machine: no account, no network."),
        ),
        Step(
            models,
            tr("Choose a model"),
            tr("The starter model is only a demo. The Models page shows what fits this"
               " machine and how fast it will be, before you download it."),
        ),
        Step(
            numbers,
            tr("Understand the numbers"),
            tr("Speed, the predicted range and memory are shown here. “Why?” explains"
               " them. Press F1 for help."),
        ),
    )  # fmt: skip


class Tour(QFrame):
    """A card beside the part it explains, which is framed. Enter goes on, Esc leaves."""

    ended = Signal()

    def __init__(self, parent: QWidget, steps: Sequence[Step]) -> None:
        super().__init__(parent)
        self._window = parent
        self._steps = steps
        self.index = 0
        self.setObjectName("tour")
        self._mark = QFrame(parent)
        self._mark.setObjectName("tourMark")
        self._mark.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._title = label("", "strong", wrap=True)
        self._text = label("", wrap=True)
        self._place_label = label("", "small")
        self.skip = button(tr("Skip"), "quiet")
        self.back = button(tr("Back"), "quiet")
        self.next = button(tr("Next"), "primary")
        self.skip.clicked.connect(self.end)
        self.back.clicked.connect(lambda: self._go(-1))
        self.next.clicked.connect(lambda: self._go(1))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_M, SPACE_M, SPACE_M)
        layout.setSpacing(SPACE_S)
        layout.addWidget(self._title)
        layout.addWidget(self._text)
        layout.addLayout(row(self._place_label, 1, self.skip, self.back, self.next))
        parent.installEventFilter(self)
        self.hide()

    def begin(self) -> None:
        """Show the first step."""
        self.index = 0
        self._show()

    def end(self) -> None:
        """Leave; what was framed gets the cursor if it takes typing."""
        self.hide()
        self._mark.hide()
        self.ended.emit()

    def _go(self, step: int) -> None:
        self.index += step
        if self.index >= len(self._steps):
            self.end()
        else:
            self._show()

    def _show(self) -> None:
        step = self._steps[self.index]
        self._title.setText(step.title)
        self._text.setText(step.text)
        self._place_label.setText(f"{self.index + 1} / {len(self._steps)}")
        self.setAccessibleName(step.title)
        self.setAccessibleDescription(step.text)
        self.back.setEnabled(self.index > 0)
        last = self.index == len(self._steps) - 1
        self.next.setText(tr("Done") if last else tr("Next"))
        self._place()
        for each in (self._mark, self):
            each.show()
            each.raise_()
        self.next.setFocus()

    def _place(self) -> None:
        """Above the target if there is room, else below it, inside the window."""
        target = self._steps[self.index].target
        frame = QRect(target.mapTo(self._window, QPoint(0, 0)), target.size())
        self._mark.setGeometry(frame.adjusted(-3, -3, 3, 3) & self._window.rect())
        self.setFixedWidth(min(WIDTH, self._window.width() - 2 * SPACE_L))
        self.adjustSize()
        above = frame.top() - self.height() - SPACE_M
        top = above if above > 0 else frame.bottom() + SPACE_M
        left = min(max(frame.left(), SPACE_L), self._window.width() - self.width() - SPACE_L)
        self.move(left, min(top, self._window.height() - self.height() - SPACE_S))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.end()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._go(1)
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

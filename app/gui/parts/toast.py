"""A line that appears over the window for some seconds, with one thing to undo or do."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from app.gui.parts.words import tr

SECONDS = 8
TOP = 56  # pixels: below the page's header, and never over what is being typed


class Toast(QFrame):
    """One at a time; a new one replaces the old."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self.setObjectName("toast")
        self._action: Callable[[], object] | None = None
        self._text = QLabel()
        self._text.setWordWrap(True)
        self.button = QPushButton()
        self.button.clicked.connect(self._act)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 8, 8, 8)
        layout.setSpacing(12)
        layout.addWidget(self._text)
        layout.addWidget(self.button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        parent.installEventFilter(self)
        self.hide()

    def show_text(
        self, text: str, action: str = "", do: Callable[[], object] | None = None
    ) -> None:
        """Show `text`, with a button named `action` that calls `do`."""
        self._action = do
        self._text.setText(text)
        self.setAccessibleName(text)
        self.button.setText(action or tr("Close"))
        self._text.setFixedWidth(self._text_width(text))
        self.adjustSize()
        self._place()
        self.show()
        self.raise_()
        self._timer.start(SECONDS * 1000)

    def text(self) -> str:
        """What is or was shown last."""
        return self._text.text()

    def _text_width(self, text: str) -> int:
        """One line where it fits, else a readable block inside the window."""
        room = min(self._window.width() - 160, 60 * self.fontMetrics().averageCharWidth())
        return max(min(self._text.fontMetrics().horizontalAdvance(text) + 4, room), 40)

    def _act(self) -> None:
        self.hide()
        if self._action is not None:
            self._action()

    def _place(self) -> None:
        parent = self._window
        self.move((parent.width() - self.width()) // 2, TOP)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

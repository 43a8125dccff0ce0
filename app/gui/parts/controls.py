"""Small parts that several pages share: labels, icon buttons, separators, lines that shorten.

Knows theme roles and nothing of models or messages.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QWheelEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts import icons
from app.gui.parts.theme import SPACE_S, Theme, set_kind

_Box = TypeVar("_Box", QHBoxLayout, QVBoxLayout)


def label(text: str = "", kind: str = "", *, wrap: bool = False) -> QLabel:
    """A label in one of the stylesheet's kinds, plain text only."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if kind:
        made.setProperty("kind", kind)
    return made


def button(text: str, kind: str = "", tip: str = "") -> QPushButton:
    """A push button with its accessible name and description set."""
    made = QPushButton(text)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setAutoDefault(False)
    if kind:
        made.setProperty("kind", kind)
    if tip:
        made.setToolTip(tip)
        made.setAccessibleDescription(tip)
    return made


class IconButton(QToolButton):
    """A button that shows an icon only; its name is spoken and shown as a tip."""

    def __init__(
        self, icon: str, name: str, theme: Theme, parent: QWidget | None = None, size: int = 18
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._size = size
        self.setProperty("kind", "icon")
        self.setToolTip(name)
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.set_theme(theme)

    def set_theme(self, theme: Theme, colour: str | None = None) -> None:
        side = theme.px(self._size)
        self.setIconSize(QSize(side, side))
        self.setIcon(icons.icon(self._icon, colour or theme.muted, side))

    def set_icon(self, icon: str, theme: Theme, colour: str | None = None) -> None:
        """Another picture on the same button."""
        self._icon = icon
        self.set_theme(theme, colour)


class ElidedLabel(QLabel):
    """One line that ends in … when there is no room; the whole text is the tip."""

    def __init__(
        self,
        text: str = "",
        kind: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(text)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        if kind:
            self.setProperty("kind", kind)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        text = self.fontMetrics().elidedText(self.text(), self._mode, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignVCenter | self.alignment()), text)

    def minimumSizeHint(self) -> QSize:
        return QSize(20, super().minimumSizeHint().height())

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(text if len(text) > 30 else "")


class Choice(QComboBox):
    """A drop-down of (value, text) pairs, with an arrow in the text's colour."""

    def __init__(self, items: Sequence[tuple[object, str]]) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for value, text in items:
            self.addItem(text, value)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        side = 14
        colour = self.palette().color(self.foregroundRole()).name()
        arrow = icons.pixmap("down", colour, side, max(self.devicePixelRatioF(), 1.0))
        painter.drawPixmap(self.width() - side - 7, (self.height() - side) // 2, arrow)

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # scrolling past a drop-down must not change it


class Check(QCheckBox):
    """A check box whose frame can be seen on dark ground: the style draws it darker than that."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        box = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
        painter.drawRoundedRect(box.adjusted(0, 0, -1, -1), 3, 3)


def separator(vertical: bool = False) -> QFrame:
    """A hairline."""
    line = QFrame()
    line.setObjectName("separator")
    if vertical:
        line.setFixedWidth(1)
    else:
        line.setFixedHeight(1)
    return line


def row(*widgets: QWidget | int, spacing: int = SPACE_S) -> QHBoxLayout:
    """Widgets side by side; a number is a stretch."""
    return _filled(QHBoxLayout(), widgets, spacing)


def column(*widgets: QWidget | int, spacing: int = SPACE_S) -> QVBoxLayout:
    """Widgets one below the other; a number is a stretch."""
    return _filled(QVBoxLayout(), widgets, spacing)


def _filled(layout: _Box, widgets: Iterable[QWidget | int], spacing: int) -> _Box:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addStretch(widget)
        else:
            layout.addWidget(widget)
    return layout


class Problem(QFrame):
    """A failure in words: title, sentence and hint, with an optional button to act on it."""

    def __init__(
        self, title: str, sentence: str, hint: str = "", action: QPushButton | None = None
    ) -> None:
        super().__init__()
        self.setObjectName("problem")
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{sentence} {hint}")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.setSpacing(4)
        layout.addWidget(label(title, "strong", wrap=True))
        layout.addWidget(label(sentence, wrap=True))
        if hint:
            layout.addWidget(label(hint, "muted", wrap=True))
        if action is not None:
            layout.addLayout(row(action, 1))


def restyle(widget: QWidget, kind: str) -> None:
    """Change a widget's role when its meaning changes."""
    if widget.property("kind") != kind:
        set_kind(widget, kind)

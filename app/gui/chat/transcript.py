"""The messages of one conversation, scrolled. Follows a growing answer only from its end.

Knows how messages are laid out and lazily built; the page tells it what to show.
"""

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.gui.chat.message_view import MessageView, centred
from app.gui.parts.controls import button
from app.gui.parts.theme import READING_WIDTH, Theme
from app.gui.parts.words import tr
from app.gui.text.formulas import FormulaCache
from app.history.branches import Turn

FIRST_SHOWN = 20  # messages built at once; earlier ones when the reader goes there


class Transcript(QScrollArea):
    """Emits `built` for every message view, so that the page can connect to its signals."""

    built = Signal(object)  # MessageView

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.formulas = FormulaCache()
        self.show_thinking = False
        self._views: dict[int, MessageView] = {}
        self._holders: dict[int, QWidget] = {}
        self._waiting: list[Turn] = []
        self._following = True
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("Conversation"))
        self._content = _Ground(theme)
        self._layout = QVBoxLayout(self._content)
        self._layout.setContentsMargins(24, 16, 24, 24)
        self._layout.setSpacing(18)
        self._earlier = button(tr("Show earlier messages"), "quiet")
        self._earlier.clicked.connect(self.show_earlier)
        self._layout.addWidget(self._earlier, 0, Qt.AlignmentFlag.AlignHCenter)
        self._layout.addStretch(1)
        self.setWidget(self._content)
        bar = self.verticalScrollBar()
        bar.setSingleStep(24)
        bar.rangeChanged.connect(self._range_changed)
        bar.valueChanged.connect(self._moved)

    # -- content ---------------------------------------------------------------------------------

    def show_path(self, turns: Sequence[Turn]) -> None:
        """Show these messages; views that stay the same are kept."""
        wanted = {turn.message.id for turn in turns}
        for message_id in [known for known in self._views if known not in wanted]:
            self._remove(message_id)
        if not self._views:
            self._following = True
            self._waiting = list(turns[:-FIRST_SHOWN])
            turns = turns[-FIRST_SHOWN:]
        else:
            waiting = {turn.message.id for turn in self._waiting} & wanted
            self._waiting = [turn for turn in self._waiting if turn.message.id in waiting]
            turns = [turn for turn in turns if turn.message.id not in waiting]
        for turn in turns:
            view = self._views.get(turn.message.id)
            if view is None:
                self._append(turn)
            elif view.turn != turn:
                view.set_turn(turn)
        self._earlier.setVisible(bool(self._waiting))

    def clear(self) -> None:
        """Show nothing."""
        for message_id in list(self._views):
            self._remove(message_id)
        self._waiting = []
        self._earlier.hide()
        self._following = True

    def view(self, message_id: int) -> MessageView | None:
        return self._views.get(message_id)

    def views(self) -> list[MessageView]:
        """The built views from top to bottom."""
        return sorted(self._views.values(), key=lambda view: view.message.id)

    def show_earlier(self) -> None:
        """Build the messages before the first one shown; what is being read does not move."""
        batch, self._waiting = self._waiting[-FIRST_SHOWN:], self._waiting[:-FIRST_SHOWN]
        bar = self.verticalScrollBar()
        from_end = bar.maximum() - bar.value()
        self._following = False
        for index, turn in enumerate(batch):
            self._insert(turn, 1 + index)
        self._earlier.setVisible(bool(self._waiting))
        self._layout.activate()
        QTimer.singleShot(0, lambda: bar.setValue(bar.maximum() - from_end))

    def show_all(self) -> None:
        """Build every message."""
        while self._waiting:
            self.show_earlier()

    def show_place(self, message_id: int, position: int) -> None:
        """Bring one place of a message's text into sight."""
        view = self._views.get(message_id)
        if view is None:
            return
        cursor = view.answer.textCursor()
        cursor.setPosition(position)
        place = view.answer.mapTo(self._content, view.answer.cursorRect(cursor).center())
        self._following = False
        self.ensureVisible(place.x(), place.y(), 0, 120)

    def show_thinking_of(self, message_id: int) -> None:
        """Bring the box of a message's thinking into sight."""
        view = self._views.get(message_id)
        thinking = view.thinking if view is not None else None
        if thinking is not None:
            self._following = False
            # It may have been expanded just now, and its place is known after the layout.
            QTimer.singleShot(0, thinking, lambda: self.ensureWidgetVisible(thinking, 0, 16))

    def scroll_to(self, message_id: int) -> None:
        """Bring one message into sight, building earlier ones as needed."""
        while message_id not in self._views and self._waiting:
            self.show_earlier()
        holder = self._holders.get(message_id)
        if holder is not None:
            self._following = False
            self._layout.activate()
            QTimer.singleShot(0, lambda: self.verticalScrollBar().setValue(holder.y() - 16))

    def _append(self, turn: Turn) -> None:
        self._insert(turn, self._layout.count() - 1)

    def _insert(self, turn: Turn, index: int) -> None:
        view = MessageView(turn, self._theme, self.formulas, show_thinking=self.show_thinking)
        holder = centred(view, self._theme.px(READING_WIDTH))
        self._views[turn.message.id] = view
        self._holders[turn.message.id] = holder
        self._layout.insertWidget(index, holder)
        self.built.emit(view)

    def _remove(self, message_id: int) -> None:
        self._views.pop(message_id)
        holder = self._holders.pop(message_id)
        self._layout.removeWidget(holder)
        holder.hide()
        holder.deleteLater()

    def set_theme(self, theme: Theme) -> None:
        self._theme = self._content.theme = theme
        for view in self._views.values():
            view.set_theme(theme)
            view.setMaximumWidth(theme.px(READING_WIDTH))

    # -- scrolling -------------------------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether the end of the conversation is kept in sight."""
        return self._following

    def follow(self) -> None:
        """Go to the end and stay there."""
        self._following = True
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _range_changed(self, _minimum: int, maximum: int) -> None:
        if self._following:
            self.verticalScrollBar().setValue(maximum)

    def _moved(self, value: int) -> None:
        self._following = value >= self.verticalScrollBar().maximum() - 4

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_End:
            self.follow()
        elif event.key() == Qt.Key.Key_Home:
            self.verticalScrollBar().setValue(0)
        else:
            super().keyPressEvent(event)


class _Ground(QWidget):
    """What the messages stand on. It covers what lies behind, which then need not be drawn with
    each frame of an answer."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.setObjectName("ground")  # solid in the stylesheet, which else takes the attribute away
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def paintEvent(self, event: QPaintEvent) -> None:
        QPainter(self).fillRect(event.rect(), QColor(self.theme.surface))

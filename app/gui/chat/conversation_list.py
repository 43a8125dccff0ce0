"""The conversations and what was found in them, as one list. Knows records, not the store."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts import icons
from app.gui.parts.controls import IconButton, label
from app.gui.parts.theme import SPACE_M, SPACE_S, TEXT_SMALL, Theme, ui_font
from app.gui.parts.words import tr
from app.history.records import Conversation, SearchHit

_Index = QModelIndex | QPersistentModelIndex
ENTRY = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Entry:
    """One line of the list: a conversation, or a message found in one."""

    conversation_id: int
    title: str
    detail: str
    pinned: bool = False
    message_id: int | None = None
    section: str = ""  # the name above this line, empty within a section


class ConversationModel(QAbstractListModel):
    """Entries for the view; the accessible text says what the line shows."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def set_entries(self, entries: Sequence[Entry]) -> None:
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.entries)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return entry.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{entry.title}, {plain(entry.detail)}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.title if len(entry.title) > 28 else None
        return entry if role == ENTRY else None


class ConversationList(QWidget):
    """Search field, New chat, and the list. Signals carry ids."""

    opened = Signal(int)
    hit_opened = Signal(int, int)
    new_asked = Signal()
    search_changed = Signal(str)
    rename_asked = Signal(int)
    pin_asked = Signal(int, bool)
    folder_asked = Signal(int)
    delete_asked = Signal(int)
    export_asked = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current: int | None = None
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search all chats"))
        self.search.setAccessibleName(tr("Search conversations"))
        self.search.setClearButtonEnabled(True)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(120)
        self._delay.timeout.connect(lambda: self.search_changed.emit(self.search.text()))
        self.search.textChanged.connect(self._delay.start)
        self.new_button = IconButton("plus", tr("New chat (Ctrl+N)"), theme)
        self.new_button.clicked.connect(self.new_asked)
        self.model = ConversationModel()
        self.view = _View()
        self.view.setModel(self.model)
        self._delegate = _Delegate(theme, self.model, self.view)
        self.view.setItemDelegate(self._delegate)
        self.view.setAccessibleName(tr("Conversations"))
        self.view.clicked.connect(self._open)
        self.view.activated.connect(self._open)
        self.view.delete_pressed.connect(lambda: self._with_current(self.delete_asked.emit))
        self.view.rename_pressed.connect(lambda: self._with_current(self.rename_asked.emit))
        self.view.customContextMenuRequested.connect(self._menu)
        self._empty = label(tr("No conversations yet"), "small", wrap=True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        top = QHBoxLayout()
        top.setContentsMargins(0, 0, 0, 0)
        top.setSpacing(4)
        top.addWidget(self.search, 1)
        top.addWidget(self.new_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_M, SPACE_M, SPACE_S, SPACE_S)
        layout.setSpacing(SPACE_S)
        layout.addLayout(top)
        layout.addWidget(self._empty)
        layout.addWidget(self.view, 1)

    def show_conversations(self, conversations: Sequence[Conversation]) -> None:
        """All conversations, with the sections they fall into."""
        now = time.time()
        entries = []
        sections: dict[str, list[Conversation]] = {}
        for each in conversations:
            name = tr("Pinned") if each.pinned else each.folder or _day(each.updated, now)
            sections.setdefault(name, []).append(each)
        for name, members in sections.items():
            for each in members:
                title, detail = each.title or tr("Untitled"), _ago(each.updated, now)
                entries.append(Entry(each.id, title, detail, each.pinned, section=name))
                name = ""
        self._fill(entries, tr("No conversations yet"))

    def show_hits(self, hits: Sequence[SearchHit]) -> None:
        """Messages found."""
        entries = [
            Entry(hit.conversation_id, hit.title or tr("Untitled"), hit.excerpt,
                  message_id=hit.message_id)
            for hit in hits
        ]  # fmt: skip
        self._fill(entries, tr("Nothing found"))

    def set_current(self, conversation_id: int | None) -> None:
        """Mark the open conversation."""
        self._current = conversation_id
        self._mark()

    def set_theme(self, theme: Theme) -> None:
        self._delegate.theme = theme
        self.new_button.set_theme(theme)
        self.view.viewport().update()

    def _fill(self, entries: list[Entry], empty: str) -> None:
        bar = self.view.verticalScrollBar()
        position = bar.value()
        self.model.set_entries(entries)
        self._empty.setText(empty)
        self._empty.setVisible(not entries)
        self._mark()
        bar.setValue(position)

    def _mark(self) -> None:
        for row, entry in enumerate(self.model.entries):
            if entry.conversation_id == self._current and entry.message_id is None:
                self.view.setCurrentIndex(self.model.index(row))
                return
        self.view.clearSelection()

    def _open(self, index: QModelIndex) -> None:
        entry: Entry = index.data(ENTRY)
        if entry.message_id is None:
            self.opened.emit(entry.conversation_id)
        else:
            self.hit_opened.emit(entry.conversation_id, entry.message_id)

    def _with_current(self, action: Callable[[int], object]) -> None:
        index = self.view.currentIndex()
        if index.isValid():
            action(index.data(ENTRY).conversation_id)

    def _menu(self, point: QPoint) -> None:
        index = self.view.indexAt(point)
        if not index.isValid():
            return
        entry: Entry = index.data(ENTRY)
        identity = entry.conversation_id
        menu = QMenu(self)
        menu.addAction(tr("Rename"), lambda: self.rename_asked.emit(identity))
        pin = tr("Unpin") if entry.pinned else tr("Pin")
        menu.addAction(pin, lambda: self.pin_asked.emit(identity, not entry.pinned))
        menu.addAction(tr("Move to folder…"), lambda: self.folder_asked.emit(identity))
        menu.addAction(tr("Export…"), lambda: self.export_asked.emit(identity))
        menu.addSeparator()
        menu.addAction(tr("Delete"), lambda: self.delete_asked.emit(identity))
        menu.exec(self.view.viewport().mapToGlobal(point))


class _View(QListView):
    delete_pressed = Signal()
    rename_pressed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete:
            self.delete_pressed.emit()
        elif event.key() == Qt.Key.Key_F2:
            self.rename_pressed.emit()
        else:
            super().keyPressEvent(event)


class _Delegate(QStyledItemDelegate):
    """Title over a muted second line; a section name above the first line of each section."""

    def __init__(self, theme: Theme, model: ConversationModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = theme
        self._model = model

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        """Asked for every line, seen or not: read past Qt's index, which costs a hundred times as
        much."""
        entry = self._model.entries[index.row()]
        height = 30 if entry.message_id is None else 48
        return QSize(100, self.theme.px(height) + (self.theme.px(26) if entry.section else 0))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme, entry = self.theme, self._model.entries[index.row()]
        state: QStyle.StateFlag = option.state
        area = QRect(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        small = ui_font(theme)
        small.setPixelSize(theme.px(TEXT_SMALL))
        if entry.section:
            painter.setPen(QColor(theme.muted))
            painter.setFont(small)
            head = QRect(area.x() + 10, area.y() + 4, area.width() - 16, theme.px(22))
            painter.drawText(head, Qt.AlignmentFlag.AlignVCenter, entry.section)
            area.setTop(area.top() + theme.px(26))
        selected = bool(state & QStyle.StateFlag.State_Selected)
        focused = selected and bool(state & QStyle.StateFlag.State_HasFocus)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(theme.selected if selected else theme.hover))
            painter.setPen(QColor(theme.focus) if focused else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 6, 6)
        inner = area.adjusted(10, 0, -8, 0)
        body = ui_font(theme)
        painter.setFont(body)
        painter.setPen(QColor(theme.text))
        if entry.message_id is not None:
            self._paint_hit(painter, inner, entry, small)
        else:
            if entry.pinned:
                side = theme.px(14)
                ratio = painter.device().devicePixelRatio()
                mark = icons.pixmap("pin", theme.muted, side, ratio)
                painter.drawPixmap(inner.right() - side, inner.center().y() - side // 2, mark)
                inner.setRight(inner.right() - side - 4)
            title = painter.fontMetrics().elidedText(
                entry.title, Qt.TextElideMode.ElideRight, inner.width()
            )
            painter.drawText(inner, Qt.AlignmentFlag.AlignVCenter, title)
        painter.restore()

    def _paint_hit(self, painter: QPainter, area: QRect, entry: Entry, small: QFont) -> None:
        metrics = painter.fontMetrics()
        top = QRect(area.x(), area.y() + 6, area.width(), metrics.height())
        title = metrics.elidedText(entry.title, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter, title)
        painter.setFont(small)
        painter.setPen(QColor(self.theme.muted))
        text = plain(entry.detail)
        at = entry.detail.find("\x02")
        if at > 20:
            text = "…" + text[at - 12 :]
        below = QRect(area.x(), top.bottom() + 2, area.width(), metrics.height())
        text = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter, text)


def plain(excerpt: str) -> str:
    """An excerpt without its marks, on one line."""
    return " ".join(excerpt.replace("\x02", "").replace("\x03", "").split())


def _day(when: float, now: float) -> str:
    days = int((now + time.localtime(now).tm_gmtoff) // 86400) - int(
        (when + time.localtime(when).tm_gmtoff) // 86400
    )
    if days <= 0:
        return tr("Today")
    if days == 1:
        return tr("Yesterday")
    return tr("Last 7 days") if days < 7 else tr("Earlier")


def _ago(when: float, now: float) -> str:
    seconds = max(now - when, 0)
    if seconds < 60:
        return tr("just now")
    if seconds < 3600:
        return tr("{0} min ago", int(seconds // 60))
    if seconds < 86400:
        return tr("{0} h ago", int(seconds // 3600))
    return time.strftime("%Y-%m-%d", time.localtime(when))

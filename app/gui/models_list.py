"""The list of models: title, size, whether it fits and how fast it is expected to be."""

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.gui import icons, words
from app.gui.models_control import ModelItem
from app.gui.theme import SPACE_M, SPACE_S, TEXT_SMALL, Theme, ui_font
from app.gui.words import tr

_Index = QModelIndex | QPersistentModelIndex
ITEM = Qt.ItemDataRole.UserRole


def fit_words(item: ModelItem) -> tuple[str, str, str]:
    """(word, icon, kind of colour) for whether a model fits here; empty while unknown."""
    if item.plan is not None:
        return {
            "fits": (tr("fits"), "check", "good"),
            "tight": (tr("tight"), "tight", "warning"),
            "does_not_fit": (tr("does not fit"), "cross", "bad"),
        }[item.plan.fits]
    if type(item.plan_error).__name__ == "DoesNotFit":
        return tr("does not fit"), "cross", "bad"
    return "", "", ""


def detail_words(item: ModelItem) -> str:
    """Size, fit and expected speed on one line."""
    parts = []
    if item.size:
        parts.append(words.size(item.size))
    elif item.hit is not None and item.hit.parameters:
        parts.append(words.parameters(item.hit.parameters))
    elif item.entry is not None:
        parts.append(words.parameters(item.entry.parameters))
    fit = fit_words(item)[0]
    if fit:
        parts.append(fit)
    if item.plan is not None and item.plan.speed is not None and item.plan.fits != "does_not_fit":
        parts.append(f"{words.span(item.plan.speed.decode_tps)} tok/s")
    return " · ".join(parts)


class ModelListModel(QAbstractListModel):
    """Items for the view."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[ModelItem] = []

    def set_items(self, items: Sequence[ModelItem]) -> None:
        if [i.key for i in items] == [i.key for i in self.items]:
            self.items = list(items)
            self.dataChanged.emit(self.index(0), self.index(max(len(items) - 1, 0)))
            return
        self.beginResetModel()
        self.items = list(items)
        self.endResetModel()

    def rowCount(self, parent: _Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.items)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item = self.items[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return item.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{item.title}, {section_words(item)}, {detail_words(item)}"
        return item if role == ITEM else None


def section_words(item: ModelItem) -> str:
    names = {
        "installed": tr("Installed"),
        "catalog": tr("Catalog"),
        "hub": tr("From the hub"),
    }
    return names[item.section]


class ModelList(QWidget):
    """Search over names, and the list."""

    selected = Signal(str)
    activated = Signal(str)
    search_submitted = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._all: list[ModelItem] = []
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search; Enter asks the hub"))
        self.search.setAccessibleName(tr("Search models"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(
            lambda: self.search_submitted.emit(self.search.text().strip())
        )
        self.model = ModelListModel()
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.view.setAccessibleName(tr("Models"))
        self._delegate = ModelDelegate(theme, self.view)
        self.view.setItemDelegate(self._delegate)
        self.view.selectionModel().currentChanged.connect(self._current_changed)
        self.view.activated.connect(lambda index: self.activated.emit(index.data(ITEM).key))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_M, SPACE_M, SPACE_S, SPACE_S)
        layout.setSpacing(SPACE_S)
        layout.addWidget(self.search)
        layout.addWidget(self.view, 1)

    def show_items(self, items: Sequence[ModelItem]) -> None:
        self._all = list(items)
        self._filter()

    def select(self, key: str) -> None:
        """Mark one model, if it is listed."""
        for row, item in enumerate(self.model.items):
            if item.key == key:
                self.view.setCurrentIndex(self.model.index(row))

    def current(self) -> str:
        index = self.view.currentIndex()
        return index.data(ITEM).key if index.isValid() else ""

    def _filter(self) -> None:
        wanted = self.search.text().lower().split()
        current = self.current()
        self.model.set_items(
            [item for item in self._all if all(w in haystack(item) for w in wanted)]
        )
        if current and self.current() != current:
            self.select(current)

    def _current_changed(self, index: QModelIndex) -> None:
        if index.isValid():
            self.selected.emit(index.data(ITEM).key)

    def set_theme(self, theme: Theme) -> None:
        self._delegate.theme = theme
        self.view.viewport().update()


def haystack(item: ModelItem) -> str:
    """What the search field looks through."""
    entry = item.entry
    more = f" {entry.summary} {entry.teacher} {entry.base_model}" if entry else ""
    return f"{item.title} {item.key}{more}".lower()


class ModelDelegate(QStyledItemDelegate):
    """Two lines; the fit has a word, a shape and a colour."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.theme = theme

    def _section(self, index: _Index) -> str:
        item: ModelItem = index.data(ITEM)
        before = index.sibling(index.row() - 1, 0)
        if before.isValid() and before.data(ITEM).section == item.section:
            return ""
        return section_words(item)

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(100, self.theme.px(48) + (self.theme.px(26) if self._section(index) else 0))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        theme = self.theme
        item: ModelItem = index.data(ITEM)
        state: Any = option.state
        area = QRect(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        small = ui_font(theme)
        small.setPixelSize(theme.px(TEXT_SMALL))
        if section := self._section(index):
            painter.setPen(QColor(theme.muted))
            painter.setFont(small)
            head = QRect(area.x() + 10, area.y() + 4, area.width() - 16, theme.px(22))
            painter.drawText(head, Qt.AlignmentFlag.AlignVCenter, section)
            area.setTop(area.top() + theme.px(26))
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected or state & QStyle.StateFlag.State_MouseOver:
            focused = selected and bool(state & QStyle.StateFlag.State_HasFocus)
            painter.setBrush(QColor(theme.selected if selected else theme.hover))
            painter.setPen(QColor(theme.focus) if focused else Qt.PenStyle.NoPen)
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 6, 6)
        self._paint_lines(painter, area.adjusted(10, 5, -8, -5), item, small)
        painter.restore()

    def _paint_lines(self, painter: QPainter, area: QRect, item: ModelItem, small: Any) -> None:
        theme = self.theme
        painter.setFont(ui_font(theme))
        painter.setPen(QColor(theme.text))
        half = area.height() // 2
        metrics = painter.fontMetrics()
        title = metrics.elidedText(item.title, Qt.TextElideMode.ElideMiddle, area.width())
        top = QRect(area.x(), area.y(), area.width(), half)
        painter.drawText(top, Qt.AlignmentFlag.AlignVCenter, title)
        painter.setFont(small)
        below = QRect(area.x(), area.y() + half, area.width(), half)
        _word, icon, kind = fit_words(item)
        if icon:
            colour = {"good": theme.good, "warning": theme.warning, "bad": theme.bad}[kind]
            side = theme.px(13)
            ratio = painter.device().devicePixelRatio()
            mark = icons.pixmap(icon, colour, side, ratio)
            painter.drawPixmap(below.x(), below.center().y() - side // 2 + 1, mark)
            below.setLeft(below.left() + side + 5)
        painter.setPen(QColor(theme.muted))
        text = painter.fontMetrics().elidedText(
            detail_words(item), Qt.TextElideMode.ElideRight, below.width()
        )
        painter.drawText(below, Qt.AlignmentFlag.AlignVCenter, text)

"""The lines of the models list: their values for Qt's view, and how they are drawn."""

from collections.abc import Sequence

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFont, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app.gui.models.control import ModelItem
from app.gui.models.model_words import detail_words, fit_words, section_words
from app.gui.parts import icons
from app.gui.parts.theme import TEXT_SMALL, Theme, ui_font

_Index = QModelIndex | QPersistentModelIndex
ITEM = Qt.ItemDataRole.UserRole


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

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        item = self.items[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return item.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{item.title}, {section_words(item)}, {detail_words(item)}"
        return item if role == ITEM else None


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
        state: QStyle.StateFlag = option.state
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

    def _paint_lines(self, painter: QPainter, area: QRect, item: ModelItem, small: QFont) -> None:
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

"""The models of the list as a table to compare and sort."""

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from app.gui.models.control import ModelItem
from app.gui.models.model_words import fit_words, section_words
from app.gui.parts import words
from app.gui.parts.words import tr

_TEXTS = (0, 1, 6)  # the columns whose natural order is from A to Z
_KEY = Qt.ItemDataRole.UserRole
_ORDER = Qt.ItemDataRole.UserRole + 1


class _Cell(QTableWidgetItem):
    """Sorts by its value, not by its text."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return bool(self.data(_ORDER) < other.data(_ORDER))


class ModelTable(QTableWidget):
    """One row for each model; Enter or a double click opens. A click on a heading sorts; by
    keyboard, `order_menu` does."""

    opened = Signal(str)  # key
    sorted = Signal(str, bool)  # the column's heading, and whether from the largest

    def __init__(self, parent: QWidget | None = None) -> None:
        headings = [
            tr("Model"), tr("Source"), tr("Parameters"), tr("Size"), tr("Fit"), tr("Expected"),
            tr("Licence"), tr("Downloads"),
        ]  # fmt: skip
        super().__init__(0, len(headings), parent)
        self._headings = headings
        self.setAccessibleName(tr("Models as a table"))
        self.setHorizontalHeaderLabels(headings)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(60)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # the list's order until a click
        self.setSortingEnabled(True)
        self.itemActivated.connect(lambda cell: self.opened.emit(self._key(cell.row())))

    def order_menu(self, parent: QWidget) -> QMenu:
        """A menu of the columns to sort by: chosen once for the natural order, again to turn it."""
        menu = QMenu(parent)
        menu.setAccessibleName(tr("Sort by"))
        for column, name in enumerate(self._headings):
            menu.addAction(name, partial(self.order_by, column))
        return menu

    def order_by(self, column: int) -> None:
        """Sort by a column: texts from A, figures from the largest; the same again turns it."""
        header = self.horizontalHeader()
        first = Qt.SortOrder.AscendingOrder if column in _TEXTS else Qt.SortOrder.DescendingOrder
        order = first
        if header.sortIndicatorSection() == column and header.sortIndicatorOrder() == first:
            turned = {Qt.SortOrder.AscendingOrder: Qt.SortOrder.DescendingOrder}
            order = turned.get(first, Qt.SortOrder.AscendingOrder)
        self.sortByColumn(column, order)
        self.sorted.emit(self._headings[column], order == Qt.SortOrder.DescendingOrder)

    def show_items(self, items: Sequence[ModelItem]) -> None:
        """Fill the table; the sorting and the marked model stay."""
        marked = self._key(self.currentRow()) if self.currentRow() >= 0 else ""
        self.setSortingEnabled(False)
        self.setRowCount(len(items))
        for number, item in enumerate(items):
            for place, (text, order) in enumerate(_values(item)):
                cell = _Cell(text)
                cell.setData(_KEY, item.key)
                cell.setData(_ORDER, order)
                cell.setToolTip(text if place == 0 else "")
                self.setItem(number, place, cell)
        self.setSortingEnabled(True)
        for number in range(self.rowCount()):
            if self._key(number) == marked:
                self.setCurrentCell(number, 0)

    def _key(self, number: int) -> str:
        cell = self.item(number, 0)
        return str(cell.data(_KEY)) if cell is not None else ""


def _values(item: ModelItem) -> list[tuple[str, str | float]]:
    """(text, what it is sorted by) of each column; what is unknown sorts as zero."""
    plan, hit = item.plan, item.hit
    number = item.entry.parameters if item.entry else (hit.parameters or 0) if hit else 0
    speed = plan.speed.decode_tps if plan is not None and plan.speed else None
    licence = item.entry.licence if item.entry else (hit.licence or "") if hit else ""
    if item.installed is not None:
        licence = item.installed.licence or licence
    word = fit_words(item)[0]
    downloads = (hit.downloads or 0) if hit else 0
    return [
        (item.title, item.title.casefold()),
        (section_words(item), section_words(item)),
        (words.parameters(number) if number else "–", number),
        (words.size(item.size) if item.size else "–", item.size),
        (word or "–", _FIT_ORDER[plan.fits] if plan is not None else 0),
        (f"{words.span(speed)} tok/s" if speed else "–", speed.median if speed else 0.0),
        (licence or "–", licence),
        (words.count(downloads) if downloads else "–", downloads),
    ]


_FIT_ORDER = {"fits": 3, "tight": 2}

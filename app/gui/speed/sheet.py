"""A table of figures: shown with units, written with plain numbers. Knows no plot and no source."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QHeaderView, QTableView

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()

Row = Sequence[str | float | None]


@dataclass(frozen=True)
class Column:
    """One column: its name in a file (with the unit), its heading, how a value is shown."""

    key: str
    heading: str
    show: Callable[[Any], str] = str


class Sheet(QAbstractTableModel):
    """Rows of plain values; None is shown as a dash and written as nothing."""

    def __init__(self, columns: Sequence[Column] = ()) -> None:
        super().__init__()
        self._columns = tuple(columns)
        self._rows: tuple[Row, ...] = ()

    def set_rows(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        """Replace the rows, and the columns where they are given."""
        self.beginResetModel()
        self._columns = self._columns if columns is None else tuple(columns)
        self._rows = tuple(rows)
        self.endResetModel()

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        value = self._rows[index.row()][index.column()]
        return "–" if value is None else self._columns[index.column()].show(value)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return self._columns[section].heading

    def as_csv(self) -> str:
        """Comma-separated values under the columns' keys."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.key for column in self._columns)
        writer.writerows(self._rows)
        return text.getvalue()

    def as_json(self) -> str:
        """A JSON list with an object for each row."""
        keys = [column.key for column in self._columns]
        rows = [dict(zip(keys, row, strict=True)) for row in self._rows]
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def table_view(sheet: Sheet, name: str) -> QTableView:
    """A table over `sheet` that Tab walks past and screen readers know as `name`."""
    view = QTableView()
    view.setModel(sheet)
    view.setAccessibleName(name)
    view.verticalHeader().hide()
    view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    view.setShowGrid(False)
    view.setTabKeyNavigation(False)
    view.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return view

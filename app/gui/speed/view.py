"""What the views of the Speed page share: a heading, a plot, its table twin, a way to save both.

pyqtgraph is imported with the first plot: the window starts without it. Knows no figure.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QPushButton, QTabWidget, QVBoxLayout, QWidget

from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_S, Theme
from app.gui.parts.words import tr
from app.gui.speed.sheet import Column, Row, Sheet, table_view
from app.session.speed_report import SpeedReport

PLOT_HEIGHT = 240
TABS_HEIGHT = 44
_FILES = {
    "png": "PNG (*.png)",
    "csv": "CSV (*.csv)",
    "json": "JSON (*.json)",
}


class SpeedView(QWidget):
    """One figure. Subclasses say what it shows by `columns`, `rows` and `draw`."""

    failed = Signal(object)  # OSError of a file that could not be written

    name = ""  # of its files
    axes = ("", "")

    def __init__(self, title: str, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.report: SpeedReport | None = None
        self._title = title
        self.sheet = Sheet(self.columns())
        self.plot: Any = None
        self.note = label("", "small", wrap=True)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName(title)
        self.tabs.setFixedHeight(PLOT_HEIGHT + TABS_HEIGHT)
        self.table = table_view(self.sheet, title)
        self.save = self._save_button()
        self.controls = row()
        self.layout_ = QVBoxLayout(self)
        self.layout_.setContentsMargins(0, 0, 0, 0)
        self.layout_.setSpacing(SPACE_S)
        self.layout_.addWidget(label(title, "heading"))
        self.layout_.addWidget(self.note)
        self.layout_.addLayout(self.controls)
        self.tabs.addTab(self.table, tr("Table"))
        self.tabs.setCornerWidget(self.save)
        self.tabs.hide()
        self.layout_.addWidget(self.tabs)
        self.layout_.addStretch(1)

    # -- what a view shows -----------------------------------------------------------------------

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        raise NotImplementedError

    def rows(self, report: SpeedReport) -> Sequence[Row]:
        """The table's rows: plain values."""
        raise NotImplementedError

    def draw(self, report: SpeedReport) -> None:
        """Fill the empty plot."""
        raise NotImplementedError

    def describe(self, report: SpeedReport) -> str:
        """One sentence below the heading."""
        raise NotImplementedError

    # -- showing ---------------------------------------------------------------------------------

    def show_report(self, report: SpeedReport) -> None:
        """Fill plot and table; hidden while there is nothing to show."""
        self.report = report
        rows = self.rows(report)
        self.tabs.setVisible(bool(rows))
        self.note.setText(self.describe(report))
        self.sheet.set_rows(rows)
        if rows:
            self._build()
            self.plot.clear()
            self.draw(report)

    def set_theme(self, theme: Theme) -> None:
        """Draw again in other colours."""
        self.theme = theme
        if self.plot is not None and self.report is not None:
            shown = self.tabs.currentIndex()
            self.tabs.removeTab(0)
            self.plot.deleteLater()
            self.plot = None
            self.show_report(self.report)
            self.tabs.setCurrentIndex(shown)

    def _build(self) -> None:
        if self.plot is not None:
            return
        self.plot = _plot(self.theme, *self.axes, name=self._title)
        self.tabs.insertTab(0, self.plot, tr("Plot"))
        self.tabs.setCurrentIndex(0)

    def colour(self, number: int) -> str:
        """The colour of the numberth line."""
        return self.theme.segments[number % len(self.theme.segments)]

    # -- saving ----------------------------------------------------------------------------------

    def _save_button(self) -> QPushButton:
        made = button(tr("Save…"), "quiet", tr("Save as a picture, a table or data"))
        menu = QMenu(made)
        for kind, wording in (
            ("png", tr("Picture (PNG)")), ("csv", tr("Table (CSV)")), ("json", tr("Data (JSON)")),
        ):  # fmt: skip
            action = menu.addAction(wording)
            action.triggered.connect(lambda _checked=False, kind=kind: self._ask(kind))
        made.setMenu(menu)
        return made

    def _ask(self, kind: str) -> None:
        target, _filter = QFileDialog.getSaveFileName(
            self, tr("Save"), f"{self.name}.{kind}", _FILES[kind]
        )
        if target:
            try:
                self.write(Path(target), kind)
            except OSError as error:
                self.failed.emit(error)

    def write(self, target: Path, kind: str) -> None:
        """Write what is shown as "png", "csv" or "json". Raises OSError."""
        if kind == "png":
            shown = self.tabs.currentWidget()
            if not shown.grab().save(str(target), "PNG"):
                raise OSError(None, "the picture could not be written", str(target))
            return
        text = self.sheet.as_csv() if kind == "csv" else self.sheet.as_json()
        target.write_text(text, "utf-8")


def _plot(theme: Theme, x: str, y: str, name: str) -> Any:
    import pyqtgraph

    pyqtgraph.setConfigOptions(antialias=True)
    plot = pyqtgraph.PlotWidget(background=theme.surface)
    plot.setMouseEnabled(False, False)
    plot.hideButtons()
    plot.setMenuEnabled(False)
    for side, wording in (("bottom", x), ("left", y)):
        axis = plot.getAxis(side)
        axis.setLabel(wording, color=theme.muted)
        axis.setPen(theme.border)
        axis.setTextPen(theme.muted)
        axis.enableAutoSIPrefix(False)
    plot.showGrid(x=False, y=True, alpha=0.25)
    plot.setAccessibleName(name)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its table is what keyboards and readers get
    return plot

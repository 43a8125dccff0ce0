"""The models page: the downloads on top, below them one model, or all as a table."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QToolButton, QVBoxLayout, QWidget

from app.downloads.acquisition import HUB_PREFIX
from app.gui.models.control import ModelItem, ModelsControl
from app.gui.models.detail import ModelDetail
from app.gui.models.downloads_panel import DownloadsPanel
from app.gui.models.library import LibraryButton
from app.gui.models.quantize import QuantizeDialog
from app.gui.models.table import ModelTable
from app.gui.parts.controls import button, row
from app.gui.parts.theme import SPACE_L, SPACE_S, Theme
from app.gui.parts.words import tr
from app.quantizing.requantizing import Requantizing
from runtime.model.info import ModelInfo
from runtime.planning.format_choice import FormatRanking


class ModelsPage(QWidget):
    """Arranges the parts; each knows its own work."""

    chat_asked = Signal(str)
    announced = Signal(str)
    opened = Signal(str)  # key of a model chosen in the table

    def __init__(self, control: ModelsControl, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control = control
        self.downloads = DownloadsPanel(control.downloads, theme)
        self.detail = ModelDetail(control, theme)
        self.detail.chat_asked.connect(self.chat_asked)
        self.detail.quantize_asked.connect(self.ask_quantize)
        self.table = ModelTable()
        self.table.opened.connect(self.opened)
        self.as_table = button(tr("Compare all"), "", tr("Show all models of this list in a table"))
        self.as_table.setCheckable(True)
        self.as_table.toggled.connect(self._show_table)
        self.order = QToolButton()
        self.order.setText(tr("Sort by"))
        self.order.setAccessibleName(tr("Sort the table by"))
        self.order.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.order.setMenu(self.table.order_menu(self.order))
        self.order.hide()
        self.table.sorted.connect(self._announce_order)
        self.library = LibraryButton(control)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.detail)
        self._stack.addWidget(self.table)
        head = row(1, self.order, self.as_table, self.library)
        head.setContentsMargins(SPACE_L, SPACE_S, SPACE_L, SPACE_S)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.downloads)
        layout.addWidget(self._stack, 1)

    @property
    def key(self) -> str:
        """The model shown."""
        return self.detail.key

    def show_item(self, key: str) -> None:
        """One model in full."""
        self.as_table.setChecked(False)
        self.detail.show_item(key)

    def show_items(self, items: Sequence[ModelItem]) -> None:
        """What the list shows, for the table."""
        self.table.show_items(items)

    def _show_table(self, on: bool) -> None:
        self._stack.setCurrentWidget(self.table if on else self.detail)
        self.order.setVisible(on)
        if on:
            self.table.setFocus()

    def _announce_order(self, heading: str, from_the_largest: bool) -> None:
        text = (
            tr("Sorted by {0}, descending") if from_the_largest else tr("Sorted by {0}, ascending")
        )
        self.announced.emit(text.format(heading))
        self.table.setFocus()

    def ask_quantize(self, key: str) -> None:
        """How to quantize an installed model; it starts when the dialog is accepted."""
        session = self._control.session
        job = self._control.bridge.call(
            lambda: (
                session.conversion.requantizing(session.find(key)),
                *(session.rank_recipes(key) or (None, None)),
            )
        )
        job.finished.connect(lambda found: self._ask_quantize(key, *found))
        job.failed.connect(lambda _error: self._ask_quantize(key, None, None, None))

    def _ask_quantize(
        self,
        key: str,
        requantizing: Requantizing | None,
        info: ModelInfo | None,
        ranking: FormatRanking | None,
    ) -> None:
        item = self._control.item(key)
        plan = item.plan if item is not None else None
        prefill = plan.speed.prefill_tps.median if plan is not None and plan.speed else None
        threads = plan.placement.n_threads if plan is not None else 1
        shape = info.shape if info is not None else None
        dialog = QuantizeDialog(key, shape, threads or 1, prefill, requantizing, self, ranking)
        dialog.chosen.connect(
            lambda choice: self._control.quantize(
                key,
                choice.recipe,
                measure=choice.measure,
                calibrate=choice.calibrate,
                requantize=choice.requantize,
            )
        )
        dialog.official_wanted.connect(lambda repo: self._control.download(HUB_PREFIX + repo))
        dialog.open()

    def set_theme(self, theme: Theme) -> None:
        self.downloads.set_theme(theme)
        self.detail.set_theme(theme)

"""The list of models and the search over it, here and on the hub."""

from dataclasses import replace

from PySide6.QtCore import QModelIndex, QTimer, Signal
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QVBoxLayout, QWidget

from app.gui.models.cards import ITEM, ModelDelegate, ModelListModel
from app.gui.models.control import ModelItem, ModelsControl
from app.gui.models.filters import FilterPanel, Filters
from app.gui.parts.controls import IconButton, button, label, row
from app.gui.parts.theme import SPACE_M, SPACE_S, Theme
from app.gui.parts.words import tr
from app.hub.values import SearchPage
from app.wording.explain import explain

ASK_MILLISECONDS = 300  # the filters must rest for so long before the hub is asked again


class ModelList(QWidget):
    """Search and filters, the list, and what the hub's answer adds to it."""

    selected = Signal(str)
    announced = Signal(str)
    shown = Signal(list)  # the ModelItems that pass

    def __init__(self, control: ModelsControl, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control = control
        self._cached: SearchPage | None = None
        self._failure = ""
        self._asked_filters = Filters()
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search models"))
        self.search.setToolTip(tr("Press Enter to search the hub"))
        self.search.setAccessibleName(tr("Search models"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._text_changed)
        self.search.returnPressed.connect(self.ask_hub)
        self.filter_button = IconButton("settings", tr("Filters"), theme)
        self.filter_button.setCheckable(True)
        self.filters = FilterPanel()
        self.filters.hide()
        self.filters.changed.connect(self._filters_changed)
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(ASK_MILLISECONDS)
        self._delay.timeout.connect(self._ask_again)
        self.filter_button.toggled.connect(self.filters.setVisible)
        self.status = label("", "small", wrap=True)
        self.earlier = button(
            tr("Show earlier results"), "", tr("Show the latest results from the hub")
        )
        self.earlier.clicked.connect(self._show_earlier)
        self.more = button(tr("More results"))
        self.more.clicked.connect(control.search.ask_more)
        self._build_view(theme)
        self._lay_out()
        control.items_changed.connect(self.refresh)
        control.search.changed.connect(self._show_status)
        control.search.failed.connect(self._failed)
        self._show_status()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_M, SPACE_M, SPACE_S, SPACE_S)
        layout.setSpacing(SPACE_S)
        layout.addLayout(row(self.search, self.filter_button, spacing=4))
        for each in (self.filters, self.status, self.earlier):
            layout.addWidget(each)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.more)

    def _build_view(self, theme: Theme) -> None:
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

    # -- the list --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what passes the search and the filters."""
        text, filters = self.search.text().strip(), self.filters.filters()
        wanted = text.lower().split()
        answered = self._control.search.query.text == text
        current = self.current()
        self.model.set_items(
            [
                item
                for item in self._control.items
                if filters.shows(item)
                and ((answered and item.hit) or all(word in haystack(item) for word in wanted))
            ]
        )
        if current and self.current() != current:
            self.select(current)
        self.shown.emit(self.model.items)
        self._show_status()

    def select(self, key: str) -> None:
        """Mark one model, if it is listed."""
        for number, item in enumerate(self.model.items):
            if item.key == key:
                self.view.setCurrentIndex(self.model.index(number))

    def current(self) -> str:
        index = self.view.currentIndex()
        return index.data(ITEM).key if index.isValid() else ""

    def _current_changed(self, index: QModelIndex) -> None:
        if index.isValid():
            self.selected.emit(index.data(ITEM).key)

    # -- the hub ---------------------------------------------------------------------------------

    def ask_hub(self) -> None:
        """Search the hub for the text, by the filters."""
        self._asked_filters = self.filters.filters()
        self._forget_failure()
        self._control.search.ask(self._asked_filters.query(self.search.text().strip()))

    def _text_changed(self, text: str) -> None:
        self._forget_failure()
        if not text and self._control.search.asked:
            self._control.search.clear()
        self.refresh()

    def _filters_changed(self) -> None:
        """The list follows at once; the hub is asked when the user has stopped choosing."""
        self._delay.start()
        self.refresh()

    def _ask_again(self) -> None:
        asked = replace(self._asked_filters, fits_only=self.filters.filters().fits_only)
        if self._control.search.asked and self.filters.filters() != asked:
            self.ask_hub()

    def _failed(self, error: Exception, cached: SearchPage | None) -> None:
        wording = explain(error)
        self._cached = cached
        self._failure = f"{tr(wording.sentence)} {tr(wording.hint)}".strip()
        self._show_status()
        self.announced.emit(self._failure)

    def _forget_failure(self) -> None:
        self._cached, self._failure = None, ""

    def _show_earlier(self) -> None:
        cached = self._cached
        self._forget_failure()
        if cached is not None:
            self._control.search.show_cached(cached)

    def _show_status(self) -> None:
        """One line on how the search stands."""
        search = self._control.search
        self.more.setVisible(search.has_more and not search.busy)
        self.earlier.setVisible(self._cached is not None)
        text = ""
        if search.busy:
            text = tr("Asking the hub…")
        elif self._failure:
            text = self._failure
        elif search.asked and search.cached_at:
            text = tr("As of {0}; the hub cannot be reached now.", search.cached_at[:10])
        elif search.asked and not search.hits and search.has_more:
            text = tr("No match among the first results. “More results” searches further.")
        elif search.asked and not search.hits:
            text = tr("Nothing on the hub matches.")
        elif not self.model.items and self._control.items:
            text = tr("No match here. Press Enter to search the hub.")
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def set_theme(self, theme: Theme) -> None:
        self._delegate.theme = theme
        self.filter_button.set_theme(theme)
        self.view.doItemsLayout()  # the lines have another height


def haystack(item: ModelItem) -> str:
    """What the search field looks through."""
    entry = item.entry
    more = f" {entry.summary} {entry.teacher} {entry.base_model}" if entry else ""
    return f"{item.title} {item.key}{more}".lower()

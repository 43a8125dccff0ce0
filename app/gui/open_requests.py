"""Acts on files and links from outside, once the person has agreed."""

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox, QWidget

from app.gui.models.control import ModelsControl
from app.gui.parts.words import tr
from app.system.open_requests import parse


class OpenRequests(QObject):
    """Nothing is read, shown or fetched before the question is answered. `show_model` takes a
    catalog id, `search_hub` a repository."""

    def __init__(
        self,
        window: QWidget,
        library: ModelsControl,
        show_model: Callable[[str], None],
        search_hub: Callable[[str], None],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._library = library
        self._show_model = show_model
        self._search_hub = search_hub

    def take(self, argument: str) -> None:
        """Come to the front, and ask about what was handed over, if anything was."""
        window = self._window
        window.showNormal() if window.isMinimized() else window.show()
        window.raise_()
        window.activateWindow()
        request = parse(argument)
        if request.kind == "file":
            if self._agreed(tr("Add this model to the library?"), request.value):
                self._library.import_file(Path(request.value))
        elif request.kind == "model":
            if self._agreed(tr("A link asks to show this model."), request.value):
                self._show_model(request.value)
        elif request.kind == "hub":
            if self._agreed(tr("A link asks to search the hub for this."), request.value):
                self._search_hub(request.value)

    def _agreed(self, question: str, what: str) -> bool:
        buttons = QMessageBox.StandardButton
        text = f"{question}\n\n{what}"
        answer = QMessageBox.question(
            self._window, "Stillroom", text, buttons.Yes | buttons.Cancel, buttons.Cancel
        )
        return answer == buttons.Yes

"""Acts on files and links from outside, once the person has agreed. Knows the window's pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox

from app.gui.parts.words import tr
from app.library.folder import InstalledModel
from app.library.importers import found_file, import_model
from app.system.open_requests import understand
from app.wording.explain import explain
from runtime.jobs import CancelToken, OnProgress

if TYPE_CHECKING:
    from app.gui.main_window import MainWindow


class Arriving(QObject):
    """Nothing is read, shown or fetched before the question is answered."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window

    def take(self, argument: str) -> None:
        """Come to the front, and ask about what was handed over, if anything was."""
        window = self._window
        window.showNormal() if window.isMinimized() else window.show()
        window.raise_()
        window.activateWindow()
        arrival = understand(argument)
        if arrival.kind == "file":
            if self._agreed(tr("Add this model to the library?"), arrival.value):
                self._add(Path(arrival.value))
        elif arrival.kind == "model":
            if self._agreed(tr("A link asks to show this model."), arrival.value):
                window.show_model(arrival.value)
        elif arrival.kind == "hub":
            if self._agreed(tr("A link asks to search the hub for this."), arrival.value):
                window.show_page("models")
                window.model_list.search.setText(arrival.value)
                window.model_list.ask_hub()

    def _agreed(self, question: str, what: str) -> bool:
        buttons = QMessageBox.StandardButton
        text = f"{question}\n\n{what}"
        answer = QMessageBox.question(
            self._window, "Stillroom", text, buttons.Yes | buttons.Cancel, buttons.Cancel
        )
        return answer == buttons.Yes

    def _add(self, path: Path) -> None:
        library = self._window.session.library

        def work(on_progress: OnProgress, cancel: CancelToken) -> InstalledModel:
            return import_model(found_file(path), library, "link", on_progress, cancel)

        job = self._window.bridge.run(work)
        job.finished.connect(self._added)
        job.failed.connect(self._not_added)

    def _added(self, model: InstalledModel) -> None:
        window = self._window
        window.library.refresh()
        text = tr("{0} is ready", model.name)
        window.toast.show_text(text, tr("Chat"), lambda: window.chat_with(model.name))

    def _not_added(self, error: Exception) -> None:
        wording = explain(error)
        self._window.toast.show_text(f"{tr(wording.title)}. {tr(wording.sentence)}")

"""The models folder in the window: import, trash, clean up, move.

Asks, and hands the work to `ModelsControl`; knows no file.
"""

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QFileDialog,
    QHeaderView,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.gui.models.control import ModelsControl
from app.gui.parts import words
from app.gui.parts.controls import Check, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M
from app.gui.parts.words import tr
from app.library.folder import TrashedModel
from app.library.importers import FoundModel, Mode
from app.session.models_folder import FolderSurvey, clean, importable, move_models, survey
from runtime.progress import CancelToken, OnProgress


class LibraryButton(QToolButton):
    """What can be done with the models folder as a whole, and the way to models elsewhere."""

    remotes_asked = Signal()

    def __init__(self, control: ModelsControl, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control = control
        self.setText(tr("Library"))
        self.setAccessibleName(tr("Library"))
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        menu.addAction(tr("Import a file…"), self.import_file)
        menu.addAction(tr("Import a folder…"), self.import_folder)
        menu.addAction(tr("Import from other programs…"), self.import_found)
        menu.addSeparator()
        menu.addAction(tr("Trash and clean up…"), self.clean_up)
        menu.addAction(tr("Move the models folder…"), self.move_folder)
        menu.addSeparator()
        menu.addAction(tr("Remote models…"), self.remotes_asked.emit)
        self.setMenu(menu)

    def import_file(self) -> None:
        """A GGUF file that the user points at."""
        title = tr("Import a model file")
        name, _ = QFileDialog.getOpenFileName(self, title, "", f"{tr('Models')} (*.gguf)")
        if name:
            self._look_for(Path(name))

    def import_folder(self) -> None:
        """A checkpoint or an ONNX folder, or a folder with models in it."""
        name = QFileDialog.getExistingDirectory(self, tr("Import a folder with a model"))
        if name:
            self._look_for(Path(name))

    def import_found(self) -> None:
        """What LM Studio, Ollama, Jan, GPT4All and the hub's cache have here."""
        self._look_for(None)

    def _look_for(self, path: Path | None) -> None:
        job = self._control.bridge.call(lambda: importable(self._control.session, path))
        job.finished.connect(self._offer)
        job.failed.connect(self._control.failed)

    def _offer(self, found: Sequence[FoundModel]) -> None:
        dialog = ImportDialog(found, self.window())
        dialog.chosen.connect(self._control.import_models)
        dialog.open()

    def clean_up(self) -> None:
        """The trash, leftover files and duplicates."""
        job = self._control.bridge.call(lambda: survey(self._control.session))
        job.finished.connect(self._show_state)
        job.failed.connect(self._control.failed)

    def _show_state(self, state: FolderSurvey) -> None:
        dialog = CleanUpDialog(state, self.window())
        dialog.restore_asked.connect(self._control.restore)
        dialog.clean_asked.connect(
            lambda: self._control.maintain_folder(lambda _p, _c: clean(self._control.session))
        )
        dialog.open()

    def move_folder(self) -> None:
        """Another folder for all models."""
        title = tr("Choose a folder for the models")
        name = QFileDialog.getExistingDirectory(self, title)
        if not name:
            return
        control = self._control

        closed = False

        def work(on_progress: OnProgress, cancel: CancelToken) -> None:
            nonlocal closed
            control.downloads.close()
            closed = True
            move_models(control.session, Path(name), on_progress, cancel)

        job = control.maintain_folder(work)
        if job is not None:
            job.ended.connect(lambda: control.downloads.reopen() if closed else None)


class ImportDialog(QDialog):
    """Which of the found models to take, and whether as links or as copies."""

    chosen = Signal(list, str)  # FoundModels, Mode

    def __init__(self, found: Sequence[FoundModel], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._found = found
        self.setWindowTitle(tr("Import models"))
        self.resize(640, 360)
        headings = [tr("Model"), tr("From"), tr("Size"), tr("File")]
        rows = [
            (model.name, model.origin, words.size(model.size), str(model.files[0]))
            for model in found
        ]
        self.table = _table(headings, rows, tr("Models found"))
        for number in range(len(found)):
            cell = self.table.item(number, 0)
            assert cell is not None
            cell.setCheckState(Qt.CheckState.Checked)
        self.copy = Check(tr("Copy the files (otherwise they are used in place)"))
        take = button(tr("Import"), "primary")
        take.setObjectName("takeImports")
        take.setEnabled(bool(found))
        take.clicked.connect(self._take)
        cancel = button(tr("Cancel"))
        cancel.clicked.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        if not found:
            text = tr("No new models were found.")
            layout.addWidget(label(text, "muted", wrap=True))
        layout.addWidget(self.table, 1)
        layout.addWidget(self.copy)
        layout.addLayout(row(1, cancel, take))

    def _take(self) -> None:
        mode: Mode = "copy" if self.copy.isChecked() else "link"
        taken = []
        for number, model in enumerate(self._found):
            cell = self.table.item(number, 0)
            if cell is not None and cell.checkState() == Qt.CheckState.Checked:
                taken.append(model)
        self.chosen.emit(taken, mode)
        self.accept()


class CleanUpDialog(QDialog):
    """Removed models, leftover files and duplicates."""

    restore_asked = Signal(TrashedModel)
    clean_asked = Signal()

    def __init__(self, state: FolderSurvey, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._state = state
        self.setWindowTitle(tr("Trash and clean up"))
        self.resize(640, 360)
        kinds = {
            "files": tr("Files without a model"),
            "manifest": tr("Entry without files"),
            "download": tr("Unfinished download"),
            "staging": tr("Left over from an interrupted process"),
        }
        rows = [(trashed.name, tr("Removed"), words.size(trashed.size)) for trashed in state.trash]
        rows += [(o.path.name, kinds[o.kind], words.size(o.size)) for o in state.orphans]
        rows += [
            (", ".join(twin.models), tr("Duplicate file"), words.size(twin.wasted))
            for twin in state.duplicates
        ]
        self.table = _table([tr("Name"), tr("Type"), tr("Size")], rows, tr("Clean up"))
        self.back = button(tr("Restore"), "", tr("Restore the selected model"))
        self.back.setObjectName("restore")
        self.back.setEnabled(False)
        self.back.clicked.connect(self._restore)
        self.table.currentCellChanged.connect(
            lambda number, *_: self.back.setEnabled(0 <= number < len(state.trash))
        )
        text = tr("Delete · frees {0}", words.size(state.removable))
        self.clean = button(text, "danger", tr("Empties the trash and deletes leftover files"))
        self.clean.setObjectName("clean")
        self.clean.setEnabled(bool(state.trash or state.orphans))
        self.clean.clicked.connect(self.clean_asked)
        self.clean.clicked.connect(self.accept)
        close = button(tr("Close"))
        close.clicked.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        layout.setSpacing(SPACE_M)
        text = tr("{0}: {1} of models", str(state.folder), words.size(state.use))
        layout.addWidget(label(text, "muted", wrap=True))
        layout.addWidget(self.table, 1)
        layout.addLayout(row(self.back, 1, close, self.clean))

    def _restore(self) -> None:
        self.restore_asked.emit(self._state.trash[self.table.currentRow()])
        self.accept()


def _table(headings: list[str], rows: Sequence[Sequence[str]], name: str) -> QTableWidget:
    table = QTableWidget(len(rows), len(headings))
    table.setAccessibleName(name)
    table.setHorizontalHeaderLabels(headings)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setTabKeyNavigation(False)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    for number, texts in enumerate(rows):
        for place, text in enumerate(texts):
            cell = QTableWidgetItem(text)
            cell.setToolTip(text)
            table.setItem(number, place, cell)
    return table

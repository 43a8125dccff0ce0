"""What is done to stored conversations from the list and the menu: dialogs around ChatControl."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QPageLayout
from PySide6.QtWidgets import QFileDialog, QInputDialog, QLineEdit, QWidget

from app.documents.attachments import read_attachment
from app.errors import StoreError
from app.gui.chat.composer import Composer
from app.gui.chat.control import ChatControl
from app.gui.parts.bridge import Bridge
from app.gui.parts.failures import show_failure
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.gui.text.printing import PIXELS_PER_INCH, printable
from app.history.export import export_to
from app.history.export_reader import import_file
from app.history.records import Attachment, Conversation
from app.library.folder import safe_name

if TYPE_CHECKING:
    from PySide6.QtPrintSupport import QPrinter


class ConversationActions(QObject):
    """Asks what must be asked, then calls the control; shows the outcome in a toast."""

    changed = Signal()

    def __init__(self, chat: ChatControl, bridge: Bridge, toast: Toast, window: QWidget) -> None:
        super().__init__(window)
        self._chat = chat
        self._bridge = bridge
        self._toast = toast
        self._window = window

    def rename(self, conversation_id: int) -> None:
        old = self._chat.store.conversation(conversation_id).title
        title, accepted = QInputDialog.getText(
            self._window, tr("Rename"), tr("Title"), QLineEdit.EchoMode.Normal, old
        )
        if accepted and title.strip():
            self._chat.rename(conversation_id, title.strip())

    def move(self, conversation_id: int) -> None:
        store = self._chat.store
        folders = sorted({each.folder for each in store.conversations() if each.folder})
        folder, accepted = QInputDialog.getItem(
            self._window,
            tr("Move to folder"),
            tr("Folder (leave empty for none)"),
            ["", *folders],
            0,
            True,
        )
        if accepted:
            store.update_conversation(conversation_id, folder=folder.strip())
            self.changed.emit()

    def pin(self, conversation_id: int, pinned: bool) -> None:
        self._chat.store.update_conversation(conversation_id, pinned=pinned)
        self.changed.emit()

    def delete(self, conversation_id: int) -> None:
        self._chat.delete(conversation_id)
        self._toast.show_text(
            tr("Conversation deleted"), tr("Undo"), lambda: self._chat.restore(conversation_id)
        )

    # -- files -----------------------------------------------------------------------------------

    def export_open(self) -> None:
        """Export the conversation that is open."""
        if self._chat.conversation is not None:
            self.export(self._chat.conversation.id)

    def export(self, conversation_id: int) -> None:
        """Ask for a file; its ending chooses Markdown, JSON or HTML."""
        conversation = self._chat.store.conversation(conversation_id)
        proposed = safe_name(conversation.title or "conversation") + ".md"
        kinds = "Markdown (*.md);;JSON (*.json);;HTML (*.html)"
        name, _kind = QFileDialog.getSaveFileName(self._window, tr("Export"), proposed, kinds)
        if name:
            self.export_to(conversation, Path(name))

    def export_to(self, conversation: Conversation, path: Path) -> None:
        """Write one conversation; the outcome is shown."""
        messages = self._chat.store.messages(conversation.id)
        try:
            export_to(path, conversation, messages)
        except OSError as error:
            self._show_error(error)
            return
        self._toast.show_text(tr("Exported to {0}", path.name))

    def import_file(self) -> None:
        """Ask for an exported file and open what it holds."""
        kinds = tr("Exported conversations (*.json *.md *.html)")
        name, _kind = QFileDialog.getOpenFileName(self._window, tr("Import"), "", kinds)
        if name:
            self.import_from(Path(name))

    def import_from(self, path: Path) -> None:
        """Read one exported file and open what it holds; a failure is shown."""
        try:
            conversation = import_file(self._chat.store, path)
        except StoreError as error:
            self._show_error(error)
            return
        self._chat.open(conversation.id)
        self.changed.emit()

    def print_open(self) -> None:
        """Print the conversation that is open."""
        conversation = self._chat.conversation
        if conversation is None:
            return
        from PySide6.QtPrintSupport import QPrintDialog, QPrinter  # a library of its own to load

        printer = QPrinter(QPrinter.PrinterMode.HighResolution)
        if QPrintDialog(printer, self._window).exec():
            self.print_to(printer)

    def print_to(self, printer: QPrinter) -> None:
        """Print the branch that is shown."""
        conversation = self._chat.conversation
        assert conversation is not None
        inches = printer.pageLayout().paintRect(QPageLayout.Unit.Inch).size()
        shown = [turn.message for turn in self._chat.tree.path(conversation.head_id)]
        printable(conversation, shown, inches * PIXELS_PER_INCH).print_(printer)

    # -- attachments -----------------------------------------------------------------------------

    def choose_attachments(self, composer: Composer) -> None:
        """Ask for files and attach their text."""
        names, _kind = QFileDialog.getOpenFileNames(self._window, tr("Attach files"))
        self.attach(composer, names)

    def attach(self, composer: Composer, names: list[str]) -> None:
        """Read files away from the window and show each as a chip, or say why not."""
        for name in names:
            job = self._bridge.call(partial(read_attachment, Path(name)))
            job.finished.connect(partial(self._attached, composer))
            job.failed.connect(self._show_error)

    def _attached(self, composer: Composer, attachment: Attachment) -> None:
        """Show the file at once; a loaded model counts its tokens meanwhile."""
        composer.add_attachment(attachment)
        if self._chat.models.report is not None and not self._chat.busy:
            count = partial(self._chat.models.count_tokens, attachment)
            counted = partial(composer.recount, attachment)
            self._bridge.call(count).finished.connect(counted)

    def _show_error(self, error: Exception) -> None:
        show_failure(self._toast, error)

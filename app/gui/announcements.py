"""Announces what has happened where it belongs: status bar, toast, notification."""

import time
from collections.abc import Callable

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from app.gui.chat.control import ChatControl, Delta
from app.gui.models.control import ModelsControl, Quantized, Work
from app.gui.models.model_words import progress_words, queue_words
from app.gui.parts.failures import show_failure
from app.gui.parts.notifications import Notices
from app.gui.parts.status_bar import StatusBar
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.history.records import StoredMessage
from app.library.folder import InstalledModel, TrashedModel
from runtime.progress import Progress


class Announcements(QObject):
    """Listens to the controls of chat and models. `chat_with` opens a chat with a model."""

    def __init__(
        self,
        chat: ChatControl,
        library: ModelsControl,
        status: StatusBar,
        toast: Toast,
        chat_with: Callable[[str], None],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._library = library
        self._status = status
        self._toast = toast
        self._chat_with = chat_with
        self._began = 0.0  # of the last answer, on the monotonic clock
        self.notices = Notices(window)
        chat.answer_progress.connect(self._answer_progress)
        chat.answer_grew.connect(self._answer_grew)
        chat.answer_started.connect(self._answer_started)
        chat.answer_ended.connect(self._answer_ended)
        chat.not_stored.connect(self.show_error)
        library.work_changed.connect(self._work_changed)
        library.work_ended.connect(self._work_ended)
        library.removed.connect(self._model_removed)
        library.failed.connect(self.show_error)
        library.downloads.changed.connect(self._downloads_changed)
        library.downloads.finished.connect(lambda item: self._model_ready(item.request.name))

    def show_error(self, error: Exception) -> None:
        """Show a failure that has no place of its own in the window."""
        show_failure(self._toast, error)

    # -- models ----------------------------------------------------------------------------------

    def _work_changed(self, key: str) -> None:
        work = self._library.work.get(key)
        text = f"{key}: {progress_words(work.progress)}" if work and work.progress else ""
        self._status.show_work(text)

    def _downloads_changed(self) -> None:
        self._status.show_work(queue_words(self._library.downloads.items))

    def _work_ended(self, work: Work, result: object, error: Exception | None) -> None:
        if error is not None:
            self.show_error(error)
        elif isinstance(result, Quantized):
            self._model_ready(result.model.name)
        elif isinstance(result, InstalledModel):
            self._model_ready(result.name)

    def _model_ready(self, name: str) -> None:
        text = tr("{0} is ready", name)
        self.notices.notify(text, "")
        self._toast.show_text(text, tr("Chat"), lambda: self._chat_with(name))

    def _model_removed(self, trashed: TrashedModel) -> None:
        self._toast.show_text(
            tr("{0} removed", trashed.name), tr("Undo"), lambda: self._library.restore(trashed)
        )

    # -- the running answer       ----------------------------------------------------------------

    def _answer_started(self, _message: StoredMessage) -> None:
        self._began = time.monotonic()

    def _answer_progress(self, progress: Progress) -> None:
        self._status.show_work(progress_words(progress))

    def _answer_grew(self, delta: Delta) -> None:
        if delta.content or delta.reasoning:
            self._status.show_work("")
            self._status.show_live(delta.decode_tps)

    def _answer_ended(self, message: StoredMessage, error: Exception | None) -> None:
        self._status.show_work("")
        figures = message.figures
        self._status.show_figures(figures)
        stopped = error is None and figures.finish_reason in (None, "cancelled")
        if not stopped and time.monotonic() - self._began > self.notices.long_seconds:
            whole = message.state == "finished"
            title = tr("Answer finished") if whole else tr("Answer ended early")
            self.notices.notify(title, message.content[:120])

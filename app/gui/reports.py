"""Bug reports: copied, and offered where a fault shows. Knows the log's
folder and the clipboard; what stands in a report is `app.system.report`'s."""

import logging
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication

from app.gui.parts.bridge import Bridge
from app.gui.parts.failures import show_failure
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.paths import Paths
from runtime.tracebacks import log_uncaught

log = logging.getLogger(__name__)


class Reports(QObject):
    """Copies reports, opens the log's folder, and tells of faults from anywhere in the program."""

    _uncaught = Signal(object)

    def __init__(
        self, paths: Paths, bridge: Bridge, toast: Toast, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._paths = paths
        self._bridge = bridge
        self._toast = toast
        bridge.fault.connect(self.tell)
        # Queued: a fault in a paint event is told after it, one of another thread on this one.
        self._uncaught.connect(self.tell, Qt.ConnectionType.QueuedConnection)

    def watch(self) -> None:
        """From now on log and tell what nobody catches, in slots, threads and destructors."""
        log_uncaught(log, self._post)

    def tell(self, error: Exception) -> None:
        """Say that the program is at fault, with a button that copies a report."""
        show_failure(self._toast, error)

    def copy(self) -> None:
        """Put a report on the clipboard and say so."""

        def make() -> str:
            from app.system.report import report  # late: it reads package metadata

            return report(self._paths)

        self._bridge.call(make).finished.connect(self._copied)

    def open_logs(self) -> None:
        """Show the folder of the logs in the system's file manager."""
        folder = Path(self._paths.logs)
        folder.mkdir(parents=True, exist_ok=True)
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._toast.show_text(tr("The logs are in {0}", folder))

    def _copied(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._toast.show_text(
            tr(
                "Bug report copied, without prompts, paths or names. Please read it before you"
                " share it."
            )
        )

    def _post(self, error: BaseException) -> None:
        try:
            self._uncaught.emit(error)
        except RuntimeError:
            log.debug("the window is gone; a fault is only logged")

"""Checks for a newer version when the user asks, and shows the result."""

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMessageBox, QWidget

from app.gui.parts.bridge import Bridge
from app.gui.parts.failures import show_failure
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.session.session import Session
from app.system.updates import Release, newest_release


class NewerVersion(QObject):
    """Asks the address in the settings; nothing is downloaded."""

    def __init__(self, session: Session, bridge: Bridge, toast: Toast, window: QWidget) -> None:
        super().__init__(window)
        self._session = session
        self._bridge = bridge
        self._toast = toast
        self._window = window

    def ask(self) -> None:
        """A message or a toast follows."""
        session = self._session
        job = self._bridge.call(lambda: newest_release(session.settings, session.paths.hub))
        job.finished.connect(self._show)
        job.failed.connect(lambda error: show_failure(self._toast, error))

    def _show(self, release: Release) -> None:
        text = tr("You have the latest version.")
        if release.is_newer:
            parts = (tr("Version {0} is available.", release.version), release.page, release.notes)
            text = "\n\n".join(filter(None, parts))
        QMessageBox.information(self._window, tr("Check for updates"), text)

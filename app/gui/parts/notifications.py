"""Notifies about finished work when the window is in the background. Knows the tray, not the
work."""

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

LONG_SECONDS = 15.0  # a shorter answer is not worth a notification


class Notices(QObject):
    """One tray icon, shown only while there is a notification."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._tray = QSystemTrayIcon(window.windowIcon(), self)
        self._tray.activated.connect(lambda _reason: self._front())
        self._tray.messageClicked.connect(self._front)
        self.enabled = True
        self.long_seconds = LONG_SECONDS
        self.last = ""

    def notify(self, title: str, text: str) -> bool:
        """Notify unless the window is in front or the user does not want it; returns whether."""
        if not self.enabled or self._window.isActiveWindow():
            return False
        self.last = title
        QApplication.alert(self._window)
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._tray.setIcon(self._window.windowIcon())
            self._tray.show()
            self._tray.showMessage(title, text)
        return True

    def _front(self) -> None:
        self._tray.hide()
        self._window.showNormal()
        self._window.raise_()
        self._window.activateWindow()

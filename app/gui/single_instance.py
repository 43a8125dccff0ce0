"""One window for each home folder: a second start hands its argument over and ends.

Knows local sockets and bytes, not what an argument means.
"""

import hashlib
import sys
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtNetwork import QLocalServer, QLocalSocket

MILLISECONDS = 1000
LONGEST = 4096  # bytes of an argument


class Instance(QObject):
    """`received` carries what a later start was given, "" where it was given nothing."""

    received = Signal(str)

    def __init__(self, data: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        digest = hashlib.sha256(str(data.absolute()).encode()).hexdigest()
        self._name = f"stillroom-{digest[:24]}"
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._accept)
        if parent is not None and sys.platform == "darwin":  # which tells the program that runs
            parent.installEventFilter(self)

    def hand_over(self, argument: str) -> bool:
        """Give the argument to the window that is open; False where none is."""
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(MILLISECONDS):
            return False
        socket.write(argument.encode()[:LONGEST] + b"\n")
        heard = socket.waitForBytesWritten(MILLISECONDS) and socket.waitForReadyRead(MILLISECONDS)
        socket.disconnectFromServer()
        return heard

    def listen(self) -> bool:
        """Be the one that later starts find. What a crash left behind is removed."""
        if self._server.listen(self._name):
            return True
        QLocalServer.removeServer(self._name)
        return self._server.listen(self._name)

    def close(self) -> None:
        self._server.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QFileOpenEvent):
            self.received.emit(event.file() or event.url().toString())
            return True
        return super().eventFilter(watched, event)

    def _accept(self) -> None:
        """Only programs of the same user connect, and they write at once."""
        socket = self._server.nextPendingConnection()
        heard = socket.canReadLine() or socket.waitForReadyRead(MILLISECONDS)
        line = bytes(socket.readLine(LONGEST + 1).data()).decode("utf-8", "replace").rstrip("\n")
        if heard:
            socket.write(b"ok\n")
            socket.waitForBytesWritten(MILLISECONDS)
        socket.close()
        socket.deleteLater()
        if heard:
            self.received.emit(line)

"""The local server beside the window: on while its setting is. Knows no widget."""

from PySide6.QtCore import QObject, Signal

from app.gui.parts.bridge import Bridge
from app.gui.parts.words import tr
from app.server.launch import Started, start_server
from app.server.limits import ServeOptions
from app.session.session import Session
from app.wording.explain import explain


class ServerControl(QObject):
    """Starts and stops the server off the window's thread; `status_changed` has the news."""

    status_changed = Signal(str)

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._started: Started | None = None
        self._changing = False
        self.text = ""
        self.use_settings()

    def use_settings(self) -> None:
        """Start or stop as the setting says; a change under way is looked at again at its end."""
        wanted = self._session.settings.serve
        if self._changing or wanted == (self._started is not None):
            return
        self._changing = True
        job = self._bridge.call(self._start if wanted else self._stop)
        job.finished.connect(lambda _: self._changed(self._words()))
        job.failed.connect(self._failed)

    def close(self) -> None:
        """Stop with the window."""
        self._stop()

    def _start(self) -> None:
        options = ServeOptions(port=self._session.settings.server_port)
        self._started = start_server(self._session, options)

    def _stop(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.server.stop()

    def _words(self) -> str:
        if self._started is None:
            return ""
        return (
            tr("Address: {0}", self._started.server.address.url)
            + "\n"
            + tr("Key: {0}", self._started.key)
        )

    def _failed(self, error: Exception) -> None:
        self._changed(tr(explain(error).sentence), again=False)

    def _changed(self, text: str, *, again: bool = True) -> None:
        self._changing = False
        self.text = text
        self.status_changed.emit(text)
        if again:
            self.use_settings()

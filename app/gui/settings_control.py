"""The settings in the window: shown, kept in the file, and announced, one change at a time.

Does not know what a setting changes: who listens to `changed` applies it.
"""

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app.errors import SettingsError
from app.gui.dialogs.settings import SettingsDialog
from app.gui.models.access import TokenDialog
from app.gui.parts.bridge import Bridge
from app.gui.parts.failures import show_failure
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.gui.server_control import ServerControl
from app.session.session import Session
from app.settings import Settings, save


class SettingsControl(QObject):
    """The one way a setting changes while the window is open."""

    changed = Signal(Settings, str)  # all of them, and the name of the one that changed

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        server: ServerControl,
        toast: Toast,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._bridge = bridge
        self._server = server
        self._toast = toast
        self._window = window

    def show(self) -> None:
        """The dialog; every change takes effect at once."""
        dialog = SettingsDialog(self._session.settings, self._window)
        dialog.changed.connect(self.use)
        dialog.show_note("serve", self._server.text)
        show_token = lambda: TokenDialog(self._session, self._bridge, dialog).exec()  # noqa: E731
        dialog.add_button("hub_endpoint", tr("Access token…"), show_token)

        def tell(text: str) -> None:
            dialog.show_note("serve", text)

        self._server.status_changed.connect(tell)
        dialog.exec()
        self._server.status_changed.disconnect(tell)

    def remember(self, name: str, value: object) -> None:
        """Keep one setting that the window itself decides."""
        if getattr(self._session.settings, name) != value:
            self.use(self._session.settings.with_value(name, value), name)

    def use(self, settings: Settings, name: str) -> None:
        """Keep one changed setting; where the file cannot be written, until the window closes."""
        self._session.settings = settings
        try:
            save(settings, self._session.paths.settings)
        except SettingsError as error:
            show_failure(self._toast, error)
        self.changed.emit(settings, name)

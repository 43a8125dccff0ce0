"""What the window does once it can be used: models, devices, maintenance of the history.

The window is drawn and takes typing before any of this begins. Knows the order, not the pages.
"""

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.downloads.starter import is_bundled
from app.gui.models.control import ModelsControl
from app.gui.models.selection import ModelSelection
from app.gui.parts.bridge import Bridge
from app.gui.parts.toast import Toast
from app.gui.parts.words import tr
from app.library.catalog import starter
from app.markup import code_colours, latex
from app.markup.markdown import parser
from app.paths import bundled_folder
from app.session.session import Session

DISCOVERY_DELAY_MILLISECONDS = 20  # the first frame is on the screen
MAINTENANCE_DELAY_MILLISECONDS = 2000  # models and devices are known


class Startup(QObject):
    """Begins once; each step is short on the window's thread."""

    devices_found = Signal(object)  # of the machine, for the plan's panel

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        models: ModelSelection,
        library: ModelsControl,
        toast: Toast,
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._session = session
        self._bridge = bridge
        self._models = models
        self._library = library
        self._toast = toast
        self._window = window
        self._starter_offered = False

    def begin(self) -> None:
        """Report a repaired history, and schedule the rest."""
        if self._session.store.repaired_from is not None:
            self._toast.show_text(tr("The history was damaged and has been repaired"))
        QTimer.singleShot(DISCOVERY_DELAY_MILLISECONDS, self._discover)
        QTimer.singleShot(MAINTENANCE_DELAY_MILLISECONDS, self._maintain_history)

    def _discover(self) -> None:
        self._library.items_changed.connect(self.choose_first)
        self._library.refresh()
        self._library.downloads.start()
        self._bridge.call(self._session.devices).finished.connect(self.devices_found)

    def choose_first(self) -> None:
        """The model of last time, else the first installed one."""
        names = self._models.names()
        if not names:
            self._install_starter()
        if self._models.chosen in names:
            return
        last = self._session.settings.last_model
        self._models.choose(last if last in names else names[0] if names else "")

    def _install_starter(self) -> None:
        """At the first start there is a model to ask: the one that came with the program."""
        entry = starter(self._session.catalog)
        if self._starter_offered or entry is None or entry.source is None:
            return
        self._starter_offered = True
        if is_bundled(entry.source, bundled_folder()) and not self._session.library.trash():
            self._library.install(entry.id)

    def _maintain_history(self) -> None:
        """Back the history up and read all of it; import what the first formula needs."""
        if not self._window.isVisible():
            return
        store = self._session.store

        def maintain() -> bool:
            store.purge()
            sound = store.check()
            if sound:
                store.backup_if_older()
            _warm_up()
            return sound

        self._bridge.call(maintain).finished.connect(self._show_damage)

    def _show_damage(self, sound: bool) -> None:
        if not sound:
            self._toast.show_text(
                tr("The history file is damaged; the next start repairs it from a backup")
            )


def _warm_up() -> None:
    """Load what the first answer with mathematics and code needs, so that it stops no frame."""
    parser().parse("$x$")
    latex.draw("x", inline=True, size=12.0, colour="#000000")
    list(code_colours.runs("x = 1", "python", dark=False))

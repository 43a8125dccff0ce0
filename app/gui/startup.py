"""What the window does once it can be used: models, devices, care of the history.

The window is drawn and takes typing before any of this begins. Knows the order, not the pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from app.downloads.starter import is_carried
from app.gui.dialogs.tour import Step, Tour
from app.gui.parts.words import tr
from app.library.catalog import starter
from app.markup import code_colours, latex
from app.markup.markdown import parser
from app.paths import bundled_folder

if TYPE_CHECKING:
    from app.gui.main_window import MainWindow

DISCOVERY_DELAY_MILLISECONDS = 20  # the first frame is on the screen
CARE_MILLISECONDS = 2000  # models and devices are known


class Startup(QObject):
    """Begins once; each step is short on the window's thread."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._starter_readied = False

    def begin(self) -> None:
        """Show what is stored, put the cursor where one types, and leave the rest for later."""
        window = self._window
        window.refresh_conversations()
        window.chat_page.composer.text.setFocus()
        if window.session.store.repaired_from is not None:
            window.toast.show_text(tr("The history was damaged and has been repaired"))
        QTimer.singleShot(DISCOVERY_DELAY_MILLISECONDS, self._discover)
        QTimer.singleShot(CARE_MILLISECONDS, self._care)

    def offer_tour(self) -> None:
        """The tour, at the first start of someone who has not said anything yet."""
        window = self._window
        if not window.session.settings.tour_seen and not window.session.store.conversations():
            self.show_tour()

    def show_tour(self) -> None:
        """Three steps: ask, choose, read the numbers."""
        window = self._window
        window.show_page("chat")
        page = window.chat_page
        steps = (
            Step(
                page.composer,
                tr("Ask anything"),
                tr("Type here and press Enter. It stays on this machine: no account, no network."),
            ),
            Step(
                page.model_button,
                tr("Choose a model"),
                tr("The starter model is only a demo. The Models page shows what fits this"
                   " machine and how fast it will be, before you download it."),
            ),
            Step(
                window.status,
                tr("Understand the numbers"),
                tr("Speed, the predicted range and memory are shown here. “Why?” explains"
                   " them. Press F1 for help."),
            ),
        )  # fmt: skip
        tour = Tour(window.body, steps)
        tour.ended.connect(lambda: window.remember("tour_seen", True))
        tour.ended.connect(page.composer.text.setFocus)
        tour.ended.connect(tour.deleteLater)
        tour.begin()

    def _discover(self) -> None:
        window = self._window
        window.library.items_changed.connect(self.choose_first)
        window.library.refresh()
        window.library.downloads.start()
        devices = window.bridge.call(window.session.devices)
        devices.finished.connect(window.inspector.plan.set_devices)

    def choose_first(self) -> None:
        """The model of last time, else the first installed one."""
        window = self._window
        names = window.models.names()
        if not names:
            self._ready_starter()
        if window.models.chosen in names:
            return
        last = window.session.settings.last_model
        window.models.choose(last if last in names else names[0] if names else "")

    def _ready_starter(self) -> None:
        """At the first start there is a model to ask: the one that came with the program."""
        window = self._window
        entry = starter(window.session.catalog)
        if self._starter_readied or entry is None or entry.source is None:
            return
        self._starter_readied = True
        if is_carried(entry.source, bundled_folder()) and not window.session.library.trash():
            window.library.install(entry.id)

    def _care(self) -> None:
        """Back the history up and read all of it; import what the first formula needs."""
        window = self._window
        if not window.isVisible():
            return
        store = window.session.store

        def care() -> bool:
            store.purge()
            sound = store.check()
            if sound:
                store.backup_if_older()
            _warm_up()
            return sound

        window.bridge.call(care).finished.connect(self._cared)

    def _cared(self, sound: bool) -> None:
        if not sound:
            self._window.toast.show_text(
                tr("The history file is damaged; the next start repairs it from a backup")
            )


def _warm_up() -> None:
    """Load what the first answer with mathematics and code needs, so that it stops no frame."""
    parser().parse("$x$")
    latex.draw("x", inline=True, size=12.0, colour="#000000")
    list(code_colours.runs("x = 1", "python", dark=False))

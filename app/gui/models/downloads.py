"""The download queue on the window's thread: its items, and what the user does with them.

Knows the queue and Qt's signals; no widgets.
"""

import logging

from PySide6.QtCore import QObject, Qt, QTimer, Signal

from app.downloads.install import ModelRequest
from app.downloads.queue import DownloadQueue, QueueItem
from app.gui.parts.bridge import Bridge
from app.session.session import Session
from app.settings import Settings
from quant.error_base import StillroomError

log = logging.getLogger(__name__)

_REDRAW_MILLISECONDS = 100


class Downloads(QObject):
    """Every call returns at once; `changed` follows, at most ten times a second."""

    changed = Signal()
    finished = Signal(QueueItem)
    _posted = Signal(QueueItem)

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._last_states: dict[str, str] = {}
        self._posted.connect(self._changed, Qt.ConnectionType.QueuedConnection)
        self._redraw = QTimer(self)
        self._redraw.setSingleShot(True)
        self._redraw.setInterval(_REDRAW_MILLISECONDS)
        self._redraw.timeout.connect(self.changed)
        self.run_elsewhere = False  # another process runs the queue: this one only shows it
        self.queue = self._open()

    def _open(self) -> DownloadQueue:
        return self._session.download_queue(self._post)

    def start(self) -> None:
        """Take up what the last process left."""
        self._started(self.queue.start())

    def _started(self, mine: bool) -> None:
        self.run_elsewhere = not mine
        self.changed.emit()

    @property
    def items(self) -> tuple[QueueItem, ...]:
        return self.queue.items()

    def find(self, source: str) -> tuple[QueueItem, ...]:
        """What is being downloaded of a catalog id or repository, unfinished."""
        return tuple(
            item
            for item in self.items
            if source in (item.request.source, item.request.repo) and item.state != "done"
        )

    # -- what the user does ----------------------------------------------------------------------

    def add(self, request: ModelRequest) -> None:
        """Queue a download; one that is there already goes on."""
        self._bridge.call(lambda: self.queue.add(request)).ended.connect(self.changed)

    def pause(self, item_id: str) -> None:
        self._bridge.call(lambda: self.queue.pause(item_id))

    def resume(self, item_id: str) -> None:
        self._bridge.call(lambda: self.queue.resume(item_id))

    def cancel(self, item_id: str) -> None:
        """Take it out of the queue and remove its part."""
        self._bridge.call(lambda: self.queue.cancel(item_id)).ended.connect(self.changed)

    def prioritise(self, item_id: str) -> None:
        """Put a download before all others; what runs is not interrupted."""
        top = max((item.priority for item in self.items), default=0)
        self._bridge.call(lambda: self.queue.prioritise(item_id, top + 1))

    def clear_finished(self) -> None:
        """Take finished downloads off the list."""
        self._bridge.call(self.queue.clear_finished).ended.connect(self.changed)

    def use_settings(self, settings: Settings) -> None:
        """Apply a changed download limit at once."""
        self.queue.limits.rate.bytes_per_second = settings.download_limit * 1_000_000 or None

    def reopen(self) -> None:
        """Go on in another models folder; call with the queue closed."""
        self.queue = self._open()
        self.start()

    def close(self) -> None:
        """Stop everything and keep the parts; the next start goes on."""
        self.queue.close()

    # -- from the queue's threads ----------------------------------------------------------------

    def _post(self, item: QueueItem) -> None:
        try:
            self._posted.emit(item)
        except RuntimeError:
            log.debug("the window is gone; a download's news is dropped")

    def _changed(self, item: QueueItem) -> None:
        if not self._redraw.isActive():
            self._redraw.start()
        before, self._last_states[item.id] = self._last_states.get(item.id), item.state
        if before == item.state:
            return
        if item.state == "done":
            self.finished.emit(item)


def error_of(item: QueueItem) -> Exception | None:
    """What stopped or delays a download; None for one that goes on."""
    if item.error is None or item.state not in ("failed", "waiting"):
        return None
    return StillroomError.from_json(item.error)

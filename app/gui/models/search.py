"""Asking the hub, page by page; what was seen last when it cannot be asked. No widgets."""

from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, Signal

from app.errors import HubError
from app.gui.parts.bridge import Bridge, Job
from app.hub.faults import UNREACHABLE_ERRORS
from app.hub.values import SearchHit, SearchPage, SearchQuery
from app.session.session import Session
from runtime.progress import CancelToken, OnProgress


@dataclass(frozen=True)
class _SearchFailed:
    """Why the hub did not answer, and its last response to the same search."""

    error: HubError
    cached: SearchPage | None


class HubSearch(QObject):
    """One search at a time: a newer one ends the one before."""

    changed = Signal()
    failed = Signal(object, object)  # the error, and the SearchPage seen last or None

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._job: Job | None = None
        self._next: str | None = None
        self.query = SearchQuery()
        self.hits: tuple[SearchHit, ...] = ()
        self.cached_at: str | None = None
        self.asked = False  # whether `hits` are the answer to a search

    @property
    def busy(self) -> bool:
        return self._job is not None

    @property
    def has_more(self) -> bool:
        return self._next is not None

    def ask(self, query: SearchQuery) -> None:
        """Search anew."""
        self.query, self.hits, self.cached_at = query, (), None
        self._ask(None)

    def ask_more(self) -> None:
        """The next page of the same search."""
        if self._next is not None and not self.busy:
            self._ask(self._next)

    def show_cached(self, page: SearchPage) -> None:
        """Offer what was seen last."""
        self.hits, self._next, self.cached_at = page.hits, None, page.cached_at
        self.asked = True
        self.changed.emit()

    def clear(self) -> None:
        """Forget the search and its results."""
        if self._job is not None:
            self._job.cancel()
        self._job, self._next, self.hits, self.asked = None, None, (), False
        self.changed.emit()

    def _ask(self, next_page: str | None) -> None:
        if self._job is not None:
            self._job.cancel()
        query = self.query

        def work(_progress: OnProgress, cancel: CancelToken) -> SearchPage | _SearchFailed:
            hub = self._session.acquisition.hub
            try:
                return hub.search(query, next_page, cancel)
            except UNREACHABLE_ERRORS as error:
                return _SearchFailed(error, hub.cached_search(query))

        job = self._bridge.run(work)
        self._job = job
        job.finished.connect(lambda page: self._found(job, page))
        job.failed.connect(lambda error: self._failed(job, error))
        self.changed.emit()

    def _found(self, job: Job, page: SearchPage | _SearchFailed) -> None:
        if job is not self._job:
            return
        if isinstance(page, _SearchFailed):
            self._failed(job, page.error, page.cached)
            return
        self._job, self._next, self.asked = None, page.next_page, True
        self.hits += page.hits
        self.changed.emit()

    def _failed(self, job: Job, error: Exception, cached: SearchPage | None = None) -> None:
        if job is not self._job:
            return
        self._job = None
        self.changed.emit()
        self.failed.emit(error, cached if cached is None else replace(cached, next_page=None))

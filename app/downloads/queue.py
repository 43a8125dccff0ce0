"""The queue of downloads: what runs, what waits, in which order; it survives a restart.

Knows states, priorities and when to try again. Does not know how a model is fetched
(`app.downloads.install` does) or how a state is shown. Callbacks come from its own threads.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

import msgspec

from app.downloads.download import Limits
from app.downloads.install import ModelRequest, discard, download_folder, received_bytes
from app.errors import (
    DownloadBusy,
    HubUnavailable,
    Interrupted,
    Offline,
    RateLimited,
)
from app.hub.faults import asked_to_wait
from app.library.folder import InstalledModel, Library
from app.locks import FileLock
from app.unexpected import log_unexpected, stored_form
from quant.error_base import StillroomError
from quant.files import write_json_atomically
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

State = Literal["queued", "running", "paused", "waiting", "failed", "done"]
Fetch = Callable[[ModelRequest, OnProgress, CancelToken, Limits], InstalledModel]

_RETRY_FIRST = 15.0  # seconds until a download that lost its network is retried
_RETRY_LONGEST = 300.0
_RATE_WINDOW = 5.0
_TEMPORARY = (Interrupted, Offline, HubUnavailable, RateLimited)


@dataclass(frozen=True)
class QueueItem:
    """One download. Amounts in bytes, `rate` in bytes per second, `seconds_left` None if unknown.

    `error` is the JSON of what stopped it ("failed") or delays it ("waiting"); `phase` is what is
    being done: "download", "check" ...
    """

    id: str
    request: ModelRequest
    state: State
    priority: int = 0
    received: int = 0
    total: int | None = None
    rate: float = 0.0
    phase: str = ""
    error: dict[str, object] | None = None

    @property
    def seconds_left(self) -> float | None:
        if self.state != "running" or self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.received, 0) / self.rate


OnChange = Callable[[QueueItem], None]


class DownloadQueue:
    """Downloads in order of priority (higher first), then of arrival.

    file: where the queue is kept. fetch: does one download. Only one process may run a queue file:
    `start` returns False in a second one, which can still read it.
    """

    def __init__(
        self,
        file: Path,
        library: Library,
        fetch: Fetch,
        on_change: OnChange = lambda _: None,
        *,
        limits: Limits | None = None,
        at_once: int = 2,
        retry_first: float = _RETRY_FIRST,
    ) -> None:
        self.limits = limits or Limits()
        self._file = file
        self._library = library
        self._fetch = fetch
        self._on_change = on_change
        self._at_once = at_once
        self._retry_first = retry_first
        self._owner = FileLock(file.with_name(file.name + ".lock"))
        self._changed = threading.Condition()
        self._saving = threading.Lock()  # never taken with `_changed` held: the disk may be slow
        self._items: dict[str, QueueItem] = {}
        self._tokens: dict[str, CancelToken] = {}
        self._due: dict[str, _RetryState] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._load()

    # ---- running ----

    def start(self) -> bool:
        """Resume the queue where the last process left it; False if another process runs it."""
        if not self._owner.try_acquire():
            return False
        self._closing = False
        with self._changed:
            self._load()  # another process may have changed it since
            for item in self._items.values():
                if item.state in ("running", "waiting"):
                    self._items[item.id] = replace(item, state="queued")
        self._threads = [
            threading.Thread(target=self._work, name=f"download-queue-{n}", daemon=True)
            for n in range(self._at_once)
        ]
        for thread in self._threads:
            thread.start()
        return True

    def close(self) -> None:
        """Stop all downloads, keep their parts, and leave the queue to the next start."""
        with self._changed:
            self._closing = True
            tokens = list(self._tokens.values())
            self._changed.notify_all()
        for token in tokens:
            token.cancel()
        for thread in self._threads:
            thread.join()
        self._threads = []
        self._owner.release()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep every process from downloading inside the block. Raises DownloadBusy if one does."""
        if not self._owner.try_acquire():
            raise DownloadBusy(path=str(self._file))
        try:
            yield
        finally:
            self._owner.release()

    # ---- what the user does ----

    def items(self) -> tuple[QueueItem, ...]:
        """All downloads: those at work and next in line first, then the others."""
        with self._changed:
            return tuple(sorted(self._items.values(), key=self._order))

    def add(self, request: ModelRequest, priority: int = 0) -> QueueItem:
        """Queue a download. One that is in the queue already is resumed, not added twice; of a
        newer commit, its files take the place of those asked for before."""
        folder = download_folder(self._library, request)
        with self._changed:
            for item in self._items.values():
                if item.state != "done" and download_folder(self._library, item.request) == folder:
                    if item.state != "running":
                        self._items[item.id] = replace(item, request=request, total=request.size)
                    break
            else:
                item = QueueItem(uuid4().hex[:12], request, "queued", priority, total=request.size)
                self._items[item.id] = item
        return self.resume(item.id)

    def pause(self, item_id: str) -> None:
        """Stop a download at once and keep its part."""
        self._stop(item_id, "paused")

    def resume(self, item_id: str) -> QueueItem:
        """Queue a paused, waiting or failed download again."""
        with self._changed:
            item = self._items[item_id]
            if item.state in ("paused", "waiting", "failed"):
                item = replace(item, state="queued", error=None)
                self._due.pop(item_id, None)
            self._items[item_id] = item
            self._changed.notify_all()
        self._save()
        self._on_change(item)
        return item

    def cancel(self, item_id: str) -> None:
        """Take a download out of the queue and remove its part."""
        self._stop(item_id, "paused")
        with self._changed:
            item = self._items.pop(item_id)
        self._save()
        discard(self._library, item.request)
        self._on_change(item)

    def prioritise(self, item_id: str, priority: int) -> None:
        """Change the order; a running download is not interrupted."""
        with self._changed:
            item = replace(self._items[item_id], priority=priority)
            self._items[item_id] = item
            self._changed.notify_all()
        self._save()
        self._on_change(item)

    def clear_finished(self) -> None:
        """Drop finished downloads from the list; the models stay."""
        with self._changed:
            self._items = {k: item for k, item in self._items.items() if item.state != "done"}
        self._save()

    # ---- inside ----

    def _stop(self, item_id: str, state: State) -> None:
        """Stop a download with `state`, waiting until its thread has released the part."""
        with self._changed:
            item = self._items[item_id]
        self._save(replace(item, state=state))
        with self._changed:
            item = self._items[item_id]
            token = self._tokens.get(item_id)
        if token is not None:
            token.cancel()
            with self._changed:
                self._changed.wait_for(lambda: item_id not in self._tokens, timeout=10)
                received = received_bytes(self._library, item.request)
                item = replace(self._items[item_id], received=received)
                self._items[item_id] = item
        self._on_change(item)

    @staticmethod
    def _order(item: QueueItem) -> tuple[bool, bool, int]:
        return item.state == "done", item.state != "running", -item.priority

    def _next(self) -> QueueItem | None:
        """The queued download that is first in line; requeues those whose wait is over."""
        now = time.monotonic()
        for item_id, due in list(self._due.items()):
            item = self._items.get(item_id)
            if item is not None and item.state == "waiting" and now >= due.at:
                self._items[item_id] = replace(item, state="queued")
        queued = [
            item
            for item in self._items.values()
            if item.state == "queued" and item.id not in self._tokens
        ]
        return min(queued, key=lambda item: -item.priority, default=None)

    def _pause(self) -> float | None:
        """Seconds until the next waiting download is due; None when none waits."""
        states = {item.id: item.state for item in self._items.values()}
        due = [due.at for item_id, due in self._due.items() if states.get(item_id) == "waiting"]
        return max(min(due) - time.monotonic(), 0.01) if due else None

    def _work(self) -> None:
        while True:
            with self._changed:
                item = self._next()
                while item is None and not self._closing:
                    self._changed.wait(self._pause())
                    item = self._next()
                if self._closing or item is None:
                    return
                token = CancelToken()
                self._tokens[item.id] = token
                item = replace(item, state="running", error=None)
                self._items[item.id] = item
            self._save()
            self._on_change(item)
            self._run(item, token)

    def _run(self, item: QueueItem, token: CancelToken) -> None:
        meter = _RateMeter()

        def report(progress: Progress) -> None:
            with self._changed:
                current = self._items.get(item.id)
                if current is None or current.state != "running":
                    return
                current = replace(current, phase=progress.phase)
                if progress.unit == "bytes":
                    current = replace(
                        current,
                        received=progress.done,
                        total=progress.total,
                        rate=meter.rate(progress.done),
                    )
                self._items[item.id] = current
            self._on_change(current)

        try:
            self._fetch(item.request, report, token, self.limits)
        except Cancelled:
            self._finish(item.id, "queued", None)
        except Exception as error:
            log_unexpected(logger, error, "a download")
            self._finish(item.id, "failed", stored_form(error))
        else:
            self._finish(item.id, "done", None)

    def _finish(self, item_id: str, state: State, error: StillroomError | None) -> None:
        with self._changed:
            self._tokens.pop(item_id, None)
            item = self._items.get(item_id)
            if item is not None and (item.state == "running" or state == "done"):
                problem = error.to_json() if error is not None else None
                if isinstance(error, _TEMPORARY):
                    state = "waiting"
                    self._schedule(item, error)
                else:
                    self._due.pop(item_id, None)
                item = replace(item, state=state, rate=0.0, phase="", error=problem)
                if state == "done" and item.total is not None:
                    item = replace(item, received=item.total)
                self._items[item.id] = item
            self._changed.notify_all()
        self._save()
        if item is not None:
            self._on_change(item)

    def _schedule(self, item: QueueItem, error: StillroomError) -> None:
        """When to try again: later each time, from the start after a try that brought bytes."""
        received = received_bytes(self._library, item.request)
        last = self._due.get(item.id)
        tries = last.tries if last is not None and received <= last.received else 0
        wait = min(self._retry_first * 2**tries, _RETRY_LONGEST)
        asked = asked_to_wait(error)
        wait = max(wait, asked or 0.0)
        self._due[item.id] = _RetryState(time.monotonic() + wait, tries + 1, received)

    def _save(self, coming: QueueItem | None = None) -> None:
        """Write what the queue is now. Call without `_changed`, after each change.

        coming: a state that is written before it is shown, so that what the user has seen survives.
        """
        with self._saving:
            with self._changed:
                items = dict(self._items)
            if coming is not None and items[coming.id].state != "done":
                items[coming.id] = coming
            records = [
                {"id": i.id, "state": i.state, "priority": i.priority, "error": i.error}
                | {"request": msgspec.to_builtins(i.request)}
                for i in items.values()
                if i.state != "done"
            ]
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_json_atomically(self._file, {"version": 1, "downloads": records})
            except OSError as error:  # a full disk: the downloads themselves will report it
                logger.warning("the download queue was not saved: %s", summary_of(error))
            if coming is not None:
                self._show(coming.id, coming.state)

    def _show(self, item_id: str, state: State) -> None:
        with self._changed:
            item = self._items[item_id]
            if item.state != "done":
                self._items[item_id] = replace(item, state=state, rate=0.0)
                self._due.pop(item_id, None)

    def _load(self) -> None:
        """Read the queue file; what cannot be read is left out, as its parts stay as orphans."""
        try:
            records = json.loads(self._file.read_text(encoding="utf-8"))["downloads"]
        except (OSError, ValueError, KeyError, TypeError):
            return
        self._items = {}
        for record in records if isinstance(records, list) else []:
            try:
                request = msgspec.convert(record["request"], type=ModelRequest)
                item = msgspec.convert({**record, "request": None}, type=_Stored)
            except (msgspec.MsgspecError, KeyError, TypeError):
                continue
            self._items[item.id] = QueueItem(
                item.id,
                request,
                item.state,
                item.priority,
                received=received_bytes(self._library, request),
                total=request.size,
                error=item.error,
            )


@dataclass(frozen=True)
class _RetryState:
    """When a waiting download is tried again (monotonic seconds), after how many tries without a
    new byte, and how many bytes it had then."""

    at: float
    tries: int
    received: int


@dataclass(frozen=True)
class _Stored:
    id: str
    state: State
    priority: int
    error: dict[str, object] | None = None


class _RateMeter:
    """Bytes per second over the last few seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def rate(self, received: int) -> float:
        now = time.monotonic()
        self._samples.append((now, received))
        while len(self._samples) > 2 and now - self._samples[0][0] > _RATE_WINDOW:
            self._samples.popleft()
        first_time, first = self._samples[0]
        return (received - first) / (now - first_time) if now - first_time > 0.2 else 0.0

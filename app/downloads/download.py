"""Download one file, or several together: resumable, and put in place only when verified.

Knows when to try again, how to hash while bytes arrive, and how to stop at once. Does not know
URLs or repositories (a Source does) and does not know what the files are for.
"""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.downloads.part_file import UNIT, PartFile
from app.downloads.rate_limit import RateLimit
from app.errors import (
    AppError,
    ChecksumMismatch,
    HubUnavailable,
    Interrupted,
    NotAHubAnswer,
    Offline,
    RateLimited,
    ServerMisbehaved,
)
from app.hub.faults import asked_to_wait
from app.unexpected import log_unexpected
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress, ignore_progress

logger = logging.getLogger(__name__)

RESERVE = 256 << 20  # bytes that a download leaves free
_TICK = 0.05  # seconds between two checks for cancel, errors and progress
_REPORT = 0.1  # seconds between two progress values
_SYNC = 5.0  # seconds between two flushes to the disk, at most
_SYNC_BYTES = 128 << 20  # new bytes after which a flush is due, so that the last one is short
_HASH_STEP = 1 << 20
_HASH_BUFFER = 256 << 10  # small enough to stay in the processor's cache
_PROBE = 0.2  # seconds of transfer after which a connection's speed is known
_MEASURE = 5.0  # seconds over which it is measured again and again
_TEMPORARY = (Offline, HubUnavailable, RateLimited, NotAHubAnswer, ServerMisbehaved)


class RangeResponse(Protocol):
    """The bytes from `start` on; `ranged` is whether the server supports ranges. A chunk is valid
    until the next one is requested."""

    start: int
    ranged: bool

    def chunks(self) -> Iterator[bytes | memoryview]: ...
    def abort(self) -> None: ...


class Source(Protocol):
    """Where a file comes from. `sha256` or `git_sha1` (hex) verifies the bytes; without
    either, only `identity` distinguishes one content from another."""

    @property
    def name(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str | None: ...
    @property
    def git_sha1(self) -> str | None: ...

    def open_range(self, start: int, stop: int) -> AbstractContextManager[RangeResponse]:
        """Ask for bytes start..stop (exclusive). Raises AppError, also while chunks are read."""
        ...


@dataclass(frozen=True)
class Retry:
    """Give up after `tries` attempts in a row without one new byte; wait `first` seconds after the
    first of them and twice as long after each next one, up to `longest`."""

    tries: int = 6
    first: float = 0.5
    longest: float = 8.0


@dataclass(frozen=True)
class Downloaded:
    """A file in its place. `resumed_from` is how many bytes an earlier attempt had left;
    `verified` is False when the source gave no checksum: then only the size was checked.
    """

    path: Path
    size: int
    sha256: str
    resumed_from: int
    verified: bool = True


@dataclass(frozen=True)
class Limits:
    """What downloads share: how many connections, and how fast.

    A file gets more connections once the first one has shown that the server supports ranges and
    delivers less than `parallel_below` bytes per second: above that they do not help.
    """

    connections: int = 4
    rate: RateLimit = field(default_factory=RateLimit)
    reserve: int = RESERVE
    unit: int = UNIT
    parallel_below: int = 150_000_000


def download(
    source: Source,
    target: Path,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    limits: Limits | None = None,
    retry: Retry | None = None,
) -> Downloaded:
    """Download `source` to `target`, resuming where an earlier attempt stopped.

    Progress is in phases "download" and "verify". On any error or on cancel the part is kept and
    `target` is as it was. Raises ChecksumMismatch (after a second attempt), DiskFull,
    Interrupted, DownloadBusy, the HubErrors that a retry cannot fix, and Cancelled.
    """
    cancel = cancel or CancelToken()
    limits = limits or Limits()
    present = _already_there(source, target, on_progress, cancel)
    if present is not None:
        return present
    expected = source.sha256 or source.git_sha1
    part = PartFile(target, source.size, source.identity, limits.unit)
    try:
        part.open()
        part.reserve(limits.reserve)
        resumed_from = part.received
        for attempt in (1, 2):
            transfer = _Transfer(source, part, limits, retry or Retry(), on_progress, cancel)
            sha256, right = transfer.run("download" if attempt == 1 else "download again")
            if right:
                part.finish()
                return Downloaded(target, source.size, sha256, resumed_from, expected is not None)
            part.restart()
            resumed_from = 0
        raise ChecksumMismatch(path=str(target), expected=expected or "", got=sha256)
    finally:
        part.close()


def reserve_all(files: Sequence[tuple[Source, Path]], limits: Limits) -> None:
    """Take the disk space of all files before the first byte of any. Raises DiskFull."""
    for source, target in files:
        if target.is_file() and target.stat().st_size == source.size:
            continue  # the right one, as a rule
        part = PartFile(target, source.size, source.identity, limits.unit)
        try:
            part.open()
            part.reserve(limits.reserve)
        finally:
            part.close()


def download_all(
    files: Sequence[tuple[Source, Path]],
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    limits: Limits | None = None,
    retry: Retry | None = None,
    at_once: int = 3,
) -> tuple[Downloaded, ...]:
    """Several files, up to `at_once` of them together, with one progress over all.

    Raises what `download` raises; the first error stops the others, and all parts are kept.
    """
    limits = limits or Limits()
    outer = cancel or CancelToken()
    inner = CancelToken()
    outer.on_cancel(inner.cancel)
    total = _Total([source.size for source, _ in files], on_progress)
    results: dict[int, Downloaded] = {}
    errors: list[BaseException] = []
    waiting = iter(range(len(files)))
    lock = threading.Lock()

    def work() -> None:
        while not inner.cancelled:
            with lock:
                index = next(waiting, None)
            if index is None:
                return
            source, target = files[index]
            try:
                results[index] = download(
                    source, target, total.reporter(index), inner, limits=limits, retry=retry
                )
            except BaseException as error:
                errors.append(error)
                inner.cancel()

    threads = [
        threading.Thread(target=work, name="download-file", daemon=True)
        for _ in range(min(at_once, len(files)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outer.raise_if_cancelled()
    real = [error for error in errors if not isinstance(error, Cancelled)]
    for error in real[1:]:
        log_unexpected(logger, error, "one of several files")
    if real:
        raise real[0]
    return tuple(results[index] for index in range(len(files)))


class _Total:
    """One progress value for several files."""

    def __init__(self, sizes: list[int], on_progress: OnProgress) -> None:
        self._done = [0] * len(sizes)
        self._sum = sum(sizes)
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._shown = 0

    def reporter(self, index: int) -> OnProgress:
        def report(progress: Progress) -> None:
            with self._lock:
                self._done[index] = max(self._done[index], progress.done)
                self._shown = max(self._shown, sum(self._done))
                everything = Progress("download", self._shown, self._sum, "bytes", progress.detail)
                self._on_progress(everything)

        return report


class _Transfer:
    """One pass over one file: several connections fill the part, one thread hashes it in order."""

    def __init__(
        self,
        source: Source,
        part: PartFile,
        limits: Limits,
        retry: Retry,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> None:
        self._source = source
        self._part = part
        self._limits = limits
        self._retry = retry
        self._on_progress = on_progress
        self._cancel = cancel
        self._stop = CancelToken()
        self._lock = threading.Lock()
        self._answers: set[RangeResponse] = set()
        self._taken: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._syncing: threading.Thread | None = None
        self._synced = part.received
        self._waiting = ""
        self._hashed = 0
        self._wake = threading.Event()

    def run(self, phase: str) -> tuple[str, bool]:
        """Transfer and hash all of it: (SHA-256, whether it is what the source declared)."""
        self._cancel.on_cancel(self._abort)
        digests = _Digests(self._source)
        hasher = threading.Thread(target=self._hash, args=(digests,), daemon=True)
        hasher.name = "download-hash"
        hasher.start()
        try:
            self._start_connection()
            self._watch(phase)
        finally:
            self._abort()
            hasher.join()
        self._cancel.raise_if_cancelled()
        if self._error is not None:
            raise self._error
        return digests.sha256.hexdigest(), digests.match()

    # ---- the thread that asked ----

    def _watch(self, phase: str) -> None:
        """Report and flush until all is hashed, an error ends it, or it is cancelled."""
        ticks = 0
        while self._error is None and not self._cancel.cancelled:
            received, done = self._part.received, self._hashed == self._part.size
            if ticks % round(_REPORT / _TICK) == 0 or done:
                self._report(phase, received)
            if done:
                return
            ticks += 1
            if ticks % round(_SYNC / _TICK) == 0 or received - self._synced > _SYNC_BYTES:
                self._sync(received)
            self._wake.wait(_TICK)
            self._wake.clear()

    def _sync(self, received: int) -> None:
        if self._syncing is not None and self._syncing.is_alive():
            return
        self._synced = received
        self._syncing = threading.Thread(target=self._part.sync, name="download-sync", daemon=True)
        self._syncing.start()

    def _report(self, phase: str, received: int) -> None:
        name = self._source.name
        if self._part.complete:
            self._on_progress(Progress("verify", self._hashed, self._part.size, "bytes", name))
        else:
            detail = f"{name}: {self._waiting}" if self._waiting else name
            self._on_progress(Progress(phase, received, self._part.size, "bytes", detail))

    def _abort(self) -> None:
        """Stop every connection now; those still being made find `_stop` set."""
        self._stop.cancel()
        with self._lock:
            for answer in self._answers:
                answer.abort()
        self._wake.set()

    # ---- connections ----

    def _start_connection(self) -> None:
        thread = threading.Thread(target=self._connection, name="download", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _connection(self) -> None:
        """Fetch units until none is left. Ends the transfer by setting `_error`."""
        failures = 0
        before = self._part.received
        while not self._stop.cancelled:
            claim = self._take_unit()
            if claim is None:
                return
            try:
                self._fetch(claim)
                failures, self._waiting = 0, ""
            except Cancelled:
                return
            except _TEMPORARY as error:
                if self._stopping():
                    return
                received = self._part.received
                failures = 0 if received > before else failures + 1
                before = received
                if failures >= self._retry.tries:
                    self._fail(self._given_up(error, failures))
                    return
                self._pause(error, failures)
            except Exception as error:
                self._fail(error)
                return
            finally:
                with self._lock:
                    self._taken.discard(claim.index)

    def _stopping(self) -> bool:
        return self._stop.cancelled

    def _take_unit(self) -> "_Claim | None":
        """The first unit that lacks bytes and that no other connection fetches."""
        with self._lock:
            for index in range(self._part.unit_count):
                start, stop = self._part.missing(index)
                if start < stop and index not in self._taken:
                    self._taken.add(index)
                    return _Claim(index)
        return None

    def _end_of_run(self, index: int) -> int:
        """How far to ask from unit `index` on: to its end; the only connection to the end of the
        empty units after it, because a request for each would slow it down."""
        stop = self._part.missing(index)[1]
        with self._lock:
            while len(self._threads) == 1 and self._is_free(index + 1):
                index += 1
                stop = self._part.missing(index)[1]
        return stop

    def _is_free(self, index: int) -> bool:
        return (
            index < self._part.unit_count
            and index not in self._taken
            and self._part.is_empty(index)
        )

    def _fetch(self, claim: "_Claim") -> None:
        start, stop = self._part.missing(claim.index)
        if start >= stop:
            return
        with self._source.open_range(start, self._end_of_run(claim.index)) as answer:
            with self._lock:
                self._answers.add(answer)
            try:
                self._stop.raise_if_cancelled()
                self._receive(answer, claim)
            finally:
                with self._lock:
                    self._answers.discard(answer)
        start, stop = self._part.missing(claim.index)
        if start < stop:
            raise Offline(endpoint="", kind="broken", detail="the answer ended early")

    def _receive(self, answer: RangeResponse, claim: "_Claim") -> None:
        """Store a response to its end, or up to a unit that another connection fetches. A response
        read to the end keeps its connection reusable."""
        offset = since = answer.start
        started = time.monotonic()
        for chunk in answer.chunks():
            self._stop.raise_if_cancelled()
            self._limits.rate.take(len(chunk), self._stop)
            stop = (
                self._writable_end(claim, offset + len(chunk)) if answer.ranged else self._part.size
            )
            if self._part.write(offset, chunk[: max(stop - offset, 0)]):
                self._waiting = ""
            offset += len(chunk)
            if offset > stop:
                return
            if answer.ranged and len(self._threads) == 1:
                seconds = time.monotonic() - started
                self._add_connections(offset - since, seconds)
                if seconds > _MEASURE:
                    since, started = offset, time.monotonic()

    def _writable_end(self, claim: "_Claim", end: int) -> int:
        """Up to where, at most `end`, this connection may store: it moves on over free units."""
        stop = self._part.missing(claim.index)[1]
        while stop < end:
            with self._lock:
                if not self._is_free(claim.index + 1):
                    break
                self._taken.add(claim.index + 1)
                self._taken.discard(claim.index)
                claim.index += 1
            stop = self._part.missing(claim.index)[1]
        return stop

    def _add_connections(self, count: int, seconds: float) -> None:
        """Open the other connections if this one is slow and there is work for them."""
        if seconds < _PROBE or count > seconds * self._limits.parallel_below:
            return
        with self._lock:
            units = sum(start < stop for start, stop in map(self._part.missing, self._units()))
            more = min(self._limits.connections, units) - len(self._threads)
        for _ in range(more):
            self._start_connection()

    def _units(self) -> range:
        return range(self._part.unit_count)

    def _pause(self, error: AppError, failures: int) -> None:
        asked = asked_to_wait(error)
        wait = min(self._retry.first * 2 ** (failures - 1), self._retry.longest)
        if failures == 0:  # it delivered new bytes: continue at once
            wait = self._retry.first / 10
        wait *= random.uniform(0.75, 1.25)  # many clients must not come back at the same moment
        self._waiting = type(error).__name__
        self._stop.wait(max(asked, wait) if asked is not None else wait)

    def _given_up(self, error: AppError, attempts: int) -> AppError:
        return Interrupted(
            path=str(self._part.target),
            received=self._part.received,
            total=self._part.size,
            attempts=attempts,
            reason=error.to_json(),
        )

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._wake.set()

    # ---- hashing ----

    def _hash(self, digests: "_Digests") -> None:
        """Read the part in order, behind the connections, while it is still in memory."""
        view = memoryview(bytearray(_HASH_BUFFER))
        try:
            while self._hashed < self._part.size and not self._stop.cancelled:
                ready = self._part.frontier - self._hashed
                if ready < _HASH_STEP and not self._part.complete:
                    self._stop.wait(0.01)
                    continue
                count = self._part.read_into(self._hashed, view[: min(ready, _HASH_BUFFER)])
                digests.update(view[:count])
                self._hashed += count
        except Cancelled:
            return
        except Exception as error:
            self._fail(error)
        self._wake.set()


@dataclass
class _Claim:
    """The unit that a connection fetches."""

    index: int


class _Digests:
    """SHA-256 of the bytes, and their git object id when that is what the source declared."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.sha256 = hashlib.sha256()
        self._git = None
        if source.sha256 is None and source.git_sha1 is not None:
            self._git = hashlib.sha1(b"blob %d\0" % source.size, usedforsecurity=False)

    def update(self, data: bytes | memoryview) -> None:
        self.sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    def match(self) -> bool:
        """Whether the bytes match every checksum the source declared."""
        if self._source.sha256 is not None:
            return self.sha256.hexdigest() == self._source.sha256
        return self._git is None or self._git.hexdigest() == self._source.git_sha1


def _already_there(
    source: Source, target: Path, on_progress: OnProgress, cancel: CancelToken
) -> Downloaded | None:
    """The file in its place, if it is the right one: a crash may have come just after it."""
    if source.sha256 is None and source.git_sha1 is None:
        return None
    if not target.is_file() or target.stat().st_size != source.size:
        return None
    digests = _Digests(source)
    done = 0
    with target.open("rb") as stream:
        while chunk := stream.read(_HASH_STEP):
            cancel.raise_if_cancelled()
            digests.update(chunk)
            done += len(chunk)
            on_progress(Progress("verify", done, source.size, "bytes", source.name))
    if not digests.match():
        return None
    return Downloaded(target, source.size, digests.sha256.hexdigest(), source.size)

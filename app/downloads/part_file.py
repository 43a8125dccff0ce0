"""A file being downloaded: its bytes so far, and which bytes those are.

Knows the disk: reserving space, surviving kill and power loss, the final rename. Does not know
where bytes come from. `NAME.part` holds the bytes at their final offsets; `NAME.part.state` says,
for each unit of the file, how many of its bytes are there (written) and how many are certainly
on the disk (durable). After a kill what was written counts, less 64 KiB of each unit at work; after
a restart of the machine, only what was durable.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import struct
import sys
import threading
from io import FileIO
from pathlib import Path

import psutil

from app.errors import DiskFull, DownloadBusy
from app.locks import FileLock
from runtime.progress import Cancelled

_RECORD_STEP = 64 << 10  # new bytes of a unit after which its state is written again
UNIT = 64 << 20  # bytes of one unit: small enough that hashing in order stays within the page cache
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_MAGIC = b"STILLPRT"
_HEADER = struct.Struct("<8sIQQ32s16s")
_RECORD = struct.Struct("<QQ")


class PartFile:
    """The part of one download. Thread-safe; writes after `close` raise Cancelled.

    identity: names the content (hash, commit); a part of another content is started over.
    """

    def __init__(self, target: Path, size: int, identity: str, unit: int = UNIT) -> None:
        self.target = target
        self.size = size
        self.path = target.with_name(target.name + ".part")
        self._state_path = target.with_name(target.name + ".part.state")
        self._unit = unit
        self._identity = hashlib.sha256(identity.encode()).digest()
        self._lock = threading.Lock()
        self._file_lock = FileLock(target.with_name(target.name + ".part.lock"))
        self._written = [0] * -(-size // unit)
        self._durable = [0] * len(self._written)
        self._recorded = [0] * len(self._written)
        self._data = -1
        self._state = -1
        self._reader: FileIO | None = None

    # ---- opening and closing ----

    def open(self) -> None:
        """Open the part where it was left. Raises DownloadBusy."""
        self.target.parent.mkdir(parents=True, exist_ok=True)
        if not self._file_lock.try_acquire():
            raise DownloadBusy(path=str(self.target))
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._data = os.open(self.path, flags, 0o666)
        self._state = os.open(self._state_path, flags, 0o666)
        self._reader = FileIO(self.path)
        if not self._load():
            self._start_over()

    def close(self) -> None:
        """Stop writing and keep the part."""
        with self._lock:
            if self._state >= 0:
                self._record_all()
            if self._reader is not None:
                self._reader.close()
            for descriptor in (self._data, self._state):
                if descriptor >= 0:
                    os.close(descriptor)
            self._data = self._state = -1
            self._file_lock.release()

    def restart(self) -> None:
        """Discard all bytes: they are not the right ones."""
        with self._lock:
            os.ftruncate(self._data, 0)
            self._start_over()

    def finish(self) -> None:
        """All bytes are there and verified: give the file its final name, in one step."""
        with self._lock:
            os.fsync(self._data)
            os.close(self._data)
            self._data = -1
            if self._reader is not None:
                self._reader.close()
        os.replace(self.path, self.target)
        _sync_folder(self.target.parent)
        self._state_path.unlink(missing_ok=True)
        self.close()
        self.target.with_name(self.target.name + ".part.lock").unlink(missing_ok=True)

    # ---- what is there ----

    @property
    def received(self) -> int:
        return sum(self._written)

    @property
    def complete(self) -> bool:
        return self.received == self.size

    @property
    def frontier(self) -> int:
        """All bytes before this offset are there."""
        for index, written in enumerate(self._written):
            if written < self._length(index):
                return index * self._unit + written
        return self.size

    @property
    def unit_count(self) -> int:
        return len(self._written)

    def missing(self, index: int) -> tuple[int, int]:
        """The bytes start..stop (exclusive) that unit `index` still lacks; empty when whole."""
        start = index * self._unit
        return start + self._written[index], start + self._length(index)

    def is_empty(self, index: int) -> bool:
        return self._written[index] == 0

    def read_into(self, offset: int, view: memoryview) -> int:
        """Fill `view` with bytes that are there; how many. For one thread, while the part is open:
        it has a descriptor of its own, so that it need not wait for those who write."""
        if self._reader is None:
            raise Cancelled
        self._reader.seek(offset)
        return self._reader.readinto(view) or 0

    # ---- changing ----

    def reserve(self, spare: int) -> None:
        """Take the disk space for all of the file. Raises DiskFull, with nothing written.

        spare: bytes that must stay free beside it.
        """
        held = _allocated(self._data)
        needed = max(self.size - held, 0)
        available = shutil.disk_usage(self.target.parent).free
        if needed and available < needed + spare:
            raise DiskFull(path=str(self.target), needed=needed, available=available, reserve=spare)
        try:
            allocated = _allocate(self._data, self.size)
        except OSError as error:  # another program was faster, or a quota is smaller than the disk
            raise self._full(error) from error
        if not allocated and os.fstat(self._data).st_size < self.size:
            os.ftruncate(self._data, self.size)

    def write(self, offset: int, data: bytes | memoryview) -> int:
        """Store `data` at `offset`; returns how many of its bytes were new.

        Only what continues a unit is stored: bytes already there are left, and so are bytes after
        a gap or past the end. Raises DiskFull, Cancelled after `close`.
        """
        fresh = 0
        view = memoryview(data)[: max(self.size - offset, 0)]
        with self._lock:
            if self._data < 0:
                raise Cancelled
            while view:
                index = offset // self._unit
                start = index * self._unit
                piece = view[: start + self._length(index) - offset]
                have = start + self._written[index]
                if offset <= have < offset + len(piece):
                    self._store(index, have, piece[have - offset :])
                    fresh += offset + len(piece) - have
                offset += len(piece)
                view = view[len(piece) :]
        return fresh

    def sync(self) -> None:
        """Flush what was written so far to the disk, so that it survives a power loss."""
        with self._lock:
            if self._data < 0:
                return
            written = list(self._written)
            descriptor = os.dup(self._data)
        try:
            getattr(os, "fdatasync", os.fsync)(descriptor)
        finally:
            os.close(descriptor)
        with self._lock:
            if self._state < 0:
                return
            for index, count in enumerate(written):
                if count > self._durable[index]:
                    self._durable[index] = count
                    self._record(index)

    # ---- inside ----

    def _length(self, index: int) -> int:
        return min(self._unit, self.size - index * self._unit)

    def _store(self, index: int, offset: int, piece: memoryview) -> None:
        try:
            while piece:
                count = _write_at(self._data, piece, offset)
                self._written[index] += count
                if self._is_due(index):
                    self._record(index)
                offset += count
                piece = piece[count:]
        except OSError as error:
            if error.errno not in _NO_SPACE:
                raise
            raise self._full(error) from error

    def _full(self, error: OSError) -> DiskFull:
        quota = error.errno == errno.EDQUOT  # not all free space is available to this user
        free = 0 if quota else shutil.disk_usage(self.target.parent).free
        needed = self.size - self.received
        return DiskFull(path=str(self.target), needed=needed, available=free, reserve=0)

    def _is_due(self, index: int) -> bool:
        fresh = self._written[index] - self._recorded[index]
        return fresh >= _RECORD_STEP or self._written[index] == self._length(index)

    def _record_all(self) -> None:
        for index, written in enumerate(self._written):
            if written != self._recorded[index]:
                self._record(index)

    def _record(self, index: int) -> None:
        self._recorded[index] = self._written[index]
        record = _RECORD.pack(self._written[index], self._durable[index])
        _write_at(self._state, record, _HEADER.size + index * _RECORD.size)

    def _start_over(self) -> None:
        self._written = [0] * len(self._written)
        self._durable = [0] * len(self._written)
        self._recorded = [0] * len(self._written)
        os.ftruncate(self._state, 0)
        _write_at(self._state, self._header() + bytes(_RECORD.size * len(self._written)), 0)

    def _header(self) -> bytes:
        return _HEADER.pack(_MAGIC, 1, self.size, self._unit, self._identity, _boot_marker())

    def _load(self) -> bool:
        """Read the state; whether it belongs to this content and fits the data."""
        length = _HEADER.size + _RECORD.size * len(self._written)
        raw = _read_at(self._state, 0, length + 1)
        if len(raw) != length or raw[: _HEADER.size - 16] != self._header()[:-16]:
            return False
        same_boot = raw[_HEADER.size - 16 : _HEADER.size] == _boot_marker()
        data_size = os.fstat(self._data).st_size
        for index in range(len(self._written)):
            written, durable = _RECORD.unpack_from(raw, _HEADER.size + index * _RECORD.size)
            kept = written if same_boot else durable
            if kept > self._length(index) or durable > written:
                return False
            if kept and index * self._unit + kept > data_size:
                return False
            self._written[index], self._durable[index] = kept, min(durable, kept)
            self._recorded[index] = kept
        _write_at(self._state, self._header(), 0)
        if not same_boot:
            for index in range(len(self._written)):
                self._record(index)
        return True


def part_received(target: Path) -> int:
    """Bytes that an unfinished download of `target` has, as its state says; 0 without one."""
    try:
        raw = target.with_name(target.name + ".part.state").read_bytes()[_HEADER.size :]
    except OSError:
        return 0
    whole = len(raw) - len(raw) % _RECORD.size
    return sum(written for written, _ in _RECORD.iter_unpack(raw[:whole]))


def part_allocated(target: Path) -> int:
    """Bytes of disk that an unfinished download of `target` has taken already."""
    try:
        descriptor = os.open(target.with_name(target.name + ".part"), os.O_RDONLY)
    except OSError:
        return 0
    try:
        return _allocated(descriptor)
    finally:
        os.close(descriptor)


def _boot_marker() -> bytes:
    """16 bytes that change when the machine is started again."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        text = str(round(psutil.boot_time() / 60))
    return hashlib.sha256(text.encode()).digest()[:16]


def _allocated(descriptor: int) -> int:
    """Bytes of disk a file holds already."""
    state = os.fstat(descriptor)
    blocks = getattr(state, "st_blocks", None)
    return state.st_size if blocks is None else min(blocks * 512, state.st_size)


def _allocate(descriptor: int, size: int) -> bool:
    """Ask the file system for the space itself; False where it cannot promise any. Raises OSError
    with one of `_NO_SPACE` where there is none.

    Not os.posix_fallocate: it writes through the whole file where the file system cannot do it.
    """
    if not sys.platform.startswith("linux") or size == 0:
        return False
    call = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if call is None:
        return False
    call.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if int(call(descriptor, 0, 0, size)) == 0:
        return True
    if ctypes.get_errno() in _NO_SPACE:
        raise OSError(ctypes.get_errno(), "no space")
    return False


if sys.platform == "win32":

    def _write_at(descriptor: int, data: memoryview | bytes, offset: int) -> int:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.write(descriptor, data)

    def _read_at(descriptor: int, offset: int, count: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, count)

    def _sync_folder(folder: Path) -> None:
        """NTFS journals names by itself."""
else:

    def _write_at(descriptor: int, data: memoryview | bytes, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def _read_at(descriptor: int, offset: int, count: int) -> bytes:
        return os.pread(descriptor, count, offset)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

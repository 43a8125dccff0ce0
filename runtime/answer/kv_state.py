"""KV states of conversations on disk: a folder of limited size, least recently used deleted first.

    FOLDER/NAME.kv      what the engine wrote
    FOLDER/NAME.json    key, tokens, bytes, SHA-256 of the .kv file; written last

A state is used only with the key (model and settings) it was made with and only while its digest
matches: an engine must not read a damaged file. Knows files and what an engine must offer;
knows no engine.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from quant.files import hash_file, write_json_atomically

_VERSION = 1
_STALE_SECONDS = 600.0


@dataclass(frozen=True)
class SavedState:
    """One state: the key it belongs to, the tokens it holds, bytes and SHA-256 of its file."""

    key: str
    tokens: int
    bytes: int
    sha256: str
    version: int = _VERSION


@runtime_checkable
class SavingBackend(Protocol):
    """A Backend that can save its cache to a file and restore it."""

    def save_state(self, path: Path, tokens: Sequence[int]) -> bool:
        """Write the cache, which holds exactly `tokens`; whether it was written."""
        ...

    def load_state(self, path: Path) -> list[int]:
        """Replace the cache by a file's; returns the tokens it holds now, none when it was
        refused."""
        ...


def state_name(conversation: str) -> str:
    """File name of a conversation's state."""
    return hashlib.sha256(conversation.encode()).hexdigest()[:32]


def settings_key(facts: Mapping[str, object]) -> str:
    """One hash of everything that a state depends on."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class StateFolder:
    """Saves and finds states; `limit` bytes for all of them together."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def save(self, name: str, key: str, write: Callable[[Path], int]) -> SavedState | None:
        """Save what `write` writes to the path it is given (it returns the number of tokens).

        None when it was not saved: larger than the limit, or the disk failed.
        """
        part = self._folder / f".{name}.{os.getpid()}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            tokens = write(part)
            size = part.stat().st_size
            if size > self._limit:
                return None
            state = SavedState(key, tokens, size, hash_file(part))
            self._manifest(name).unlink(missing_ok=True)
            os.replace(part, self._file(name))
            self._write_manifest(name, state)
        except OSError:
            return None
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
        self.trim()
        return state

    def find(self, name: str, key: str) -> SavedState | None:
        """The state of this name if it was made with this key; its digest is not checked yet."""
        try:
            state = SavedState(**json.loads(self._manifest(name).read_bytes()))
            whole = self._file(name).stat().st_size == state.bytes
        except (OSError, ValueError, TypeError):
            return None
        return state if state.key == key and state.version == _VERSION and whole else None

    def load(self, name: str, key: str, read: Callable[[Path], int]) -> int:
        """Hand the state's file to `read`, which returns the tokens it took; 0 when there is none.

        A file that is damaged, or that `read` refuses by returning 0, is removed.
        """
        state = self.find(name, key)
        if state is None:
            return 0
        try:
            sound = hash_file(self._file(name)) == state.sha256
        except OSError:
            sound = False
        tokens = read(self._file(name)) if sound else 0
        if tokens:
            with contextlib.suppress(OSError):
                os.utime(self._manifest(name))  # just used: deleted last
        else:
            self.forget(name)
        return tokens

    def forget(self, name: str) -> None:
        """Remove one state, if it is there."""
        for path in (self._manifest(name), self._file(name)):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def trim(self) -> None:
        """Remove the longest unused states until the rest is within the limit, and leftovers of
        processes that ended while saving."""
        with contextlib.suppress(OSError):
            for part in self._folder.glob(".*.part"):
                if time.time() - part.stat().st_mtime > _STALE_SECONDS:
                    part.unlink(missing_ok=True)
        kept = 0
        for path in sorted(self._folder.glob("*.kv"), key=self._last_use, reverse=True):
            with contextlib.suppress(OSError):
                kept += path.stat().st_size
            if kept > self._limit:
                self.forget(path.stem)

    def _last_use(self, path: Path) -> float:
        try:
            return self._manifest(path.stem).stat().st_mtime
        except OSError:
            return 0.0

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.kv"

    def _manifest(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _write_manifest(self, name: str, state: SavedState) -> None:
        write_json_atomically(self._manifest(name), asdict(state), durable=False)

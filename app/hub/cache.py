"""Responses of the hub stored on disk, for when it cannot be reached.

Knows files and dataclasses; does not know what a response means or when it is too old to show.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from quant.files import write_json_atomically

_LIMIT = 400  # files; the oldest go first
_T = TypeVar("_T")


@dataclass(frozen=True)
class CachedResponse(Generic[_T]):
    """A stored value and when it was stored (UTC, ISO 8601)."""

    value: _T
    stored_at: str


class ResponseCache:
    """A folder with one JSON file per response. Losing it, or a file of it, costs nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, value: object) -> None:
        """Store a frozen dataclass. A failed write is ignored: it is only a cache."""
        record = {
            "key": key,
            "stored_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": msgspec.to_builtins(value),
        }
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json_atomically(self._path(key), record)
            self._prune()

    def get(self, key: str, kind: type[_T]) -> CachedResponse[_T] | None:
        """The stored value of type `kind`, or None when there is none that can be read."""
        try:
            record = msgspec.json.decode(self._path(key).read_bytes())
            if record["key"] != key:
                return None
            value = msgspec.convert(record["value"], type=kind)
            return CachedResponse(value, str(record["stored_at"]))
        except (OSError, msgspec.MsgspecError, KeyError, TypeError):
            return None

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"

    def _prune(self) -> None:
        files = list(self._folder.glob("*.json"))
        if len(files) <= _LIMIT:
            return
        files.sort(key=lambda path: path.stat().st_mtime)
        for path in files[: len(files) - _LIMIT]:
            path.unlink(missing_ok=True)

"""What set-ups keep per user for the next clone: folders by key, each whole or not there.

Knows files, their digests and their ages; not what the folders hold. A folder that is not as it was
put here is thrown away and told, never used. Standard library only.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from progress import say

# Another folder for what is kept; empty: nothing is kept.
VARIABLE = "STILLROOM_SETUP_CACHE"
MANIFEST = "kept.json"
HALF_MADE = ".making-"
HALF_MADE_SECONDS = 24 * 3600


def home() -> Path | None:
    """This user's folder for what is kept, by the system's custom; None where none is wanted or the
    user has no home."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).absolute() if named else None
    try:
        return _caches() / "stillroom"
    except RuntimeError:  # of pathlib: neither the environment nor the system names a home
        return None


def _caches() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"


class Kept:
    """Folders of one kind under `home`/`kind`, at most `most` of them.

    hashed: whether a folder is checked by the SHA-256 of each file; otherwise by size and time of
    last change, for what is too large to read every time.
    """

    def __init__(self, home: Path | None, kind: str, most: int, *, hashed: bool) -> None:
        self._folder = home / kind if home else None
        self._most = most
        self._hashed = hashed

    def find(self, key: str) -> Path | None:
        """The folder kept under `key`, checked; None where there is none, or no sound one."""
        if self._folder is None or not (self._folder / key).is_dir():
            return None
        entry = self._folder / key
        try:
            sound = json.loads((entry / MANIFEST).read_text()) == self._manifest(entry)
        except (OSError, ValueError):
            sound = False
        if not sound:
            self.discard(key)
            return None
        with contextlib.suppress(OSError):  # of another user, or mounted read-only
            os.utime(entry)
        return entry

    def discard(self, key: str) -> None:
        """Throw away what is kept under `key`, and tell."""
        if self._folder is not None:
            say(f"what was kept in {self._folder / key} is damaged: thrown away")
            shutil.rmtree(self._folder / key, ignore_errors=True)

    def put(self, key: str, fill: Callable[[Path], object]) -> None:
        """Keep what `fill` puts into the folder it is given. Where that cannot be, nothing is kept
        and it is told: a set-up goes on without."""
        if self._folder is None:
            return
        making = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix=HALF_MADE, dir=self._folder))
            fill(making)
            (making / MANIFEST).write_text(json.dumps(self._manifest(making)))
            making.chmod(0o755)
            if not (self._folder / key).is_dir():  # another set-up may have been faster
                making.rename(self._folder / key)
            self._prune()
        except OSError as error:
            say(f"nothing is kept for the next clone in {self._folder}: {error}")
        finally:
            if making is not None:
                shutil.rmtree(making, ignore_errors=True)

    def _manifest(self, entry: Path) -> dict[str, list[Any]]:
        """What tells that an entry is as it was put: of each file size, and digest or time."""
        found: dict[str, list[Any]] = {}
        for folder, _, names in os.walk(entry):
            for name in names:
                path = Path(folder, name)
                state = path.lstat()
                seen = sha256(path) if self._hashed else state.st_mtime_ns
                found[path.relative_to(entry).as_posix()] = [state.st_size, seen]
        found.pop(MANIFEST, None)
        return found

    def _prune(self) -> None:
        """Leave the entries used last, and of half-made ones those that may still be worked on."""
        assert self._folder is not None
        by_use = {path: path.stat().st_mtime for path in self._folder.iterdir()}
        half = [path for path in by_use if path.name.startswith(HALF_MADE)]
        whole = sorted(by_use.keys() - set(half), key=by_use.__getitem__, reverse=True)
        old = [path for path in half if time.time() - by_use[path] > HALF_MADE_SECONDS]
        for path in (*whole[self._most :], *old):
            shutil.rmtree(path, ignore_errors=True)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

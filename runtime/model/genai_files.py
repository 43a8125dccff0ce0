"""SHA-256 of the files of a foreign folder, as they were when it was first loaded.

Stock genai accepts damaged weights silently and answers nonsense. The original contents of such a
folder are unknown, so damage before its first load is not detected, and none where the folder
cannot be written. Imports no engine.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from quant.files import hash_file, write_json_atomically
from runtime.errors import CorruptFile
from runtime.progress import CancelToken, OnProgress, counted_bytes

RECORD = "stillroom-files.json"  # file name -> SHA-256, hex


def record_files(
    folder: Path, names: Sequence[str], on_progress: OnProgress, cancel: CancelToken
) -> None:
    """Keep the hashes of `names`, unless some are recorded already. Raises CorruptFile for a file
    that cannot be read, Cancelled."""
    path = folder / RECORD
    if path.exists() or not os.access(folder, os.W_OK):
        return
    hashes = dict(_hashes(folder, names, on_progress, cancel))
    with suppress(OSError):  # a full disk: the model runs, the next load tries again
        write_json_atomically(path, hashes, durable=False)


def verify_recorded(folder: Path, on_progress: OnProgress, cancel: CancelToken) -> None:
    """Compare every file with what was recorded; without a record, nothing.

    Raises CorruptFile naming the file that has changed, or an unreadable record; Cancelled.
    """
    path = folder / RECORD
    if not path.exists():
        return
    wanted = _read(path)
    for name, found in _hashes(folder, tuple(wanted), on_progress, cancel):
        if found != wanted[name]:
            raise CorruptFile(path=str(folder / name), reason="changed", key=RECORD)


def _read(path: Path) -> dict[str, str]:
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in hashes.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise CorruptFile(
            path=str(path), reason="impossible_value", detail=f"{type(error).__name__}: {error}"
        ) from error


def _hashes(
    folder: Path, names: Sequence[str], on_progress: OnProgress, cancel: CancelToken
) -> Iterator[tuple[str, str]]:
    """Each file's name and hash, one after the other."""
    total = sum((folder / name).stat().st_size for name in names if (folder / name).is_file())
    on_bytes = counted_bytes(on_progress, cancel, "verify", total)
    for name in names:
        try:
            yield name, hash_file(folder / name, on_bytes)
        except OSError as error:
            raise CorruptFile(
                path=str(folder / name), reason="unreadable", detail=str(error)
            ) from error

"""Files replaced whole or not at all, and their hashes: the one place that does either.

Knows the file system. Does not know what the files are for, and words no error: OSError passes.
Here because all three layers write files and this is the lowest.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

OnBytes = Callable[[int], None]  # bytes since the last call; may raise to cancel
_CHUNK = 1 << 20
_BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would write \r\n otherwise


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: `path` is replaced by that file, in one step, when the
    block ends without an error, and stays as it was otherwise.

    A process killed within the block leaves a file named ".NAME.PID-RANDOM.part".
    """
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes, mode: int = 0o666, *, durable: bool = True) -> None:
    """Replace the file at `path`: readers see the old or the new one. Raises OSError.

    mode: permissions of the new file, before the umask. durable: the data reach the disk before
    the name does, so that a power cut leaves one of the two as well; without it, quicker.
    """
    with replaced(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                sync(file)


def write_json_atomically(
    path: Path, data: object, mode: int = 0o666, *, durable: bool = True
) -> None:
    """`write_atomically` of `data` as indented JSON in UTF-8.

    Bytes of a path that are no UTF-8 (surrogates to Python) become escapes and read back alike.
    """
    text = json.dumps(data, indent=2, ensure_ascii=False)
    write_atomically(path, text.encode(errors="backslashreplace"), mode, durable=durable)


def sync(file: IO[bytes]) -> None:
    """Wait until what was written to `file` is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def hash_file(path: Path, on_bytes: OnBytes | None = None) -> str:
    """SHA-256 of a file, lower-case hex; `on_bytes` is told the bytes of each chunk and may raise
    to cancel. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
    return digest.hexdigest()


def copy_hashed(source: IO[bytes], target: IO[bytes], on_bytes: OnBytes) -> str:
    """Copy what is left of `source` and return its SHA-256, lower-case hex; `on_bytes` as above.
    Raises OSError."""
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
        on_bytes(len(chunk))
    return digest.hexdigest()

"""A conversion's result where a person wants it: a file or folder outside the library, whole or not
at all.

Knows paths; knows no recipe and no engine.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import OutputRefused


def as_path(output: str) -> Path | None:
    """The path that an output names; None for a plain name. A name has no folder before it and does
    not end in .gguf."""
    separators = [separator for separator in ("/", os.sep, os.altsep) if separator]
    if output.lower().endswith(".gguf") or any(each in output for each in separators):
        return Path(output).expanduser().absolute()
    return None


def check_free(path: Path, library: Path, *, folder: bool) -> None:
    """Raise OutputRefused where nothing new can be put at `path`: a file, or a `folder`."""
    if path.is_dir() and not folder:
        raise OutputRefused(path=str(path), reason="is_folder")
    if os.path.lexists(path):
        raise OutputRefused(path=str(path), reason="exists")
    if not path.parent.is_dir():
        raise OutputRefused(path=str(path.parent), reason="no_folder")
    if path.resolve().is_relative_to(library.resolve()):
        raise OutputRefused(path=str(path), reason="in_library")


@contextmanager
def placed(path: Path) -> Iterator[Path]:
    """Where to write what takes the name `path`, in one step, once the block ends without an error.

    It lies in a folder beside `path`, hence on its file system, that is gone afterwards; killed
    within the block, this process leaves that folder, named ".NAME.PID-RANDOM.part". Raises
    OutputRefused.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        beside.mkdir()
    except OSError as error:
        detail = error.strerror or str(error)
        raise OutputRefused(path=str(path), reason="not_written", detail=detail) from error
    try:
        yield beside / path.name
        if os.path.lexists(path):  # meanwhile
            raise OutputRefused(path=str(path), reason="exists")
        os.replace(beside / path.name, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)

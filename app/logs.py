"""Logging set-up: one rotating file. Prompts, answers and paths of a person's files stay out of it.

`runtime.tracebacks` decides what of an exception's text may be kept. Knows handlers and formats
only.
"""

import logging
import logging.handlers
from pathlib import Path

from runtime.tracebacks import LogFormatter

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_MAX_BYTES = 1_000_000


def start_logging(path: Path, *, verbose: bool = False) -> None:
    """Log to `path`; to stderr too when `verbose`. A folder that cannot be written is no reason
    not to start: warnings and errors then go to stderr."""
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.RotatingFileHandler(
            path, maxBytes=_MAX_BYTES, backupCount=3, encoding="utf-8", delay=True
        )
        file.setFormatter(LogFormatter(_FORMAT))
        root.addHandler(file)
        writable = True
    except OSError:
        writable = False
    if verbose or not writable:
        console = logging.StreamHandler()
        console.setLevel(logging.INFO if verbose else logging.WARNING)
        console.setFormatter(LogFormatter("%(levelname)s %(name)s: %(message)s"))
        root.addHandler(console)
    # The addresses it logs hold what was searched for.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


def trim_log(path: Path, keep_bytes: int = _MAX_BYTES) -> None:
    """Keep only the end of a log that other processes append to."""
    try:
        if path.stat().st_size <= 2 * keep_bytes:
            return
        with path.open("rb") as file:
            file.seek(-keep_bytes, 2)
            tail = file.read()
        path.write_bytes(tail)
    except OSError:
        return

"""What commands write with: results on stdout, messages and progress on stderr.

Knows terminals and JSON; knows no command.
"""

import json
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import zip_longest
from textwrap import wrap
from typing import TextIO

import msgspec

from app.wording.units import format_bytes
from runtime.progress import Progress

_REDRAW_SECONDS = 0.1


class Console:
    """Two streams and a choice of form. With `as_json`, exactly one document goes to `out`."""

    def __init__(
        self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._drawn = 0.0
        self._line = ""

    def result(self, value: object, text: str) -> None:
        """The command's answer: `value` as JSON, or `text`."""
        if self.as_json:
            document = msgspec.to_builtins(value, enc_hook=str)
            print(json.dumps(document, ensure_ascii=False), file=self._out, flush=True)
        elif text:
            print(text, file=self._out, flush=True)

    def stream(self, text: str) -> None:
        """Part of a text that arrives in pieces; nothing in JSON form."""
        if not self.as_json:
            self.end_progress()
            self._out.write(text)
            self._out.flush()

    def say(self, text: str) -> None:
        """A message beside the answer."""
        self.end_progress()
        print(text, file=self._err, flush=True)

    def progress(self, progress: Progress) -> None:
        """Redraw the progress line, on a terminal only."""
        now = time.monotonic()
        if not self._err.isatty() or now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        line = progress_text(progress)[: shutil.get_terminal_size().columns - 1]
        self._err.write("\r" + line.ljust(len(self._line)))
        self._err.flush()
        self._line = line

    def end_progress(self) -> None:
        if self._line:
            self._err.write("\r" + " " * len(self._line) + "\r")
            self._err.flush()
            self._line = ""


def progress_text(progress: Progress) -> str:
    """One line: phase, share, amounts, detail."""
    words = [progress.phase]
    if progress.total:
        words.append(f"{100 * progress.done / progress.total:.0f} %")
    if progress.unit == "bytes":
        total = f" of {format_bytes(progress.total)}" if progress.total else ""
        words.append(format_bytes(progress.done) + total)
    elif progress.unit in ("tensors", "tokens") and progress.total:
        words.append(f"{progress.done} of {progress.total} {progress.unit}")
    return "  ".join([*words, progress.detail]).rstrip()


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns under headings; empty without rows."""
    if not rows:
        return ""
    widths = [max(len(str(row[i])) for row in (headings, *rows)) for i in range(len(headings))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (headings, *rows)
    ]
    return "\n".join(lines)


def side_by_side(headings: Sequence[str], texts: Sequence[str], width: int | None = None) -> str:
    """Texts beside each other, wrapped to share `width` characters (that of the terminal)."""
    width = width or shutil.get_terminal_size((100, 24)).columns
    each = max(16, (width - 3 * (len(texts) - 1)) // len(texts))
    columns = [
        [heading, "-" * each, *(w for line in text.splitlines() for w in wrap(line, each) or [""])]
        for heading, text in zip(headings, texts, strict=True)
    ]
    rows = zip_longest(*columns, fillvalue="")
    return "\n".join(" | ".join(cell.ljust(each) for cell in row).rstrip() for row in rows)

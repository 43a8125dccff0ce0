"""Runs the installed console script as a person would: a process, its streams, its exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.executable).with_name("stillroom")


def stillroom(
    *arguments: str | Path, text: str | None = None, seconds: float = 100, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run `stillroom ARGUMENTS` on this test's home; `text` is typed into it. No display."""
    process = subprocess.run(
        [str(SCRIPT), *map(str, arguments)],
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
        timeout=seconds,
        env=without_display() | environment,
        check=False,
    )
    assert "Traceback" not in process.stderr + process.stdout, process.stderr
    return process


def without_display() -> dict[str, str]:
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return {name: value for name, value in os.environ.items() if name not in names}


def json_of(process: "subprocess.CompletedProcess[str]") -> Any:
    """The one JSON document on stdout."""
    assert process.stdout.count("\n") == 1, process.stdout
    return json.loads(process.stdout)


def files_below(folder: Path, ignored: Iterable[str] = ("logs", "cache")) -> dict[str, int]:
    """Every file below a folder with its size, but for logs and caches; empty if it is absent."""
    found = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and relative.parts[0] not in ignored:
            found[str(relative)] = path.stat().st_size
    return found

"""A report that a person can send to strangers: what runs here, and how the logs end.

The logs hold no prompts and no answers (`runtime.tracebacks`), but the engine's own words name
files, and addresses of other machines may stand there. `redacted` takes out what tells who or where
somebody is: paths, addresses, tokens, names of user and machine. In doubt it takes out too much.
Knows log files and package metadata; imports no engine and asks no device.
"""

import getpass
import importlib.metadata
import platform
import re
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from app import __version__
from app.paths import Paths
from app.system.packs import installed
from app.wording.units import format_bytes
from runtime.machine.host import cpu_device

PACKAGES = ("llama-cpp-python", "onnxruntime", "onnxruntime-genai", "PySide6-Essentials")
LAST_LINES = 80  # of each log
_TAIL_BYTES = 200_000
_LONGEST_LINE = 400  # characters
_SHORTEST_NAME = 2  # a name of one letter would stand in every word

# A file with a usual ending may have spaces in its name; others end at the first one. A slash after
# a word character belongs to no absolute path: tokens/s, app/unexpected.py.
_FILE = (
    r"[^/\\\n\"'<>|]{0,120}?\.(?:gguf|onnx|safetensors|bin|jsonl?|py|so|dll|log|txt|md|pdf|docx)\b"
)
_REST = rf"(?:[^/\\\n\"'<>|:]{{1,80}}[/\\])*(?:{_FILE}|[^\s/\\\"'<>|:,;)\]]*)"
_TAKEN_OUT = (
    ("<token>", re.compile(r"\b(?:hf_|sk-)[\w-]{6,}")),
    ("<token>", re.compile(r"(?i)\bbearer\s+[^\s\"',;]+")),
    (
        r"\1<token>",
        re.compile(
            r"(?i)\b((?:api[_-]?key|\w*token|password|secret|authorization)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"',;&]{8,}"
        ),
    ),
    ("<address>", re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")),
    ("<address>", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("<address>", re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.-])")),
    (
        "<address>",
        re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){3,7}(?::?[0-9a-fA-F]{1,4})+(?![\w:])"),
    ),
    ("<path>", re.compile(rf"(?<![\w<])(?:[A-Za-z]:[/\\]|\\\\|~[/\\]|/(?=[^\s/])){_REST}")),
)


def report(paths: Paths) -> str:
    """The report as plain text, redacted. Reads a little of both logs; blocks for about 0.1 s."""
    parts = ["\n".join(_facts(paths))]
    for file in (paths.log, paths.worker_log):
        parts.append("\n".join([f"--- {file.name}", *(last_lines(file) or ["(empty)"])]))
    return redacted("\n\n".join(parts), private_names(paths)) + "\n"


def _facts(paths: Paths) -> Iterator[str]:
    cpu = cpu_device()
    how = "installer" if getattr(sys, "frozen", False) else "checkout or package"
    yield f"Stillroom {__version__} ({how})"
    yield f"System: {platform.platform()}, Python {platform.python_version()}"
    yield f"Processor: {cpu.name}, {cpu.cores} cores, {cpu.threads} threads"
    yield f"Instructions: {' '.join(cpu.features) or 'unknown'}"
    yield f"Memory: {format_bytes(cpu.memory_total)}, {format_bytes(cpu.memory_free)} free"
    yield f"Packages: {', '.join(versions(PACKAGES))}"
    packs = [f"{pack.name} {pack.version}" for pack in installed(paths.packs)]
    yield f"Packs: {', '.join(packs) or 'none'}"


def versions(packages: Iterable[str]) -> list[str]:
    """Each package with its version, or "missing"."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} missing")
    return found


def last_lines(file: Path, count: int = LAST_LINES) -> list[str]:
    """The end of a log, long lines cut; empty where there is none."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(size - _TAIL_BYTES, 0))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line[:_LONGEST_LINE] for line in text.splitlines()[-count:]]


def private_names(paths: Paths) -> tuple[str, ...]:
    """What tells who sits here: the user's and the machine's names, and our folders' places."""
    names = {Path.home().name, socket.gethostname(), socket.gethostname().partition(".")[0]}
    try:
        names.add(getpass.getuser())
    except (KeyError, OSError):  # a container may have a user without a name
        pass
    folders = {str(Path.home()), *map(str, (paths.config, paths.data, paths.cache, paths.logs))}
    known = {name for name in names | folders if len(name) >= _SHORTEST_NAME}
    return tuple(sorted(known, key=len, reverse=True))


def redacted(text: str, private: Iterable[str] = ()) -> str:
    """`text` with tokens, addresses and absolute paths taken out, and the names in `private`, the
    longest first."""
    for mark, pattern in _TAKEN_OUT:
        text = pattern.sub(mark, text)
    for name in private:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<private>", text, flags=re.IGNORECASE)
    return text

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
# a word character belongs to no absolute path: tokens/s, app/unexpected.py. An apostrophe belongs
# to a path between letters, and in a folder's name anywhere, unless one opens the path.
_INNER = r"(?<=\w)'(?=\w)"
_FILE = (
    rf"(?:[^/\\\n\"'<>|]|{_INNER}){{0,120}}?"
    r"\.(?:gguf|onnx|safetensors|bin|jsonl?|py|so|dll|log|txt|md|pdf|docx)\b"
)
_LAST = rf"(?:{_FILE}|(?:[^\s/\\\"'<>|:,;)\]]|{_INNER})*)"
_ROOT = (
    r"(?:\\{2,4}[?.]\\{1,2}(?:UNC\\{1,2}|[A-Za-z]:\\{1,2})?"
    r"|[A-Za-z]:[/\\]+|\\\\|~[/\\]+|/(?=[^\s/]))"
)
_QUOTED = rf"(?<='){_ROOT}(?:(?:[^/\\\n\"'<>|:]|{_INNER}){{1,80}}[/\\]+)*{_LAST}"
_OPEN = rf"(?<![\w<']){_ROOT}(?:[^/\\\n\"<>|:]{{1,80}}[/\\]+)*{_LAST}"
_HEX = r"[0-9a-fA-F]{1,4}"
_IPV4 = r"\d{1,3}(?:\.\d{1,3}){3}"
_SOURCE = r"\.(?:py|c|cc|cpp|cu|cuh|h|hpp|m|mm|rs|js|ts)"  # before a line's number, not a port
_TAKEN_OUT = (
    ("<token>", re.compile(r"\b(?:hf_|sk-)[\w-]{6,}")),
    ("<token>", re.compile(r"(?i)\bbearer\s+[^\s\"',;]+")),
    (  # what is not a word: base64 with a digit, a capital within or padding
        "<token>",
        re.compile(r"\b(?i:basic)\s+(?=[\w+/]+(?:=|(?<=[\w+/])[A-Z0-9]))[\w+/]{6,}={0,2}"),
    ),
    (
        r"\1<token>",
        re.compile(
            r"(?i)\b((?:proxy-)?authorization[\"']?\s*[=:]\s*[\"']?)(?:[a-z]+\s+)?[^\s\"',;]+"
        ),
    ),
    (
        r"\1<token>",
        re.compile(
            r"(?i)\b((?:api[_-]?key|\w*token|password|secret)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"',;&]{8,}"
        ),
    ),
    ("<address>", re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s\"'<>]+")),
    ("<address>", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (  # IPv6 in brackets, with a port; shortened; in full, or a MAC address
        "<address>",
        re.compile(r"\[(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F:.]*(?:%[\w.-]+)?\](?::\d+)?"),
    ),
    (
        "<address>",
        re.compile(
            rf"(?<![\w:.])(?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?"
            rf"(?::?{_IPV4})?(?:%[\w.-]+)?(?![\w:]|\.\d)"
        ),
    ),
    ("<address>", re.compile(rf"(?<![\w:])(?:{_HEX}:){{3,7}}(?::?{_HEX})+(?![\w:])")),
    ("<address>", re.compile(rf"(?<![\w.-]){_IPV4}(?::\d+)?(?![\w.-])")),
    (  # a name and a port: with a dot or hyphen in it, or a port of at least four digits
        "<address>",
        re.compile(
            rf"(?<![\w./\\-])(?<!::)(?![\w.-]+{_SOURCE}:)"
            r"(?:localhost:\d{1,5}|(?=\w*[.-])[A-Za-z][\w.-]*:\d{2,5}|[A-Za-z]\w*:\d{4,5})"
            r"(?![\w:]|\.\d)"
        ),
    ),
    ("<path>", re.compile(f"{_QUOTED}|{_OPEN}")),
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

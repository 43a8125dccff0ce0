"""Environments with everything a lock names, kept per user and laid into the next clone as links.

A file that is linked is the same file in all clones that have it: whoever changes one in place
changes all, and the next set-up throws the kept ones away. pip and Python do not: they write beside
and rename. Knows what of an environment names its own folder. Standard library only.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from kept import MANIFEST, Kept

# Stands for the environment's own folder in what is kept of its programs' first lines.
PLACE = b"@the-environment@"
LONGEST_PLACE = 100  # the kernel reads 127 bytes of a program's first line, `bin/python3.11` too
PIP = ("pip", "__init__.py")
MADE_ANEW = ("python", "activate", "Activate")  # what `python -m venv` writes into bin/


def environment_key(requirements: str) -> str:
    """What an environment holds for: the exact packages and the Python they were installed with."""
    facts = [requirements, sys.implementation.cache_tag, platform.python_version(),
             sysconfig.get_platform(), sys.base_prefix, PLACE.decode()]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def can_be_kept(environment: Path) -> bool:
    """Whether programs of an environment can be moved by rewriting their first lines: not those of
    Windows, and not where pip writes other first lines because of the folder's name."""
    name = str(environment)
    return sys.platform != "win32" and " " not in name and len(name) <= LONGEST_PLACE


def keep(kept: Kept, key: str, environment: Path) -> None:
    """Keep what pip has installed into `environment`."""

    def fill(folder: Path) -> None:
        for relative in installed(environment):
            _lay(environment, folder, relative, os.fsencode(environment), PLACE)

    kept.put(key, fill)


def lay_out(entry: Path, environment: Path) -> None:
    """Put a kept environment's files into a new one. Raises OSError.

    pip's own `__init__.py` last: an environment that was cut short has no pip and is made anew.
    """
    for relative in sorted(_files(entry), key=lambda path: path.parts[-2:] == PIP):
        if relative != Path(MANIFEST):
            _lay(entry, environment, relative, PLACE, os.fsencode(environment))


def installed(environment: Path) -> Iterator[Path]:
    """Files of an environment that pip has put there, relative to it, and their byte code."""
    for relative in _files(environment):
        top = relative.parts[0]
        if len(relative.parts) == 1:
            continue
        if top != "bin" or not relative.name.startswith(MADE_ANEW):
            yield relative


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not Path(folder, name).is_symlink()]
        for name in names:
            yield Path(folder, name).relative_to(root)


def _lay(source: Path, target: Path, relative: Path, old: bytes, new: bytes) -> None:
    """One file: a script of bin/ with the other folder's name in its first line, anything else as a
    link, or as a copy where the two lie on different disks."""
    path, made = source / relative, target / relative
    made.parent.mkdir(parents=True, exist_ok=True)
    script = path.read_bytes() if relative.parts[0] == "bin" else b""
    if script.startswith(b"#!"):
        first, line, rest = script.partition(b"\n")
        made.write_bytes(first.replace(old, new) + line + rest)
        shutil.copymode(path, made)
        return
    try:
        os.link(path, made)
    except OSError:
        shutil.copy2(path, made)

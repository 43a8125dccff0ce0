"""The licences of everything inside, read from the packages' own metadata.

An installer puts the metadata of what it carries beside the program, and into the folder
`licences` what no metadata tells of (installers/carried.py); in a checkout it is what the
environment has. Knows no window.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib import metadata

_LICENCE_FILE = re.compile(r"licen[cs]e|copying|notice", re.IGNORECASE)
_LONGEST = 100


@dataclass(frozen=True)
class Notice:
    """One package: its licence in short, and the texts that came with it, by file name."""

    name: str
    version: str
    licence: str
    texts: tuple[tuple[str, str], ...]


def notices(carried: Path | None = None) -> tuple[Notice, ...]:
    """Every package and, where an installer made this copy, everything else inside, by name.

    carried: the installer's folder of licences, instead of the one beside this program.
    """
    from importlib import metadata  # brings email and csv: not for the start of the window

    found: dict[str, Notice] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name.lower() not in found:
            found[name.lower()] = Notice(
                name, distribution.version, _licence(distribution), _texts(distribution)
            )
    if carried is None and hasattr(sys, "_MEIPASS"):
        carried = Path(sys._MEIPASS) / "licences"
    for notice in _carried(carried) if carried is not None else ():
        known = found.get(notice.name.lower())
        texts = (*known.texts, *notice.texts) if known else notice.texts
        found[notice.name.lower()] = replace(known or notice, texts=texts)
    return tuple(found[key] for key in sorted(found))


def _carried(folder: Path) -> tuple[Notice, ...]:
    return tuple(
        Notice(
            entry["name"],
            entry["version"],
            entry["licence"],
            tuple((name, (folder / name).read_text(encoding="utf-8")) for name in entry["texts"]),
        )
        for entry in json.loads((folder / "carried.json").read_text(encoding="utf-8"))
    )


def _licence(distribution: metadata.Distribution) -> str:
    facts = distribution.metadata
    given = [facts[name] for name in ("License-Expression", "License") if name in facts]
    short = given[0].split("\n")[0] if given else ""
    classifiers = [
        line.rsplit(" :: ", 1)[1]
        for line in facts.get_all("Classifier") or ()
        if line.startswith("License :: ") and line.count(" :: ") > 1
    ]
    return (short or ", ".join(classifiers) or "see its texts")[:_LONGEST]


def _texts(distribution: metadata.Distribution) -> tuple[tuple[str, str], ...]:
    """Texts from the metadata's folder, and those at the top of the package."""
    texts = {}
    for file in distribution.files or ():
        inside = file.parts[0].endswith(".dist-info")
        if _LICENCE_FILE.search(file.name) and (inside or len(file.parts) == 2):
            try:
                texts[str(file)] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
    return tuple(sorted(texts.items()))

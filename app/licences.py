"""The licences of everything inside, read from the packages' own metadata.

An installer puts the metadata of what it carries beside the program; in a checkout it is what the
environment has. Knows no window.
"""

import re
from dataclasses import dataclass
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


def notices() -> tuple[Notice, ...]:
    """Every package, by name."""
    found: dict[str, Notice] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name.lower() not in found:
            found[name.lower()] = Notice(
                name, distribution.version, _licence(distribution), _texts(distribution)
            )
    return tuple(found[key] for key in sorted(found))


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

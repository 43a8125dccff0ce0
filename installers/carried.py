"""What a bundle carries beside Python packages, and the licence texts some packages forget.

`write` puts all of it into one folder, `licences`, which the bundle takes along: About
(app/system/licences.py) and the bill of materials (sbom.py) read it there. Standard library only.
"""

import json
import platform
import shutil
import sqlite3
import ssl
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TEXTS = HERE / "licences"
APACHE = HERE.parent / "LICENSE"  # the plain text of the Apache License 2.0
INDEX = "carried.json"


@dataclass(frozen=True)
class Carried:
    """A part of the bundle: its licence as an SPDX expression, and the files with its texts."""

    name: str
    version: str
    licence: str
    texts: tuple[Path, ...]


# Packages whose wheels bring no text of the licence they state.
FORGOTTEN = {
    "PySide6_Essentials": ("LGPL-3.0.txt", "GPL-3.0.txt"),
    "shiboken6": ("LGPL-3.0.txt", "GPL-3.0.txt"),
    "latex2mathml": ("MIT-latex2mathml.txt",),
    "flatbuffers": (APACHE.name,),
}


def parts(starter: str) -> Iterator[Carried]:
    """What is no Python package. starter: version of the model inside, "" without one."""
    python = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    yield Carried("CPython", platform.python_version(), "PSF-2.0", (python,))
    yield Carried("OpenSSL", ssl.OPENSSL_VERSION.split()[1], "Apache-2.0", (APACHE,))
    yield Carried("SQLite", sqlite3.sqlite_version, "blessing", ())
    if sys.platform == "linux":
        texts = (TEXTS / "GCC-exception-3.1.txt", TEXTS / "GPL-3.0.txt")
        yield Carried("libgomp", "1", "GPL-3.0-or-later WITH GCC-exception-3.1", texts)
    if starter:
        yield Carried("SmolLM2-135M-Instruct", starter, "Apache-2.0", (APACHE,))


def write(folder: Path, starter: str) -> None:
    """The texts, and an index of {name, version, licence, texts}; a name of a Python package adds
    texts to that package. Raises FileNotFoundError where a text is missing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(APACHE, folder / APACHE.name)
    entries = []
    for part in parts(starter):
        names = []
        for text in part.texts:
            names.append(APACHE.name if text == APACHE else f"{part.name}-{text.name}")
            shutil.copyfile(text, folder / names[-1])
        entries.append(
            {"name": part.name, "version": part.version, "licence": part.licence, "texts": names}
        )
    for package, forgotten in FORGOTTEN.items():
        for name in forgotten:
            if name != APACHE.name:
                shutil.copyfile(TEXTS / name, folder / name)
        entries.append({"name": package, "version": "", "licence": "", "texts": [*forgotten]})
    (folder / INDEX).write_text(json.dumps(entries, indent=1))

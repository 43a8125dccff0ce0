"""What the word MODEL on a command line means: a catalog id, an installed name, or a path.

Knows the catalog, the library and the file system; inspects nothing.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import UnknownModel
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel, Library
from runtime.errors import UnsupportedModel, UnusableFile

QUANTIZED_FROM = "quantized from "
_FULL_PRECISION = re.compile(
    r"(?<![A-Za-z0-9])(BF16|F16|F32)(?![A-Za-z0-9]).*\.gguf$", re.IGNORECASE
)


@dataclass(frozen=True)
class Target:
    """A resolved model name. `path` is None for a catalog entry that is not installed."""

    name: str
    path: Path | None
    entry: CatalogEntry | None
    installed: InstalledModel | None = None

    @property
    def local(self) -> Path:
        """The file or folder. Raises UnsupportedModel for what is not here."""
        if self.path is None:
            raise UnsupportedModel(path=self.name, reason="not_installed")
        return self.path


def resolve(name: str, catalog: Sequence[CatalogEntry], library: Library) -> Target:
    """Find what `name` means: installed, then a file or folder, then the catalog.

    Raises UnknownModel with the names that come close, ModelFileError for a path that is missing.
    """
    installed = library.find(name)
    if installed is not None:
        return Target(
            installed.name, installed.path, entry_of(installed, catalog, library), installed
        )
    path = Path(name).expanduser()
    if path.exists():
        return Target(name, path, None)
    entry = next((entry for entry in catalog if entry.id == name.lower()), None)
    if entry is not None:
        return Target(entry.id, None, entry)
    if os.sep in name or path.suffix in (".gguf", ".safetensors", ".onnx"):
        raise UnusableFile(path=name, reason="missing")
    known = [entry.id for entry in catalog] + [model.name for model in library.installed()]
    import difflib  # only for what is mistyped: not for the start of the window

    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4)
    raise UnknownModel(name=name, suggestions=near)


def entry_of(
    model: InstalledModel, catalog: Sequence[CatalogEntry], library: Library
) -> CatalogEntry | None:
    """The catalog entry an installed model came from, through the models it was quantized from."""
    for current in _ancestors(model, library):
        for entry in catalog:
            names = (entry.id, entry.repositories.official, entry.repositories.gguf)
            if current.source in names:
                return entry
    return None


def made_from(model: InstalledModel, library: Library) -> str:
    """The name of what a model was first quantized from: its own, where it was not."""
    *_, first = _ancestors(model, library)
    return first.source.removeprefix(QUANTIZED_FROM) if _is_quantized(first) else first.name


def reference_of(
    model: InstalledModel, catalog: Sequence[CatalogEntry], library: Library
) -> InstalledModel | None:
    """The full-precision weights here that `model` can be measured against: what it was quantized
    from, else those of its catalog entry. None where there are none, or it is such weights."""
    if _is_full_precision(model):
        return None
    entry = entry_of(model, catalog, library)
    same = [
        other
        for other in (library.installed() if entry is not None else ())
        if entry_of(other, catalog, library) is entry
    ]
    _, *ancestors = _ancestors(model, library)
    return next((other for other in (*ancestors, *same) if _is_full_precision(other)), None)


def _is_full_precision(model: InstalledModel) -> bool:
    return model.format == "safetensors" or bool(_FULL_PRECISION.search(model.path.name.upper()))


def _ancestors(model: InstalledModel, library: Library) -> Iterator[InstalledModel]:
    """The model and, in turn, the installed ones it was quantized from."""
    seen: set[str] = set()
    current: InstalledModel | None = model
    while current is not None and current.name not in seen:
        yield current
        seen.add(current.name)
        source = current.source.removeprefix(QUANTIZED_FROM)
        current = library.find(source) if _is_quantized(current) else None


def _is_quantized(model: InstalledModel) -> bool:
    return model.source.startswith(QUANTIZED_FROM)

"""Add-on packs as the engines see them: folders of unpacked wheels, named in the environment.

Whoever starts workers sets the variable; children append the folders to the module path, behind
everything that is built in, and search them for libraries of further devices. Imports no engine.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "STILLROOM_PACKS"  # folders, separated as in PATH
_DEVICE_LIBRARY = re.compile(r"(lib)?ggml-(?!base|cpu)\w+\.(so|dll|dylib)")


def pack_folders(environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """The folders of the packs that are there."""
    names = environment.get(VARIABLE, "").split(os.pathsep)
    return tuple(Path(name) for name in names if name and Path(name).is_dir())


def adopt_packs() -> None:
    """Make the packs' modules importable in this process."""
    sys.path.extend(str(folder) for folder in pack_folders() if str(folder) not in sys.path)


def device_libraries(*folders: Path) -> list[Path]:
    """The engine's libraries for other devices than the CPU in `folders`, by name."""
    found = [path for folder in folders for path in folder.iterdir()]
    return sorted(path for path in found if _DEVICE_LIBRARY.fullmatch(path.name))


def pack_libraries() -> list[Path]:
    """The device libraries that packs bring: at the top of the packages in them."""
    packages = [path for folder in pack_folders() for path in folder.iterdir() if path.is_dir()]
    return device_libraries(*packages)

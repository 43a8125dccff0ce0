"""The files of installers/ as modules; they import each other by name."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def script(name: str) -> ModuleType:
    """The file installers/`name`.py, loaded once."""
    sys.path.insert(0, str(ROOT / "installers"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)

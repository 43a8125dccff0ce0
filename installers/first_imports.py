"""Imports every module of the product once, and what runs its tests, so that what they need of
other packages is there as byte code before the first start. A module that cannot be imported here
(no screen, no engine yet) is left out. Standard library only.
"""

import contextlib
import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "runtime", "quant")
TEST_TOOLS = (
    "pytest",
    "_pytest.config",
    "pytestqt.plugin",
    "pytest_timeout",
    "hypothesis",
    "openai",
    "schemathesis",
    "llm.cli",
    "lm_eval.__main__",
    "lm_eval.models.openai_completions",
)

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name in TEST_TOOLS:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if path.stem != "__main__":
                with contextlib.suppress(Exception):
                    importlib.import_module(name.removesuffix(".__init__"))

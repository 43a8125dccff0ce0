"""onnxruntime, imported with its telemetry switched off. Worker and job processes only.

Everything that touches the engine imports `ort` from here, so that no path imports it otherwise.
"""

import importlib
import os
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = ["genai", "ort", "run_options"]

# Read once, at import: the wheels ship an uploader that is on by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


if TYPE_CHECKING:
    import onnxruntime as ort
else:
    ort = importlib.import_module("onnxruntime")
ort.set_default_logger_severity(3)


def run_options() -> ort.RunOptions:
    """Options of one evaluation. Failures are raised; the engine need not print them as well."""
    options = ort.RunOptions()
    options.log_severity_level = 4
    return options


def genai() -> ModuleType:
    """The onnxruntime_genai module, its telemetry off too."""
    return importlib.import_module("onnxruntime_genai")

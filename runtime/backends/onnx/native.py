"""onnxruntime, imported with its telemetry switched off. Worker and job processes only.

Everything that touches the engine imports `ort` from here, so that no path imports it otherwise.
"""

import importlib
import os
from typing import Any

from runtime.errors import StageFailed as StageFailed

# Read once, at import: the wheels ship an uploader that is on by default.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


ort: Any = importlib.import_module("onnxruntime")
ort.set_default_logger_severity(3)


def run_options() -> Any:
    """Options of one evaluation. Failures are raised; the engine need not print them as well."""
    options = ort.RunOptions()
    options.log_severity_level = 4
    return options


def genai() -> Any:
    """The onnxruntime_genai module, its telemetry off too."""
    module: Any = importlib.import_module("onnxruntime_genai")
    return module

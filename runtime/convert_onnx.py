"""The ONNX export job: JSON in, JSON out, for a child process.

A `runtime.jobtable.Job`. Cancelling ends the process: the folder takes its name only when whole.
Knows arguments and progress; `quant.onnx` does the work.
"""

import os
import time
from pathlib import Path
from typing import Any

from quant.importance import read_importance
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.static_body import StaticShape
from quant.recipe import QuantRecipe, recipe_from_json, recipe_named
from quant.sources import open_source
from runtime.errors import InvalidRequest
from runtime.jobs import OnProgress, Progress

DEFAULT_RECIPE = "onnx-q4-b32-search"
DEFAULT_STATIC_CONTEXT = 2048
STATIC_ROWS = (32, 1)  # prefill, decode
_REPORT_SECONDS = 0.1


def export_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """A checkpoint (GGUF or safetensors) to an ONNX folder.

    args: source, target; recipe: a name of quant.recipe.RECIPES or a recipe as JSON; imatrix: path
    or None; threads; static_context: cache positions of the NPU bodies, 0 for none; rope_context:
    most positions the dynamic body can run. Returns QuantReport.to_json(). Raises QuantError.
    """
    source, target = _path(args, "source"), _path(args, "target")
    importance = read_importance(Path(args["imatrix"])) if args.get("imatrix") else {}
    context = _count(args, "static_context", DEFAULT_STATIC_CONTEXT, lowest=0)
    options = ExportOptions(
        rope_context=_count(args, "rope_context", 32768, lowest=1),
        static_shapes=tuple(StaticShape(rows, context) for rows in STATIC_ROWS if context),
        importance=importance,
        threads=_count(args, "threads", os.cpu_count() or 1, lowest=1),
    )
    last = 0.0

    def on_tensor(done: int, total: int, name: str) -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= _REPORT_SECONDS:
            last = now
            on_progress(Progress("quantize", done, total, "tensors", name))

    report = export_onnx(open_source(source), target, _recipe(args), on_tensor, options)
    return report.to_json()


def _path(args: dict[str, Any], key: str) -> Path:
    value = args.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(field=key, reason="a path is needed")
    return Path(value)


def _count(args: dict[str, Any], key: str, default: int, *, lowest: int) -> int:
    value = args.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise InvalidRequest(field=key, reason=f"a whole number from {lowest} is needed")
    return value


def _recipe(args: dict[str, Any]) -> QuantRecipe:
    value = args.get("recipe")
    if isinstance(value, dict):
        return recipe_from_json(value)
    return recipe_named(str(value or DEFAULT_RECIPE))

"""The conversion jobs: a checkpoint to a GGUF file, or to an ONNX folder.

JSON in, JSON out, for a child process: each is a `runtime.process.job_table.Job`. Cancelling ends
the process: results take their names only when whole. Knows arguments and progress; the work is
done in `quant` and `runtime.tasks.evaluation`.
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.checkpoint.sources import open_source
from quant.gguf.export import quantize_gguf
from quant.gguf.importance import read_importance
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.static_body import StaticShape
from quant.recipe import QuantRecipe, recipe_from_json, recipe_named
from runtime.errors import InvalidRequest
from runtime.jobs import OnProgress, Progress
from runtime.tasks.quality import imatrix_job, own_text, path_of, runnable, threads_of

DEFAULT_GGUF = "q4_0"
DEFAULT_ONNX = "onnx-q4-b32-search"
DEFAULT_STATIC_CONTEXT = 2048
STATIC_ROWS = (32, 1)  # prefill, decode
_REPORT_SECONDS = 0.1


def quantize_gguf_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """A checkpoint (GGUF or safetensors) to a GGUF file.

    args: source, target; recipe: a name of quant.recipe.RECIPES or a recipe as JSON (default
    q4_0); imatrix: path or None; calibrate: a text file or True to compute an importance matrix
    first (a recipe that requires one computes it unasked); threads. Returns
    QuantReport.to_json(). Raises QuantError.
    """
    source, target, recipe = path_of(args, "source"), path_of(args, "target"), _recipe(args)
    importance = _importance(args, recipe, on_progress)
    progress = _TensorProgress(on_progress)
    report = quantize_gguf(source, target, recipe, progress, importance, threads_of(args))
    return replace(report, peak_anonymous=progress.peak_anonymous).to_json()


def export_onnx_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """A checkpoint (GGUF or safetensors) to an ONNX folder.

    args: as `quantize_gguf_job` (default recipe onnx-q4-b32-search); static_context: cache
    positions of the NPU bodies, 0 for none; rope_context: most positions the dynamic body can run.
    Returns QuantReport.to_json(). Raises QuantError.
    """
    source, target = path_of(args, "source"), path_of(args, "target")
    recipe = _recipe(args, DEFAULT_ONNX)
    context = _count(args, "static_context", DEFAULT_STATIC_CONTEXT, lowest=0)
    options = ExportOptions(
        rope_context=_count(args, "rope_context", 32768, lowest=1),
        static_shapes=tuple(StaticShape(rows, context) for rows in STATIC_ROWS if context),
        threads=threads_of(args),
    )
    importance = _importance(args, recipe, on_progress)
    options = replace(options, importance=importance or {})
    progress = _TensorProgress(on_progress)
    report = export_onnx(open_source(source), target, recipe, progress, options)
    return replace(report, peak_anonymous=progress.peak_anonymous).to_json()


def _recipe(args: dict[str, Any], default: str = DEFAULT_GGUF) -> QuantRecipe:
    value = args.get("recipe")
    return recipe_from_json(value) if isinstance(value, dict) else recipe_named(value or default)


def _count(args: dict[str, Any], key: str, default: int, *, lowest: int) -> int:
    value = args.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise InvalidRequest(field=key, reason=f"a whole number from {lowest} is needed")
    return value


def _importance(
    args: dict[str, Any], recipe: QuantRecipe, on_progress: OnProgress
) -> dict[str, npt.NDArray[np.float32]] | None:
    """The importance matrix that the arguments give or ask for, or that the recipe demands."""
    if args.get("imatrix"):
        return read_importance(path_of(args, "imatrix"))
    if not args.get("calibrate") and recipe.importance != "required":
        return None
    source, target = path_of(args, "source"), path_of(args, "target")
    text = args["calibrate"] if isinstance(args.get("calibrate"), str) else None
    if text is not None:
        own_text(Path(text), "calibrate")  # before the model is converted for it
    with (
        tempfile.TemporaryDirectory(prefix="calibrate-", dir=target.parent) as folder,
        runnable(source, {**args, "folder": folder}, on_progress) as model,
    ):
        matrix = Path(folder) / "imatrix.gguf"
        job = {"source": str(model), "target": str(matrix), "text": text}
        imatrix_job({**job, "threads": threads_of(args)}, on_progress)
        return read_importance(matrix)


class _TensorProgress:
    """Turns `on_tensor` calls into Progress, ten times a second at most, and watches memory."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._last = 0.0
        self.peak_anonymous = 0

    def __call__(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if done != total and now - self._last < _REPORT_SECONDS:
            return
        self._last = now
        self.peak_anonymous = max(self.peak_anonymous, anonymous_memory())
        self._on_progress(Progress("quantize", done, total, "tensors", name))


def anonymous_memory() -> int:
    """Bytes of anonymous memory this process holds; 0 where the system does not tell."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0

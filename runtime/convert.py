"""The conversion and quality jobs: JSON in, JSON out, for a child process.

Each is a `runtime.jobtable.Job`. Cancelling ends the process: results take their names only when
whole. Knows arguments and progress; the work is done in `quant` and `runtime.evaluation`.
"""

import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.gguf import quantize_gguf
from quant.importance import read_importance
from quant.recipe import QuantRecipe, recipe_from_json, recipe_named
from runtime.errors import InvalidRequest
from runtime.jobs import OnProgress, Progress
from runtime.measure_quality import imatrix_job, runnable

_REPORT_SECONDS = 0.1


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


class _TensorProgress:
    """Turns `on_tensor` calls into Progress, ten times a second at most, and watches memory."""

    def __init__(self, phase: str, on_progress: OnProgress) -> None:
        self._phase = phase
        self._on_progress = on_progress
        self._last = 0.0
        self._done = -1
        self.peak_anonymous = 0

    def __call__(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if done != total and now - self._last < _REPORT_SECONDS:
            return
        self._last = now
        self.peak_anonymous = max(self.peak_anonymous, anonymous_memory())
        self._on_progress(Progress(self._phase, done, total, "tensors", name))


def _path(args: dict[str, Any], key: str) -> Path:
    value = args.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(field=key, reason="a path is needed")
    return Path(value)


def _recipe(value: Any, default: str) -> QuantRecipe:
    if isinstance(value, dict):
        return recipe_from_json(value)
    return recipe_named(str(value or default))


def _threads(args: dict[str, Any]) -> int:
    return max(1, int(args.get("threads") or os.cpu_count() or 1))


def _quantize(args: dict[str, Any], on_progress: OnProgress, default: str) -> dict[str, Any]:
    source, target = _path(args, "source"), _path(args, "target")
    recipe = _recipe(args.get("recipe"), default)
    importance = read_importance(Path(args["imatrix"])) if args.get("imatrix") else None
    if importance is None and (args.get("calibrate") or recipe.importance == "required"):
        importance = _calibrated(args, source, target, on_progress)
    progress = _TensorProgress("quantize", on_progress)
    report = quantize_gguf(source, target, recipe, progress, importance, _threads(args))
    return replace(report, peak_anonymous=progress.peak_anonymous).to_json()


def _calibrated(
    args: dict[str, Any], source: Path, target: Path, on_progress: OnProgress
) -> dict[str, npt.NDArray[np.float32]]:
    """The source's importance matrix over the text `calibrate` names (else the bundled one)."""
    text = args["calibrate"] if isinstance(args.get("calibrate"), str) else None
    with (
        tempfile.TemporaryDirectory(prefix="calibrate-", dir=target.parent) as folder,
        runnable(source, {**args, "folder": folder}, on_progress) as model,
    ):
        matrix = Path(folder) / "imatrix.gguf"
        job = {"source": str(model), "target": str(matrix), "text": text}
        imatrix_job({**job, "threads": _threads(args)}, on_progress)
        return read_importance(matrix)


def quantize_gguf_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """A checkpoint (GGUF or safetensors) to a GGUF file.

    args: source, target; recipe: a name of quant.recipe.RECIPES or a recipe as JSON (default
    q4_0); imatrix: path or None; calibrate: a text file or True to compute an importance matrix
    first (a recipe that requires one computes it unasked); threads. Returns
    QuantReport.to_json(). Raises QuantError.
    """
    return _quantize(args, on_progress, "q4_0")


def convert_safetensors_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """A safetensors checkpoint to a GGUF file at full precision: as `quantize_gguf_job`, recipe
    bf16 unless another is named."""
    return _quantize(args, on_progress, "bf16")

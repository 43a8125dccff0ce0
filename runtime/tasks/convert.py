"""The conversion jobs: a checkpoint to a GGUF file, or to an ONNX folder.

For a child process (see `runtime.process.job_table`). Cancelling ends the process: results take
their names only when whole. Knows arguments and progress; the work is done in `quant` and
`runtime.tasks.evaluation`.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.checkpoint.sources import open_source
from quant.feedback.finished import FinishedMatrices
from quant.feedback.layouts import LAYOUTS
from quant.gguf.export import quantize_gguf
from quant.gguf.importance import read_importance
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.static_body import StaticShape
from quant.recipe import QuantRecipe, QuantReport
from quant.roles import TensorRole
from runtime.process.job_values import ExportArgs, ImatrixArgs, QuantizeArgs
from runtime.progress import OnProgress, Progress
from runtime.tasks.feedback import (
    GgufMatrices,
    Matrices,
    OnnxMatrices,
    float_model,
    planned_formats,
    quantize_matrices,
)
from runtime.tasks.quality import imatrix_job, own_text, runnable, threads_of

STATIC_ROWS = (32, 1)  # prefill, decode
_REPORT_SECONDS = 0.1


def quantize_gguf_job(args: QuantizeArgs, on_progress: OnProgress) -> QuantReport:
    """A checkpoint (GGUF or safetensors) to a GGUF file. Raises QuantError, EngineError."""
    importance = importance_for(args, on_progress)
    progress, threads = TensorProgress(on_progress), threads_of(args.threads)
    with _feedback(args, on_progress) as finished:
        report = quantize_gguf(
            args.source, args.target, args.recipe, progress, importance, threads, finished.blocks
        )
        report = replace(report, notices=(*report.notices, *_left_out(report, finished)))
    return replace(report, peak_anonymous=progress.peak_anonymous)


def export_onnx_job(args: ExportArgs, on_progress: OnProgress) -> QuantReport:
    """A checkpoint (GGUF or safetensors) to an ONNX folder. Raises QuantError, EngineError."""
    context, progress = args.static_context, TensorProgress(on_progress)
    with _feedback(args, on_progress) as finished:
        options = ExportOptions(
            rope_context=args.rope_context,
            static_shapes=tuple(StaticShape(rows, context) for rows in STATIC_ROWS if context),
            threads=threads_of(args.threads),
            importance=importance_for(args, on_progress) or {},
            finished=finished.packed,
        )
        source = open_source(args.source)
        report = export_onnx(source, args.target, args.recipe, progress, options)
    return replace(report, peak_anonymous=progress.peak_anonymous)


def importance_for(
    args: QuantizeArgs, on_progress: OnProgress
) -> dict[str, npt.NDArray[np.float32]] | None:
    """The importance matrix that the arguments give or ask for, or that the recipe demands."""
    if args.imatrix:
        return read_importance(args.imatrix)
    if args.recipe.method == "feedback":
        return None  # the text serves the feedback
    if not args.calibrate and args.recipe.importance != "required":
        return None
    text = Path(args.calibrate) if isinstance(args.calibrate, str) else None
    if text is not None:
        own_text(text, "calibrate")  # before the model is converted for it
    threads = threads_of(args.threads)
    with (
        tempfile.TemporaryDirectory(prefix="calibrate-", dir=args.target.parent) as folder,
        runnable(args.source, Path(folder), threads, on_progress) as model,
    ):
        matrix = Path(folder) / "imatrix.gguf"
        imatrix_job(ImatrixArgs(model, matrix, text, threads=threads), on_progress)
        return read_importance(matrix)


def _left_out(report: QuantReport, finished: FinishedMatrices) -> tuple[str, ...]:
    """Tells of matrices that a recipe with feedback rounded without it, such as experts; of a table
    that is only looked up there are no inputs to round on."""
    rounded = (
        tensor.name
        for tensor in report.tensors
        if tensor.target_format in LAYOUTS
        and tensor.name not in finished.names
        and tensor.role is not TensorRole.EMBEDDING
    )
    partly = report.method == "feedback" and any(rounded)
    return ("feedback_partial",) if partly else ()


@contextmanager
def _feedback(args: QuantizeArgs, on_progress: OnProgress) -> Iterator[FinishedMatrices]:
    """The matrices that error feedback has quantized; none where the recipe asks for none."""
    with tempfile.TemporaryDirectory(prefix="feedback-", dir=args.target.parent) as name:
        folder, recipe, threads = Path(name), args.recipe, threads_of(args.threads)
        finished = FinishedMatrices(folder)
        if recipe.method == "feedback":
            text = None
            if isinstance(args.calibrate, str):
                text = own_text(Path(args.calibrate), "calibrate")
            with float_model(args.source, folder, threads, on_progress) as model:
                matrices = _matrices(args.source, model, recipe, finished)
                quantize_matrices(model, matrices, text, threads, on_progress)
        yield finished


def _matrices(
    source: Path, model: Path, recipe: QuantRecipe, finished: FinishedMatrices
) -> Matrices:
    if recipe.family == "gguf":
        return GgufMatrices(model, planned_formats(source, recipe), finished)
    return OnnxMatrices(model, next(iter(recipe.formats.values())), finished)


class TensorProgress:
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

"""Matrices quantized with error feedback on the inputs that the quantized model makes.

The model runs once over the calibration text, layer by layer; before a layer's matrices run they
are quantized, and the layers after them see what they give from then on. Beside it runs the
original, which says where the outputs should have been. Knows the order of this; engines are
opened through `runtime.tasks.evaluation`, the arithmetic is `quant.feedback`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quant.blocks.native import open_native
from quant.checkpoint.sources import open_source
from quant.errors import IncompatibleShape
from quant.feedback.finished import FinishedMatrices
from quant.feedback.layouts import LAYOUTS
from quant.feedback.matrices import (
    SETTINGS,
    FeedbackSettings,
    Prepared,
    prepare,
    quantize_gguf_matrix,
    quantize_onnx_matrix,
)
from quant.feedback.moments import Moments, column_groups, input_moments
from quant.formats import format_named
from quant.gguf.export import open_view, plan, quantize_view
from quant.onnx.checkpoint import DecoderTensor, open_checkpoint
from quant.quality.texts import calibration_text
from quant.recipe import RECIPES, QuantRecipe
from quant.roles import TensorRole, role_of
from runtime.errors import UnsupportedModel
from runtime.progress import OnProgress, Progress
from runtime.tasks.evaluation import evaluator_module

F32 = npt.NDArray[np.float32]

_TABLE = "token_embd.weight"
# Weights of the model -> tokens calibrated on: what half an hour of one core can run.
_TOKENS = ((400e6, 32768), (1e9, 16384), (float("inf"), 8192))
_LENGTH = 512
_LONGEST_PROMPT = 384


class Matrices(Protocol):
    """What is to be quantized: named as in GGUF files, rows as the model's file has them."""

    names: frozenset[str]

    def span(self, name: str) -> int:
        """Weights that share a block of this matrix's format."""
        ...

    def quantize(self, name: str, prepared: Prepared, pool: Executor) -> F32:
        """Quantize and keep one matrix; the rows [n, k] that it holds from now on."""
        ...


class GgufMatrices:
    """The matrices of a model's file in the formats that a recipe plans for them, as far as those
    take error feedback."""

    def __init__(self, model: Path, formats: Mapping[str, str], finished: FinishedMatrices) -> None:
        self._tensors = {tensor.name: tensor for tensor in open_view(model).tensors}
        self._formats = {
            name: wanted
            for name, wanted in formats.items()
            if wanted in LAYOUTS and len(self._tensors[name].shape) == 2
        }
        self._finished = finished
        self._scales = open_native()
        self.names = frozenset(self._formats)

    def span(self, name: str) -> int:
        return LAYOUTS[self._formats[name]].span

    def quantize(self, name: str, prepared: Prepared, pool: Executor) -> F32:
        tensor = self._tensors[name]
        rows = tensor.rows(0, tensor.row_count)
        blocks, stored = quantize_gguf_matrix(
            self._formats[name], rows, prepared, self._scales, pool
        )
        self._finished.put_blocks(name, blocks)
        return stored


class OnnxMatrices:
    """A decoder's matrices in one block format, kept in the original checkpoint's row order."""

    def __init__(self, model: Path, format_name: str, finished: FinishedMatrices) -> None:
        checkpoint = open_checkpoint(open_source(model))
        spec, parts = checkpoint.spec, ("q", "k", "v", "o", "gate", "up", "down")
        tensors = [checkpoint.block(i, p) for i in range(spec.block_count) for p in parts]
        tensors.append(checkpoint.top("embedding"))
        if not spec.tied_embeddings:
            tensors.append(checkpoint.top("lm_head"))
        self._tensors: dict[str, DecoderTensor] = {one.gguf_name: one for one in tensors}
        self._format = format_name
        self._finished = finished
        self.names = frozenset(self._tensors)

    def span(self, name: str) -> int:
        return format_named(self._format).block_size

    def quantize(self, name: str, prepared: Prepared, pool: Executor) -> F32:
        tensor = self._tensors[name]
        count = tensor.source.row_count
        packed, stored = quantize_onnx_matrix(self._format, tensor.rows(0, count), prepared, pool)
        self._finished.put_packed(name, packed)
        in_file = np.empty_like(stored)
        in_file[tensor.row_order()] = stored
        return in_file


@dataclass(frozen=True)
class Calibration:
    """How much text: `count` sequences of `length` tokens."""

    count: int
    length: int


def calibration_for(weights: int) -> Calibration:
    """For a model of so many weights."""
    tokens = next(tokens for most, tokens in _TOKENS if weights <= most)
    return Calibration(tokens // _LENGTH, _LENGTH)


@contextmanager
def float_model(
    source: Path, folder: Path, threads: int, on_progress: OnProgress
) -> Iterator[Path]:
    """The source itself where its matrices are floats in a GGUF file, else such a file of it in
    `folder`."""
    view = open_view(source)
    matrices = [tensor for tensor in view.tensors if len(tensor.shape) > 1]
    if source.suffix == ".gguf" and not any(
        format_named(tensor.format).is_quantized for tensor in matrices
    ):
        yield source
        return
    wide = any(tensor.format == "BF16" for tensor in matrices)
    full = folder / "full.gguf"

    def on_tensor(done: int, total: int, name: str) -> None:
        on_progress(Progress("convert", done, total, "tensors", name))

    quantize_view(view, full, RECIPES["bf16" if wide else "f16"], on_tensor, None, threads)
    try:
        yield full
    finally:
        full.unlink()


def planned_formats(source: Path, recipe: QuantRecipe) -> dict[str, str]:
    """GGUF tensor name -> format that the recipe gives it."""
    steps = plan(open_view(source), recipe)
    return {step.slot.name: step.slot.format for step in steps}


def quantize_matrices(
    model: Path,
    matrices: Matrices,
    text: str | None,
    threads: int,
    on_progress: OnProgress,
    settings: FeedbackSettings = SETTINGS,
    size: Calibration | None = None,
) -> None:
    """Quantize every matrix of `matrices` that the model runs on inputs of its own. Raises
    EngineError, QuantError."""
    module = evaluator_module(model)
    if not hasattr(module, "open_block_inputs"):
        raise UnsupportedModel(path=str(model), reason="importance_not_measured")
    if size is None:
        size = calibration_for(sum(tensor.elements for tensor in open_view(model).tensors))
    opened = (module.open_block_inputs(model, threads, size.count, size.length) for _ in range(2))
    with (
        closing(next(opened)) as full,
        closing(next(opened)) as quantized,
        ThreadPoolExecutor(threads) as pool,
    ):
        sequences = _sequences(full, text, size, on_progress)
        run = _Feedback(matrices, pool, size.length, settings, on_progress)
        if any(_TABLE in group for group in full.groups):
            run.tied_table(full, quantized, sequences)
        run.layers(module.stream_inputs(full, sequences), quantized, sequences)


def _sequences(
    model: Any, text: str | None, size: Calibration, on_progress: OnProgress
) -> list[list[int]]:
    """The text cut into sequences, which the model continues where they are too short."""
    tokens = model.tokenize(calibration_text() if text is None else text)
    step = max(1, min(len(tokens) // size.count, size.length))
    if step < size.length:
        step = min(step, _LONGEST_PROMPT)
    pieces = [tokens[i * step : (i + 1) * step] for i in range(size.count)]
    pieces = [piece for piece in pieces if len(piece) == step]
    if not pieces:
        raise IncompatibleShape(reason="text_too_short", tensor=None, shape=[])
    first = next(iter(model.tokenize("")), None)
    if first is not None:  # every text begins so, and most attention falls on it
        for piece in pieces:
            piece[0] = first
    if step == size.length:
        return pieces

    def on_step(done: int, total: int) -> None:
        on_progress(Progress("write", done, total, "steps"))

    written: list[list[int]] = model.continue_texts(pieces, size.length, on_step)
    return written


class _Feedback:
    """One quantization under way."""

    def __init__(
        self,
        matrices: Matrices,
        pool: Executor,
        length: int,
        settings: FeedbackSettings,
        on_progress: OnProgress,
    ) -> None:
        self._matrices = matrices
        self._pool = pool
        self._length = length
        self._settings = settings
        self._on_progress = on_progress
        self._done = 0

    def _report(self, name: str) -> None:
        total = len(self._matrices.names)
        self._on_progress(Progress("feedback", self._done, total, "tensors", name))

    def tied_table(self, full: Any, quantized: Any, sequences: Sequence[Sequence[int]]) -> None:
        """The table that is both embedding and LM head, before everything that depends on it: by
        the moments of the final hidden states, held back by a ridge for the embeddings' sake."""
        if _TABLE not in self._matrices.names:
            return
        found: list[F32] = []

        def visit(names: Sequence[str], inputs: F32) -> Mapping[str, F32]:
            self._report(names[0])
            if _TABLE in names:
                found.append(inputs.copy())
            return {}

        full.run(sequences, visit)
        moments = self._moments(found[0])
        ridge = replace(self._settings, damping=self._settings.head_ridge)
        prepared = prepare(moments, self._matrices.span(_TABLE), ridge)
        quantized.replace(_TABLE, self._matrices.quantize(_TABLE, prepared, self._pool))
        self._done += 1

    def _moments(
        self, inputs: F32, first_weight: float | None = None, originals: F32 | None = None
    ) -> list[Moments]:
        """By group of columns; with originals to aim at only where all columns are one group."""
        parts = column_groups(inputs.shape[1], self._settings.widest)
        full = originals if len(parts) == 1 else None
        return [input_moments(inputs[:, part], self._length, first_weight, full) for part in parts]

    def layers(self, full: Any, quantized: Any, sequences: Sequence[Sequence[int]]) -> None:
        """Everything else, in the order in which it runs."""
        replaced: list[str] = []

        def visit(names: Sequence[str], inputs: F32) -> Mapping[str, F32]:
            quantized.restore(replaced)
            replaced.clear()
            same, originals = full.take()
            if list(same) != list(names):
                raise RuntimeError(f"{names} beside {same}: the two runs have parted")
            stored = self._group(names, inputs, originals)
            full.release()
            replaced.extend(stored)
            return stored

        try:
            quantized.run(sequences, visit)
        finally:
            full.close()

    def _group(self, names: Sequence[str], inputs: F32, originals: F32) -> dict[str, F32]:
        wanted = [name for name in names if name in self._matrices.names and name != _TABLE]
        if not wanted:
            return {}
        self._report(wanted[0])
        attention = role_of(wanted[0]) is TensorRole.ATTENTION and "attn_output" not in wanted[0]
        weight = self._settings.first_weight if attention else None
        moments = self._moments(inputs, weight, originals)
        prepared: dict[int, Prepared] = {}
        stored = {}
        for name in wanted:
            span = self._matrices.span(name)
            if span not in prepared:
                prepared[span] = prepare(moments, span, self._settings)
            stored[name] = self._matrices.quantize(name, prepared[span], self._pool)
            self._done += 1
            self._report(name)
        return stored

"""Checkpoint to GGUF: every tensor in the format its recipe asks for, streamed slab by slab.

Takes any view and any recipe; calls llama.cpp's kernels or our own. Peak memory is a few slabs.
Knows no architecture.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf.constants import GGML_QUANT_VERSION, GGUFValueType, LlamaFileType

from quant.blocks.blockwise import ROUNDINGS
from quant.blocks.encoders import Encoder, decode
from quant.blocks.native import open_native
from quant.checkpoint.sources import open_gguf, open_source
from quant.checkpoint.storable import refuse_unstorable
from quant.errors import AlreadyQuantized, IncompatibleShape, InvalidRecipe
from quant.formats import format_named
from quant.gguf.safetensors_view import view_of_safetensors
from quant.gguf.views import GgufView, ViewTensor, view_of_gguf
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf
from quant.recipe import QuantRecipe, QuantReport, TensorReport, fallback_for
from quant.roles import TensorRole, role_of

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
OnTensor = Callable[[int, int, str], None]
Importance = Mapping[str, F32]
Finished = Callable[[str], U8 | None]

# Weights per slab: small enough to cancel within 200 ms, large enough to hide Python.
_SLAB = 1 << 19
# Rows of a slab whose error is measured.
_MEASURED_ROWS = 16
_WEIGHT_ROLES = frozenset(TensorRole) - {TensorRole.NORM, TensorRole.OTHER}


@dataclass(frozen=True)
class Step:
    """How one tensor is written; `wanted` is the format the recipe asked for."""

    tensor: ViewTensor
    slot: TensorSlot
    role: TensorRole
    wanted: str


def ignore_tensor(done: int, total: int, name: str) -> None:
    """The OnTensor of a caller that needs no progress."""


def nothing_finished(name: str) -> None:
    """The Finished of a conversion that does all of its quantizing itself."""


def open_view(source: Path) -> GgufView:
    """The GGUF view of any checkpoint. Raises CorruptCheckpoint, UnsupportedFormat."""
    opened = open_source(source)
    return view_of_gguf(opened) if opened.kind == "gguf" else view_of_safetensors(opened)


def quantize_gguf(
    source: Path,
    target: Path,
    recipe: QuantRecipe,
    on_tensor: OnTensor = ignore_tensor,
    importance: Importance | None = None,
    threads: int = 2,
    finished: Finished = nothing_finished,
) -> QuantReport:
    """Write `source` (GGUF, or a safetensors file or folder) as the GGUF file `target`.

    `on_tensor(done, total, name)` is called at least every 200 ms or so and may raise to cancel.
    `importance` maps GGUF tensor names to the mean square of each input column ([k], or [experts,
    k]). `finished(name)` gives the blocks [n, bytes per row] of a tensor that is quantized already.
    Raises QuantError; whatever is raised, no file is left under the target's name.
    """
    view = open_view(source)
    return quantize_view(view, target, recipe, on_tensor, importance, threads, finished)


def quantize_view(
    view: GgufView,
    target: Path,
    recipe: QuantRecipe,
    on_tensor: OnTensor = ignore_tensor,
    importance: Importance | None = None,
    threads: int = 2,
    finished: Finished = nothing_finished,
) -> QuantReport:
    """As `quantize_gguf`, for a view already open."""
    started = time.monotonic()
    if recipe.family != "gguf":
        raise InvalidRecipe(field="formats", reason="for_onnx", value=recipe.name)
    if recipe.importance == "required" and importance is None:
        raise InvalidRecipe(field="importance", reason="needs_importance", value=recipe.name)
    if recipe.importance == "ignored":
        importance = None
    steps = plan(view, recipe)
    encoder = Encoder(recipe.method, open_native())
    with ThreadPoolExecutor(max_workers=max(threads, 1)) as pool:
        run = _Run(steps, encoder, importance or {}, finished, on_tensor, pool, max(threads, 1))
        write_gguf(target, metadata_of(view, steps), [step.slot for step in steps], run.chunks)
    on_tensor(len(steps), len(steps), "")
    return QuantReport(
        source=str(view.path),
        target=str(target),
        recipe=recipe.name,
        method=recipe.method,
        tensors=_report(target, steps, run.errors),
        source_bytes=view.source_bytes,
        target_bytes=target.stat().st_size,
        seconds=time.monotonic() - started,
        importance=importance is not None,
    )


def plan(view: GgufView, recipe: QuantRecipe) -> list[Step]:
    """The format each tensor will take. Raises AlreadyQuantized where the recipe forbids it."""
    tied, blocks = view.tied_embeddings, view.block_count
    steps = []
    for tensor in view.tensors:
        role = role_of(tensor.name, view.architecture)
        wanted = tensor.format
        if allocatable(tensor, view.architecture):
            asked = recipe.format_for(tensor.name, role, block_count=blocks, tied=tied)
            wanted = tensor.format if asked is None else asked
        target = fallback_for(wanted, tensor.row_length)
        if (
            target != tensor.format
            and format_named(tensor.format).is_quantized
            and not recipe.allow_requantize
        ):
            raise AlreadyQuantized(path=str(view.path), format=tensor.format, tensor=tensor.name)
        steps.append(Step(tensor, TensorSlot(tensor.name, tensor.shape, target), role, wanted))
    return steps


def allocatable(tensor: ViewTensor, architecture: str) -> bool:
    """Whether a recipe chooses the format of a tensor: it is a weight matrix."""
    role = role_of(tensor.name, architecture)
    return len(tensor.shape) > 1 and role in _WEIGHT_ROLES and tensor.name.endswith(".weight")


@dataclass(frozen=True)
class _Errors:
    """Sums over the measured rows: squared errors (of plain rounding too, where a search beat it;
    else 0), and squared weights."""

    squares: float = 0.0
    plain: float = 0.0
    reference: float = 0.0

    def __add__(self, other: "_Errors") -> "_Errors":
        return _Errors(
            self.squares + other.squares,
            self.plain + other.plain,
            self.reference + other.reference,
        )

    @property
    def rmse(self) -> float:
        return float((self.squares / self.reference) ** 0.5)

    @property
    def plain_rmse(self) -> float | None:
        return float((self.plain / self.reference) ** 0.5) if self.plain else None


class _Run:
    """Makes the bytes of one tensor after another, encoding slabs on a few threads in order."""

    def __init__(
        self,
        steps: list[Step],
        encoder: Encoder,
        importance: Importance,
        finished: Finished,
        on_tensor: OnTensor,
        pool: ThreadPoolExecutor,
        threads: int,
    ) -> None:
        self._steps = {step.slot.name: (index, step) for index, step in enumerate(steps)}
        self._encoder = encoder
        self._importance = importance
        self._finished = finished
        self._on_tensor = on_tensor
        self._pool = pool
        self._threads = threads
        self.errors: dict[str, _Errors] = {}

    def chunks(self, slot: TensorSlot) -> Iterator[U8]:
        """The bytes of one tensor, slab by slab; calls on_tensor before each, which may raise."""
        index, step = self._steps[slot.name]
        pending: deque[Future[tuple[U8, _Errors]]] = deque()
        errors = _Errors()
        for start, stop in step.tensor.slabs(_SLAB):
            self._on_tensor(index, len(self._steps), slot.name)
            pending.append(self._pool.submit(self._encode, step, start, stop))
            if len(pending) > self._threads:
                data, more = pending.popleft().result()
                errors += more
                yield data
        while pending:
            self._on_tensor(index, len(self._steps), slot.name)
            data, more = pending.popleft().result()
            errors += more
            yield data
        if errors.reference and slot.format != step.tensor.format:
            self.errors[slot.name] = errors

    def _encode(self, step: Step, start: int, stop: int) -> tuple[U8, _Errors]:
        """Bytes of rows start..stop, and the errors of those that are measured."""
        tensor, target = step.tensor, step.slot.format
        if target == tensor.format and tensor.raw is not None:
            return tensor.raw(start, stop), _Errors()
        rows = tensor.rows(start, stop)
        refuse_unstorable(tensor.name, rows, target)
        blocks = self._finished(tensor.name)
        sample = rows[:_MEASURED_ROWS]
        plain = 0.0
        if blocks is not None:
            data = blocks[start:stop]
        else:
            weights = importance_of(tensor, self._importance, start)
            data = self._encoder.encode(target, rows, weights)
            if self._encoder.searches(target):
                plain = _squared_error(target, ROUNDINGS[target](sample), sample)
        squares = _squared_error(target, data[:_MEASURED_ROWS], sample)
        return data, _Errors(squares, plain, _square_sum(sample))


def _squared_error(format_name: str, blocks: U8, rows: F32) -> float:
    return _square_sum(decode(format_name, blocks, rows.shape[1]) - rows)


def _square_sum(values: F32) -> float:
    return float(np.einsum("ij,ij->", values, values, dtype=np.float64))


def importance_of(tensor: ViewTensor, importance: Importance, start: int) -> F32 | None:
    """The mean squares of the input columns of the matrix that row `start` is in, [k]; None where
    they are not known. Raises IncompatibleShape."""
    found = importance.get(tensor.name)
    if found is None:
        return None
    matrices = tensor.row_count // tensor.shape[-2]
    if found.size not in (tensor.row_length, matrices * tensor.row_length):
        raise IncompatibleShape(
            reason="importance",
            tensor=tensor.name,
            shape=list(found.shape),
            wanted=str([matrices, tensor.row_length]),
        )
    per_matrix = found.reshape(-1, tensor.row_length)
    chosen: F32 = per_matrix[start // tensor.shape[-2] if len(per_matrix) > 1 else 0]
    return chosen


_FILE_TYPES: Mapping[str, LlamaFileType] = {
    "F32": LlamaFileType.ALL_F32,
    "F16": LlamaFileType.MOSTLY_F16,
    "BF16": LlamaFileType.MOSTLY_BF16,
    "Q4_0": LlamaFileType.MOSTLY_Q4_0,
    "Q4_1": LlamaFileType.MOSTLY_Q4_1,
    "Q5_0": LlamaFileType.MOSTLY_Q5_0,
    "Q5_1": LlamaFileType.MOSTLY_Q5_1,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
    "Q2_K": LlamaFileType.MOSTLY_Q2_K,
    "Q3_K": LlamaFileType.MOSTLY_Q3_K_M,
    "Q4_K": LlamaFileType.MOSTLY_Q4_K_M,
    "Q5_K": LlamaFileType.MOSTLY_Q5_K_M,
    "Q6_K": LlamaFileType.MOSTLY_Q6_K,
}


def metadata_of(view: GgufView, steps: list[Step]) -> dict[str, GgufValue]:
    """The view's metadata with file type (the format wanted for most weights; rows that fell back
    do not count against it) and quantization version."""
    totals: dict[str, int] = {}
    for step in steps:
        totals[step.wanted] = totals.get(step.wanted, 0) + step.slot.elements
    most = max(totals, key=lambda name: totals[name]) if totals else "F32"
    metadata = dict(view.metadata)
    uint32 = int(GGUFValueType.UINT32)
    if most in _FILE_TYPES:
        metadata["general.file_type"] = GgufValue(uint32, int(_FILE_TYPES[most]))
    metadata["general.quantization_version"] = GgufValue(uint32, GGML_QUANT_VERSION)
    return metadata


def _report(
    target: Path, steps: list[Step], errors: Mapping[str, _Errors]
) -> tuple[TensorReport, ...]:
    """What the written file holds, read back from it."""
    written = open_gguf(target)
    return tuple(
        TensorReport(
            name=step.slot.name,
            role=step.role,
            source_format=step.tensor.format,
            target_format=written[step.slot.name].format,
            elements=step.tensor.elements,
            nbytes=written[step.slot.name].raw.size,
            rmse=errors[step.slot.name].rmse if step.slot.name in errors else None,
            plain_rmse=errors[step.slot.name].plain_rmse if step.slot.name in errors else None,
            fallback_from=step.wanted if step.wanted != step.slot.format else None,
        )
        for step in steps
    )

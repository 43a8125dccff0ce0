"""The job that makes a file of a given size: what each matrix's error costs is measured, and each
gets the format that the budget is best spent on.

For a child process (see `runtime.process.job_table`). Knows which runs of the model tell how
strongly errors reach its output; formats and their choice are `quant.gguf.sensitivity` and
`quant.allocation`.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.allocation import (
    Place,
    Sensitivities,
    Sensitivity,
    read_sensitivities,
    strengths_of,
    write_sensitivities,
)
from quant.blocks.encoders import Encoder
from quant.blocks.native import open_native
from quant.gguf.export import open_view, quantize_view
from quant.gguf.sensitivity import (
    PROBE,
    allocate_view,
    candidates,
    deviations,
    errors_of,
    matrices,
    size_of_bits,
    unmeasured,
)
from quant.gguf.views import GgufView, ViewTensor
from quant.quality.scores import Windows, score
from quant.quality.texts import calibration_text
from quant.recipe import QuantReport, recipe_named
from quant.roles import block_index
from runtime.process.job_values import QuantizeArgs, SizeArgs
from runtime.progress import OnProgress, Progress
from runtime.tasks.convert import TensorProgress, importance_for
from runtime.tasks.quality import own_text, runnable, threads_of

F32 = npt.NDArray[np.float32]

TOKENS, _SKIP = 192, 16  # of the calibration text, in one window
_WEIGHTED = "q4_0-best"  # a recipe that demands an importance matrix, whatever it is of


def quantize_to_size_job(args: SizeArgs, on_progress: OnProgress) -> QuantReport:
    """A checkpoint to a GGUF file of the size asked for. Raises QuantError, EngineError."""
    view, threads = open_view(args.source), threads_of(args.threads)
    given = args.sensitivities
    known = read_sensitivities(given) if given is not None and given.exists() else None
    asked = size_of_bits(view, args.bits) if args.bits is not None else args.size
    allocate_view(view, known or unmeasured(view, args.formats), asked)  # refused before all work
    with (
        tempfile.TemporaryDirectory(prefix="sensitivity-", dir=args.target.parent) as folder,
        runnable(args.source, Path(folder), threads, on_progress) as model,
    ):
        weighted = QuantizeArgs(
            model, args.target, recipe_named(_WEIGHTED), args.imatrix, args.calibrate, threads
        )
        importance = importance_for(weighted, on_progress) or {}
        if known is None:
            known = _measure(args, model, view, importance, threads, on_progress)
            if given is not None:
                write_sensitivities(given, known)
    allocation = allocate_view(view, known, asked)
    progress = TensorProgress(on_progress)
    recipe = allocation.recipe(args.name)
    report = quantize_view(view, args.target, recipe, progress, importance, threads)
    allotted = {each.name: each for each in allocation.tensors}
    tensors = tuple(
        replace(tensor, cost=found.cost, strength=found.strength)
        if (found := allotted.get(tensor.name)) is not None
        else tensor
        for tensor in report.tensors
    )
    return replace(report, tensors=tensors, peak_anonymous=progress.peak_anonymous)


@dataclass(frozen=True)
class _Run:
    """The model once with errors in some of its matrices."""

    names: tuple[str, ...]
    block: int | None = None
    kind: str | None = None


def _place(name: str) -> Place | None:
    block = block_index(name)
    return None if block is None else Place(block, name.split(".", 2)[2])


def _runs(tensors: Sequence[ViewTensor]) -> list[_Run]:
    """One for each block, for each kind of matrix within blocks, and for each that is in none."""
    blocks: dict[int, list[str]] = {}
    kinds: dict[str, list[str]] = {}
    alone = []
    for tensor in tensors:
        place = _place(tensor.name)
        if place is None:
            alone.append(_Run((tensor.name,)))
        else:
            blocks.setdefault(place.block, []).append(tensor.name)
            kinds.setdefault(place.kind, []).append(tensor.name)
    return [
        *(_Run(tuple(names), block=block) for block, names in blocks.items()),
        *(_Run(tuple(names), kind=kind) for kind, names in kinds.items()),
        *alone,
    ]


def _measure(
    args: SizeArgs,
    model: Path,
    view: GgufView,
    importance: Mapping[str, F32],
    threads: int,
    on_progress: OnProgress,
) -> Sensitivities:
    tensors = matrices(view)
    errors = _errors(tensors, args.formats, importance, threads, on_progress)
    runs = _runs(tensors)
    with _perturbed(model, args.calibrate, threads) as divergence:
        costs: dict[_Run, float] = {}
        differences = {each.name: deviations(each, open_native()) for each in tensors}
        for done, run in enumerate(runs):
            on_progress(Progress("sensitivity", done, len(runs), "steps", run.names[0]))
            costs[run] = divergence({name: differences[name] for name in run.names})
        on_progress(Progress("sensitivity", len(runs), len(runs), "steps"))
    strengths = _strengths({name: error.probe for name, error in errors.items()}, costs)
    return Sensitivities(
        model=args.source.name,
        weighted=bool(importance),
        tokens=TOKENS,
        runs=len(runs),
        tensors=tuple(
            Sensitivity(each.name, each.elements, strengths[each.name], errors[each.name].formats)
            for each in tensors
        ),
    )


def _strengths(wrong: Mapping[str, float], costs: Mapping[_Run, float]) -> dict[str, float]:
    """By tensor, from the error that each had in the runs and what the runs cost."""
    placed = {place: error for name, error in wrong.items() if (place := _place(name)) is not None}
    by_block = {run.block: cost for run, cost in costs.items() if run.block is not None}
    by_kind = {run.kind: cost for run, cost in costs.items() if run.kind is not None}
    inside = strengths_of(placed, by_block, by_kind) if placed else {}
    outside = {run: cost for run, cost in costs.items() if run.block is None and run.kind is None}
    alone = {run.names[0]: cost for run, cost in outside.items()}
    found = {}
    for name, error in wrong.items():
        place = _place(name)
        if place is not None:
            found[name] = inside[place]
        else:
            found[name] = max(alone[name], 0.0) / error if error else 0.0
    return found


@dataclass(frozen=True)
class _Errors:
    """Shares of a matrix's output energy that are wrong: in each format it can take, and as it is
    changed in the runs."""

    formats: Mapping[str, float]
    probe: float


def _errors(
    tensors: Sequence[ViewTensor],
    formats: Sequence[str],
    importance: Mapping[str, F32],
    threads: int,
    on_progress: OnProgress,
) -> dict[str, _Errors]:
    native = open_native()
    search, plain = Encoder("search", native), Encoder("llama.cpp", native)

    def of(tensor: ViewTensor) -> _Errors:
        names = candidates(tensor.row_length, formats)
        found = errors_of(tensor, names, search, importance)
        # In the runs nothing weighs: the error is made without the matrix and counted with it.
        probe = errors_of(tensor, (PROBE,), plain, importance, weighing=False)
        return _Errors(found, probe[PROBE])

    found = {}
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for done, (tensor, result) in enumerate(zip(tensors, pool.map(of, tensors), strict=True)):
            on_progress(Progress("rounding", done, len(tensors), "tensors", tensor.name))
            found[tensor.name] = result
    return found


@contextmanager
def _perturbed(
    model: Path, calibrate: str | bool, threads: int
) -> Iterator[Callable[[Mapping[str, Callable[[int, int], F32]]], float]]:
    """What the model's answers diverge by, in nats a token, when its weights differ so."""
    from runtime.backends.llama.perturbation import open_perturbed

    own = Path(calibrate) if isinstance(calibrate, str) else None
    words = own_text(own, "calibrate") if own else calibration_text()
    evaluator, change = open_perturbed(model, threads, TOKENS)
    try:
        tokens = {"calibration": evaluator.tokenize(words)[:TOKENS]}
        windows = Windows(TOKENS, _SKIP, first_token=next(iter(evaluator.tokenize("")), None))
        exact: list[F32] = []

        def reference(window: Sequence[int], first: int) -> Iterator[F32]:
            exact.extend([] if exact else evaluator.logits(window, first))
            yield from exact

        def divergence(differences: Mapping[str, Callable[[int, int], F32]]) -> float:
            change.differences = {}
            list(reference(windows.cut(tokens["calibration"])[0], _SKIP))
            change.differences = differences
            try:
                scored = score(tokens, reference, [evaluator.logits], windows=windows)
            finally:  # what went wrong in the engine's frames comes before what it made of that
                if change.errors:
                    raise change.errors[0]
            (found,) = scored.targets
            return float(found["calibration"].kl.mean())

        yield divergence
    finally:
        evaluator.close()

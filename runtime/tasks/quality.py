"""The quality jobs: one model against its source, two models against one source, the 4-bit schemes
side by side, and importance matrices.

For a child process (see `runtime.process.job_table`). Opens engines through
`runtime.tasks.evaluation`; the figures are `quant.quality.report`'s.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from quant.checkpoint.sources import open_source
from quant.gguf.export import open_view, quantize_view
from quant.gguf.importance import write_importance
from quant.onnx.folder_weights import folder_weight_errors
from quant.quality.figures import PairedReport, QualityReport, SchemeQuality, SchemesReport
from quant.quality.paired import paired_report
from quant.quality.report import report_of
from quant.quality.schemes import SCHEMES, scheme_bits, scheme_view
from quant.quality.scores import OnTokens, Scored, Windows, score
from quant.quality.texts import bundled_texts, calibration_text
from quant.quality.weight_error import weight_errors
from quant.recipe import RECIPES
from runtime.errors import InvalidRequest, UnsupportedModel
from runtime.process.job_values import (
    ImatrixAnswer,
    ImatrixArgs,
    PairArgs,
    QualityArgs,
    SchemesArgs,
    ScoringArgs,
    TimedScoringArgs,
)
from runtime.progress import OnProgress, Progress
from runtime.tasks.evaluation import Evaluator, evaluator_module, kind_of, open_evaluator

# A 1.5B model in bf16 and its 4-bit file take about 80 ms a token together on two cores with AVX2,
# so that one window of each of the five bundled texts takes about 45 s, and less on most machines.
QUICK_WINDOWS = Windows(context=112, skip=24)
QUICK_COUNT = 4  # windows of each text
QUICK_SECONDS = 50


def threads_of(threads: int | None) -> int:
    """So many threads, by default one per processor."""
    return threads or os.cpu_count() or 1


def _windows(args: ScoringArgs) -> Windows:
    """Raises InvalidRequest for windows that score nothing."""
    if args.quick:
        return QUICK_WINDOWS
    skip = args.skip or min(64, args.context // 4)
    if not 0 < skip < args.context - 1:
        raise InvalidRequest(
            field="skip", reason="out_of_range", value=skip, minimum=1, maximum=args.context - 2
        )
    return Windows(args.context, skip, args.whole_only)


def _texts(args: ScoringArgs) -> Mapping[str, str]:
    """The texts to score. Raises InvalidRequest."""
    if not args.texts:
        return bundled_texts(args.bundled)
    return {name: own_text(path, "texts") for name, path in args.texts.items()}


def own_text(path: Path, field: str) -> str:
    """The user's own text. Raises InvalidRequest."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            field=field, reason="not_text", value=str(path), detail=str(error)
        ) from None


@contextmanager
def _opened(path: Path, threads: int, context: int) -> Iterator[Evaluator]:
    evaluator = open_evaluator(path, threads, context)
    try:
        yield evaluator
    finally:
        evaluator.close()


def _first_token(evaluator: Evaluator) -> int | None:
    """The token (BOS) that the model's tokenizer puts before every text, if any."""
    return next(iter(evaluator.tokenize("")), None)


def _deadline(args: TimedScoringArgs) -> float | None:
    """When the job must be done, by the monotonic clock; None: when it is."""
    seconds = args.seconds or (QUICK_SECONDS if args.quick else None)
    return None if seconds is None else time.monotonic() + seconds


def _scored(
    args: ScoringArgs,
    texts: Mapping[str, str],
    source: Path,
    targets: Sequence[Path],
    deadline: float | None,
    on_tokens: OnTokens,
) -> Scored:
    """The targets' scores; the source is evaluated once."""
    windows, threads = _windows(args), threads_of(args.threads)
    with ExitStack() as opened:
        reference, *candidates = (
            opened.enter_context(_opened(path, threads, windows.context))
            for path in (source, *targets)
        )
        windows = replace(windows, first_token=_first_token(reference))
        tokens = {name: reference.tokenize(text) for name, text in texts.items()}
        if args.quick:
            tokens = {name: windows.spread(all_, QUICK_COUNT) for name, all_ in tokens.items()}
        return score(
            tokens,
            reference.logits,
            [candidate.logits for candidate in candidates],
            windows=windows,
            within=None if deadline is None else deadline - time.monotonic(),
            on_tokens=on_tokens,
        )


@contextmanager
def runnable(
    path: Path, folder: Path | None, threads: int, on_progress: OnProgress
) -> Iterator[Path]:
    """The path itself, or, of safetensors, a temporary bf16 GGUF in `folder` that an engine can
    run."""
    if path.suffix != ".safetensors" and not any(path.glob("*.safetensors")):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="quality-", dir=folder) as name:
        full = Path(name) / "source.gguf"
        steps = _steps("convert", on_progress)
        quantize_view(open_view(path), full, RECIPES["bf16"], steps, None, threads)
        yield full


def quality_job(args: QualityArgs, on_progress: OnProgress) -> QualityReport:
    """One model against its source. Raises EngineError, QuantError."""
    texts, threads, deadline = _texts(args), threads_of(args.threads), _deadline(args)
    with (
        runnable(args.source, args.folder, threads, on_progress) as source,
        runnable(args.target, args.folder, threads, on_progress) as target,
    ):
        scored = _scored(args, texts, source, [target], deadline, _tokens("score", on_progress))
        report = report_of(scored, scored.targets[0], (str(args.source), str(args.target)))
        return replace(report, error_by_role=_errors(source, target))


def pair_job(args: PairArgs, on_progress: OnProgress) -> PairedReport:
    """Two models against one source, over the same positions. Raises EngineError, QuantError."""
    texts, threads, deadline = _texts(args), threads_of(args.threads), _deadline(args)
    with (
        runnable(args.source, args.folder, threads, on_progress) as source,
        runnable(args.first, args.folder, threads, on_progress) as first,
        runnable(args.second, args.folder, threads, on_progress) as second,
    ):
        on_tokens = _tokens("score", on_progress)
        scored = _scored(args, texts, source, [first, second], deadline, on_tokens)
        return paired_report(scored, (str(args.source), str(args.first), str(args.second)))


def _errors(source: Path, target: Path) -> Mapping[str, float | None]:
    """How far the target's weights lie from the source's, by role; empty where the source is an
    ONNX folder, whose weights are no original."""
    if kind_of(source) != "gguf":
        return {}
    if kind_of(target) == "onnx":
        return folder_weight_errors(open_source(source), target)
    return weight_errors(open_view(source), open_view(target))


def schemes_job(args: SchemesArgs, on_progress: OnProgress) -> SchemesReport:
    """The same model at 4 bits per tensor, per channel and block-wise, against itself. Raises
    EngineError, QuantError."""
    texts, threads = _texts(args), threads_of(args.threads)
    view, full = open_view(args.source), RECIPES["f16"]
    results = []
    with tempfile.TemporaryDirectory(prefix="schemes-", dir=args.folder) as folder:
        reference, candidate = Path(folder) / "reference.gguf", Path(folder) / "candidate.gguf"
        quantize_view(view, reference, full, _steps("reference", on_progress), None, threads)
        for name in args.schemes or SCHEMES:
            fake = scheme_view(view, name)
            quantize_view(fake, candidate, full, _steps(name, on_progress), None, threads)
            # all schemes over the same positions, so without a limit of time
            on_tokens = _tokens(name, on_progress)
            scored = _scored(args, texts, reference, [candidate], None, on_tokens)
            report = report_of(scored, scored.targets[0], (str(reference), str(candidate)))
            errors = weight_errors(open_view(reference), open_view(candidate))
            report = replace(report, error_by_role=errors)
            results.append(SchemeQuality(name, scheme_bits(view, name), report))
    return SchemesReport(str(args.source), tuple(results))


def _tokens(phase: str, on_progress: OnProgress) -> OnTokens:
    return lambda done, total, name: on_progress(Progress(phase, done, total, "tokens", name))


def _steps(phase: str, on_progress: OnProgress) -> OnTokens:
    return lambda done, total, name: on_progress(Progress(phase, done, total, "tensors", name))


def imatrix_job(args: ImatrixArgs, on_progress: OnProgress) -> ImatrixAnswer:
    """The importance matrix of a GGUF model over a text. Raises EngineError, InvalidRequest."""
    text = own_text(args.text, "text") if args.text else calibration_text()
    module = evaluator_module(args.source)
    if not hasattr(module, "open_input_squares"):
        raise UnsupportedModel(path=str(args.source), reason="importance_not_measured")
    evaluator, squares = module.open_input_squares(
        args.source, threads_of(args.threads), args.context
    )
    try:
        tokens, done = evaluator.tokenize(text), 0
        for window in Windows(args.context, 0, first_token=_first_token(evaluator)).cut(tokens):
            on_progress(Progress("calibrate", done, len(tokens), "tokens"))
            done += len(window)
            for _ in evaluator.logits(window, 0):
                if squares.errors:
                    raise squares.errors[0]
        on_progress(Progress("calibrate", len(tokens), len(tokens), "tokens"))
    finally:
        evaluator.close()
    sums = {name: value.astype(np.float32) for name, value in squares.sums.items()}
    counts = {name: value.astype(np.float32) for name, value in squares.counts.items()}
    name = args.text.name if args.text else "calibration"
    write_importance(args.target, sums, counts, name, args.context)
    return ImatrixAnswer(args.target, len(sums), len(tokens))

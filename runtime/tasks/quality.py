"""The quality jobs: one model against its source, the 4-bit schemes side by side, and importance
matrices.

JSON in, JSON out, for a child process (see `runtime.process.job_table`). Opens engines through
`runtime.tasks.evaluation`; the figures are `quant.quality.report`'s.
"""

import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from quant.checkpoint.sources import open_source
from quant.gguf.export import open_view, quantize_view
from quant.gguf.importance import write_importance
from quant.onnx.folder_weights import folder_weight_errors
from quant.quality.report import QualityReport, Windows, compare
from quant.quality.schemes import SCHEMES, scheme_bits, scheme_view
from quant.quality.texts import CALIBRATION_TEXT, quality_texts, read_text
from quant.quality.weight_error import weight_errors
from quant.recipe import RECIPES
from runtime.errors import InvalidRequest
from runtime.jobs import OnProgress, Progress
from runtime.tasks.evaluation import Evaluator, kind_of, open_evaluator

QUICK_TOKENS = 2048
_CONTEXT = 512


def path_of(args: dict[str, Any], key: str) -> Path:
    """A job's argument that must be a path. Raises InvalidRequest."""
    value = args.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(field=key, reason="a path is needed")
    return Path(value)


def threads_of(args: dict[str, Any]) -> int:
    """A job's `threads`, by default one per processor. Raises InvalidRequest."""
    value = args.get("threads")
    if value is None:
        return os.cpu_count() or 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequest(field="threads", reason="a whole number from 1 is needed")
    return value


def _windows(args: dict[str, Any]) -> Windows:
    context = int(args.get("context") or _CONTEXT)
    skip = int(args.get("skip") or min(64, context // 4))
    if not 0 < skip < context - 1:
        raise InvalidRequest(field="skip", reason=f"must lie between 0 and {context - 1}")
    return Windows(context, skip, bool(args.get("whole_only", False)))


def _texts(args: dict[str, Any]) -> Mapping[str, str]:
    """The texts to score: `texts` name -> file, or the bundled set."""
    given = args.get("texts")
    if not given:
        return quality_texts()
    return {name: own_text(Path(path), "texts") for name, path in given.items()}


def own_text(path: Path, field: str) -> str:
    """A person's own text. Raises InvalidRequest."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(field=field, reason=f"{path} is no text to read: {error}") from None


def _tokenized(texts: Mapping[str, str], quick: bool, evaluator: Evaluator) -> dict[str, list[int]]:
    """Token ids of each text; of a quick measurement the beginning, an equal share of each."""
    tokens = {name: evaluator.tokenize(text) for name, text in texts.items()}
    if quick:
        share = QUICK_TOKENS // len(tokens)
        return {name: found[:share] for name, found in tokens.items()}
    return tokens


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


def _compared(
    args: dict[str, Any],
    texts: Mapping[str, str],
    source: Path,
    target: Path,
    phase: str,
    on_progress: OnProgress,
) -> QualityReport:
    windows, threads = _windows(args), threads_of(args)
    with (
        _opened(source, threads, windows.context) as reference,
        _opened(target, threads, windows.context) as candidate,
    ):
        windows = replace(windows, first_token=_first_token(reference))
        return compare(
            _tokenized(texts, bool(args.get("quick")), reference),
            reference.logits,
            candidate.logits,
            windows=windows,
            on_tokens=lambda done, total, name: on_progress(
                Progress(phase, done, total, "tokens", name)
            ),
            names=(str(source), str(target)),
        )


@contextmanager
def runnable(path: Path, args: dict[str, Any], on_progress: OnProgress) -> Iterator[Path]:
    """The path itself, or, of safetensors, a temporary bf16 GGUF that an engine can run."""
    if path.suffix != ".safetensors" and not any(path.glob("*.safetensors")):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="quality-", dir=args.get("folder")) as folder:
        full = Path(folder) / "source.gguf"
        steps = _steps("convert", on_progress)
        quantize_view(open_view(path), full, RECIPES["bf16"], steps, None, threads_of(args))
        yield full


def quality_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """One model against its source.

    args: source, target (GGUF files, ONNX folders or safetensors); texts: name -> file (default:
    the bundled set); quick: score QUICK_TOKENS at most; context, skip, whole_only, threads;
    folder: where a temporary GGUF of a safetensors checkpoint goes. Returns
    QualityReport.to_json(). Raises EngineError, QuantError.
    """
    given, texts = (path_of(args, "source"), path_of(args, "target")), _texts(args)
    with (
        runnable(given[0], args, on_progress) as source,
        runnable(given[1], args, on_progress) as target,
    ):
        report = _compared(args, texts, source, target, "score", on_progress)
        report = replace(report, error_by_role=_errors(source, target))
    return replace(report, source=str(given[0]), target=str(given[1])).to_json()


def _errors(source: Path, target: Path) -> Mapping[str, float]:
    """How far the target's weights lie from the source's, by role; empty where the source is an
    ONNX folder, whose weights are nobody's original."""
    if kind_of(source) != "gguf":
        return {}
    if kind_of(target) == "onnx":
        return folder_weight_errors(open_source(source), target)
    return weight_errors(open_view(source), open_view(target))


def schemes_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """The same model at 4 bits per tensor, per channel and block-wise, against itself.

    args: source (GGUF, or safetensors); schemes: names of quant.quality.schemes.SCHEMES (default
    all); folder: where the temporary full-precision files go; texts and windows as `quality_job`.
    Returns {"source", "schemes": [{"scheme", "bits_per_weight", "report"}]}.
    """
    source, texts = path_of(args, "source"), _texts(args)
    names = list(args.get("schemes") or SCHEMES)
    view, threads, full = open_view(source), threads_of(args), RECIPES["f16"]
    results = []
    with tempfile.TemporaryDirectory(prefix="schemes-", dir=args.get("folder")) as folder:
        reference, candidate = Path(folder) / "reference.gguf", Path(folder) / "candidate.gguf"
        quantize_view(
            view, reference, RECIPES["f16"], _steps("reference", on_progress), None, threads
        )
        for name in names:
            fake = scheme_view(view, name)
            quantize_view(fake, candidate, full, _steps(name, on_progress), None, threads)
            report = _compared(args, texts, reference, candidate, name, on_progress)
            errors = weight_errors(open_view(reference), open_view(candidate))
            results.append(
                {
                    "scheme": name,
                    "bits_per_weight": scheme_bits(view, name),
                    "report": replace(report, error_by_role=errors).to_json(),
                }
            )
    return {"source": str(source), "schemes": results}


def _steps(phase: str, on_progress: OnProgress) -> Any:
    return lambda done, total, name: on_progress(Progress(phase, done, total, "tensors", name))


def imatrix_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """The importance matrix of a GGUF model over a text.

    args: source (GGUF file); target (the .gguf to write); text: a file (default: the bundled
    calibration text); context, threads. Returns {"target", "tensors", "tokens"}.
    """
    source, target = path_of(args, "source"), path_of(args, "target")
    given = args.get("text")
    text = own_text(Path(given), "text") if given else read_text(CALIBRATION_TEXT)
    context = int(args.get("context") or _CONTEXT)
    module = importlib.import_module("runtime.backends.llama.evaluation")
    evaluator, squares = module.open_input_squares(source, threads_of(args), context)
    try:
        tokens, done = evaluator.tokenize(text), 0
        for window in Windows(context, 0, first_token=_first_token(evaluator)).cut(tokens):
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
    write_importance(target, sums, counts, Path(given).name if given else CALIBRATION_TEXT, context)
    return {"target": str(target), "tensors": len(sums), "tokens": len(tokens)}

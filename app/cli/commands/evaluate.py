"""The command `eval`: lm-evaluation-harness, in a process of its own, against our own server.

Knows how the harness is called and what its result file holds; knows no task.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.cli.commands.console import Console, table
from app.errors import AppError
from app.server.launch import Started, start_server
from app.server.limits import ServeOptions
from app.session.session import Session

_SURE = 1.96  # standard errors on each side of a 95 % interval
_FREE_PORT = 0
_TAIL = 2000  # characters of the harness's messages that a failure shows


class HarnessMissing(AppError):
    """The interpreter `python` has no lm-eval."""

    python: str


class HarnessFailed(AppError):
    """`detail` is the end of what the harness wrote."""

    reason: Literal["ended", "no_results"]
    exit_code: int = 0
    detail: str = ""


@dataclass(frozen=True)
class Difference:
    """A score less another, with its 95 % interval. `other` is the other."""

    other: float
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Score:
    """One metric of one task, with its 95 % interval where the harness knows the error."""

    task: str
    metric: str
    value: float
    low: float | None
    high: float | None
    samples: int | None
    difference: Difference | None = None


def evaluate(session: Session, args: Namespace, console: Console) -> None:
    """Score a model on tasks, by the harness's names or from files of one's own, and compare it
    with another model or with a published score."""
    given = args.python or sys.executable
    python = str(Path(shutil.which(given) or given).absolute())
    probe = [python, "-c", "import lm_eval.models.openai_completions"]
    if not _ends_well(probe, args.include):
        raise HarnessMissing(python=python)
    names = [session.find(name).name for name in (args.model, args.against) if name]
    options = ServeOptions(port=_FREE_PORT, parallel=args.parallel, n_ctx=args.context)
    started = start_server(session, options)
    try:
        scores, *others = [_scores(python, name, args, started) for name in names]
    finally:
        started.server.stop()
    if others:
        scores = against(scores, others[0])
    elif args.published is not None:
        scores = [_compared(score, args.published) for score in scores]
    console.result(scores, scores_text(scores))


def _scores(python: str, name: str, args: Namespace, started: Started) -> list[Score]:
    with tempfile.TemporaryDirectory() as folder:
        _run(_command(python, name, args, started, Path(folder)), started.key, args)
        return list(scores_in(_results(Path(folder))))


def _ends_well(command: list[str], folder: Path | None) -> bool:
    """Whether a command can be started in a folder and exits with 0."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0
    except OSError:
        return False


def _results(folder: Path) -> Path:
    """The harness's result file. Raises HarnessFailed."""
    found = next(folder.rglob("results*.json"), None)
    if found is None:
        raise HarnessFailed(reason="no_results")
    return found


def _command(python: str, name: str, args: Namespace, started: Started, folder: Path) -> list[str]:
    address = f"base_url={started.server.address.url}/chat/completions"
    model = f"model={name},{address},num_concurrent={args.parallel},tokenized_requests=False"
    command = [python, "-m", "lm_eval", "--model", "local-chat-completions"]
    command += ["--model_args", model, "--apply_chat_template", "--output_path", str(folder)]
    command += ["--tasks", args.tasks, "--gen_kwargs", "temperature=0"]
    if args.include is not None:
        command += ["--include_path", str(args.include.absolute())]
    return [*command, "--limit", str(args.limit)] if args.limit else command


def _run(command: list[str], key: str, args: Namespace) -> None:
    offline = {} if args.download else {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        command,
        env={**os.environ, **quiet, **offline, "OPENAI_API_KEY": key},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=args.include,
    )
    if done.returncode != 0:
        raise HarnessFailed(reason="ended", exit_code=done.returncode, detail=done.stderr[-_TAIL:])


def scores_in(file: Path) -> Iterator[Score]:
    """The scores of a result file: {"results": {task: {"metric,filter": value, ...}}}."""
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    for task, metrics in document["results"].items():
        samples = document.get("n-samples", {}).get(task, {}).get("effective")
        for key, value in metrics.items():
            metric, _, filtered = key.partition(",")
            if metric.endswith("_stderr") or not filtered or not isinstance(value, int | float):
                continue
            error = metrics.get(f"{metric}_stderr,{filtered}")
            low, high = _interval(float(value), error, samples)
            name = metric if filtered == "none" else f"{metric} ({filtered})"
            yield Score(task, name, float(value), low, high, samples)


def _interval(
    value: float, error: object, samples: int | None
) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of a score. A share of so many samples has Wilson's (1927), which does not
    shrink to nothing where all or none are right; else the harness's standard error tells."""
    if samples and 0 <= value <= 1:
        z2 = _SURE * _SURE / samples
        middle = (value + z2 / 2) / (1 + z2)
        half = math.sqrt(z2 * value * (1 - value) + z2 * z2 / 4) / (1 + z2)
        return max(0.0, middle - half), min(1.0, middle + half)
    if isinstance(error, int | float):
        return value - _SURE * error, value + _SURE * error
    return None, None


def against(scores: list[Score], others: list[Score]) -> list[Score]:
    """Scores with their difference to another model's on the same task and metric."""
    found = {(other.task, other.metric): other for other in others}
    compared = []
    for score in scores:
        other = found.get((score.task, score.metric))
        if other is not None:
            score = _compared(score, other.value, other.low, other.high)
        compared.append(score)
    return compared


def _compared(
    score: Score, other: float, low: float | None = None, high: float | None = None
) -> Score:
    """A score less another, with the interval made of both (Newcombe 1998, method 10): for two
    independent samples, so a little wide where both models had the same questions. A published
    score without an interval counts as exact."""
    low, high = (other if low is None else low), (other if high is None else high)
    value = score.value - other
    if score.low is None or score.high is None:
        return replace(score, difference=Difference(other, value, None, None))
    below = math.hypot(score.value - score.low, high - other)
    above = math.hypot(score.high - score.value, other - low)
    return replace(score, difference=Difference(other, value, value - below, value + above))


def scores_text(scores: list[Score]) -> str:
    head = ["task", "metric", "score", "95 % interval", "samples"]
    rows = [
        [
            score.task,
            score.metric,
            f"{score.value:.3f}",
            "" if score.low is None else f"{score.low:.3f} to {score.high:.3f}",
            "" if score.samples is None else str(score.samples),
        ]
        for score in scores
    ]
    if any(score.difference for score in scores):
        head += ["other", "difference", "95 % interval"]
        for row, score in zip(rows, scores, strict=True):
            row += _difference_text(score.difference)
    return table(head, rows)


def _difference_text(found: Difference | None) -> list[str]:
    if found is None:
        return ["", "", ""]
    interval = "" if found.low is None else f"{found.low:+.3f} to {found.high:+.3f}"
    return [f"{found.other:.3f}", f"{found.value:+.3f}", interval]

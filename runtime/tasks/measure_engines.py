"""The job that times the engines a model is installed for, on the CPU.

The candidates alternate round by round, so that all meet the same conditions. Knows rounds and
medians; `runtime.planning.engine_choice` chooses by what was measured.
"""

import statistics
import time

from runtime.backend import Backend
from runtime.errors import EngineError
from runtime.generation import SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.planning.engine_choice import EngineCandidate, EngineMeasurement
from runtime.process.job_values import EnginesAnswer, EnginesArgs
from runtime.progress import CancelToken, OnProgress, Progress, ignore_progress
from runtime.registry import open_backend

_FIRST_TOKEN = 100  # ids below are often control tokens
_TOKEN_RANGE = 20_000


def measure_engines_job(args: EnginesArgs, on_progress: OnProgress) -> EnginesAnswer:
    """Time the candidates in this process; one that fails is reported as failed."""
    total, done = len(args.candidates) * (args.rounds + 1), 0
    groups = [args.candidates] if args.together else [(each,) for each in args.candidates]
    results: list[EngineMeasurement] = []

    def step(candidate: EngineCandidate) -> None:
        nonlocal done
        on_progress(Progress("measure", done, total, "steps", candidate.engine))
        done += 1

    for group in groups:
        runs = []
        for candidate in group:
            step(candidate)
            runs.append(_CandidateRun(candidate, args))
        for _ in range(args.rounds):
            for run in runs:
                step(run.candidate)
                run.measure()
        for run in runs:
            results.append(run.result())
            run.close()
    on_progress(Progress("measure", total, total, "steps"))
    return EnginesAnswer(tuple(results))


class _CandidateRun:
    """One loaded candidate and its rounds so far; an error ends it and is remembered."""

    def __init__(self, candidate: EngineCandidate, timing: EnginesArgs) -> None:
        self.candidate = candidate
        self._timing = timing
        self._prefill: list[float] = []
        self._decode: list[float] = []
        self._failed = ""
        self._load_seconds = 0.0
        self._backend: Backend | None = None
        placement = Placement(
            engine=candidate.engine,
            layers=(LayerRange("cpu", 0, 0),),
            lm_head_device="cpu",
            n_ctx=timing.prompt_tokens + timing.tokens + 8,
            n_ubatch=timing.prompt_tokens,
            n_threads=timing.threads,
            n_threads_batch=timing.threads,
        )
        try:
            self._backend = open_backend(candidate.engine)
            report = self._backend.load(candidate.path, placement, ignore_progress, CancelToken())
            self._load_seconds = report.load_seconds
            self._round(min(4, timing.tokens))  # the first touch of the weights is not counted
        except EngineError as error:
            self._failed = type(error).__name__

    def measure(self) -> None:
        """One round, unless the candidate has failed."""
        if self._failed:
            return
        try:
            prefill, decode = self._round(self._timing.tokens)
        except EngineError as error:
            self._failed = type(error).__name__
            return
        self._prefill.append(self._timing.prompt_tokens / prefill)
        self._decode.append(self._timing.tokens / decode)

    def _round(self, tokens: int) -> tuple[float, float]:
        """Seconds of prefill and of decoding `tokens`."""
        backend = self._backend
        assert backend is not None
        highest = min(backend.tokenizer.n_vocab, _TOKEN_RANGE)
        step = max(1, (highest - _FIRST_TOKEN) // max(1, self._timing.prompt_tokens))
        prompt = [
            (_FIRST_TOKEN + place * step) % highest for place in range(self._timing.prompt_tokens)
        ]
        backend.truncate(0)
        backend.set_sampling(SamplingParams(temperature=0), prompt)
        started = time.perf_counter()
        backend.prefill(prompt, ignore_progress, CancelToken())
        between = time.perf_counter()
        for _ in range(tokens):
            backend.decode(backend.sample())
        return between - started, time.perf_counter() - between

    def close(self) -> None:
        """Free the memory."""
        if self._backend is not None:
            self._backend.unload()
            self._backend = None

    def result(self) -> EngineMeasurement:
        engine, path = self.candidate.engine, self.candidate.path
        if self._failed or not self._decode:
            return EngineMeasurement(engine, path, failed=self._failed or "NotMeasured")
        return EngineMeasurement(
            engine,
            path,
            statistics.median(self._prefill),
            statistics.median(self._decode),
            self._load_seconds,
            depth=self._timing.prompt_tokens + self._timing.tokens / 2,
        )

"""Measured speed of one model on this machine: warm-up, repeats, medians with spread, comparison.

Knows how to ask a loaded worker and how to compare two saved runs; knows no command line. Times are
the worker's own, so that what is measured is what a chat gets.
"""

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import psutil

from quant.json_types import Json
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.planning.bandwidth import machine_fingerprint
from runtime.progress import CancelToken, OnProgress, Progress, ignore_progress

FORMAT = 1
WORD = "lighthouse "
SEED = 1
_GPU_QUERY = (
    "nvidia-smi",
    "--query-gpu=name,clocks.current.sm,clocks.current.memory",
    "--format=csv,noheader,nounits",
)
_PATIENCE_SECONDS = 5.0

Generate = Callable[[GenerationRequest, CancelToken], GenerationStats]
Count = Callable[[GenerationRequest], int]


@dataclass(frozen=True)
class Spread:
    """Median, extremes and the single figures, all in the same unit."""

    median: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values), tuple(values))


@dataclass(frozen=True)
class BenchRow:
    """One test: `kind` "prefill" or "decode" of `tokens` tokens behind `depth` cached ones."""

    kind: str
    depth: int
    tokens: int
    tps: Spread


@dataclass(frozen=True)
class GpuClock:
    """A GPU and its clocks in MHz at one moment."""

    name: str
    core_mhz: float
    memory_mhz: float


@dataclass(frozen=True)
class BenchLoad:
    """Other activity of the machine: the share of its cores that others used, and clocks in MHz."""

    busy_cores: float
    load_average: float | None
    clock_mhz: float | None
    gpus: tuple[GpuClock, ...] = ()


@dataclass(frozen=True)
class BenchRun:
    """One benchmark as it is saved. `placement` is the plan's, as JSON.

    `engine_build` is what the engine says of itself: versions, commit, its library for the CPU.
    """

    model: str
    engine: str
    engine_version: str
    placement: dict[str, Json]
    devices: tuple[str, ...]
    rows: tuple[BenchRow, ...]
    peak_memory: int
    load_before: BenchLoad
    load_after: BenchLoad
    started: float
    machine: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT
    engine_build: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One test in two runs. `ratio` is second over first; `differs` when beyond both spreads."""

    kind: str
    depth: int
    tokens: int
    first: Spread
    second: Spread
    ratio: float
    differs: bool


DEPTHS = 0, 1024, 4096


@dataclass(frozen=True)
class BenchRequest:
    """What to measure. Depths are tokens in the cache before the measured ones."""

    prompt_tokens: int = 512
    generate_tokens: int = 128
    repeat: int = 3
    depths: tuple[int, ...] = DEPTHS

    def fitting(self, n_ctx: int) -> "BenchRequest":
        """The same with those of its depths that a context has room for, the first at least."""
        room = n_ctx - self._beyond_depth
        fitting = tuple(depth for depth in self.depths if depth <= room)
        return replace(self, depths=fitting or self.depths[:1])

    @property
    def _beyond_depth(self) -> int:
        return max(self.prompt_tokens, self.generate_tokens) + 64

    def check(self, n_ctx: int) -> None:
        """Raise InvalidRequest for what this context cannot hold."""
        for name, value, least in (
            ("repeat", self.repeat, 1),
            ("prompt_tokens", self.prompt_tokens, 1),
            ("generate_tokens", self.generate_tokens, 2),
        ):
            if value < least:
                raise InvalidRequest(field=name, reason="at_least", value=value, minimum=least)
        needed = max((*self.depths, 0)) + self._beyond_depth
        if needed > n_ctx:
            raise InvalidRequest(field="depths", reason="no_room", value=needed, maximum=n_ctx)


class Bench:
    """Runs the tests over one loaded model.

    A prompt of a wanted length is made of one word: the tokens differ little, and the engines' cost
    does not depend on which they are. A number in front keeps the cache from answering. Nothing is
    drafted, and every answer has its full length: a figure is what one token costs.
    """

    def __init__(self, generate: Generate, count: Count) -> None:
        self._generate = generate
        self._count = count
        self._calls = 0
        self.peak_memory = 0
        base = count(self._request("", 1))
        self._per_word = max(0.1, (count(self._request(WORD * 200, 1)) - base) / 200)
        self._base = base

    def run(
        self,
        request: BenchRequest,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> tuple[BenchRow, ...]:
        """All tests, each after one warm-up. Raises Cancelled."""
        cancel = cancel or CancelToken()
        tests = [("prefill", depth) for depth in request.depths]
        tests += [("decode", depth) for depth in request.depths]
        total = len(tests) * (request.repeat + 1)
        rows = []
        for at, (kind, depth) in enumerate(tests):
            values = []
            for turn in range(request.repeat + 1):
                cancel.raise_if_cancelled()
                done = at * (request.repeat + 1) + turn
                on_progress(Progress("bench", done, total, "steps", f"{kind} at {depth}"))
                value = self._measure(kind, depth, request, cancel)
                if turn:  # the first is the warm-up
                    values.append(value)
            tokens = request.prompt_tokens if kind == "prefill" else request.generate_tokens
            rows.append(BenchRow(kind, depth, tokens, Spread.of(values)))
        on_progress(Progress("bench", total, total, "steps"))
        return tuple(rows)

    def _measure(self, kind: str, depth: int, request: BenchRequest, cancel: CancelToken) -> float:
        if kind == "prefill":
            return self._prefill(depth, request.prompt_tokens, cancel)
        return self._decode(depth, request.generate_tokens, cancel)

    def _prefill(self, depth: int, tokens: int, cancel: CancelToken) -> float:
        """Put `depth` tokens into the cache, then time `tokens` more."""
        self._calls += 1
        start = f"{self._calls} "
        if depth:
            self._ask(start + self._words(depth), 1, cancel)
        stats = self._ask(start + self._words(depth + tokens), 1, cancel)
        return _figure(stats.prefill_tps)

    def _decode(self, depth: int, tokens: int, cancel: CancelToken) -> float:
        stats = self._ask(self._words(max(depth, 1)), tokens, cancel)
        if stats.generated_tokens != tokens:
            raise InvalidRequest(
                field="generate_tokens",
                reason="ended_early",
                value=stats.generated_tokens,
                minimum=tokens,
            )
        return _figure(stats.decode_tps)

    def _words(self, tokens: int) -> str:
        return WORD * max(1, round((tokens - self._base) / self._per_word))

    def _ask(self, text: str, tokens: int, cancel: CancelToken) -> GenerationStats:
        stats = self._generate(self._request(text, tokens), cancel)
        self.peak_memory = max(self.peak_memory, stats.peak_memory)
        return stats

    def _request(self, text: str, tokens: int) -> GenerationRequest:
        sampling = SamplingParams(temperature=1.0, top_k=40, top_p=0.95, seed=SEED)
        return GenerationRequest(
            uuid4().hex,
            (Message("user", text),),
            sampling,
            max_tokens=tokens,
            draft=False,
            full_length=True,
        )


def _figure(value: float | None) -> float:
    if value is None:
        raise InvalidRequest(field="generate_tokens", reason="ended_at_once")
    return value


def machine_load(seconds: float = 0.5) -> BenchLoad:
    """What the machine does now, watched for `seconds`; this process must be idle meanwhile."""
    gpus = gpu_clocks()  # first: clocks drop soon after the work
    busy = psutil.cpu_percent(seconds) / 100 * (psutil.cpu_count() or 1)
    averages = os.getloadavg() if hasattr(os, "getloadavg") else None
    try:
        clock = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        clock = None
    return BenchLoad(
        busy,
        averages[0] if averages else None,
        clock.current if clock is not None else None,
        gpus,
    )


def gpu_clocks() -> tuple[GpuClock, ...]:
    """The GPUs whose driver tool reports their clocks: NVIDIA's; () without one."""
    try:
        listing = subprocess.run(
            _GPU_QUERY, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return read_gpu_clocks(listing.stdout)


def read_gpu_clocks(listing: str) -> tuple[GpuClock, ...]:
    """Lines of "name, core clock, memory clock"; missing values ("[N/A]") are left out."""
    found = []
    for line in listing.splitlines():
        name, core, memory = [*line.rsplit(",", 2), "", ""][:3]
        try:
            found.append(GpuClock(name.strip(), float(core), float(memory)))
        except ValueError:
            continue
    return tuple(found)


def machine_facts() -> dict[str, str]:
    """Which machine a run was made on."""
    return {
        "system": platform.platform(),
        "processor": machine_fingerprint()["processor"],
        "python": platform.python_version(),
        "cores": str(psutil.cpu_count(logical=False) or 0),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def compare(first: BenchRun, second: BenchRun) -> tuple[Comparison, ...]:
    """Tests that both runs hold, in the first's order."""
    others = {(row.kind, row.depth, row.tokens): row for row in second.rows}
    found = []
    for row in first.rows:
        other = others.get((row.kind, row.depth, row.tokens))
        if other is None:
            continue
        apart = row.tps.high < other.tps.low or other.tps.high < row.tps.low
        ratio = other.tps.median / row.tps.median
        found.append(Comparison(row.kind, row.depth, row.tokens, row.tps, other.tps, ratio, apart))
    return tuple(found)

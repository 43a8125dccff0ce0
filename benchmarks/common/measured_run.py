"""One measured run of an engine in a process of its own: prefill, decode, peak memory.

    python -m benchmarks.common.measured_run '{"path": ..., "placement": {...}, "prompt": 256, ...}'

Prints one JSON line. Uses the product's own engine adapter, sampling included; tokens are random,
so that shape-exact models with random weights can be timed.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.common.options import command_line
from runtime.backend import Backend
from runtime.generation import SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress
from runtime.registry import open_backend

WINDOW_SECONDS = 0.35
WAIT_SECONDS = 40.0


def measure(spec: dict[str, Any]) -> dict[str, Any]:
    """Run one specification: path, placement (JSON of a Placement), prompt, depths, decode."""
    fields = dict(spec["placement"])
    fields["layers"] = tuple(LayerRange(*layer) for layer in fields["layers"])
    placement = Placement(**fields)
    backend = open_backend(placement.engine)
    report = backend.load(spec["path"], placement, ignore_progress, CancelToken())
    backend.set_sampling(SamplingParams(seed=1), [])
    rng = random.Random(0)
    vocabulary = backend.tokenizer.n_vocab
    tokens = [rng.randrange(1000, vocabulary - 1000) for _ in range(max(spec["depths"]) + 4096)]
    # A GPU compiles or picks its kernels at the first batch of each size.
    on_gpu = any(part.device != "cpu" for part in placement.layers)
    prefill(backend, tokens[: spec["prompt"] if on_gpu else 32])
    decode(backend, 3, LoadWatch(float("inf")))  # warming up needs no quiet
    backend.truncate(0)
    watch = LoadWatch(spec.get("quiet_cores", 0.08))
    first, clean = quiet_prefill(backend, tokens[: spec["prompt"]], watch, spec.get("tries", 3))
    prefilled = spec["prompt"]
    runs: list[dict[str, Any]] = []
    for depth in spec["depths"]:
        if depth > prefilled:
            prefill(backend, tokens[prefilled:depth])
            prefilled = depth
        steps, made = decode(backend, spec["decode"], watch, prefilled)
        backend.truncate(prefilled)
        runs.append(
            {
                "depth": prefilled + spec["decode"] / 2,
                "decode_tps": len(steps) / sum(steps) if steps else None,
                "clean_steps": len(steps),
                "made_steps": made,
            }
        )
    result = {
        "prompt": spec["prompt"],
        "prefill_seconds": first if clean else None,
        "decode": runs,
        "load_seconds": report.load_seconds,
        "peak_memory": peak_memory(),
        "buffers": report.buffers,
        "engine_version": report.engine_version,
    }
    backend.unload()
    return result


def peak_memory() -> int:
    """Resident bytes at their highest. Not getrusage: that starts from the parent's at the fork."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not tell a process's peak memory")


class LoadWatch:
    """Tells whether other processes took processor time since the last question."""

    def __init__(self, quiet_cores: float = 0.08) -> None:
        self._quiet_cores = quiet_cores
        self._before = self._read()

    @staticmethod
    def _read() -> tuple[float, float]:
        times = psutil.cpu_times()
        busy = sum(times) - times.idle - getattr(times, "iowait", 0.0)
        busy -= getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return time.perf_counter(), busy - time.process_time()

    def quiet(self) -> bool:
        """Whether the interval that ends now was free of other load; the next one starts."""
        (then, before), now = self._before, self._read()
        self._before = now
        return (now[1] - before) / max(now[0] - then, 1e-9) < self._quiet_cores


def quiet_prefill(
    backend: Backend, tokens: list[int], watch: LoadWatch, tries: int
) -> tuple[float, bool]:
    """Seconds of a prefill without other load, and whether there was one in `tries`."""
    times = []
    for _ in range(tries):
        backend.truncate(0)
        watch.quiet()
        seconds = prefill(backend, tokens)
        if watch.quiet():
            return seconds, True
        times.append(seconds)
    return min(times), False


def prefill(backend: Backend, tokens: list[int]) -> float:
    """Seconds to evaluate `tokens` and draw the next one: the engine's time to first token."""
    start = time.perf_counter()
    backend.prefill(tokens, ignore_progress, CancelToken())
    backend.sample()
    return time.perf_counter() - start


def decode(
    backend: Backend, count: int, watch: LoadWatch, keep: int | None = None
) -> tuple[list[float], int]:
    """Seconds of each decode step, sampling included, in windows free of other load; and how many
    steps were made in all.

    Goes on until `count` such steps are found or WAIT_SECONDS have passed; the cache is cut back to
    `keep` tokens after each `count`, so that the depth stays what was asked for.
    """
    quiet_steps: list[float] = []
    deadline = time.perf_counter() + WAIT_SECONDS
    made, was_quiet = 0, True
    token = backend.sample()
    watch.quiet()
    while len(quiet_steps) < count and time.perf_counter() < deadline:
        window: list[float] = []
        while sum(window) < WINDOW_SECONDS and len(quiet_steps) + len(window) < count:
            start = time.perf_counter()
            backend.decode(token)
            token = backend.sample()
            window.append(time.perf_counter() - start)
            made += 1
            if keep is not None and made % count == 0:
                backend.truncate(keep)
        quiet = watch.quiet()
        # After other load the engine's thread count needs a while to come back.
        if quiet and was_quiet:
            quiet_steps += window
        was_quiet = quiet
    return quiet_steps, made


if __name__ == "__main__":
    parser = command_line(__doc__, "benchmarks.common.measured_run")
    parser.add_argument("specification", type=json.loads, help="what `measure` takes, as JSON")
    print(json.dumps(measure(parser.parse_args().specification)), flush=True)
    # Some drivers fault while the interpreter takes itself apart; the figures are out by then.
    os._exit(0)

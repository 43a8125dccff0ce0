"""Decode speed and greedy output with and without guessing ahead, alternating in one process.

    python benchmarks/speculation.py MODEL.gguf [--tokens 256] [--repeat 5] [--output FILE]

Prompts are of two kinds: "copy" (the answer repeats the prompt) and "other" (it does not). Each is
answered greedily with guessing off and on in turn; the figure is the median of the pairwise ratios
of decode tokens/s, so that a load on the machine hits both sides alike. Exit code 1 when the token
ids differ.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from runtime.backends.llamacpp import LlamaBackend
from runtime.chat import detect_profile, prepare
from runtime.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.generation import Message, SamplingParams
from runtime.jobs import CancelToken, ignore_progress
from runtime.modelfile import inspect
from runtime.plan import LayerRange, Placement

TEXT = (
    "The river rises in the northern hills and runs for ninety kilometres to the sea. In "
    "spring the melting snow fills it to the brim, and the meadows on both banks stand under "
    "water for weeks. The old mill at the bend was built in 1782 and ground corn until the "
    "railway came. Today it is a small museum where visitors can see the wheel turn every "
    "Sunday afternoon. Below the mill the valley widens, and the path follows the water past "
    "three villages. Each village has a stone bridge, a church with a square tower, and an "
    "inn named after a fish."
)
CODE = '''def mean(values):
    """Return the arithmetic mean of a list of numbers."""
    if not values:
        raise ValueError("mean of an empty list")
    total = 0.0
    for value in values:
        total = total + value
    return total / len(values)


def variance(values):
    """Return the population variance of a list of numbers."""
    if not values:
        raise ValueError("variance of an empty list")
    centre = mean(values)
    total = 0.0
    for value in values:
        total = total + (value - centre) ** 2
    return total / len(values)
'''
PROMPTS: dict[str, tuple[str, str]] = {
    "edit text": ("copy", f"Edit this text: replace the year 1782 by 1790.\n\n{TEXT}"),
    "repeat text": ("copy", f"Repeat the following text word for word.\n\n{TEXT}"),
    "edit code": ("copy", f"Rename the function mean to average in this program.\n\n{CODE}"),
    "explain": ("other", "Explain how a sailing boat can move against the wind."),
    "story": ("other", "Write a short story about a lighthouse keeper and a lost dog."),
    "list": ("other", "List ten things to pack for a week of hiking, with a reason for each."),
    "reason": (
        "other",
        "A train leaves at 9:40 and arrives at 13:15. How long does it take? Think.",
    ),
}


@dataclass(frozen=True)
class Row:
    """One prompt: tokens/s are medians, `ratio` the median of on/off in pairs.

    `cpu_ratio` is the same of tokens per CPU-second, which other work on the machine disturbs less.
    """

    prompt: str
    kind: str
    tokens: int
    plain_tps: float
    guessing_tps: float
    ratio: float
    ratio_low: float
    ratio_high: float
    cpu_ratio: float
    drafted: int
    accepted: int
    identical: bool


@dataclass(frozen=True)
class Run:
    """One answer and the CPU seconds from its first token to its end."""

    outcome: LoopOutcome
    cpu_seconds: float

    @property
    def tps(self) -> float:
        times = self.outcome.times
        decode = times.ended - times.started - times.first_token
        return (len(self.outcome.generated) - 1) / decode

    @property
    def tokens_per_cpu_second(self) -> float:
        return (len(self.outcome.generated) - 1) / self.cpu_seconds


def run(loop: TokenLoop, prompt: list[int], tokens: int, n_ctx: int, draft: bool) -> Run:
    loop.forget()  # the same batches for every run: prefix reuse would cut the prompt differently
    limits = LoopLimits(n_ctx, tokens, detect_loops=False, draft=draft)
    greedy = SamplingParams(temperature=0.0)
    marks: list[float] = []

    def on_text(_text: str, _tokens: int) -> bool:
        if not marks:
            marks.append(time.process_time())
        return True

    outcome = loop.generate(prompt, greedy, limits, on_text, ignore_progress, CancelToken())
    return Run(outcome, time.process_time() - marks[0])


def measure(
    loop: TokenLoop, name: str, prompt: list[int], tokens: int, n_ctx: int, repeat: int
) -> Row:
    plain = [run(loop, prompt, tokens, n_ctx, False)]  # the first run of each warms up
    guessing = [run(loop, prompt, tokens, n_ctx, True)]
    for _ in range(repeat):
        plain.append(run(loop, prompt, tokens, n_ctx, False))
        guessing.append(run(loop, prompt, tokens, n_ctx, True))
    pairs = list(zip(plain[1:], guessing[1:], strict=True))
    ratios = sorted(on.tps / off.tps for off, on in pairs)
    cpu_ratios = [on.tokens_per_cpu_second / off.tokens_per_cpu_second for off, on in pairs]
    last = guessing[-1].outcome
    first = plain[0].outcome.generated
    return Row(
        prompt=name,
        kind=PROMPTS[name][0],
        tokens=len(last.generated),
        plain_tps=round(statistics.median(run.tps for run in plain[1:]), 2),
        guessing_tps=round(statistics.median(run.tps for run in guessing[1:]), 2),
        ratio=round(statistics.median(ratios), 3),
        ratio_low=round(ratios[0], 3),
        ratio_high=round(ratios[-1], 3),
        cpu_ratio=round(statistics.median(cpu_ratios), 3),
        drafted=last.drafted,
        accepted=last.accepted,
        identical=all(run.outcome.generated == first for run in (*plain, *guessing)),
    )


def write(options: argparse.Namespace, engine: str, rows: list[Row]) -> None:
    result = {
        "model": options.model.name,
        "engine": engine,
        "threads": options.threads,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "rows": [asdict(row) for row in rows],
    }
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", help="prompts to run, comma-separated")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    info = inspect(options.model)
    placement = Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, info.shape.block_count - 1),),
        lm_head_device="cpu",
        n_ctx=4096,
        n_threads=options.threads,
        n_threads_batch=options.threads,
    )
    backend = LlamaBackend()
    report = backend.load(str(options.model), placement, ignore_progress, CancelToken())
    loop = TokenLoop(backend)
    profile = detect_profile(backend.tokenizer.chat_template)
    rows: list[Row] = []
    for name, (_, text) in PROMPTS.items():
        if options.only and name not in options.only.split(","):
            continue
        prepared = prepare([Message("user", text)], profile, backend.tokenizer)
        encode = backend.tokenizer.encode
        prompt = [
            token
            for segment in prepared.segments
            for token in encode(segment.text, parse_special=segment.special)
        ]
        row = measure(loop, name, prompt, options.tokens, placement.n_ctx, options.repeat)
        print(json.dumps(asdict(row)), flush=True)
        rows.append(row)
        if options.output:  # after every prompt: a run that is cut short is not lost
            write(options, report.engine_version, rows)
    return 0 if all(row.identical for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Decode speed and greedy output with and without speculative decoding, alternating in one process.

    python -m benchmarks.speculation [--model STARTER.gguf] [--rounds 5]
    python -m benchmarks.speculation --model ONNX_FOLDER [--rounds 5]

Prompts are of two kinds: "copy" (the answer repeats the prompt) and "other" (it does not). Each is
answered greedily with drafts off and on in turn; the figure is the median of the pairwise ratios
of decode tokens/s, so that a load on the machine hits both sides alike. Exit code 1 when the token
ids differ.

On onnxruntime an answer without drafts too has some tokens evaluated in company, which costs time
(docs/decisions/0028-prompt-lookup-on-onnx.md). "lone" is drafts on over every token alone, by
processor time; that answer may be another one.
"""

import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import write_results
from benchmarks.common.starter import starter_q4
from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.backends.llama.backend import LlamaBackend
from runtime.backends.onnx.backend import OnnxBackend
from runtime.generation import Message, SamplingParams
from runtime.model.info import inspect
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress
from runtime.prompt.chat import detect_profile, prepare

N_CTX = 4096
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
    drafting_tps: float
    ratio: float
    ratio_low: float
    ratio_high: float
    cpu_ratio: float
    lone_ratio: float | None  # drafts over every token alone, by CPU time; None where that is plain
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


def run(loop: TokenLoop, prompt: list[int], tokens: int, draft: bool) -> Run:
    loop.forget()  # the same batches for every run: prefix reuse would cut the prompt differently
    limits = LoopLimits(N_CTX, tokens, detect_loops=False, draft=draft)
    greedy = SamplingParams(temperature=0.0)
    marks: list[float] = []

    def on_text(_text: str, _tokens: int) -> bool:
        if not marks:
            marks.append(time.process_time())
        return True

    outcome = loop.generate(prompt, greedy, limits, on_text, ignore_progress, CancelToken())
    return Run(outcome, time.process_time() - marks[0])


def run_alone(
    backend: OnnxBackend | LlamaBackend, loop: TokenLoop, prompt: list[int], tokens: int
) -> Run | None:
    if not isinstance(backend, OnnxBackend):
        return None
    lengths, backend.draft_lengths = backend.draft_lengths, ()
    try:
        return run(loop, prompt, tokens, False)
    finally:
        backend.draft_lengths = lengths


def measure(
    backend: OnnxBackend | LlamaBackend,
    loop: TokenLoop,
    name: str,
    prompt: list[int],
    tokens: int,
    repeat: int,
) -> Row:
    lone: list[Run] = []
    plain = [run(loop, prompt, tokens, False)]  # the first run of each warms up
    drafting = [run(loop, prompt, tokens, True)]
    for _ in range(repeat):
        plain.append(run(loop, prompt, tokens, False))
        drafting.append(run(loop, prompt, tokens, True))
        alone = run_alone(backend, loop, prompt, tokens)
        lone += [alone] if alone else []
    pairs = list(zip(plain[1:], drafting[1:], strict=True))
    ratios = sorted(on.tps / off.tps for off, on in pairs)
    cpu_ratios = [on.tokens_per_cpu_second / off.tokens_per_cpu_second for off, on in pairs]
    last = drafting[-1].outcome
    first = plain[0].outcome.generated
    return Row(
        prompt=name,
        kind=PROMPTS[name][0],
        tokens=len(last.generated),
        plain_tps=round(statistics.median(run.tps for run in plain[1:]), 2),
        drafting_tps=round(statistics.median(run.tps for run in drafting[1:]), 2),
        ratio=round(statistics.median(ratios), 3),
        ratio_low=round(ratios[0], 3),
        ratio_high=round(ratios[-1], 3),
        cpu_ratio=round(statistics.median(cpu_ratios), 3),
        lone_ratio=_lone_ratio(drafting[1:], lone),
        drafted=last.drafted,
        accepted=last.accepted,
        identical=all(run.outcome.generated == first for run in (*plain, *drafting)),
    )


def _lone_ratio(drafting: list[Run], lone: list[Run]) -> float | None:
    if not lone:
        return None
    pairs = zip(drafting, lone, strict=True)
    ratios = [on.tokens_per_cpu_second / alone.tokens_per_cpu_second for on, alone in pairs]
    return round(statistics.median(ratios), 3)


def table(model: str, tokens: int, rows: list[Row]) -> str:
    lines = [
        f"{model}, greedy, {tokens} tokens at most: decode with drafts / without, alternately",
        f"{'prompt':12} {'kind':5} {'tokens':>6} {'ratio':>6} {'low to high':>14}"
        f" {'CPU':>6} {'lone':>6} {'drafted':>8} {'accepted':>8}  same ids",
    ]
    lines += [
        f"{row.prompt:12} {row.kind:5} {row.tokens:6} {row.ratio:6.3f}"
        f" {row.ratio_low:6.3f} to {row.ratio_high:5.3f} {row.cpu_ratio:6.3f}"
        f" {row.lone_ratio or row.cpu_ratio:6.3f}"
        f" {row.drafted:8} {row.accepted:8}"
        f"  {row.identical}"
        for row in rows
    ]
    return "\n".join(lines)


def open_loop(model: Path, threads: int) -> tuple[OnnxBackend | LlamaBackend, TokenLoop]:
    engine = "onnx" if model.is_dir() else "llamacpp"
    placement = Placement(
        engine=engine,
        layers=(LayerRange("cpu", 0, inspect(model).shape.block_count - 1),),
        lm_head_device="cpu",
        n_ctx=N_CTX,
        n_threads=threads,
        n_threads_batch=threads,
    )
    backend = OnnxBackend() if engine == "onnx" else LlamaBackend()
    backend.load(str(model), placement, ignore_progress, CancelToken())
    return backend, TokenLoop(backend)


def main() -> int:
    parser = command_line(__doc__, "benchmarks.speculation")
    add_options(parser)
    parser.add_argument("--tokens", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="prompts to run, comma-separated")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        model: Path = args.model or starter_q4(Path(home))
        backend, loop = open_loop(model, args.threads)
        profile = detect_profile(backend.tokenizer.chat_template)
        rows: list[Row] = []
        for name, (_, text) in PROMPTS.items():
            if args.only and name not in args.only.split(","):
                continue
            prepared = prepare([Message("user", text)], profile, backend.tokenizer)
            encode = backend.tokenizer.encode
            prompt = [
                token
                for segment in prepared.segments
                for token in encode(segment.text, parse_special=segment.special)
            ]
            rows.append(measure(backend, loop, name, prompt, args.tokens, args.rounds))
            print(json.dumps(asdict(rows[-1])), flush=True)
        result = {"model": model.name, "threads": args.threads, "rows": [asdict(r) for r in rows]}
        text = table(model.name, args.tokens, rows)
        name = "speculation-onnx-cpu" if model.is_dir() else "speculation-cpu"
        write_results(args.name or name, result, text)
        backend.unload()
    return 0 if all(row.identical for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())

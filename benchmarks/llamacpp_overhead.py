"""What the worker and the command line cost beside llama-bench: decode tokens/s, alternately.

    python -m benchmarks.llamacpp_overhead --tools FOLDER

Every round runs, one after the other: llama-bench (tg, at the depth of our prompt), one answer of a
loaded worker, and one `stillroom chat` from the shell, timed at its output. Sampling is the model's
own recommendation. Ratios compare neighbours of one round, so that a drifting machine cancels out.
Nothing is drafted, because llama-bench drafts nothing; speculative decoding has a row of its own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.common.llama_cpp import llama_bench, tool
from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import ROOT, spread, write_results
from benchmarks.common.starter import open_session, starter_q4
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker

PROMPT = "Write a long story about a lighthouse keeper and the sea. Tell every detail."


SETTLE_SECONDS = 1.5
T = TypeVar("T")


def placement(session_model: Path, threads: int, blocks: int) -> Placement:
    """Everything on the CPU with a fixed thread count."""
    return Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, blocks - 1),),
        lm_head_device="cpu",
        n_ctx=4096,
        n_threads=threads,
        n_threads_batch=threads,
    )


class Bench:
    """The three measurements over one model."""

    def __init__(self, args: argparse.Namespace, home: Path) -> None:
        self.args = args
        self.home = home
        self.model: Path = args.model or starter_q4(home)
        self.bench = tool(args.tools, "llama-bench")
        session = open_session(home)
        info = session.inspect(str(self.model))
        session.close()
        self.worker = Worker.start()
        self.worker.load(
            str(self.model), placement(self.model, args.threads, info.shape.block_count)
        )
        self.seed = self._seed_of_full_length()
        self.prompt_tokens = self.answer().prompt_tokens

    def sampling(self) -> SamplingParams:
        return SamplingParams(temperature=0.2, top_k=40, top_p=0.9, seed=self.seed)

    def answer(self, *, draft: bool = False) -> GenerationStats:
        request = GenerationRequest(
            "r",
            (Message("user", PROMPT),),
            self.sampling(),
            max_tokens=self.args.tokens,
            draft=draft,
        )
        return self.worker.generate(request, lambda _: None)

    def _seed_of_full_length(self) -> int:
        """A seed whose answer does not end before its limit."""
        for seed in range(1, 40):
            self.seed = seed
            if self.answer().generated_tokens == self.args.tokens:
                return seed
        raise RuntimeError("no seed gives an answer of the full length")

    def llama(self) -> float:
        return llama_bench(
            self.bench, self.model, generate=self.args.tokens, depth=self.prompt_tokens,
            threads=self.args.threads,
        )  # fmt: skip

    def command_line(self) -> float:
        """Tokens per second between the first and the last output of `stillroom chat`."""
        command = [
            sys.executable, "-m", "app", "chat", str(self.model), "--prompt", PROMPT,
            "--max-tokens", str(self.args.tokens), "--seed", str(self.seed),
            "--home", str(self.home), "--context", "4096", "--no-speculation",
        ]  # fmt: skip
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, bufsize=0
        )
        assert process.stdout is not None
        stamps = []
        while process.stdout.read(65536):
            stamps.append(time.perf_counter())
        process.wait()
        tokens: int = self.args.tokens
        return (tokens - 1) / (stamps[-2] - stamps[0])  # the last write is the line's end


def main() -> None:
    parser = command_line(__doc__, "benchmarks.llamacpp_overhead")
    add_options(parser)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(args, Bench(args, Path(folder)))


def settled(measure: Callable[[], T]) -> T:
    """Measure once the contender before is over: the worker takes it for load for half a second."""
    time.sleep(SETTLE_SECONDS)
    return measure()


def rate(stats: GenerationStats) -> float:
    assert stats.decode_tps is not None
    return stats.decode_tps


def run(args: argparse.Namespace, bench: Bench) -> None:
    llama: list[float] = []
    ours: list[float] = []
    shell: list[float] = []
    speculative: list[float] = []
    shares: list[tuple[float, float, float]] = []
    for _ in range(args.rounds):
        llama.append(settled(bench.llama))
        stats = settled(bench.answer)
        ours.append(rate(stats))
        shares.append((stats.engine_share, stats.sampling_share, stats.other_share))
        shell.append(settled(bench.command_line))
        speculative.append(rate(settled(lambda: bench.answer(draft=True))))
    bench.worker.close()
    ratio = spread([mine / theirs for mine, theirs in zip(ours, llama, strict=True)])
    shell_ratio = spread([mine / theirs for mine, theirs in zip(shell, llama, strict=True)])
    result = {
        "threads": args.threads, "tokens": args.tokens, "depth": bench.prompt_tokens,
        "llama_bench_tps": spread(llama), "worker_tps": spread(ours), "chat_tps": spread(shell),
        "worker_speculative_tps": spread(speculative),
        "worker_ratio": ratio, "chat_ratio": shell_ratio,
        "worker_ratio_of_medians": spread(ours)["median"] / spread(llama)["median"],
        "chat_ratio_of_medians": spread(shell)["median"] / spread(llama)["median"],
        "shares": shares,
    }  # fmt: skip
    lines = [
        f"decode tok/s over {args.tokens} tokens at depth {bench.prompt_tokens},"
        f" {args.threads} threads, {args.rounds} rounds in turn (median, low to high)"
    ]
    rows = (
        ("llama-bench", llama), ("worker", ours), ("stillroom chat", shell),
        ("worker, speculative", speculative),
    )  # fmt: skip
    for label, values in rows:
        s = spread(values)
        lines.append(f"{label:<24}{s['median']:8.1f}  {s['low']:.1f} to {s['high']:.1f}")
    for label, s in (("worker", ratio), ("stillroom chat", shell_ratio)):
        lines.append(f"{label} / llama-bench: {s['median']:.3f}  {s['low']:.3f} to {s['high']:.3f}")
    engine, sampling, other = (sum(share[i] for share in shares) / len(shares) for i in range(3))
    lines.append(
        f"share of the worker's time: engine {engine:.1%}, sampling {sampling:.1%},"
        f" ours {other:.1%}"
    )
    write_results(args.name or "llamacpp-overhead-cpu", result, "\n".join(lines))


if __name__ == "__main__":
    main()

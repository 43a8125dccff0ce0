"""What a token costs early and late in a long answer: our own code alone, and a real answer.

    python -m benchmarks.depth --model STARTER.gguf
    python -m benchmarks.depth --model STARTER.gguf --real [--tools FOLDER]

The first runs the worker's whole path (drawing, detokenizing, stop strings, reasoning split, loop
detector, coalescing, JSON) over an engine whose evaluation takes no time and whose tokens are
random, and counts processor time of this thread, so that a busy machine does not matter.

The second takes that path over the real engine, on a machine with nothing else to do, and compares
tokens 900 to 1,000 and 7,900 to 8,000 of one answer with llama-bench of as many tokens at the same
depths, in turn: what late tokens cost more than early ones is attention, in both.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.llama_cpp import llama_bench, tool
from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import spread, write_results
from benchmarks.common.starter import starter_q4
from runtime.answer.answering import Answerer
from runtime.backend import LoadReport
from runtime.backends.llama.backend import LlamaBackend
from runtime.backends.llama.tokenizer import LlamaTokenizer
from runtime.generation import GenerationRequest, Message, SamplingParams, TokenChunk
from runtime.model.info import inspect
from runtime.plan import LayerRange, Placement
from runtime.process.protocol import Streamed, encode
from runtime.progress import CancelToken, OnProgress, ignore_progress
from runtime.prompt.chat_profile import ChatProfile

TOKENS = 8000
WINDOW = 100
SHOWN = (900, 3900, 7900)
REAL_SHOWN = (900, 7899)  # an answer of TOKENS has one fewer steps between its draws


class Instant:
    """A Backend that evaluates in no time and draws random tokens of a real vocabulary."""

    def __init__(self, tokenizer: LlamaTokenizer) -> None:
        self.tokenizer = tokenizer
        self.clock: list[float] = []
        self._random = random.Random(1)

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        raise NotImplementedError

    def unload(self) -> None:
        raise NotImplementedError

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        self.clock = []

    def truncate(self, n_tokens: int) -> int:
        return n_tokens

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        pass

    def sample(self) -> int:
        self.clock.append(time.thread_time())
        return self._random.randrange(300, self.tokenizer.n_vocab - 300)

    def decode(self, token: int) -> None:
        pass

    def stage_seconds(self) -> dict[str, float]:
        return {}


def main() -> None:
    parser = command_line(__doc__, "benchmarks.depth")
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--real", action="store_true", help="a real answer beside llama-bench")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        model = args.model or starter_q4(Path(home))
        if args.real:
            run_real(args, model)
            return
        placement = Placement("llamacpp", (LayerRange("cpu", 0, 0),), "cpu", 512)
        real = LlamaBackend()
        real.load(str(model), placement, ignore_progress, CancelToken())
        run(args, Instant(real.tokenizer))


def run(args: argparse.Namespace, engine: Instant) -> None:
    answerer = Answerer(engine, TOKENS + 512)
    costs: dict[int, list[float]] = {at: [] for at in SHOWN}
    for turn in range(args.rounds + 1):

        def send(chunks: tuple[TokenChunk, ...], tps: float | None) -> None:
            encode(Streamed("r", chunks, tps))

        request = GenerationRequest("r", (Message("user", "Hello"),), max_tokens=TOKENS)
        profile = ChatProfile("reasoning")
        answerer.answer(request, profile, send, ignore_progress, CancelToken())
        if turn:  # the first fills the cache of token texts
            for at in SHOWN:
                spent = engine.clock[at + WINDOW - 1] - engine.clock[at]
                costs[at].append(1e6 * spent / (WINDOW - 1))
    medians = {at: statistics.median(values) for at, values in costs.items()}
    lines = [
        f"our own processor time per token, of an answer of {TOKENS} (median of {args.rounds})"
    ]
    lines += [f"tokens {at} to {at + WINDOW}: {value:.1f} us" for at, value in medians.items()]
    write_results(
        args.name or "own-cost-by-depth-cpu",
        {"microseconds": {str(at): values for at, values in costs.items()}},
        "\n".join(lines),
    )


class Clocked(LlamaBackend):
    """The real engine, with the time at which each token is drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: list[float] = []

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        super().set_sampling(params, history)
        self.clock = []

    def sample(self) -> int:
        self.clock.append(time.perf_counter())
        return super().sample()


def run_real(args: argparse.Namespace, model: Path) -> None:
    engine = Clocked()
    blocks = inspect(model).shape.block_count
    placement = Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, blocks - 1),),
        lm_head_device="cpu",
        n_ctx=TOKENS + 512,
        n_threads=args.threads,
        n_threads_batch=args.threads,
    )
    report = engine.load(str(model), placement, ignore_progress, CancelToken())
    answerer = Answerer(engine, report.n_ctx)
    bench = tool(args.tools, "llama-bench")
    ours: dict[int, list[float]] = {at: [] for at in REAL_SHOWN}
    theirs: dict[int, list[float]] = {at: [] for at in REAL_SHOWN}
    request = GenerationRequest(
        "r", (Message("user", "Hello"),), SamplingParams(temperature=1.0, seed=1),
        max_tokens=TOKENS, draft=False, full_length=True,
    )  # fmt: skip
    depth = 0
    for _ in range(args.rounds):
        stats = answerer.answer(request, None, _send, ignore_progress, CancelToken())
        depth = stats.prompt_tokens
        for at in REAL_SHOWN:
            spent = engine.clock[at + WINDOW] - engine.clock[at]
            ours[at].append(WINDOW / spent)
            theirs[at].append(
                llama_bench(bench, model, generate=WINDOW, depth=depth + at, threads=args.threads)
            )
    engine.unload()
    lines = [
        f"decode tok/s of tokens of one answer of {TOKENS} behind a prompt of {depth}, and of"
        f" llama-bench at the same depth, {args.threads} threads, {args.rounds} rounds in turn"
        " (median, low to high)"
    ]
    for at in REAL_SHOWN:
        ratio = spread([mine / other for mine, other in zip(ours[at], theirs[at], strict=True)])
        lines.append(
            f"tokens {at} to {at + WINDOW}: {_row(ours[at])}; llama-bench {_row(theirs[at])};"
            f" ratio {ratio['median']:.3f}  {ratio['low']:.3f} to {ratio['high']:.3f}"
        )
    result = {
        str(at): {"answer_tps": spread(ours[at]), "llama_bench_tps": spread(theirs[at])}
        for at in REAL_SHOWN
    }
    write_results(args.name or "decode-by-depth-cpu", result, "\n".join(lines))


def _send(chunks: tuple[TokenChunk, ...], tps: float | None) -> None:
    encode(Streamed("r", chunks, tps))


def _row(values: list[float]) -> str:
    found = spread(values)
    return f"{found['median']:.1f} ({found['low']:.1f} to {found['high']:.1f})"


if __name__ == "__main__":
    main()

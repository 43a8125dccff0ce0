"""What our own code costs per token early and late in a long answer, without the engine's share.

    python benchmarks/depth.py --model STARTER.gguf

Runs the worker's whole path (drawing, detokenizing, stop strings, reasoning split, loop detector,
coalescing, JSON) over an engine whose evaluation takes no time and whose tokens are random, and
counts processor time of this thread, so that a busy machine does not matter.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine_tools import add_options, starter_q4, write_results

from runtime.answering import Answerer
from runtime.backends.llama_tokenizer import LlamaTokenizer
from runtime.backends.llamacpp import LlamaBackend
from runtime.chat_profile import ChatProfile
from runtime.generation import GenerationRequest, Message, SamplingParams, TokenChunk
from runtime.jobs import CancelToken, OnProgress, ignore_progress
from runtime.plan import LayerRange, Placement
from runtime.protocol import Streamed, encode

TOKENS = 8000
WINDOW = 100
SHOWN = (900, 3900, 7900)


class Instant:
    """A Backend that evaluates in no time and draws random tokens of a real vocabulary."""

    def __init__(self, tokenizer: LlamaTokenizer) -> None:
        self.tokenizer = tokenizer
        self.clock: list[float] = []
        self._random = random.Random(1)

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
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        model = args.model or starter_q4(Path(home))
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


if __name__ == "__main__":
    main()

"""Coming back to a long conversation: with its KV state from disk, and evaluated again.

    python -m benchmarks.saved_context --model STARTER.gguf

The first new token of a follow-up in a conversation of 4,000 tokens or a few more, timed from the
moment the conversation is entered (restoring included), in fresh workers, alternately. Greedy
answers of both ways are compared token by token of text.
"""

import argparse
import math
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import spread, write_results
from benchmarks.common.starter import open_session, starter_q4
from runtime.answer.kv_state import state_name
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker
from runtime.process.protocol import Streamed

WORDS = "the keeper climbed the stairs, counted the ships and wrote each name into the book; "
LIMIT = 1 << 34


class Return:
    """One way of coming back, in a worker of its own."""

    def __init__(self, model: Path, placement: Placement) -> None:
        self.worker = Worker.start()
        self.worker.load(str(model), placement)
        self.text: list[str] = []
        self.first = 0.0

    def ask(self, messages: tuple[Message, ...], tokens: int) -> GenerationStats:
        self.text, self.first = [], 0.0
        request = GenerationRequest("r", messages, SamplingParams(temperature=0), max_tokens=tokens)
        return self.worker.generate(request, self._take)

    def _take(self, streamed: Streamed) -> None:
        self.first = self.first or time.perf_counter()
        self.text.extend(chunk.text for chunk in streamed.chunks)


def main() -> None:
    parser = command_line(__doc__, "benchmarks.saved_context")
    add_options(parser)
    parser.add_argument("--tokens", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run(args, Path(home))


def long_log(model: Path, placement: Placement, tokens: int) -> str:
    """Lines that make a prompt of at least so many tokens, counted by the model itself."""
    with closing(Worker.start()) as worker:
        worker.load(str(model), placement)

        def count(lines: int) -> int:
            request = GenerationRequest("c", (Message("user", WORDS * lines),))
            return worker.count_tokens(request)

        base, per_line = count(0), (count(50) - count(0)) / 50
        return WORDS * math.ceil((tokens - base) / per_line)


def run(args: argparse.Namespace, home: Path) -> None:
    model: Path = args.model or starter_q4(home)
    session = open_session(home)
    blocks = session.inspect(str(model)).shape.block_count
    session.close()
    placement = Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, blocks - 1),),
        lm_head_device="cpu",
        n_ctx=args.tokens + 1024,
        n_threads=args.threads,
        n_threads_batch=args.threads,
    )
    first = (Message("user", "Here is a log. " + long_log(model, placement, args.tokens)),)
    folder, name = home / "contexts", state_name("benchmark")

    before = Return(model, placement)
    stats = before.ask(first, 32)
    follow_up = (*first, Message("assistant", "".join(before.text)), Message("user", "Go on."))
    started = time.perf_counter()
    kept = before.worker.save_state(folder, name, "key", LIMIT)
    save_seconds = time.perf_counter() - started
    before.worker.close()

    again: list[float] = []
    restored: list[float] = []
    restore_only: list[float] = []
    same = True
    for _ in range(args.rounds):
        fresh = Return(model, placement)
        started = time.perf_counter()
        evaluated_stats = fresh.ask(follow_up, 32)
        again.append(fresh.first - started)
        back = Return(model, placement)
        started = time.perf_counter()
        tokens = back.worker.restore_state(folder, name, "key")
        restore_only.append(time.perf_counter() - started)
        cached_stats = back.ask(follow_up, 32)
        restored.append(back.first - started)
        same = same and "".join(back.text) == "".join(fresh.text)
        assert tokens == kept.tokens
        for worker in (fresh.worker, back.worker):
            worker.close()
    ratio = spread([slow / fast for slow, fast in zip(again, restored, strict=True)])
    result = {
        "prompt_tokens": evaluated_stats.prompt_tokens,
        "first_prompt_tokens": stats.prompt_tokens,
        "cached_tokens": cached_stats.cached_tokens,
        "state_bytes": kept.bytes,
        "save_seconds": save_seconds,
        "evaluated_again_seconds": spread(again),
        "restored_seconds": spread(restored),
        "restore_alone_seconds": spread(restore_only),
        "ratio": ratio,
        "same_text": same,
    }
    text = (
        f"first new token of a follow-up in a conversation of {evaluated_stats.prompt_tokens}"
        f" tokens, {args.threads} threads, {args.rounds} rounds in turn (median, low to high)\n"
        f"evaluated again  {_row(again)} s\n"
        f"restored         {_row(restored)} s, {cached_stats.cached_tokens} tokens from disk,"
        f" of which reading {_row(restore_only)} s\n"
        f"sooner by        {ratio['median']:.1f}x  {ratio['low']:.1f} to {ratio['high']:.1f}\n"
        f"state            {kept.bytes / 1e6:.0f} MB, saved in {save_seconds:.2f} s\n"
        f"same greedy text {same}"
    )
    write_results(args.name or "saved-context-cpu", result, text)


def _row(values: list[float]) -> str:
    found = spread(values)
    return f"{found['median']:.3f}  {found['low']:.3f} to {found['high']:.3f}"


if __name__ == "__main__":
    main()

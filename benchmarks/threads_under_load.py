"""Decode and prefill while other programs want the cores: ours, fixed counts, llama-server.

    python -m benchmarks.threads_under_load --tools FOLDER

For 0, 1 and 2 busy processes of equal priority: a worker whose thread count follows the load,
llama-bench with each fixed count, and llama-server with its defaults, in turn. Then the time from
the end of the load until decode is back at full speed.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common.llama_cpp import llama_bench, llama_server, server_completion, tool
from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import spread, write_results
from benchmarks.common.starter import open_session, starter_q4
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker
from runtime.process.protocol import Streamed

BUSY = "while True: pass"
STORY = "Write a long story about a lighthouse keeper and the sea. Tell every detail."
SETTLE_SECONDS = 1.5
RECOVERED = 0.9
RECOVERY_WINDOW = 0.5


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` processes that each want a whole core."""
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        time.sleep(SETTLE_SECONDS)
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


class Ours:
    """A worker with up to `threads` threads."""

    def __init__(self, model: Path, blocks: int, threads: int) -> None:
        self.worker = Worker.start()
        placement = Placement(
            engine="llamacpp",
            layers=(LayerRange("cpu", 0, blocks - 1),),
            lm_head_device="cpu",
            n_ctx=2048,
            n_threads=threads,
            n_threads_batch=threads,
        )
        self.worker.load(str(model), placement)
        self.calls = 0

    def ask(self, text: str, tokens: int, take: Callable[[Streamed], None]) -> Any:
        sampling = SamplingParams(temperature=0.8, seed=7)
        request = GenerationRequest(
            "r", (Message("user", text),), sampling, max_tokens=tokens, draft=False
        )
        return self.worker.generate(request, take)

    def measure(self, tokens: int, prompt_words: int) -> tuple[float, float]:
        """(decode, prefill) tokens per second."""
        self.calls += 1
        numbered = f"{self.calls} " + "lighthouse keeper " * prompt_words
        prefill = self.ask(numbered, 1, lambda _: None).prefill_tps
        decode = self.ask(STORY, tokens, lambda _: None).decode_tps
        return decode, prefill


def fixed_rates(
    bench: Path, model: Path, threads: int, tokens: int, prompt: int
) -> tuple[float, float]:
    """llama-bench's (decode, prefill) tokens per second with a fixed count."""
    options: dict[str, Any] = {"threads": threads, "more": ("--no-warmup",)}
    decode = llama_bench(bench, model, generate=tokens, **options)
    return decode, llama_bench(bench, model, prompt=prompt, **options)


def server_rates(address: str, tokens: int, prompt_words: int) -> tuple[float, float]:
    """llama-server's own (decode, prefill) tokens per second."""
    prefill = server_completion(address, "lighthouse keeper " * prompt_words, 1)
    decode = server_completion(address, STORY, tokens)
    return float(decode["predicted_per_second"]), float(prefill["prompt_per_second"])


def recovery(ours: Ours, loaded: int) -> tuple[float, float]:
    """Seconds from the load's end until half a second of decode ran at RECOVERED of the final
    speed, and that final speed."""
    events: list[tuple[float, int]] = []
    ended: list[float] = []

    def take(streamed: Streamed) -> None:
        now = time.perf_counter()
        events.append((now, sum(chunk.tokens for chunk in streamed.chunks)))
        if not ended and now - events[0][0] > 2.0:
            for process in running:
                process.kill()
            ended.append(now)

    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(loaded)]
    try:
        time.sleep(SETTLE_SECONDS)
        ours.ask(STORY, 1200, take)
    finally:
        for process in running:
            process.kill()
            process.wait()
    if not ended:
        return float("nan"), float("nan")
    after = [(at - ended[0], tokens) for at, tokens in events if at > ended[0]]
    rates = _rates(after)
    final = statistics.median(rate for _, rate in rates[len(rates) // 2 :])
    back = next((at for at, rate in rates if rate >= RECOVERED * final), float("nan"))
    return back, final


def _rates(events: list[tuple[float, int]]) -> list[tuple[float, float]]:
    """(start, tokens per second) of windows of RECOVERY_WINDOW seconds, one from every event."""
    found = []
    for start, (begin, _) in enumerate(events):
        tokens, at = 0, begin
        for at, count in events[start + 1 :]:
            tokens += count
            if at - begin >= RECOVERY_WINDOW:
                found.append((begin, tokens / (at - begin)))
                break
    return found


def main() -> None:
    parser = command_line(__doc__, "benchmarks.threads_under_load")
    add_options(parser)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--words", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loads", default="0,1,2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run(args, Path(home))


def run(args: argparse.Namespace, home: Path) -> None:
    model: Path = args.model or starter_q4(home)
    session = open_session(home)
    blocks = session.inspect(str(model)).shape.block_count
    session.close()
    ours = Ours(model, blocks, args.threads)
    bench = tool(args.tools, "llama-bench")
    result: dict[str, Any] = {"threads": args.threads, "tokens": args.tokens, "loads": {}}
    lines = [
        f"tokens/s of the starter, {args.threads} threads at most, {args.rounds} rounds in turn"
        " (median): decode / prefill"
    ]
    with llama_server(tool(args.tools, "llama-server"), model) as address:
        for load in map(int, args.loads.split(",")):
            found: dict[str, list[tuple[float, float]]] = {}
            with busy(load):
                for _ in range(args.rounds):
                    for count in range(1, args.threads + 1):
                        crowded = count + load > args.threads + 1  # it nearly stands still
                        tokens = (4, 16) if crowded else (args.tokens, 3 * args.words)
                        found.setdefault(f"fixed {count}", []).append(
                            fixed_rates(bench, model, count, *tokens)
                        )
                    found.setdefault("following", []).append(ours.measure(args.tokens, args.words))
                    if load < 2:
                        found.setdefault("llama-server", []).append(
                            server_rates(address, args.tokens, args.words)
                        )
                if load >= 2:  # once, and short
                    found["llama-server"] = [server_rates(address, 4, 10)]
            lines.append(_line(load, found))
            result["loads"][load] = {
                name: {
                    "decode": spread([d for d, _ in rows]),
                    "prefill": spread([p for _, p in rows]),
                }
                for name, rows in found.items()
            }
    result["recovery"] = {}
    for load in (1, 2):
        seconds, final = recovery(ours, load)
        result["recovery"][load] = {"seconds": seconds, "final_tps": final}
        lines.append(
            f"{load} busy: back at {RECOVERED:.0%} of {final:.0f} tok/s"
            f" {seconds:.2f} s after its end"
        )
    ours.worker.close()
    write_results(args.name or "threads-under-load-cpu", result, "\n".join(lines))


def _line(load: int, found: dict[str, list[tuple[float, float]]]) -> str:
    decode = {name: statistics.median(d for d, _ in rows) for name, rows in found.items()}
    prefill = {name: statistics.median(p for _, p in rows) for name, rows in found.items()}
    best = max(value for name, value in decode.items() if name.startswith("fixed"))
    best_prefill = max(value for name, value in prefill.items() if name.startswith("fixed"))
    columns = "  ".join(f"{name} {decode[name]:.1f} / {prefill[name]:.0f}" for name in found)
    return (
        f"{load} busy: {columns}\n        following / best fixed:"
        f" decode {decode['following'] / best:.2f}, prefill"
        f" {prefill['following'] / best_prefill:.2f}; llama-server / best fixed:"
        f" {decode['llama-server'] / best:.2f}"
    )


if __name__ == "__main__":
    main()

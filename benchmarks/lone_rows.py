"""What it costs that a lone token has the logits it has in a batch: decode steps, alternately.

    python -m benchmarks.lone_rows --model STARTER.gguf [--depths 300,1000,4000,7900]

Beyond 256 cached tokens the engine would share out a lone token's attention by positions; Stillroom
has it shared out by heads, as a batch's is, so that drafts and thread counts change no token
(`runtime/backends/llama/exact.py`). Every round times one step each way in one context. Below 1 the
exact way is the slower one.
"""

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.common.options import add_options, command_line
from benchmarks.common.results import spread, write_results
from benchmarks.common.starter import open_session, starter_q4
from runtime.backends.llama.backend import LlamaBackend
from runtime.generation import SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress

TOKEN = 777


def main() -> None:
    parser = command_line(__doc__, "benchmarks.lone_rows")
    add_options(parser)
    parser.add_argument("--depths", default="300,1000,4000,7900")
    parser.add_argument("--rounds", type=int, default=60)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run(args, Path(home))


def step(engine: LlamaBackend, depth: int) -> float:
    started = time.perf_counter()
    engine.decode(TOKEN)
    seconds = time.perf_counter() - started
    engine.truncate(depth)
    return seconds


def run(args: argparse.Namespace, home: Path) -> None:
    model: Path = args.model or starter_q4(home)
    session = open_session(home)
    blocks = session.inspect(str(model)).shape.block_count
    session.close()
    depths = [int(depth) for depth in args.depths.split(",")]
    placement = Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, blocks - 1),),
        lm_head_device="cpu",
        n_ctx=max(depths) + 256,
        n_threads=args.threads,
        n_threads_batch=args.threads,
    )
    engine = LlamaBackend()
    engine.load(str(model), placement, ignore_progress, CancelToken())
    engine.set_sampling(SamplingParams(temperature=0.0), ())
    exact = engine._lone
    assert exact is not None
    assert exact.available
    result: dict[str, dict[str, object]] = {}
    lines = [
        f"decode steps of {model.name}, {args.threads} threads, {args.rounds} rounds in turn:"
        " split by positions / by heads (median, low to high of the pairs)"
    ]
    for depth in depths:
        engine.truncate(0)
        prompt = [1000 + 37 * place % 30000 for place in range(depth)]
        engine.prefill(prompt, ignore_progress, CancelToken())
        by_heads, by_positions = [], []
        for turn in range(args.rounds + 2):
            engine._lone = exact
            heads = step(engine, depth)
            exact.use(as_in_batches=False)
            engine._lone = None
            positions = step(engine, depth)
            if turn > 1:
                by_heads.append(heads)
                by_positions.append(positions)
        pairs = zip(by_positions, by_heads, strict=True)
        ratio = spread([positions / heads for positions, heads in pairs])
        result[str(depth)] = {
            "by_heads_seconds": spread(by_heads),
            "by_positions_seconds": spread(by_positions),
            "ratio": ratio,
        }
        lines.append(
            f"depth {depth:5}: {ratio['median']:.3f}  {ratio['low']:.3f} to {ratio['high']:.3f}"
        )
    engine.unload()
    write_results(args.name or "lone-rows-cpu", result, "\n".join(lines))


if __name__ == "__main__":
    main()

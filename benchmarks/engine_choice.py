"""The choice of an engine against llama-bench: does what is chosen decode faster than llama.cpp?

Runs the product's own measuring job (`runtime.planning.engine_choice`) on one model as Q4_0, as
ONNX folder in blocks of 32 and by the recipe onnx-q4-fast, and llama-bench on the Q4_0 file, in
turn, round after round. Prints each candidate's decode and prefill speed, what is chosen, and its
decode speed over llama-bench's in every round.

    python -m benchmarks.engine_choice --threads 2 --rounds 5
    python -m benchmarks.engine_choice --prepare

The model is random weights of the exact shape of DeepSeek-R1-Distill-Qwen-1.5B, made once under
build/split: they have a speed and no quality. What the recipes lose is in
`benchmarks/results/quantize-starter-cpu.txt`.
"""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import split
from benchmarks.common.llama_cpp import llama_bench, tool
from benchmarks.common.options import command_line
from benchmarks.common.results import spread, write_results
from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.planning.engine_choice import (
    EngineCandidate,
    EngineMeasurement,
    choose_engine,
)
from runtime.process.client import run_job
from runtime.process.job_table import MEASURE_ENGINES
from runtime.process.job_values import DEFAULT_PROMPT_TOKENS, DEFAULT_TOKENS, EnginesArgs

FAST = "onnx-q4-fast"


@dataclass
class Rounds:
    """What was measured of one candidate or of llama-bench, round by round, in tokens/s."""

    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)


def prepare() -> dict[str, EngineCandidate]:
    """The candidates by what they are called here, in the product's order."""
    gguf, folders = split.prepare("1.5b", None)
    fast = split.MODELS / "1.5b-fast"
    if not (fast / "stillroom.json").exists():
        # Without the search for scales, which changes values of random weights but no speed.
        recipe = replace(recipe_named(FAST), method="round")
        options = ExportOptions(static_shapes=())
        export_onnx(open_source(gguf), fast, recipe, lambda _d, _t, _n: None, options)
    return {
        "llama.cpp Q4_0": EngineCandidate("llamacpp", str(gguf)),
        "ONNX block 32": EngineCandidate("onnx", str(folders[32])),
        f"ONNX {FAST}": EngineCandidate("onnx", str(fast)),
    }


def run(
    candidates: dict[str, EngineCandidate], threads: int, rounds: int, tools: Path | None
) -> Iterator[dict[str, Rounds]]:
    """Yields what was measured so far after each round."""
    measured = {name: Rounds() for name in (*candidates, "llama-bench Q4_0")}
    bench = tool(tools, "llama-bench")
    gguf = Path(candidates["llama.cpp Q4_0"].path)
    args = EnginesArgs(tuple(candidates.values()), threads, rounds=1)
    for _ in range(rounds):
        answer = run_job(MEASURE_ENGINES, args)
        for name, one in zip(candidates, answer.measurements, strict=True):
            if one.failed:
                raise RuntimeError(f"{name}: {one.failed}")
            measured[name].prefill.append(one.prefill_tps)
            measured[name].decode.append(one.decode_tps)
        prefill = llama_bench(bench, gguf, prompt=DEFAULT_PROMPT_TOKENS, threads=threads)
        decode = llama_bench(
            bench, gguf, generate=DEFAULT_TOKENS, depth=DEFAULT_PROMPT_TOKENS, threads=threads
        )
        measured["llama-bench Q4_0"].prefill.append(prefill)
        measured["llama-bench Q4_0"].decode.append(decode)
        yield measured


def summary(
    candidates: dict[str, EngineCandidate], measured: dict[str, Rounds]
) -> tuple[dict[str, Any], str]:
    """The figures, and as text: the chosen candidate by medians, as the product chooses."""
    choice = choose_engine(
        [
            EngineMeasurement(
                one.engine,
                one.path,
                statistics.median(measured[name].prefill),
                statistics.median(measured[name].decode),
            )
            for name, one in candidates.items()
        ]
    )
    chosen = next(name for name, one in candidates.items() if one.path == choice.path)
    pairs = zip(measured[chosen].decode, measured["llama-bench Q4_0"].decode, strict=True)
    ratio = spread([ours / bench for ours, bench in pairs])
    lines = [f"{'':20}{'prefill':>9}{'decode':>9}{'low':>8}{'high':>8}"]
    figures: dict[str, Any] = {}
    for name, rounds in measured.items():
        prefill, decode = spread(rounds.prefill), spread(rounds.decode)
        figures[name] = {"prefill_tps": prefill, "decode_tps": decode}
        lines.append(
            f"{name:20}{prefill['median']:9.1f}{decode['median']:9.1f}"
            f"{decode['low']:8.1f}{decode['high']:8.1f}"
        )
    lines.append(
        f"chosen: {chosen} ({choice.reason.code}); decode over llama-bench's, by rounds: "
        f"median {ratio['median']:.2f}, {ratio['low']:.2f} to {ratio['high']:.2f}"
    )
    return {"figures": figures, "chosen": chosen, "ratio": ratio}, "\n".join(lines)


def main() -> None:
    parser = command_line(__doc__, "benchmarks.engine_choice")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", type=Path, help="folder with llama-bench (default: built here)")
    parser.add_argument("--name", help="name of the result files")
    parser.add_argument("--prepare", action="store_true", help="only make the model files")
    options = parser.parse_args()
    candidates = prepare()
    if options.prepare:
        return
    name = options.name or f"engine-choice-1.5b-t{options.threads}"
    rounds = run(candidates, options.threads, options.rounds, options.tools)
    for done, measured in enumerate(rounds, 1):
        figures, text = summary(candidates, measured)
        title = (
            f"1.5b, {options.threads} threads, prompt {DEFAULT_PROMPT_TOKENS}, "
            f"{DEFAULT_TOKENS} tokens, {done} rounds, tokens/s\n"
        )
        write_results(name, figures, title + text)


if __name__ == "__main__":
    main()

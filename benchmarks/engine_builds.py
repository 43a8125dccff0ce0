"""Whether two builds of the engine are equally fast: processor time of the same work, in turn.

    python -m benchmarks.engine_builds NAME=FOLDER NAME=FOLDER

FOLDER has the libraries (libllama.so and its kin). Measures tokenizing, a prompt, and decoding with
the engine's own sampler, on one thread, each round in a process of its own. Processor time holds on
a busy machine.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT, spread, write_results

TEXT = "The optimiser may turn the order of these sums, and the answer stays the same. " * 40
PROMPT, DECODED = 256, 48
T = TypeVar("T")


def measure(model: str) -> dict[str, float]:
    """Milliseconds of processor time: tokenizing TEXT, a token of a prompt, a decoded token."""
    import llama_cpp

    llama = llama_cpp.Llama(
        model, n_ctx=1024, n_threads=1, n_threads_batch=1, verbose=False, seed=1
    )
    tokens, tokenizing = timed(lambda: llama.tokenize(TEXT.encode()))
    _, prompt = timed(lambda: llama.eval(tokens[:PROMPT]))
    _, decoding = timed(lambda: [llama.eval([llama.sample()]) for _ in range(DECODED)])
    return {
        "tokenize a text": tokenizing,
        "token of a prompt": prompt / PROMPT,
        "decoded token": decoding / DECODED,
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.process_time()
    value = work()
    return value, (time.process_time() - began) * 1000


def in_child(libraries: Path, model: Path) -> dict[str, float]:
    """`measure` in a process that loads the engine from `libraries`."""
    variables = {**os.environ, "LLAMA_CPP_LIB_PATH": str(libraries.resolve())}
    command = [sys.executable, "-m", "benchmarks.engine_builds", "--measure", str(model)]
    output = subprocess.check_output(command, env=variables, cwd=ROOT, text=True)
    figures: dict[str, float] = json.loads(output)
    return figures


def main() -> None:
    parser = command_line(__doc__, "benchmarks.engine_builds")
    parser.add_argument("builds", nargs="*", metavar="NAME=FOLDER")
    parser.add_argument("--model", type=Path, required=False, help="GGUF file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="engine-builds", help="name of the result files")
    parser.add_argument("--measure", help="for the script itself: measure here")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    builds = {name: Path(folder) for name, _, folder in (b.partition("=") for b in options.builds)}
    rounds = [
        {name: in_child(folder, options.model) for name, folder in builds.items()}
        for _ in range(options.rounds)
    ]
    result: dict[str, Any] = {"model": options.model.name, "rounds": rounds}
    lines = [f"milliseconds of processor time, one thread, {options.rounds} rounds in turn"]
    for what in rounds[0][next(iter(builds))]:
        for name in builds:
            found = spread([each[name][what] for each in rounds])
            lines.append(
                f"{what:18} {name:12} median {found['median']:8.3f}"
                f"  ({found['low']:.3f} to {found['high']:.3f})"
            )
    text = "\n".join(lines)
    print(text)
    write_results(options.name, result, text)


if __name__ == "__main__":
    main()

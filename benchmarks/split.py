"""The split ONNX pipeline against llama.cpp and stock onnxruntime-genai, alternating in one run.

Every contender is loaded in a process of its own and asked in turn, round after round, so that all
meet the same machine: the runner with blocks of 32 and of 128 weights, genai on the same folder as
the first (its own loop and sampler, and our engine around it), our llama.cpp backend on Q4_0, and
llama-bench on that file. Prints prefill and decode tokens/s, processor time per token (which a busy
machine changes least), time per stage and memory.

    python -m benchmarks.split starter --threads 1 --tools FOLDER
    python -m benchmarks.split 1.5b --threads 2 --tools FOLDER

"1.5b" is random weights of the exact shape of DeepSeek-R1-Distill-Qwen-1.5B; both are made once
under build/split.
"""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.llama_cpp import llama_bench, tool
from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT, spread, write_results
from benchmarks.common.starter import starter_q4
from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.backends.genai.backend import thread_overlay
from runtime.backends.onnx.native import genai
from runtime.generation import SamplingParams
from runtime.model.genai_folder import read_config
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress
from runtime.registry import open_backend
from tests.helpers import shapes

STOCK = "stock-genai"
MODELS = ROOT / "build" / "split"
PROMPT_TOKENS = 128
N_CTX = 1024
_OUTPUT_TOKENS = {"starter": 64, "1.5b": 16}


@dataclass
class Contender:
    """One engine on one file, in a process of its own."""

    name: str
    engine: str
    path: Path
    process: "subprocess.Popen[str] | None" = None
    load: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)

    def start(self, threads: int) -> None:
        command = [
            sys.executable,
            "-m",
            "benchmarks.split",
            "--child",
            self.engine,
            str(self.path),
            str(threads),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.load = self._answer()

    def ask(self, tokens: int) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{tokens}\n")
        self.process.stdin.flush()
        self.rounds.append(self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                return answer
        raise RuntimeError(f"{self.name} ended")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class StockGenai:
    """onnxruntime-genai as its examples use it: the whole prompt at once, its own greedy search."""

    def __init__(self, path: str, threads: int) -> None:
        self._native = genai()
        started = time.perf_counter()
        config = self._native.Config(path)
        config.overlay(
            json.dumps(thread_overlay(read_config(Path(path)).decoder.pipeline, threads))
        )
        self._model = self._native.Model(config)
        self.load_seconds = time.perf_counter() - started

    def prefill(self, ids: list[int]) -> None:
        params = self._native.GeneratorParams(self._model)
        # Without an end before the last token, as the others are asked.
        params.set_search_options(max_length=N_CTX, min_length=N_CTX, do_sample=False)
        self._generator = self._native.Generator(self._model, params)
        self._generator.append_tokens(np.array(ids, np.int32))

    def decode(self) -> None:
        self._generator.generate_next_token()


def stock_child(path: str, threads: int) -> None:
    """As `child`, for stock genai."""
    stock = StockGenai(path, threads)
    print(json.dumps({"load_seconds": stock.load_seconds}), flush=True)
    for line in sys.stdin:
        tokens = int(line)
        started = time.perf_counter()
        stock.prefill(prompt())
        prefill = time.perf_counter() - started
        stock.decode()  # the first token needs no evaluation after the prompt's
        processor, started = time.process_time(), time.perf_counter()
        for _ in range(tokens):
            stock.decode()
        decode = time.perf_counter() - started
        processor = time.process_time() - processor
        print(json.dumps(_measured(prefill, decode, processor, tokens, {})), flush=True)


def child(engine: str, path: str, threads: int) -> None:
    """Load one backend; then, for each line on stdin, measure so many tokens."""
    if engine == STOCK:
        stock_child(path, threads)
        return
    backend = open_backend(engine)
    placement = Placement(
        engine=engine,
        layers=(LayerRange("cpu", 0, 0),),
        lm_head_device="cpu",
        n_ctx=N_CTX,
        n_ubatch=PROMPT_TOKENS,
        n_threads=threads,
        n_threads_batch=threads,
    )
    report = backend.load(path, placement, ignore_progress, CancelToken())
    print(json.dumps({"load_seconds": report.load_seconds}), flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(backend, int(line))), flush=True)


def measure(backend: Any, tokens: int) -> dict[str, Any]:
    """One prompt of random tokens and `tokens` greedy ones."""
    ids = prompt()
    backend.truncate(0)
    backend.set_sampling(SamplingParams(temperature=0), ids)
    started = time.perf_counter()
    backend.prefill(ids, ignore_progress, CancelToken())
    prefill = time.perf_counter() - started
    before, started = backend.stage_seconds(), time.perf_counter()
    processor = time.process_time()
    for _ in range(tokens):
        backend.decode(backend.sample())
    decode = time.perf_counter() - started
    processor = time.process_time() - processor
    stages = {name: value - before[name] for name, value in backend.stage_seconds().items()}
    return _measured(prefill, decode, processor, tokens, stages)


def prompt() -> list[int]:
    """Random tokens, always the same."""
    return [random.Random(place).randrange(1000, 40000) for place in range(PROMPT_TOKENS)]


def _measured(
    prefill: float, decode: float, processor: float, tokens: int, stages: dict[str, float]
) -> dict[str, Any]:
    """A round in figures, from its seconds."""
    return {
        "prefill_tps": PROMPT_TOKENS / prefill,
        "decode_tps": tokens / decode,
        "cpu_ms": 1000 * processor / tokens,
        "stage_ms": {name: 1000 * seconds / tokens for name, seconds in stages.items()},
        "memory": _memory(),
    }


def _memory() -> dict[str, int]:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    fields = {line.partition(":")[0]: line.split()[1] for line in status if "kB" in line}
    return {"peak": int(fields["VmHWM"]) * 1024, "anonymous": int(fields["RssAnon"]) * 1024}


def prepare(model: str, starter: Path | None) -> tuple[Path, dict[int, Path]]:
    """The Q4_0 file and the ONNX folders by block size, made from the same weights."""
    MODELS.mkdir(parents=True, exist_ok=True)
    if model == "starter":
        gguf = starter or starter_q4(MODELS / "home")
    else:
        gguf = MODELS / "1.5b-q4_0.gguf"
        if not gguf.exists():
            partial = gguf.with_suffix(".part")
            shape = shapes.R1_QWEN_1_5B
            shapes.write_shape_gguf(partial, shape, "Q4_0", vocab_tokens="qwen2").rename(gguf)
    folders = {}
    for block in (32, 128):
        folders[block] = MODELS / f"{model}-b{block}"
        if not (folders[block] / "stillroom.json").exists():
            recipe = recipe_named(f"onnx-q4-b{block}")
            options = ExportOptions(static_shapes=())
            source = open_source(gguf)
            export_onnx(source, folders[block], recipe, lambda _d, _t, _n: None, options)
    return gguf, folders


def run(
    model: str, threads: int, rounds: int, tools: Path, starter: Path | None
) -> Iterator[dict[str, Any]]:
    """Alternate all contenders; yields the figures by contender after each round."""
    gguf, folders = prepare(model, starter)
    tokens = _OUTPUT_TOKENS[model]
    contenders = [
        Contender("onnx block 32", "onnx", folders[32]),
        Contender("onnx block 128", "onnx", folders[128]),
        Contender("stock genai b32", STOCK, folders[32]),
        Contender("genai engine b32", "genai", folders[32]),
        Contender("llama.cpp Q4_0", "llamacpp", gguf),
    ]
    bench: dict[str, list[float]] = {"prefill_tps": [], "decode_tps": []}
    try:
        for contender in contenders:
            contender.start(threads)
            contender.ask(4)  # first touch of the weights
            contender.rounds.clear()
        for _ in range(rounds):
            for contender in contenders:
                contender.ask(tokens)
            common: dict[str, Any] = {"threads": threads}
            program = tool(tools, "llama-bench")
            prefill = llama_bench(program, gguf, prompt=PROMPT_TOKENS, **common)
            decode = llama_bench(program, gguf, generate=tokens, depth=PROMPT_TOKENS, **common)
            bench["prefill_tps"].append(prefill)
            bench["decode_tps"].append(decode)
            figures = {contender.name: _figures(contender) for contender in contenders}
            figures["llama-bench Q4_0"] = {key: spread(values) for key, values in bench.items()}
            yield figures
    finally:
        for contender in contenders:
            contender.stop()


def _figures(contender: Contender) -> dict[str, Any]:
    rounds = contender.rounds
    stages = {
        name: spread([one["stage_ms"][name] for one in rounds])["median"]
        for name in rounds[0]["stage_ms"]
    }
    return {
        "load_seconds": contender.load["load_seconds"],
        "prefill_tps": spread([one["prefill_tps"] for one in rounds]),
        "decode_tps": spread([one["decode_tps"] for one in rounds]),
        "cpu_ms": spread([one["cpu_ms"] for one in rounds]),
        "stage_ms": stages,
        "memory": rounds[-1]["memory"],
    }


def table(figures: dict[str, Any]) -> str:
    """The figures in columns; ratio is decode speed over llama-bench's, by medians."""
    base = figures["llama-bench Q4_0"]["decode_tps"]["median"]
    rows = [
        f"{'':18}{'prefill':>9}{'decode':>9}{'low':>8}{'high':>8}{'ratio':>7}"
        f"{'CPU ms':>8}{'peak MB':>9}{'anon MB':>9}  ms per token: embeddings, body, LM head"
    ]
    for name, figure in figures.items():
        decode, memory = figure["decode_tps"], figure.get("memory")
        row = f"{name:18}{figure['prefill_tps']['median']:9.1f}{decode['median']:9.1f}"
        row += f"{decode['low']:8.1f}{decode['high']:8.1f}{decode['median'] / base:7.2f}"
        if memory:
            row += f"{figure['cpu_ms']['median']:8.1f}{memory['peak'] / 1e6:9.0f}"
            row += f"{memory['anonymous'] / 1e6:9.0f}  "
        row += ", ".join(f"{value:.2f}" for value in figure.get("stage_ms", {}).values())
        rows.append(row.rstrip())
    return "\n".join(rows)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = command_line(__doc__, "benchmarks.split")
    parser.add_argument("model", choices=sorted(_OUTPUT_TOKENS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", type=Path, help="folder with llama-bench")
    parser.add_argument("--starter", type=Path, help="the starter as Q4_0 (default: made here)")
    parser.add_argument("--prepare", action="store_true", help="only make the model files")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.model, options.starter)
        return
    name = f"split-{options.model}-t{options.threads}"
    rounds = run(options.model, options.threads, options.rounds, options.tools, options.starter)
    for done, figures in enumerate(rounds, 1):
        title = (
            f"{options.model}, {options.threads} threads, prompt {PROMPT_TOKENS}, "
            f"{_OUTPUT_TOKENS[options.model]} tokens, {done} rounds, tokens/s\n"
        )
        write_results(name, {"figures": figures}, title + table(figures))


if __name__ == "__main__":
    main()

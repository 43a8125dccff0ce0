"""One model on one GPU: speed and memory of full, split and partial placements beside llama-bench.

    python -m benchmarks.gpu.placements MODEL.gguf SHAPE OUT.json [--in-process]

Figures of the product are taken from its own worker (sampling with R1's settings included), those
of llama-bench in the same run, in turn. Memory is compared three ways: predicted from the header's
shape, reported by the engine, and taken from the GPU's free memory. SHAPE names a constant of
tests/helpers/shapes.py. OUT.json is rewritten after each step, so that a cut run keeps its figures.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.common.options import command_line

if "--in-process" in sys.argv:
    import llama_cpp  # noqa: F401  # first: another library's C++ runtime can break its loading

from runtime.answer.answering import Answerer
from runtime.generation import (
    GenerationRequest,
    GenerationStats,
    Message,
    SamplingParams,
)
from runtime.plan import LayerRange, Placement
from runtime.planning.memory import estimate
from runtime.process.client import Worker, run_job
from runtime.process.job_table import PROBE
from runtime.process.job_values import ProbeArgs
from runtime.progress import CancelToken, ignore_progress
from runtime.registry import open_backend
from runtime.shape import ModelShape, weight_bytes
from tests.helpers import shapes

R1 = SamplingParams(temperature=0.6, top_p=0.95)
R1_TOP_P_ONLY = replace(R1, top_k=0)
WORD = "lighthouse "


def placements(shape: ModelShape, gpu: str, n_ctx: int, threads: int) -> dict[str, Placement]:
    """full, split, partial (the last half of the blocks on the GPU) and cpu."""
    last = shape.block_count - 1
    half = shape.block_count // 2
    base = Placement(
        engine="llamacpp",
        layers=(LayerRange(gpu, 0, last),),
        lm_head_device=gpu,
        n_ctx=n_ctx,
        n_threads=threads,
        n_threads_batch=threads,
    )
    partial = (LayerRange("cpu", 0, half - 1), LayerRange(gpu, half, last))
    return {
        "full": base,
        "split": replace(base, lm_head_device="cpu"),
        "partial": replace(base, layers=partial, lm_head_device="cpu"),
        "cpu": replace(base, layers=(LayerRange("cpu", 0, last),), lm_head_device="cpu"),
    }


def bench_options(shape: ModelShape, kind: str, threads: int) -> list[str]:
    """llama-bench's words for the same placement."""
    layers = {"full": 999, "split": 999, "partial": shape.block_count - shape.block_count // 2 + 1}
    options = ["-ngl", str(layers.get(kind, 0)), "-fa", "on", "-t", str(threads)]
    if kind in ("split", "partial"):
        options += ["-ot", r"output\.weight=CPU"]
    return options


def llama_bench(model: Path, options: list[str], tests: list[str], repeat: int) -> dict[str, float]:
    """Mean tokens per second of the tests by name: pp512, tg256, tg64@4096."""
    command = ["llama-bench", "-m", str(model), "-r", str(repeat), "-o", "json", *options, *tests]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"failed": float(done.returncode)}
    rows = json.loads(done.stdout)
    return {_row_name(row): float(row["avg_ts"]) for row in rows}


def _row_name(row: dict[str, Any]) -> str:
    name = f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}"
    return f"{name}@{row['n_depth']}" if row["n_depth"] else name


def gpu_used() -> int:
    """Bytes in use on the first GPU, as its driver tells."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.check_output(command, text=True).split()[0]) * 1024 * 1024


class Engine:
    """The product around one loaded model: its worker or, with --in-process, what runs in it."""

    def __init__(self, model: Path, placement: Placement, *, in_process: bool) -> None:
        self.worker: Worker | None = None
        if not in_process:
            self.worker = Worker.start()
            self.report = self.worker.load(str(model), placement)
            return
        backend = open_backend("llamacpp")
        self.report = backend.load(str(model), placement, ignore_progress, CancelToken())
        self.answerer = Answerer(backend, self.report.n_ctx)

    def generate(self, request: GenerationRequest) -> GenerationStats:
        if self.worker is not None:
            return self.worker.generate(request, lambda _: None)
        return self.answerer.answer(
            request, None, lambda _chunks, _tps: None, ignore_progress, CancelToken()
        )

    def count(self, request: GenerationRequest) -> int:
        if self.worker is not None:
            return self.worker.count_tokens(request)
        return self.answerer.count(request, None)


class Run:
    """One model's figures, kept on disk as they come."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.model: Path = args.model
        self.shape: ModelShape = getattr(shapes, args.shape)
        self.out: Path = args.out
        self.threads = os.cpu_count() or 1
        self.devices = run_job(PROBE, ProbeArgs()).devices
        self.gpu = next(d.id for d in self.devices if d.kind == "GPU" and d.usable)
        self.result: dict[str, Any] = {
            "model": args.shape,
            "file_size": self.model.stat().st_size,
            "devices": [asdict(device) for device in self.devices],
            "threads": self.threads,
            "placements": {},
        }

    def keep(self) -> None:
        self.out.write_text(json.dumps(self.result, indent=1) + "\n")

    def all(self, kinds: list[str], n_ctx: int) -> None:
        for kind, placement in placements(self.shape, self.gpu, n_ctx, self.threads).items():
            if kind in kinds:
                started = time.monotonic()
                found: dict[str, Any] = {}
                self.result["placements"][kind] = found
                self.one(kind, placement, found)
                found["seconds"] = time.monotonic() - started
                self.keep()

    def one(self, kind: str, placement: Placement, found: dict[str, Any]) -> None:
        options = bench_options(self.shape, kind, self.threads)
        on_gpu = kind in ("full", "split")
        tokens = 256 if on_gpu else 64
        used_before = gpu_used()
        engine = Engine(self.model, placement, in_process=self.args.in_process)
        found["load_seconds"] = engine.report.load_seconds
        found["buffers"] = engine.report.buffers
        found["memory"] = self.memory(placement)
        found["gpu_used_after_load"] = gpu_used() - used_before
        found["warm_up"] = self.answer(engine, "Tell a story.", 32, R1)
        depth = found["warm_up"]["prompt_tokens"]
        tests = ["-p", "0", "-n", str(tokens), "-d", str(depth)]
        found["llama_bench"], found["ours"] = [], []
        for _ in range(2 if on_gpu else 1):
            found["llama_bench"].append(llama_bench(self.model, options, tests, 3))
            for _ in range(3 if on_gpu else 1):
                found["ours"].append(self.answer(engine, "Tell a story.", tokens, R1))
            self.keep()
        found["gpu_used_after_run"] = gpu_used() - used_before
        if kind == "full":
            found["ours_top_p_only"] = [
                self.answer(engine, "Tell a story.", tokens, R1_TOP_P_ONLY) for _ in range(3)
            ]
        prefill = llama_bench(self.model, options, ["-p", "512", "-n", "0"], 2)
        found["llama_bench_prefill"] = prefill
        found["at_depth"] = {}
        for at in (4096, 16384) if on_gpu else (4096,):
            found["at_depth"][at] = self.at_depth(engine, at)
            self.keep()
        if kind == "full":
            deep = ["-p", "0", "-n", "64", "-d", "4096,16384"]
            found["llama_bench_at_depth"] = llama_bench(self.model, options, deep, 1)

    def memory(self, placement: Placement) -> list[dict[str, Any]]:
        weights = weight_bytes(self.shape, "Q4_0")
        predicted = estimate(self.shape, weights, placement, self.devices)
        return [asdict(device) for device in predicted.devices]

    def at_depth(self, engine: Engine, depth: int) -> dict[str, Any]:
        """An answer of 64 tokens behind a prompt of about `depth` tokens."""
        words = 200
        probe = GenerationRequest("c", (Message("user", WORD * words),))
        per_word = engine.count(probe) / words
        return self.answer(engine, WORD * int(depth / per_word), 64, R1)

    def answer(
        self, engine: Engine, prompt: str, tokens: int, sampling: SamplingParams
    ) -> dict[str, Any]:
        """Stats of one answer."""
        request = GenerationRequest("r", (Message("user", prompt),), sampling, max_tokens=tokens)
        stats = engine.generate(request)
        names = (
            "finish_reason", "prompt_tokens", "generated_tokens", "prefill_tps", "decode_tps",
            "time_to_first_token", "engine_share", "sampling_share", "other_share",
            "draft_tokens", "accepted_tokens",
        )  # fmt: skip
        return {name: getattr(stats, name) for name in names}


def _figure(rows: list[dict[str, float]], test: str) -> float:
    """Median of a test's figures; not a number where the tool failed."""
    found = [v for row in rows for k, v in row.items() if k.startswith(test)]
    return median(found or [float("nan")])


def table(result: dict[str, Any]) -> str:
    """The figures a person looks for first."""
    lines = [f"{result['model']}, {result['file_size'] / 1e9:.2f} GB"]
    for kind, found in result["placements"].items():
        theirs = _figure(found["llama_bench"], "tg")
        ours = median(run["decode_tps"] for run in found["ours"])
        line = (
            f"  {kind:<8} tg {theirs:7.1f}  ours {ours:7.1f} ({ours / theirs:.3f})"
            f"  pp {_figure([found['llama_bench_prefill']], 'pp'):8.0f}"
        )
        if "ours_top_p_only" in found:
            only = median(run["decode_tps"] for run in found["ours_top_p_only"])
            line += f"  top-p alone {only:7.1f} ({only / theirs:.3f})"
        gpu = [d for d in found["memory"] if d["device"] != "cpu"]
        if gpu:
            parts = ("weights", "kv_cache", "compute_buffer", "overhead")
            predicted = sum(gpu[0][part] for part in parts)
            line += (
                f"  GPU memory predicted {predicted / 1e9:.2f} used"
                f" {found['gpu_used_after_run'] / 1e9:.2f} GB"
            )
        lines.append(line)
        for depth, run in found["at_depth"].items():
            lines.append(
                f"           depth {run['prompt_tokens']} ({depth}):"
                f" decode {run['decode_tps']:.1f}, prefill {run['prefill_tps']:.0f}"
            )
        if "llama_bench_at_depth" in found:
            lines.append(f"           llama-bench at depth: {found['llama_bench_at_depth']}")
    return "\n".join(lines)


def main() -> None:
    parser = command_line(__doc__, "benchmarks.gpu.placements")
    parser.add_argument("model", type=Path)
    parser.add_argument("shape")
    parser.add_argument("out", type=Path)
    parser.add_argument("--kinds", default="full,split,partial")
    parser.add_argument("--context", type=int, default=20480)
    parser.add_argument("--in-process", action="store_true")
    args = parser.parse_args()
    run = Run(args)
    run.all(args.kinds.split(","), args.context)
    print(table(run.result))


if __name__ == "__main__":
    main()

"""What quantizing takes and costs: time, peak memory, bits per weight and divergence by recipe.

    python -m benchmarks.quantize --starter PATH.gguf --measure quality --out results.json
    python -m benchmarks.quantize --starter PATH.gguf --measure time --out results.json
    python -m benchmarks.quantize --shape 1.5b [--recipes q4_0,onnx-q4-b32]  --out results.json
    python -m benchmarks.quantize --starter PATH.gguf --schemes --out results.json

The starter is measured from its dequantized weights, with KL against them over the bundled texts of
the tuning set, as the committed figures were; `--texts evaluation` takes eight times as long.
A shape is a Qwen2 checkpoint of DeepSeek-R1-Distill-Qwen's dimensions with random bf16 weights,
written to a temporary folder: time and memory only. Each conversion runs in a process of its own,
whose wall and processor seconds are taken; the latter count its start and hold on a busy machine.
`--schemes` rounds the starter per tensor, per channel and per block instead.
`--out` keeps the figures of earlier runs that this one does not measure: divergence does not
depend on how busy the machine is, time does. A table goes beside it.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT
from quant.gguf.export import open_view, quantize_view
from quant.quality.report import compare
from quant.quality.schemes import SCHEMES, scheme_bits, scheme_view
from quant.quality.scores import WINDOWS
from quant.quality.texts import TEXTS, TextSet, bundled_texts
from quant.quality.weight_error import weight_errors
from quant.recipe import RECIPES, recipe_named
from runtime.process.job import Answer, Args, Job
from runtime.process.job_table import EXPORT_ONNX, IMATRIX, QUANTIZE_GGUF
from runtime.process.job_values import ExportArgs, ImatrixArgs, QuantizeArgs
from runtime.tasks.evaluation import open_evaluator
from tests.helpers.checkpoints import write_tokenizer

# NAME+imatrix weighs errors by an importance matrix over the bundled calibration text.
STARTER_RECIPES = (
    "q4_0,q4_0-search,q4_0+imatrix,q4_0-best+imatrix,onnx-q4-b32,onnx-q4-b32-search,"
    "onnx-q4-b32-asym,onnx-q4-b32-search+imatrix,q4_k_m,q4_k_m+imatrix,q8_0,q4_0-q8head,q4_1,q6_k,"
    "onnx-q4-b64,onnx-q4-b64-search,onnx-q4-b64-asym,onnx-q4-b128,onnx-q4-b128-search,"
    "onnx-q4-b128-asym,onnx-q4-b32-asym-search,onnx-q4-b64-asym-search,onnx-q4-b128-asym-search,"
    "onnx-q4-b64-search+imatrix,onnx-q4-b128-search+imatrix,q4_0-round,q5_k,bf16,f16"
)
# All that need no importance matrix: a shape of random weights has no inputs to learn one from.
SHAPE_RECIPES = ",".join(name for name, r in RECIPES.items() if r.importance != "required")
NOISY = ("seconds", "cpu_seconds", "peak_anonymous")
SCORES = ("kl_mean", "kl_p99", "same_top", "source_perplexity", "perplexity", "verdict", "tokens")
SHAPES = {
    "1.5b": {"hidden": 1536, "width": 8960, "blocks": 28, "heads": 12, "kv": 2, "tied": False},
    "7b": {"hidden": 3584, "width": 18944, "blocks": 28, "heads": 28, "kv": 4, "tied": False},
}
VOCAB = 151936

_JOB = """
import sys
import msgspec
from runtime.process.job_table import find_job
from runtime.progress import ignore_progress
args = msgspec.Raw(sys.argv[2].encode())
sys.stdout.buffer.write(bytes(find_job(sys.argv[1]).run(args, ignore_progress)))
"""


def run_job(wrap: list[str], job: Job[Args, Answer], args: Args) -> Answer:
    """One job in a process of its own, as the product runs it, behind the command `wrap`."""
    command = [*wrap, sys.executable, "-c", _JOB, job.name, bytes(job.write_args(args)).decode()]
    done = subprocess.run(command, capture_output=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{job.name} {args}: {done.stderr[-2000:].decode()}")
    return job.read_answer(msgspec.Raw(done.stdout))


def convert(wrap: list[str], args: QuantizeArgs) -> dict[str, Any]:
    """One conversion: what its report says."""
    before = children_seconds()
    if args.recipe.family == "onnx":
        done = run_job(wrap, EXPORT_ONNX, ExportArgs(**msgspec.structs.asdict(args)))
    else:
        done = run_job(wrap, QUANTIZE_GGUF, args)
    return {
        "recipe": done.recipe,
        "bits_per_weight": done.bits_per_weight,
        "target_bytes": done.target_bytes,
        "importance": done.importance,
        "seconds": done.seconds,
        "cpu_seconds": children_seconds() - before,
        "peak_anonymous": done.peak_anonymous,
        "bits_per_weight_by_role": done.bits_per_weight_by_role,
        "error_by_role": done.error_by_role,
        "fallbacks": len(done.fallbacks),
    }


def children_seconds() -> float:
    """Processor seconds of all processes started and ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Scorer:
    """Scores models over the bundled texts as the quality job does, but evaluates the source once:
    its logits stay in `folder`."""

    def __init__(self, source: Path, folder: Path, threads: int, texts: TextSet) -> None:
        self._folder = folder
        self._threads = threads
        self._source = open_evaluator(source, threads, WINDOWS.context)
        first = next(iter(self._source.tokenize("")), None)
        self._windows = replace(WINDOWS, first_token=first)
        self._tokens = {
            n: self._source.tokenize(text) for n, text in bundled_texts("tuning").items()
        }

    def _logits(self, tokens: Sequence[int], first: int) -> Iterator[npt.NDArray[np.float32]]:
        digest = hashlib.sha256(repr((first, tokens)).encode()).hexdigest()
        file = self._folder / f"{digest}.npy"
        if not file.exists():
            np.save(file, np.concatenate(list(self._source.logits(tokens, first))))
        yield np.load(file, mmap_mode="r")

    def score(self, target: Path) -> dict[str, Any]:
        candidate = open_evaluator(target, self._threads, WINDOWS.context)
        report = compare(self._tokens, self._logits, candidate.logits, windows=self._windows)
        candidate.close()
        return {key: msgspec.to_builtins(getattr(report, key)) for key in SCORES}


def measure_starter(
    options: argparse.Namespace, folder: Path, wrap: list[str]
) -> Iterator[dict[str, Any]]:
    """Each recipe on the starter's dequantized weights."""
    full, matrix = folder / "full.gguf", folder / "imatrix.gguf"
    threads = options.threads
    run_job(wrap, QUANTIZE_GGUF, QuantizeArgs(options.starter, full, recipe_named("f16")))
    run_job(wrap, IMATRIX, ImatrixArgs(full, matrix, threads=threads))
    scorer = Scorer(full, folder, threads, options.texts)
    for named in (options.recipes or STARTER_RECIPES).split(","):
        recipe, _, weighted = named.partition("+")
        target = folder / "candidate"
        imatrix = matrix if weighted else None
        row = convert(wrap, QuantizeArgs(full, target, recipe_named(recipe), imatrix))
        if options.measure != "time":
            row |= scorer.score(target)
        yield row
        remove(target)


def measure_schemes(
    options: argparse.Namespace, folder: Path, wrap: list[str]
) -> Iterator[dict[str, Any]]:
    """The starter at 4 bits with one scale per tensor, per channel and per block (per row where
    one is no multiple of the block)."""
    full, target = folder / "full.gguf", folder / "candidate.gguf"
    run_job(wrap, QUANTIZE_GGUF, QuantizeArgs(options.starter, full, recipe_named("f16")))
    scorer, view = Scorer(full, folder, options.threads, options.texts), open_view(full)
    for scheme in SCHEMES:
        quantize_view(scheme_view(view, scheme), target, RECIPES["f16"], threads=options.threads)
        yield {
            "recipe": scheme,
            "importance": False,
            "bits_per_weight": scheme_bits(view, scheme),
            "error_by_role": weight_errors(view, open_view(target)),
            **scorer.score(target),
        }


def remove(target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    else:
        target.unlink()


def shape_tensors(shape: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, width, head = shape["hidden"], shape["width"], shape["hidden"] // shape["heads"]
    tensors: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCAB, hidden)}
    for block in range(shape["blocks"]):
        prefix = f"model.layers.{block}."
        tensors[prefix + "input_layernorm.weight"] = (hidden,)
        tensors[prefix + "post_attention_layernorm.weight"] = (hidden,)
        for name, rows in (("q", shape["heads"]), ("k", shape["kv"]), ("v", shape["kv"])):
            tensors[prefix + f"self_attn.{name}_proj.weight"] = (rows * head, hidden)
            tensors[prefix + f"self_attn.{name}_proj.bias"] = (rows * head,)
        tensors[prefix + "self_attn.o_proj.weight"] = (hidden, hidden)
        tensors[prefix + "mlp.gate_proj.weight"] = (width, hidden)
        tensors[prefix + "mlp.up_proj.weight"] = (width, hidden)
        tensors[prefix + "mlp.down_proj.weight"] = (hidden, width)
    tensors["model.norm.weight"] = (hidden,)
    tensors["lm_head.weight"] = (VOCAB, hidden)
    return tensors


def write_shape(shape: dict[str, Any], folder: Path) -> None:
    """A checkpoint of this shape: one random 64 MB tile of bf16 weights, over and over."""
    folder.mkdir()
    tensors, header, offset = shape_tensors(shape), {}, 0
    for name, size in tensors.items():
        nbytes = 2 * int(np.prod(size))
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [offset, offset + nbytes]}
        offset += nbytes
    values = np.random.default_rng(0).standard_normal(1 << 25, dtype=np.float32) * np.float32(0.02)
    tile = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for start in range(0, offset, len(tile)):
            file.write(tile[: min(len(tile), offset - start)])
    config = {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": VOCAB,
        "hidden_size": shape["hidden"], "intermediate_size": shape["width"],
        "num_hidden_layers": shape["blocks"], "num_attention_heads": shape["heads"],
        "num_key_value_heads": shape["kv"], "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "max_position_embeddings": 131072, "tie_word_embeddings": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer("qwen2", folder)


def measure_shape(
    options: argparse.Namespace, folder: Path, wrap: list[str]
) -> Iterator[dict[str, Any]]:
    """Time and memory of each recipe on a checkpoint of the shape's size."""
    checkpoint, target = folder / "checkpoint", folder / "target"
    write_shape(SHAPES[options.shape], checkpoint)
    for recipe in (options.recipes or SHAPE_RECIPES).split(","):
        args = QuantizeArgs(checkpoint, target, recipe_named(recipe))
        yield {"shape": options.shape, **convert(wrap, args)}
        remove(target)


def as_table(rows: list[dict[str, Any]]) -> str:
    """The figures a person reads first, one line a recipe."""
    scored = next((row["tokens"] for row in rows if "tokens" in row), None)
    lines = [] if scored is None else [f"Against the dequantized source, {scored} tokens scored."]
    shapes = sorted({row["shape"] for row in rows if "shape" in row})
    lines += [f"Random weights in the shape of {', '.join(shapes)}."] if shapes else []
    lines += [
        f"{'recipe':24s} imatrix  seconds  cpu sec  anon MB  bits/w  perplexity  "
        "KL mean [95 %]           p99    same top token [95 %]"
    ]
    for row in rows:
        line = f"{row['recipe']:24s} {'yes' if row['importance'] else 'no':7s}"
        for time in ("seconds", "cpu_seconds"):
            line += f" {row[time]:8.1f}" if time in row else f" {'-':>8s}"
        memory = row.get("peak_anonymous")
        line += f" {memory / 1e6:8.0f}" if memory is not None else f" {'-':>8s}"
        line += f" {row['bits_per_weight']:7.3f}"
        if "kl_mean" in row:
            line += f" {row['perplexity']['value']:11.3f}"
            line += f"  {interval(row['kl_mean'], '.4f')}  {row['kl_p99']['value']:.3f}"
            line += f"  {interval(row['same_top'], '.3f')}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def interval(estimate: dict[str, float], form: str) -> str:
    value, low, high = (format(estimate[key], form) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


class Results:
    """The file of figures, rewritten after every row: an interrupted run keeps what it had."""

    def __init__(self, path: Path, measured: str) -> None:
        self._path = path
        self._measured = measured
        found = json.loads(path.read_text())["rows"] if path.exists() else []
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {_key(row): row for row in found}

    def add(self, row: dict[str, Any]) -> None:
        """Keep the row's figures, and older ones that this run does not measure."""
        if self._measured == "quality":
            row = {key: value for key, value in row.items() if key not in NOISY}
        self._rows[_key(row)] = {**self._rows.get(_key(row), {}), **row}
        rows = list(self._rows.values())
        system = {"machine": platform.machine(), "cores": os.cpu_count()}
        text = json.dumps({**system, "system": platform.system(), "rows": rows}, indent=1)
        self._path.write_text(text + "\n")
        self._path.with_suffix(".txt").write_text(as_table(rows))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row.get("shape"), row["recipe"], row["importance"])


def main() -> None:
    parser = command_line(__doc__, "benchmarks.quantize")
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--starter", type=Path)
    subject.add_argument("--shape", choices=list(SHAPES))
    parser.add_argument("--recipes", help="comma-separated; NAME+imatrix weighs by inputs")
    parser.add_argument("--schemes", action="store_true", help="of --starter")
    parser.add_argument("--texts", choices=TEXTS, default="tuning")
    parser.add_argument("--measure", choices=("both", "time", "quality"), default="both")
    parser.add_argument("--threads", type=int, default=1, help="for scoring")
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--wrap", default="", help="command put before each job, such as nice")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.schemes and not options.starter:
        parser.error("--schemes is measured on --starter")
    results = Results(options.out, options.measure)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measure = measure_starter if options.starter else measure_shape
        if options.schemes:
            measure = measure_schemes
        for row in measure(options, Path(folder), shlex.split(options.wrap)):
            results.add(row)
            print(row["recipe"], json.dumps(row), flush=True)


if __name__ == "__main__":
    main()

"""What quantizing takes and costs: time, peak memory, bits per weight and divergence by recipe.

    python benchmarks/quantize.py --starter PATH.gguf [--out results.json]
    python benchmarks/quantize.py --shape 1.5b [--recipes q4_0,q4_0-search]
    python benchmarks/quantize.py --shape 7b --recipes q4_0

The starter is measured from its dequantized weights, with KL against them over the bundled texts.
A shape is a Qwen2 checkpoint of DeepSeek-R1-Distill-Qwen's dimensions with random bf16 weights,
written to a temporary folder: time and memory only. Each conversion runs in a process of its own.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from checkpoints import write_tokenizer  # noqa: E402

STARTER_RECIPES = (
    "q4_0,q4_0+imatrix,q4_0-search,q4_0-search+imatrix,q4_0-q8head,q4_1,q4_k_m,q6_k,q8_0"
)
SHAPES = {
    "1.5b": {"hidden": 1536, "width": 8960, "blocks": 28, "heads": 12, "kv": 2, "tied": False},
    "7b": {"hidden": 3584, "width": 18944, "blocks": 28, "heads": 28, "kv": 4, "tied": False},
}
VOCAB = 151936

_JOB = """
import json, sys
from runtime.jobtable import find_job
from runtime.jobs import ignore_progress
print(json.dumps(find_job(sys.argv[1])(json.loads(sys.argv[2]), ignore_progress)))
"""


def run_job(wrap: list[str], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One job in a process of its own, as the product runs it, behind the command `wrap`."""
    command = [*wrap, sys.executable, "-c", _JOB, name, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{name} {arguments}: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def summary(report: dict[str, Any]) -> dict[str, Any]:
    kept = ("recipe", "seconds", "peak_anonymous", "bits_per_weight", "target_bytes", "importance")
    return {
        **{key: report[key] for key in kept},
        "bits_per_weight_by_role": report["bits_per_weight_by_role"],
        "error_by_role": report["error_by_role"],
        "fallbacks": len(report["fallbacks"]),
    }


def measure_starter(
    source: Path, recipes: list[str], folder: Path, threads: int, wrap: list[str]
) -> list[dict[str, Any]]:
    """Each recipe on the starter's dequantized weights; NAME+imatrix weighs by inputs."""
    full, matrix = folder / "full.gguf", folder / "imatrix.gguf"
    run_job(wrap, "quantize_gguf", {"source": str(source), "target": str(full), "recipe": "f16"})
    run_job(wrap, "imatrix", {"source": str(full), "target": str(matrix), "threads": threads})
    rows = []
    for named in recipes:
        recipe, _, weighted = named.partition("+")
        target = folder / "candidate.gguf"
        arguments = {"source": str(full), "target": str(target), "recipe": recipe}
        if weighted:
            arguments["imatrix"] = str(matrix)
        row = summary(run_job(wrap, "quantize_gguf", arguments))
        quality = run_job(
            wrap, "quality", {"source": str(full), "target": str(target), "threads": threads}
        )
        for key in ("kl_mean", "kl_p99", "same_top", "source_perplexity", "perplexity", "verdict"):
            row[key] = quality[key]
        row["tokens"] = quality["tokens"]
        rows.append(row)
        print(named, json.dumps(row), flush=True)
    return rows


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
    name: str, recipes: list[str], folder: Path, wrap: list[str]
) -> list[dict[str, Any]]:
    checkpoint = folder / "checkpoint"
    write_shape(SHAPES[name], checkpoint)
    rows = []
    for recipe in recipes:
        target = folder / "target.gguf"
        arguments = {"source": str(checkpoint), "target": str(target), "recipe": recipe}
        row = {"shape": name, **summary(run_job(wrap, "quantize_gguf", arguments))}
        rows.append(row)
        target.unlink()
        print(name, json.dumps(row), flush=True)
    return rows


def as_table(rows: list[dict[str, Any]]) -> str:
    """The figures a person reads first, one line a recipe."""
    lines = [
        "recipe               imatrix  seconds  anon MB  bits/w  KL mean [95 %]          p99    top"
    ]
    for row in rows:
        line = f"{row['recipe']:20s} {'yes' if row['importance'] else 'no':7s}"
        line += f" {row['seconds']:8.1f} {row['peak_anonymous'] / 1e6:8.0f}"
        line += f" {row['bits_per_weight']:7.3f}"
        if "kl_mean" in row:
            kl = row["kl_mean"]
            line += f"  {kl['value']:.4f} [{kl['low']:.4f}, {kl['high']:.4f}]"
            line += f"  {row['kl_p99']['value']:.3f}  {row['same_top']['value']:.3f}"
        lines.append(f"{line}  {row.get('shape', '')}".rstrip())
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starter", type=Path)
    parser.add_argument("--shape", choices=list(SHAPES))
    parser.add_argument("--recipes", help="comma-separated; NAME+imatrix weighs by inputs")
    parser.add_argument("--threads", type=int, default=1, help="for scoring")
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--wrap", default="", help="command put before each job, such as nice")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    wrap = shlex.split(options.wrap)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        if options.starter:
            recipes = (options.recipes or STARTER_RECIPES).split(",")
            rows += measure_starter(
                options.starter, recipes, Path(temporary), options.threads, wrap
            )
        if options.shape:
            rows += measure_shape(
                options.shape,
                (options.recipes or "q4_0,q4_0-search").split(","),
                Path(temporary),
                wrap,
            )
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "system": platform.system()}
    if options.out:
        options.out.write_text(json.dumps({**machine, "rows": rows}, indent=1) + "\n")
        options.out.with_suffix(".txt").write_text(as_table(rows))


if __name__ == "__main__":
    main()

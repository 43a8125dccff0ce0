"""What each 4-bit format costs and gives here: size, divergence, decode and prefill speed.

    python -m benchmarks.frontier 1.5b [--recipes q4_0,q4_k_m] [--rounds 5] [--tools FOLDER]
    python -m benchmarks.frontier PATH.gguf --name gemma3-270m

"1.5b" is random weights of the exact shape of DeepSeek-R1-Distill-Qwen-1.5B: speed only. A path is
a real model's weights (dequantized first where they are quantized), whose divergence is measured
too, over the evaluation texts, each recipe paired with the peers' default: Q4_K_M with llama.cpp's
kernels and an importance matrix (`q4_k_m+imatrix`). Files are made once under build/frontier. Each
engine runs in a process of its own and all are asked in turn, round after round; llama-bench runs
on the Q4_K_M file in the same rounds. A text, a JSON file and a picture (loss against speed) are
written. NAME+imatrix weighs errors by an importance matrix over the bundled calibration text.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from math import log10
from pathlib import Path
from typing import Any

from benchmarks.common.llama_cpp import llama_bench, tool
from benchmarks.common.options import command_line
from benchmarks.common.results import RESULTS, ROOT, spread, write_results
from benchmarks.quantize import run_job
from benchmarks.split import PROMPT_TOKENS, Contender
from quant.gguf.export import open_view, quantize_gguf
from quant.recipe import recipe_named
from runtime.process.job_table import EXPORT_ONNX, QUALITY_PAIR, QUANTIZE_GGUF
from runtime.process.job_values import ExportArgs, PairArgs, QuantizeArgs
from tests.helpers import shapes

PEERS_DEFAULT = "q4_k_m+imatrix"
SPEED = (
    "q4_0,q4_k_m,iq4_nl,iq4_xs,q4_1,q5_k,onnx-q4-b32,onnx-q4-b32-asym,onnx-q4-b64-asym,"
    "onnx-q4-b128,onnx-q4-b128-asym"
)
REAL = (
    "q4_0,q4_k_m,q4_k_m+imatrix,iq4_nl+imatrix,iq4_xs+imatrix,q4_0-feedback,iq4_nl-feedback,"
    "q4_k_m-feedback,q5_1-feedback,onnx-q4-b32-asym-feedback,onnx-q4-b128-asym-search+imatrix,"
    "onnx-q4-b128-asym-feedback"
)
FILES = ROOT / "build" / "frontier"
_TOKENS = {"1.5b": 16}
_ENGINES = {"gguf": "llamacpp", "onnx": "onnx"}


def full_weights(model: str, name: str) -> Path:
    """The model's weights as floats in a GGUF file."""
    folder = FILES / name
    folder.mkdir(parents=True, exist_ok=True)
    full = folder / "full.gguf"
    if full.exists():
        return full
    if model == "1.5b":
        part = full.with_suffix(".part")
        shapes.write_shape_gguf(part, shapes.R1_QWEN_1_5B, "F16", vocab_tokens="qwen2").rename(full)
    else:
        quantize_gguf(Path(model), full, recipe_named("f16"))
    return full


def made(full: Path, named: str, threads: int) -> Path:
    """The file or folder of one recipe, made where it is missing."""
    recipe_name, _, weighed = named.partition("+")
    recipe = recipe_named(recipe_name)
    target = full.parent / (named if recipe.family == "onnx" else f"{named}.gguf")
    if not target.exists():
        args = QuantizeArgs(full, target, recipe, calibrate=bool(weighed), threads=threads)
        if recipe.family == "onnx":
            run_job([], EXPORT_ONNX, ExportArgs(full, target, recipe, calibrate=bool(weighed)))
        else:
            run_job([], QUANTIZE_GGUF, args)
    return target


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def losses(full: Path, files: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Mean KL of each recipe with its interval, and its difference to the peers' default."""
    found: dict[str, dict[str, Any]] = {}
    for named, path in files.items():
        pair = PairArgs(source=full, first=path, second=files[PEERS_DEFAULT])
        report = run_job([], QUALITY_PAIR, pair)
        found[named] = {
            "kl": vars(report.first.kl_mean),
            "kl_p99": report.first.kl_p99.value,
            "same_top": report.first.same_top.value,
            "difference": vars(report.kl_difference),
            "tokens": report.first.tokens,
        }
        print(named, found[named], flush=True)
    return found


def speeds(
    files: Mapping[str, Path], threads: int, rounds: int, tokens: int, tools: Path | None
) -> Iterator[dict[str, dict[str, Any]]]:
    """Decode and prefill tokens/s by recipe after each round, llama-bench's under its own name."""
    contenders = [
        Contender(named, _ENGINES[recipe_named(named.partition("+")[0]).family], path)
        for named, path in files.items()
    ]
    peer = files[PEERS_DEFAULT] if PEERS_DEFAULT in files else files["q4_k_m"]
    bench: dict[str, list[float]] = {"prefill_tps": [], "decode_tps": []}
    program = tool(tools, "llama-bench")
    try:
        for contender in contenders:
            contender.start(threads)
            contender.ask(2)  # first touch of the weights
            contender.rounds.clear()
        for _ in range(rounds):
            for contender in contenders:
                contender.ask(tokens)
            common: dict[str, Any] = {"threads": threads}
            bench["prefill_tps"].append(llama_bench(program, peer, prompt=PROMPT_TOKENS, **common))
            bench["decode_tps"].append(
                llama_bench(program, peer, generate=tokens, depth=PROMPT_TOKENS, **common)
            )
            figures = {
                contender.name: {
                    key: spread([one[key] for one in contender.rounds])
                    for key in ("prefill_tps", "decode_tps", "cpu_ms")
                }
                for contender in contenders
            }
            figures["llama-bench Q4_K_M"] = {key: spread(each) for key, each in bench.items()}
            yield figures
    finally:
        for contender in contenders:
            contender.stop()


def table(figures: Mapping[str, dict[str, Any]]) -> str:
    """One row a recipe; "ratio" is decode speed over llama-bench's on Q4_K_M, round by round."""
    base = figures["llama-bench Q4_K_M"]["decode_tps"]["values"]
    lines = [
        f"{'recipe':34}{'MB':>8}{'KL':>9}{'95 %':>19}{'less Q4_K_M':>22}"
        f"{'decode':>9}{'ratio':>7}{'low':>6}{'high':>6}{'prefill':>9}{'CPU ms':>8}"
    ]
    for named, one in figures.items():
        decode = one["decode_tps"]
        ratios = [a / b for a, b in zip(decode["values"], base, strict=True)]
        ratio = spread(ratios)
        kl, difference = one.get("kl"), one.get("difference")
        lines.append(
            f"{named:34}{one['size'] / 1e6 if 'size' in one else 0:8.1f}"
            + (f"{kl['value']:9.4f}" if kl else f"{'':9}")
            + (f"{kl['low']:10.4f}{kl['high']:9.4f}" if kl else f"{'':19}")
            + (
                f"{difference['value']:8.4f}{difference['low']:7.4f}{difference['high']:7.4f}"
                if difference
                else f"{'':22}"
            )
            + f"{decode['median']:9.2f}{ratio['median']:7.2f}{ratio['low']:6.2f}"
            + f"{ratio['high']:6.2f}{one['prefill_tps']['median']:9.1f}"
            + (f"{one['cpu_ms']['median']:8.1f}" if "cpu_ms" in one else "")
        )
    return "\n".join(lines)


def picture(figures: Mapping[str, dict[str, Any]], title: str) -> str:
    """An SVG: decode speed to the right, mean KL upwards on a logarithmic scale."""
    points = [
        (one["decode_tps"]["median"], one["kl"]["value"], named)
        for named, one in figures.items()
        if one.get("kl")
    ]
    widest = max(speed for speed, _, _ in points) * 1.1
    low = log10(min(kl for _, kl, _ in points)) - 0.1
    high = log10(max(kl for _, kl, _ in points)) + 0.1
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 460" font-family="sans-serif"'
        ' font-size="11"><rect width="760" height="460" fill="white"/>',
        f'<text x="60" y="22" font-size="14">{title}</text>',
        '<path d="M60 40V410H740" fill="none" stroke="#888"/>',
        '<text x="400" y="445" text-anchor="middle">decode, tokens/s</text>',
        '<text x="16" y="225" transform="rotate(-90 16 225)" text-anchor="middle">'
        "mean KL divergence, nats (log)</text>",
    ]
    for speed, kl, named in points:
        x, y = 60 + 680 * speed / widest, 410 - 370 * (log10(kl) - low) / (high - low)
        fill = "#c0392b" if named == PEERS_DEFAULT else "#2060a0"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}"/>')
        anchor, dx = ("end", -7) if x > 560 else ("start", 7)
        parts.append(
            f'<text x="{x + dx:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{named}'
            f" {speed:.1f} / {kl:.3f}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def run(options: argparse.Namespace, name: str, recipes: Sequence[str]) -> None:
    full = full_weights(options.model, name)
    files = {named: made(full, named, options.threads) for named in recipes}
    real = options.model != "1.5b"
    loss = losses(full, files) if real and not options.no_loss else {}
    weights = sum(tensor.elements for tensor in open_view(full).tensors)
    tokens = _TOKENS.get(options.model, 64)
    title = f"{name}: {weights / 1e6:.0f} M weights, {options.threads} threads, prompt "
    title += f"{PROMPT_TOKENS}, {tokens} tokens; tokens/s, KL in nats per token\n"
    rounds = speeds(files, options.threads, options.rounds, tokens, options.tools)
    for measured in rounds:
        figures = {
            named: {
                **one,
                **loss.get(named, {}),
                **({"size": size_of(files[named])} if named in files else {}),
            }
            for named, one in measured.items()
        }
        write_results(f"frontier-{name}", {"figures": figures}, title + table(figures))
        if loss:
            drawn = RESULTS / f"frontier-{name}.svg"
            drawn.write_text(picture(figures, title.splitlines()[0]), encoding="utf-8")


def main() -> None:
    parser = command_line(__doc__, "benchmarks.frontier")
    parser.add_argument("model", help='"1.5b", or a GGUF file of a real model')
    parser.add_argument("--name", help="of the result (default: the model's)")
    parser.add_argument("--recipes", help="comma-separated; Q4_K_M must be among them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tools", type=Path, help="folder with llama-bench")
    parser.add_argument("--no-loss", action="store_true", help="measure speed alone")
    options = parser.parse_args()
    recipes = (options.recipes or (SPEED if options.model == "1.5b" else REAL)).split(",")
    run(options, options.name or Path(options.model).stem, recipes)


if __name__ == "__main__":
    main()

"""Our quality report beside llama-perplexity, and our 4-bit recipes beside llama-quantize.

    python -m benchmarks.quantize_crosscheck --tools FOLDER --starter PATH.gguf --out results.json

FOLDER holds llama.cpp's tools, built from the source archive of the llama-cpp-python in use. All
candidates are Q4_0 throughout, made from the starter's dequantized weights, and of one size. A
table goes beside the results.
"""

import argparse
import json
import math
import shlex
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.options import command_line
from benchmarks.quantize import interval, run_job
from quant.quality.texts import bundled_texts
from quant.recipe import recipe_named
from runtime.process.job import Answer, Args, Job
from runtime.process.job_table import IMATRIX, QUALITY, QUANTIZE_GGUF
from runtime.process.job_values import ImatrixArgs, QualityArgs, QuantizeArgs
from tests.helpers.llama_tools import WINDOWS, divergence, quantize_pure_q4_0, write_base

# Recipe of ours, beside llama-quantize at the same format and size; with an importance matrix?
PAIRS = (("q4_0-search", False), ("q4_0-best", True))
PIECES = 24
_T95 = 2.069  # Student's t, 97.5 %, PIECES - 1 degrees of freedom


class Judge:
    """Scores candidates against the starter, by our report and by llama-perplexity."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._tools: Path = options.tools
        self._wrap = shlex.split(options.wrap)
        self._folder = folder
        self.full, self.matrix = folder / "full.gguf", folder / "imatrix.gguf"
        self._text, self._base = folder / "text.txt", folder / "base.kld"
        source = QuantizeArgs(options.starter, self.full, recipe_named("f16"), threads=1)
        self.job(QUANTIZE_GGUF, source)
        self.job(IMATRIX, ImatrixArgs(self.full, self.matrix, threads=1))
        self._text.write_text("".join(bundled_texts("tuning").values()), encoding="utf-8")
        self._pieces = self._cut()
        write_base(self._tools, self.full, self._text, self._base)

    def job(self, job: Job[Args, Answer], args: Args) -> Answer:
        return run_job(self._wrap, job, args)

    def _cut(self) -> dict[str, Path]:
        """The texts in pieces of about equal length, for comparing two models pairwise."""
        text = self._text.read_text(encoding="utf-8").encode()
        edges = [len(text) * index // PIECES for index in range(PIECES + 1)]
        files = {}
        for index in range(PIECES):
            file = self._folder / f"piece-{index:02d}.txt"
            piece = text[edges[index] : edges[index + 1]].decode("utf-8", "ignore")
            file.write_text(piece, encoding="utf-8")
            files[file.stem] = file
        return files

    def score(self, name: str, target: Path) -> dict[str, Any]:
        asked = QualityArgs(self._pieces, skip=16, threads=1, source=self.full, target=target)
        whole = replace(asked, texts={"all": self._text}, **WINDOWS)
        ours, pieces = self.job(QUALITY, whole), self.job(QUALITY, asked)
        theirs = divergence(self._tools, target, self._base)
        return {
            "name": name,
            "bytes": target.stat().st_size,
            "ours": {
                key: asdict(getattr(ours, key))
                for key in ("kl_mean", "kl_p99", "perplexity", "same_top")
            },
            "llama_perplexity": asdict(theirs),
            "tokens": ours.tokens,
            "kl_by_piece": [piece.kl_mean for piece in pieces.texts],
        }


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    judge, target, rows = Judge(options, folder), folder / "candidate.gguf", []
    for recipe, weighted in PAIRS:
        matrix = judge.matrix if weighted else None
        label = " +imatrix" if weighted else ""
        quantize_pure_q4_0(options.tools, judge.full, target, matrix)
        rows.append(judge.score(f"llama-quantize q4_0{label}", target))
        args = QuantizeArgs(judge.full, target, recipe_named(recipe), matrix, threads=1)
        judge.job(QUANTIZE_GGUF, args)
        rows.append(judge.score(f"{recipe}{label}", target))
    return rows


def largest_difference(rows: list[dict[str, Any]]) -> float:
    """The largest relative difference of a figure between our report and llama-perplexity."""
    return max(
        abs(float(ours["value"]) / float(row["llama_perplexity"][key]) - 1)
        for row in rows
        for key, ours in row["ours"].items()
    )


def paired(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    """Mean KL of theirs less ours over the pieces, with its 95 % interval."""
    gains = np.array(theirs["kl_by_piece"]) - np.array(ours["kl_by_piece"])
    mean, error = float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return {"value": mean, "low": mean - _T95 * error, "high": mean + _T95 * error}


def as_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"Windows of {WINDOWS['context']} tokens, second half scored, {rows[0]['tokens']} tokens; "
        "ours, then llama-perplexity's (+- 1.96 of its standard errors).",
        f"{'':28s} {'bytes':>10s}  KL mean [95 %]             KL mean            p99            "
        "perplexity        same top token",
    ]
    for row in rows:
        ours, theirs = row["ours"], row["llama_perplexity"]
        lines.append(
            f"{row['name']:28s} {row['bytes']:10d}  {interval(ours['kl_mean'], '.5f')}  "
            f"{theirs['kl_mean']:.5f} +- {1.96 * theirs['kl_error']:.4f}  "
            f"{ours['kl_p99']['value']:.4f} {theirs['kl_p99']:.4f}  "
            f"{ours['perplexity']['value']:.4f} {theirs['perplexity']:.4f}  "
            f"{ours['same_top']['value']:.4f} {theirs['same_top']:.4f}"
        )
    lines.append(f"Largest difference of any of these figures: {largest_difference(rows):.2%}")
    for theirs, ours in zip(rows[::2], rows[1::2], strict=True):
        gain = interval(paired(theirs, ours), ".4f")
        lines.append(f"KL of {theirs['name']} less {ours['name']}, {PIECES} pieces paired: {gain}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = command_line(__doc__, "benchmarks.quantize_crosscheck")
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--starter", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="where temporary files go")
    parser.add_argument("--wrap", default="", help="command put before each job, such as nice")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(options, Path(folder))
    options.out.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    options.out.with_suffix(".txt").write_text(as_table(rows))


if __name__ == "__main__":
    main()

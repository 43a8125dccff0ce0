"""llama.cpp's own quantizer and judge, built from the source archive of llama-cpp-python.

Knows their command lines and what they print. Run by hand and in slow tests; nothing ships them.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTEXT = 512
# How quant.quality.report must cut the text to score what llama-perplexity scores: the second half
# of whole windows.
WINDOWS: dict[str, Any] = {"context": CONTEXT, "skip": CONTEXT // 2, "whole_only": True}

_NUMBER = r"\s*:\s*(-?[\d.]+)(?:\s*±\s*([\d.]+))?"


@dataclass(frozen=True)
class Divergence:
    """What llama-perplexity --kl-divergence says; `*_error` are its standard errors. KL in nats,
    `same_top` from 0 to 1."""

    kl_mean: float
    kl_error: float
    kl_p99: float
    perplexity: float
    same_top: float
    same_top_error: float


def write_base(tools: Path, model: Path, text: Path, base: Path, threads: int = 1) -> None:
    """Write the log-probabilities of `model` over `text` to the file `base`."""
    command = _perplexity(tools, base, threads)
    subprocess.run([*command, "-m", str(model), "-f", str(text)], check=True, capture_output=True)


def divergence(tools: Path, model: Path, base: Path, threads: int = 1) -> Divergence:
    """How far `model` strays from the model that `base` was written of."""
    command = [*_perplexity(tools, base, threads), "-m", str(model), "--kl-divergence"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)

    def figure(label: str) -> tuple[float, float]:
        found = re.search(re.escape(label) + _NUMBER, done.stdout + done.stderr)
        if found is None:
            raise ValueError(f"llama-perplexity printed no {label!r}")
        return float(found[1]), float(found[2] or 0)

    kl, top = figure("Mean    KLD"), figure("Same top p")
    return Divergence(
        kl_mean=kl[0],
        kl_error=kl[1],
        kl_p99=figure("99.0%   KLD")[0],
        perplexity=figure("Mean PPL(Q)")[0],
        same_top=top[0] / 100,
        same_top_error=top[1] / 100,
    )


def _perplexity(tools: Path, base: Path, threads: int) -> list[str]:
    command = [str(tools / "llama-perplexity"), "-c", str(CONTEXT), "-b", str(CONTEXT)]
    return [*command, "-t", str(threads), "--kl-divergence-base", str(base)]


def quantize_pure_q4_0(
    tools: Path, source: Path, target: Path, importance: Path | None = None
) -> None:
    """Q4_0 throughout, embeddings and LM head included, by llama-quantize."""
    command = [str(tools / "llama-quantize"), "--pure"]
    if importance is not None:
        command += ["--imatrix", str(importance)]
    command += ["--token-embedding-type", "q4_0", "--output-tensor-type", "q4_0"]
    command += [str(source), str(target), "q4_0", "1"]
    subprocess.run(command, check=True, capture_output=True)

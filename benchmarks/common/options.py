"""The command line of the benchmarks: a script's docstring is its --help."""

import argparse
from pathlib import Path

import psutil


def command_line(doc: str | None, module: str) -> argparse.ArgumentParser:
    """A parser that tells `doc` as it is written; `module` is the dotted name behind `-m`."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """--tools and --model, which every benchmark of this engine takes."""
    parser.add_argument("--tools", type=Path, help="folder with llama-bench and llama-server")
    parser.add_argument("--model", type=Path, help="GGUF file (default: the starter as Q4_0)")
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--name", help="name of the result files", default=None)

"""Both conversions of a checkpoint behind one signature, and as a child process to be disturbed."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from quant.checkpoint.sources import open_gguf, open_source
from quant.gguf.export import OnTensor, quantize_gguf
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.manifest import read_manifest, verify
from quant.recipe import recipe_named

Convert = Callable[[Path, Path, OnTensor], object]
ROOT = Path(__file__).parents[2]


def to_gguf(source: Path, target: Path, on_tensor: OnTensor) -> object:
    return quantize_gguf(source, target, recipe_named("q4_0"), on_tensor, threads=1)


def to_onnx(source: Path, target: Path, on_tensor: OnTensor) -> object:
    options = ExportOptions(static_shapes=(), threads=1)
    return export_onnx(open_source(source), target, recipe_named("onnx-q4-b32"), on_tensor, options)


CONVERSIONS: Mapping[str, Convert] = {"gguf": to_gguf, "onnx": to_onnx}


def ignore(_done: int, _total: int, _name: str) -> None:
    pass


def check_whole(kind: str, target: Path) -> None:
    """The result is there from the first byte to the last."""
    if kind == "onnx":
        verify(target, read_manifest(target), lambda _count: None)
    else:
        assert open_gguf(target).tensors


_CHILD = """
import sys, time
from pathlib import Path
from tests.helpers.conversions import CONVERSIONS
{before}
def slowly(done, total, name):
    print(done, flush=True)
    time.sleep(0.02)
CONVERSIONS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]), slowly)
"""


def start_slowly(
    kind: str, source: Path, target: Path, before: str = ""
) -> "subprocess.Popen[str]":
    """A child that runs `before`, then converts, and prints how far it is before each piece."""
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(before=before), kind, str(source), str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

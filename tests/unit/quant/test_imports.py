"""Conversion code may be imported anywhere: no engine comes with it until it is used."""

import subprocess
import sys
from pathlib import Path

ENGINES = ("llama_cpp", "onnxruntime", "onnxruntime_genai", "torch", "transformers")


def test_importing_the_jobs_loads_no_engine() -> None:
    code = (
        "import sys, quant.gguf.export, quant.quality.report, quant.blocks.native, "
        "runtime.tasks.convert, runtime.tasks.quality, runtime.tasks.evaluation, "
        "runtime.tasks.size, quant.allocation\n"
        f"print([name for name in {ENGINES!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == "[]"


def test_the_native_quantizer_is_found_without_importing_its_package() -> None:
    code = (
        "import sys\nfrom quant.blocks.native import open_native\nopen_native()\n"
        "print('llama_cpp' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == "False"

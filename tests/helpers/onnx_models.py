"""Exported tiny models for engine tests, and short ways to run a backend."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.compose

from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.static_body import StaticShape
from quant.recipe import recipe_named
from runtime.backend import Backend
from runtime.generation import SamplingParams
from runtime.machine.providers import ProviderTarget
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, ignore_progress
from tests.helpers import tiny_checkpoints

TINY_CONTEXT = 64
GREEDY = SamplingParams(temperature=0)


def export_tiny(folder: Path, kind: str, recipe: str = "onnx-q4-b32") -> Path:
    """Export the tiny checkpoint `kind` under `folder`; returns the ONNX folder."""
    source = tiny_checkpoints.write_checkpoint(folder / f"{kind}-hf", kind)
    shapes = (StaticShape(4, TINY_CONTEXT), StaticShape(1, TINY_CONTEXT))
    target = folder / f"{kind}-{recipe}"
    export_onnx(
        open_source(source),
        target,
        recipe_named(recipe),
        lambda _done, _total, _name: None,
        ExportOptions(static_shapes=shapes, threads=1),
    )
    return target


def make_monolithic(folder: Path, target: Path) -> Path:
    """The three stages of an exported folder joined into one graph, as other tools export them."""
    target.mkdir()
    stages = []
    for name in ("embeddings", "body", "lm_head"):
        stage = onnx.load(folder / f"{name}.onnx", load_external_data=False)
        prefixed = onnx.compose.add_prefix(
            stage, f"{name}.", rename_inputs=False, rename_outputs=False
        )
        stages.append(prefixed)
    joined, inner = stages[0], ("inputs_embeds", "hidden_states")
    for stage in stages[1:]:
        for field in ("node", "initializer", "input", "output"):
            getattr(joined.graph, field).extend(getattr(stage.graph, field))
    for values in (joined.graph.input, joined.graph.output):
        for value in [value for value in values if value.name in inner]:
            values.remove(value)
    (target / "model.onnx").write_bytes(joined.SerializeToString())
    for name in ("weights.data", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, target)
    config = json.loads((folder / "genai_config.json").read_text())
    config["model"]["type"] = "llama"
    decoder = config["model"]["decoder"]
    del decoder["pipeline"], decoder["inputs"]["inputs_embeds"]
    decoder["filename"] = "model.onnx"
    (target / "genai_config.json").write_text(json.dumps(config))
    return target


def edited(folder: Path, copy: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> Path:
    """`folder` copied to `copy`, its JSON file `name` changed by `edit`."""
    shutil.copytree(folder, copy)
    data = json.loads((copy / name).read_text())
    edit(data)
    (copy / name).write_text(json.dumps(data))
    return copy


def break_plugin(folder: Path, target: ProviderTarget) -> None:
    """Put a module into `folder` that takes a plug-in's place and whose library is none."""
    (folder / "libbroken.so").write_bytes(b"\x7fELF but not really")
    (folder / f"{target.module}.py").write_text(
        "import pathlib\n"
        "def get_library_path():\n"
        "    return str(pathlib.Path(__file__).with_name('libbroken.so'))\n"
    )


def fatal_plugin(folder: Path, target: ProviderTarget, deed: str) -> None:
    """Put a module into `folder` that takes a plug-in's place and does `deed` when it is asked for
    its library: "os.abort()" as a driver that crashes, "time.sleep(600)" as one that hangs."""
    (folder / f"{target.module}.py").write_text(
        f"import os, time\ndef get_library_path():\n    {deed}\n"
    )


def placement(
    device: str = "cpu", *, engine: str = "onnx", n_ctx: int = TINY_CONTEXT, n_ubatch: int = 512
) -> Placement:
    """The body on `device`, everything else on the CPU, one thread."""
    return Placement(
        engine=engine,
        layers=(LayerRange(device, 0, 0),),
        lm_head_device="cpu",
        n_ctx=n_ctx,
        n_ubatch=n_ubatch,
    )


def greedy(backend: Backend, prompt: Sequence[int], count: int) -> list[int]:
    """`count` greedy tokens after `prompt`, from an empty cache."""
    backend.truncate(0)
    backend.set_sampling(GREEDY, prompt)
    backend.prefill(prompt, ignore_progress, CancelToken())
    tokens = []
    for _ in range(count):
        tokens.append(backend.sample())
        backend.decode(tokens[-1])
    return tokens

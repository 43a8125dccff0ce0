"""Changing weights and measuring what it cost: quantize, quality, schemes, each in a child process.

Knows the jobs' arguments and how a result gets into the library. A cancel kills the child, and
nothing is left behind.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.errors import AlreadyInstalled
from app.library.folder import InstalledModel, Library, ModelFormat, safe_name
from app.library.targets import QUANTIZED_FROM, Target
from app.quantizing.quality_file import QualityFile
from quant.checkpoint.safetensors import read_json
from quant.errors import InvalidRecipe
from quant.recipe import QuantRecipe, recipe_from_json, recipe_named
from runtime.jobs import CancelToken, OnProgress
from runtime.process.client import run_job


@dataclass(frozen=True)
class Conversion:
    """Conversions from and into one library. `find` tells what a name means, `log` gives the file
    for what the children say, `measured` keeps what conversions cost."""

    find: Callable[[str], Target]
    library: Library
    log: Callable[[], Path]
    measured: QualityFile | None = None

    def quantize(
        self,
        model: str,
        recipe: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        *,
        name: str | None = None,
        context: int | None = None,
        calibrate: Path | bool = False,
    ) -> tuple[InstalledModel, dict[str, Any]]:
        """Quantize and install. See `Session.quantize`."""
        target, library, chosen = self.find(model), self.library, load_recipe(recipe)
        source = target.local
        if name is not None and library.find(library.manifest_path(name).stem) is not None:
            raise AlreadyInstalled(path=str(library.root), name=name)
        original = target.name if target.installed else source.name.removesuffix(".gguf")
        name = name or safe_name(f"{original}-{chosen.name}".lower())
        is_onnx = chosen.family == "onnx"
        with library.staging() as staging:
            output = staging / (name if is_onnx else f"{name}.gguf")
            arguments: dict[str, Any] = {
                "source": str(source),
                "target": str(output),
                "recipe": chosen.to_json(),
                "calibrate": str(calibrate) if isinstance(calibrate, Path) else calibrate,
                "static_context": context,
            }
            job = "export_onnx" if is_onnx else "quantize_gguf"
            report = run_job(job, arguments, on_progress, cancel, self.log())
            quantized = library.add(
                output,
                name=name,
                format=chosen.family,
                source=f"{QUANTIZED_FROM}{target.name}",
                licence=target.entry.licence if target.entry else None,
                recipe=chosen.name,
                replace=True,
                cancel=cancel,
            )
        return quantized, report

    def for_each_engine(
        self,
        model: InstalledModel,
        folder: Path,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> list[InstalledModel]:
        """The default 4-bit builds of a model, written into `folder` and not installed."""
        builds = []
        made: tuple[tuple[str, ModelFormat, str], ...] = (
            ("quantize_gguf", "gguf", "q4_0"),
            ("export_onnx", "onnx", "onnx-q4-b32"),
        )
        for job, form, recipe in made:
            path = folder / f"{model.name}.{form}"
            arguments = {"source": str(model.path), "target": str(path), "recipe": recipe}
            run_job(job, arguments, on_progress, cancel, self.log())
            builds.append(replace(model, path=path, format=form, recipe=recipe))
        return builds

    def quality(
        self,
        model: str,
        against: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        *,
        texts: Sequence[Path] = (),
        quick: bool = False,
    ) -> dict[str, Any]:
        """What a quantized model lost against its source over `texts` (else the bundled ones), or
        over the beginnings of them: a QualityReport as JSON. Raises EngineError, QuantError,
        Cancelled."""
        source, target = self.find(against), self.find(model)
        arguments = {"source": str(source.local), "target": str(target.local)}
        report = self._measure("quality", arguments, texts, quick, on_progress, cancel)
        if target.installed is not None and self.measured is not None:
            self.measured.put(target.installed.sha256, source.name, report)
        return report

    def schemes(
        self,
        model: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        *,
        texts: Sequence[Path] = (),
        quick: bool = False,
    ) -> dict[str, Any]:
        """The model at 4 bits per tensor, per channel and per block, each against itself."""
        arguments = {"source": str(self.find(model).local)}
        return self._measure("schemes", arguments, texts, quick, on_progress, cancel)

    def _measure(
        self,
        job: str,
        arguments: dict[str, Any],
        texts: Sequence[Path],
        quick: bool,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> dict[str, Any]:
        """Run a job that may write full-precision files, which a cancelled one cannot remove."""
        own = {str(path): str(path.absolute()) for path in texts}
        with self.library.staging() as staging:
            arguments = {**arguments, "texts": own, "quick": quick, "folder": str(staging)}
            return run_job(job, arguments, on_progress, cancel, self.log())


def load_recipe(recipe: str) -> QuantRecipe:
    """A recipe by its name, or a person's own from a file ending in .json. Raises InvalidRecipe,
    CorruptCheckpoint where the file is no JSON document."""
    if not recipe.endswith(".json"):
        return recipe_named(recipe)
    data = read_json(Path(recipe))
    if not isinstance(data, dict):
        raise InvalidRecipe(field="formats", reason=f"{recipe} is no JSON object")
    return recipe_from_json(data)

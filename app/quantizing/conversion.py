"""Changing weights and measuring what it cost: quantize, quality, schemes, each in a child process.

Knows the jobs' arguments and how a result gets into the library. A cancel kills the child, and
nothing is left behind.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from app.errors import AlreadyInstalled
from app.library.folder import InstalledModel, Library, safe_name
from app.library.targets import QUANTIZED_FROM, Target
from app.quantizing.budget import Budget
from app.quantizing.gate import convert_gated
from app.quantizing.output import check_free, placed
from app.quantizing.quality_file import QualityFile
from app.quantizing.requantizing import Requantizing, loses_again
from quant.checkpoint.safetensors import read_json
from quant.errors import InvalidRecipe
from quant.quality.figures import PairedReport, QualityReport, SchemesReport
from quant.quality.texts import TextSet
from quant.recipe import QuantRecipe, QuantReport, recipe_from_json, recipe_named
from runtime.errors import InvalidRequest
from runtime.process.client import run_job
from runtime.process.job_table import (
    EXPORT_ONNX,
    QUALITY,
    QUALITY_PAIR,
    QUANTIZE_GGUF,
    QUANTIZE_TO_SIZE,
    SCHEMES,
)
from runtime.process.job_values import (
    DEFAULT_STATIC_CONTEXT,
    ExportArgs,
    PairArgs,
    QualityArgs,
    QuantizeArgs,
    SchemesArgs,
    SizeArgs,
)
from runtime.progress import CancelToken, OnProgress


@dataclass(frozen=True)
class Scoring:
    """What models are measured on: a person's own texts, else a bundled set; a quick measurement
    takes short parts of each, within 50 s. It ends after `seconds` with what it has."""

    texts: tuple[Path, ...] = ()
    bundled: TextSet = "evaluation"
    quick: bool = False
    seconds: int | None = None


EVALUATION = Scoring()
MEASURE_SECONDS = 300  # the window measures no longer


@dataclass(frozen=True)
class Conversion:
    """Conversions from and into one library. `find` tells what a name means, `requantizing` whether
    that is quantized already, `log` gives the file for what the children say, `measured` keeps what
    conversions cost."""

    find: Callable[[str], Target]
    requantizing: Callable[[Target], Requantizing | None]
    library: Library
    log: Callable[[], Path]
    measured: QualityFile | None = None

    def quantize(
        self,
        model: str,
        recipe: str | Budget,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        *,
        name: str | None = None,
        context: int | None = None,
        calibrate: Path | bool = False,
        requantize: bool = False,
    ) -> tuple[InstalledModel, QuantReport]:
        """Quantize and install. See `Session.quantize`."""
        target, library, chosen = self.find(model), self.library, _chosen(recipe)
        source = target.local
        if name is not None and library.find(library.manifest_path(name).stem) is not None:
            raise AlreadyInstalled(path=str(library.root), name=name)
        original = target.name if target.installed else source.name.removesuffix(".gguf")
        name = name or safe_name(f"{original}-{chosen.name}".lower())
        self._refuse_requantizing(target, chosen, requantize)
        is_onnx = chosen.family == "onnx"
        with library.staging() as staging:
            output = staging / (name if is_onnx else f"{name}.gguf")
            convert = self._conversion_of(source, output, chosen, calibrate, context)
            report = convert(on_progress, cancel)
            quantized = library.add(
                output,
                name=name,
                format=chosen.family,
                source=f"{QUANTIZED_FROM}{target.name}",
                licence=target.entry.licence if target.entry else None,
                recipe=report.recipe,
                replace=True,
                cancel=cancel,
            )
        return quantized, report

    def quantize_to(
        self,
        path: Path,
        model: str,
        recipe: str | Budget,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        *,
        context: int | None = None,
        calibrate: Path | bool = False,
        requantize: bool = False,
    ) -> QuantReport:
        """Quantize into a file or folder outside the library. See `Session.quantize_to`."""
        target, chosen = self.find(model), _chosen(recipe)
        check_free(path, self.library.root, folder=chosen.family == "onnx")
        self._refuse_requantizing(target, chosen, requantize)
        with placed(path) as output:
            convert = self._conversion_of(target.local, output, chosen, calibrate, context)
            report = convert(on_progress, cancel)
        return replace(report, target=str(path))

    def _refuse_requantizing(
        self, target: Target, chosen: QuantRecipe | Budget, knowingly: bool
    ) -> None:
        """Raises AlreadyQuantized."""
        loses = isinstance(chosen, Budget) or loses_again(chosen)
        found = self.requantizing(target) if loses and not knowingly else None
        if found is not None:
            raise found.error()

    def _conversion_of(
        self,
        source: Path,
        output: Path,
        chosen: QuantRecipe | Budget,
        calibrate: Path | bool,
        context: int | None,
    ) -> Callable[[OnProgress, CancelToken | None], QuantReport]:
        """The job that makes `output`."""
        text = str(calibrate) if isinstance(calibrate, Path) else calibrate
        if isinstance(chosen, Budget):
            sized = SizeArgs(
                source,
                output,
                chosen.name,
                chosen.size,
                chosen.bits,
                chosen.sensitivities,
                calibrate=text or True,  # what errors cost is measured on a text
            )
            return lambda report, cancel: run_job(
                QUANTIZE_TO_SIZE, sized, report, cancel, self.log()
            )
        args = QuantizeArgs(source, output, chosen, calibrate=text)
        return lambda report, cancel: self._gated(args, context, report, cancel)

    def _gated(
        self,
        args: QuantizeArgs,
        context: int | None,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> QuantReport:
        """See `convert_gated`."""
        with self._folder() as folder:

            def compare(source: Path, first: Path, second: Path) -> PairedReport:
                pair = PairArgs(
                    quick=True, folder=folder, source=source, first=first, second=second
                )
                return run_job(QUALITY_PAIR, pair, on_progress, cancel, self.log())

            def convert(wanted: QuantizeArgs) -> QuantReport:
                return self._convert(wanted, context, on_progress, cancel)

            return convert_gated(args, folder, convert, compare)

    def _convert(
        self,
        args: QuantizeArgs,
        context: int | None,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> QuantReport:
        """By the engine that the recipe is for. Raises InvalidRequest."""
        if args.recipe.family == "gguf":
            return run_job(QUANTIZE_GGUF, args, on_progress, cancel, self.log())
        positions = DEFAULT_STATIC_CONTEXT if context is None else context
        if positions < 0:
            raise InvalidRequest(field="n_ctx", reason="at_least", value=positions, minimum=0)
        export = ExportArgs(**structs.asdict(args), static_context=positions)
        return run_job(EXPORT_ONNX, export, on_progress, cancel, self.log())

    def for_each_engine(
        self,
        model: InstalledModel,
        folder: Path,
        recipes: Sequence[QuantRecipe],
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> list[InstalledModel]:
        """Builds of a model by recipes of one family each, written into `folder` and not
        installed."""
        builds = []
        for recipe in recipes:
            path = folder / f"{model.name}.{recipe.family}"
            args = QuantizeArgs(model.path, path, recipe)
            self._convert(args, None, on_progress, cancel)
            builds.append(replace(model, path=path, format=recipe.family, recipe=recipe.name))
        return builds

    def quality(
        self,
        model: str,
        against: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        scoring: Scoring = EVALUATION,
    ) -> QualityReport:
        """What a quantized model lost against its source; kept if measured on the evaluation set.
        Raises EngineError, QuantError, Cancelled."""
        source, target = self.find(against), self.find(model)
        with self._folder() as folder:
            args = QualityArgs(
                _named(scoring.texts),
                scoring.quick,
                folder=folder,
                bundled=scoring.bundled,
                seconds=scoring.seconds,
                source=source.local,
                target=target.local,
            )
            report = run_job(QUALITY, args, on_progress, cancel, self.log())
        comparable = scoring.bundled == "evaluation" and not scoring.texts
        if comparable and target.installed is not None and self.measured is not None:
            self.measured.put(target.installed.sha256, source.name, report)
        return report

    def pair(
        self,
        first: str,
        second: str,
        against: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        scoring: Scoring = EVALUATION,
    ) -> PairedReport:
        """Which of two models made from one source is closer to it. Raises as `quality`."""
        source, *both = (self.find(name).local for name in (against, first, second))
        with self._folder() as folder:
            args = PairArgs(
                _named(scoring.texts),
                scoring.quick,
                folder=folder,
                bundled=scoring.bundled,
                seconds=scoring.seconds,
                source=source,
                first=both[0],
                second=both[1],
            )
            return run_job(QUALITY_PAIR, args, on_progress, cancel, self.log())

    def schemes(
        self,
        model: str,
        on_progress: OnProgress,
        cancel: CancelToken | None,
        scoring: Scoring = EVALUATION,
    ) -> SchemesReport:
        """The model at 4 bits per tensor, per channel and per block, each against itself; takes the
        time it takes."""
        source = self.find(model).local
        with self._folder() as folder:
            args = SchemesArgs(
                _named(scoring.texts),
                scoring.quick,
                folder=folder,
                bundled=scoring.bundled,
                source=source,
            )
            return run_job(SCHEMES, args, on_progress, cancel, self.log())

    def _folder(self) -> AbstractContextManager[Path]:
        """For the full-precision files of a job, which a cancelled one cannot remove."""
        return self.library.staging()


def _named(texts: Sequence[Path]) -> dict[str, Path]:
    return {str(path): path.absolute() for path in texts}


def _chosen(recipe: str | Budget) -> QuantRecipe | Budget:
    return recipe if isinstance(recipe, Budget) else load_recipe(recipe)


def load_recipe(recipe: str) -> QuantRecipe:
    """A recipe by its name, or a person's own from a file ending in .json. Raises InvalidRecipe,
    CorruptCheckpoint where the file is no JSON document."""
    if not recipe.endswith(".json"):
        return recipe_named(recipe)
    data = read_json(Path(recipe))
    if not isinstance(data, dict):
        raise InvalidRecipe(field="formats", reason="not_object", value=str(recipe))
    return recipe_from_json(data)

"""Which engine runs a model that is installed for several: timed here, stored and looked up.

Knows which installed models are the same one, the file of choices and the measuring job's
arguments; `runtime.planning.engine_choice` times and chooses.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from app.library.folder import InstalledModel, Library
from app.library.targets import made_from
from runtime import registry
from runtime.devices import Device
from runtime.planning.engine_choice import (
    ChoiceFile,
    EngineCandidate,
    EngineChoice,
    choice_key,
    choose_engine,
)
from runtime.process.client import run_job
from runtime.process.job_table import MEASURE_ENGINES
from runtime.process.job_values import EnginesArgs
from runtime.progress import CancelToken, OnProgress

# Two builds of one model whose sizes differ by more hold weights of different precision: taking one
# for the other would change the answers.
SAME_SIZE = 1.5


def engine_for(model: InstalledModel) -> str | None:
    """The engine that is tried first for a model's format; None for a checkpoint."""
    return next((each.name for each in registry.reading((model.format,))), None)


def same_models(model: InstalledModel, library: Library) -> tuple[InstalledModel, ...]:
    """`model`, then for each other engine what is installed of about its size and was made from the
    same model, the nearest first: one, and all where an engine's builds differ in kind (of ONNX
    folders, which have 4 bits throughout, in their blocks; GGUF files differ in precision)."""
    origin, same, done = made_from(model, library), [model], {engine_for(model)}
    for other in sorted(library.installed(), key=lambda each: abs(each.size - model.size)):
        engine = engine_for(other)
        smaller, larger = sorted((other.size, model.size))
        if engine is None or engine in done or larger > SAME_SIZE * smaller:
            continue
        if made_from(other, library) == origin:
            same.append(other)
            if not registry.engine(engine).several_builds:
                done.add(engine)
    return tuple(same)


class Engines:
    """The choices made on this machine. `log` gives the log file of the measuring child."""

    def __init__(self, file: Path, log: Callable[[], Path]) -> None:
        self._file = ChoiceFile(file)
        self._log = log

    def kept(self, models: Sequence[InstalledModel], cpu: Device, n: int) -> EngineChoice | None:
        """What was found for these models with `n` threads; None where nothing was, or something
        it depends on has changed."""
        return self._file.get(_key(models, cpu, n), [str(model.path) for model in models])

    def latest(self) -> EngineChoice | None:
        """What was found last, for whichever model."""
        return self._file.latest()

    def measure(
        self,
        models: Sequence[InstalledModel],
        cpu: Device,
        n: int,
        *,
        together: bool,
        on_progress: OnProgress,
        cancel: CancelToken | None,
    ) -> EngineChoice:
        """Time all and keep the choice. Raises InvalidRequest where none runs, Cancelled."""
        args = EnginesArgs(tuple(_candidates(models)), n, together)
        answer = run_job(MEASURE_ENGINES, args, on_progress, cancel, self._log())
        choice = choose_engine(answer.measurements)
        self._file.put(_key(models, cpu, n), choice)
        return choice


def _candidates(models: Sequence[InstalledModel]) -> list[EngineCandidate]:
    named = [(engine_for(model), str(model.path)) for model in models]
    order = [each.name for each in registry.engines()]
    # In a fixed order, so that the key is the same whichever of them is asked for.
    return sorted(
        (EngineCandidate(engine, path) for engine, path in named if engine),
        key=lambda candidate: order.index(candidate.engine),
    )


def _key(models: Sequence[InstalledModel], cpu: Device, threads: int) -> str:
    digests = {str(model.path): model.sha256 for model in models}
    return choice_key(_candidates(models), digests, cpu.name, threads)

"""Plans for one user's models: each build of a model, on each device, with the faster engine.

Combines the library, file headers, the devices and what was measured here. Loads nothing;
`runtime.planning.placement` decides where a model goes, `runtime.planning.engine_choice` which
engine runs it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from app.downloads.acquisition import HUB_PREFIX, Acquisition
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel, Library
from app.library.targets import QUANTIZED_FROM, Target
from app.planning.alternatives import Known, smaller_model
from app.planning.engine_timings import Engines, engine_for, same_models
from app.planning.inspection import Inspection, catalog_model, plan_model
from app.planning.learning import Learning
from app.quantizing.quality_file import QualityFile
from quant.recipe import QuantRecipe
from runtime import registry
from runtime.devices import Device
from runtime.errors import DeviceUnavailable, DoesNotFit, EngineError, OutOfMemory, WorkerDied
from runtime.plan import Interval, Plan, PlanModel, PlanRequest, Reason
from runtime.planning.candidates import fits, shortage, tight
from runtime.planning.engine_choice import EngineChoice, choose_plan
from runtime.planning.exact_memory import exact_memory
from runtime.planning.nearest_fit import less_on, next_fit
from runtime.planning.placement import plan as make_plan
from runtime.planning.plan_parts import Part, parts
from runtime.process.client import Worker, run_job
from runtime.process.job_table import SIMULATE_MEMORY
from runtime.process.job_values import DEFAULT_PROMPT_TOKENS, MemoryArgs
from runtime.progress import CancelToken, OnProgress, ignore_progress
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

_SHORT_CONTEXT = 512  # tokens, enough to time an engine with


@dataclass(frozen=True)
class Planning:
    """Plans by the settings as they are now. `find` resolves a name, `devices` gives the devices as
    the next model will find them, `threads` is the user's setting, `recipe_of` tells the format
    that a catalog model would be downloaded in."""

    find: Callable[[str], Target]
    catalog: Sequence[CatalogEntry]
    devices: Callable[[], tuple[Device, ...]]
    library: Library
    acquisition: Acquisition
    inspection: Inspection
    learning: Learning
    engines: Engines
    threads: int | None
    measured: QualityFile
    recipe_of: Callable[[CatalogEntry], QuantRecipe]

    def plan(self, model: str, request: PlanRequest) -> Plan:
        """Where a model would go here. Of one that is installed for several engines, the plan with
        the faster one. Raises DoesNotFit or a related error."""
        try:
            return self._plan(model, request)
        except DoesNotFit as error:
            error.smaller_model = self._smaller(self._known(model), request, self.devices())
            raise

    def _plan(self, model: str, request: PlanRequest) -> Plan:
        if model.startswith(HUB_PREFIX):
            return self.plan_for(self.model(model), request)
        builds = self.builds(model, request.engine)
        plans: list[Plan] = []
        refusals: list[EngineError] = []
        for build in _one_each(builds):
            try:
                plans.append(self.plan_for(self.model_of(build), request))
            except EngineError as error:
                refusals.append(error)
        if not plans:  # a build whose engine cannot use a device is the least useful refusal
            raise min(refusals, key=lambda error: isinstance(error, DeviceUnavailable))
        chosen = choose_plan(plans, self._choice(builds, plans[0].placement.n_threads_batch))
        return self._with_build(chosen, builds, self.find(model).name)

    def plan_for(self, model: PlanModel, request: PlanRequest | None = None) -> Plan:
        """`plan` for a model known only by its header. Raises DoesNotFit or a related error."""
        request = request or PlanRequest(n_threads=self.threads)
        devices, speed = self.devices(), self.learning.load().speed
        if speed is not None:
            speed = speed.linked(devices)
        plan = make_plan(model, devices, request, speed)
        told = speed.reasons(plan.placement) if speed is not None else ()
        return replace(plan, reasons=(*plan.reasons, *told))

    def first_token(self, model: str, plan: Plan, prompt_tokens: int) -> Interval | None:
        """Predicted seconds from a prompt of so many tokens to the first new one; None where the
        machine, or a device of the plan, was not measured."""
        speed = self.learning.load().speed
        if speed is None or not speed.can_predict(plan.placement):
            return None
        hub = model.startswith(HUB_PREFIX)
        known = self.model(model) if hub else self.model_of(self.build(model, plan))
        return speed.time_to_first_token(known, plan.placement, prompt_tokens)

    def parts(self, model: str, plan: Plan) -> tuple[Part, ...]:
        """What each part of the model takes where, in bytes and, where predicted, time."""
        known = self.model_of(self.build(model, plan))
        speed = self.learning.load().speed
        predicted = (
            speed is not None and plan.speed is not None and speed.can_predict(plan.placement)
        )
        terms = speed.decode_terms(known, plan.placement, 0) if speed and predicted else {}
        return parts(plan, known, terms)

    def confirmed(self, model: str, plan: Plan, worker: Worker) -> Plan:
        """The plan as the engine in `worker` confirms it, where it is tight: elsewhere the
        error of the formula does not matter, and the engine would read the vocabulary twice.
        Raises DoesNotFit."""
        return self.exact(model, plan, worker) if plan.fits == "tight" else plan

    def out_of_memory_error(
        self, model: str, failed: Plan, device: str, error: EngineError
    ) -> EngineError:
        """The error of a model whose memory ran out on `device`, with the next plan that fits."""
        devices = less_on(device, failed, self.devices())
        request = replace(failed.request, n_ctx=failed.placement.n_ctx)
        try:
            suggestion = next_fit(self.model_of(self.build(model, failed)), devices, failed)
            smaller = self._smaller(self._known(model), request, devices)
        except EngineError:  # the file may be gone by now; the original error still counts
            logger.exception("no other plan was found")
            return error
        if isinstance(error, DoesNotFit | OutOfMemory | WorkerDied):
            error.suggestion, error.smaller_model = suggestion, smaller
        return error

    def _smaller(
        self, refused: Known, request: PlanRequest, devices: Sequence[Device]
    ) -> str | None:
        def here(model: PlanModel) -> bool:
            n_ctx = request.n_ctx and min(request.n_ctx, model.longest_context)
            try:
                make_plan(model, devices, replace(request, n_ctx=n_ctx))
            except EngineError:
                return False
            return True

        return smaller_model(refused, self._others(), here)

    def _known(self, name: str) -> Known:
        entry = None if name.startswith(HUB_PREFIX) else self.find(name).entry
        return Known(name, entry, self.model(name))

    def _others(self) -> Iterator[Known]:
        """What is installed, and the catalog's models that are not."""
        installed = [self.find(each.name) for each in self.library.installed()]
        for target in installed:
            try:
                yield Known(target.name, target.entry, self.model_of(target))
            except EngineError as error:  # a damaged file is no alternative
                logger.info("an alternative was not considered: %s", summary_of(error))
        here = {target.entry.id for target in installed if target.entry is not None}
        for entry in self.catalog:
            if entry.id not in here:
                yield Known(entry.id, entry, catalog_model(entry))

    def exact(self, model: str, plan: Plan, worker: Worker | None = None) -> Plan:
        """The plan with the memory that the engine itself reports, found by a child that allocates
        nothing (`worker`, which is then as good as new, or one of its own); as it is where the file
        is not here or the engine cannot tell. Raises DoesNotFit."""
        simulator = registry.engine(plan.placement.engine).simulator
        if model.startswith(HUB_PREFIX) or not simulator:
            return plan
        path = self.build(model, plan).path
        if path is None:
            return plan
        args = MemoryArgs(path, plan.placement)
        try:
            if worker is not None:
                report = worker.run_job(SIMULATE_MEMORY, args, stall_seconds=60)
            else:
                log = self.inspection.log()
                report = run_job(SIMULATE_MEMORY, args, log=log, stall_seconds=60)
        except EngineError:
            logger.exception("the engine could not simulate its memory")
            return plan
        memory = exact_memory(plan.memory, report)
        if not fits(memory):
            lacking = shortage(memory)
            error = DoesNotFit(**vars(lacking))
            raise self.out_of_memory_error(model, plan, lacking.device, error)
        return replace(plan, memory=memory, fits="tight" if tight(memory) else "fits")

    # -- models ------------------------------------------------------------------------------

    def model(self, name: str) -> PlanModel:
        """What the planner must know of a model: its header's facts, or the catalog's."""
        if name.startswith(HUB_PREFIX):
            return plan_model(self.acquisition.read_header(name), None)
        return self.model_of(self.find(name))

    def model_of(self, target: Target) -> PlanModel:
        if target.path is None:
            assert target.entry is not None
            return catalog_model(target.entry, self.recipe_of(target.entry))
        return plan_model(self.inspection.inspect(target.path), target.entry)

    def builds(self, name: str, engine: str | None = None) -> list[Target]:
        """What a name means, and the same model for other engines; with `engine`, what it reads."""
        target = self.find(name)
        if target.installed is None:
            return [target]
        builds = [
            replace(target, path=each.path, installed=each)
            for each in self._preferred(same_models(target.installed, self.library))
        ]
        if engine is None:
            return builds
        formats = registry.engine(engine).formats
        read = [each for each in builds if each.installed and each.installed.format in formats]
        return read or [target]

    def _preferred(self, same: tuple[InstalledModel, ...]) -> tuple[InstalledModel, ...]:
        """The builds in an order in which the first for an engine is its best: the chosen one, then
        the faster."""
        named, *others = same
        if len(others) < 2:
            return same
        choice = self.engines.kept(same, self._cpu(), self.threads or self._cpu().cores)
        if choice is None:
            return same
        speeds = {one.path: one.decode_tps for one in choice.measurements}

        def rank(build: InstalledModel) -> tuple[bool, float]:
            return str(build.path) != choice.path, -speeds.get(str(build.path), 0.0)

        return (named, *sorted(others, key=rank))

    def _with_build(self, plan: Plan, builds: list[Target], named: str) -> Plan:
        """The plan, with a reason that names the build where that is not the one asked for, and
        what it lost where that was measured."""
        engine = plan.placement.engine
        chosen = next(
            (b.installed for b in builds if b.installed and engine_for(b.installed) == engine), None
        )
        if chosen is None or chosen.name == named:
            return plan
        code, facts = "other_build", {"build": chosen.name}
        if lost := self.measured.get(chosen.sha256):
            code = "other_build_damaged" if lost.kl_mean is None else "other_build_measured"
            facts = {**facts, **asdict(lost)}
        elif chosen.source.startswith(QUANTIZED_FROM):
            code = "other_build_unmeasured"
            facts["source"] = chosen.source.removeprefix(QUANTIZED_FROM)
        reason = Reason(code, facts)
        return replace(plan, reasons=(*plan.reasons[:1], reason, *plan.reasons[1:]))

    def build(self, name: str, plan: Plan) -> Target:
        """The build of a model that a plan is for."""
        return self.builds(name, plan.placement.engine)[0]

    # -- engines -----------------------------------------------------------------------------

    def time_engines(
        self,
        name: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> EngineChoice | None:
        """Time the engines a model is installed for, on the processor, and keep the result; None
        where there is only one. Raises EngineError, Cancelled."""
        builds = self._largest_group(name)
        if len(builds) < 2:
            return None
        self.measure(_installed(builds), on_progress, cancel)
        return self.engine_choice(name)

    def measure(
        self, builds: list[InstalledModel], on_progress: OnProgress, cancel: CancelToken | None
    ) -> EngineChoice:
        """Time builds of one model, keep which was faster and learn from both."""
        models = [plan_model(self.inspection.inspect(build.path), None) for build in builds]
        request = PlanRequest(device="cpu", n_ctx=_SHORT_CONTEXT, n_threads=self.threads)
        plans, cpu = [self.plan_for(each, request) for each in models], self._cpu()
        choice = self.engines.measure(
            builds,
            cpu,
            plans[0].placement.n_threads_batch,
            together=sum(plan.memory.total for plan in plans) <= cpu.memory_free,
            on_progress=on_progress,
            cancel=cancel,
        )
        measured = {one.path: one for one in choice.measurements if not one.failed}
        for build, each, plan in zip(builds, models, plans, strict=True):
            found = measured.get(str(build.path))
            if found is not None:
                self.learning.learn_decode(each, plan.placement, found.depth, found.decode_tps)
                self.learning.learn_prefill(
                    each, plan.placement, DEFAULT_PROMPT_TOKENS, found.prefill_tps
                )
        return choice

    def engine_choice(self, name: str) -> EngineChoice | None:
        """What `time_engines` found for a model; None where that is not known or has changed."""
        builds = self.builds(name)
        if len(builds) < 2:
            return None
        return self._choice(builds, self.threads or self._cpu().cores)

    def untimed(self) -> list[str]:
        """Models that are installed for several engines which were not timed yet, each once."""
        names: dict[frozenset[str], str] = {}
        for model in self.library.installed():
            same = same_models(model, self.library)
            if len(same) > 1 and self.engine_choice(model.name) is None:
                names.setdefault(frozenset(each.name for each in same), model.name)
        return [name for group, name in names.items() if not any(group < other for other in names)]

    def _largest_group(self, name: str) -> list[Target]:
        """What a name's builds are timed with: one of a few ONNX folders is one of a GGUF file's
        builds, and timing those answers for it too."""
        groups = [self.builds(each.name) for each in _installed(self.builds(name))]
        return max(groups, key=len, default=[])

    def _choice(self, builds: list[Target], threads: int) -> EngineChoice | None:
        if len(builds) < 2:
            return None
        return self.engines.kept(_installed(builds), self._cpu(), threads)

    def _cpu(self) -> Device:
        return next(device for device in self.devices() if device.id == "cpu")


def _one_each(builds: list[Target]) -> list[Target]:
    """The first build for each engine."""
    first: dict[str | None, Target] = {}
    for build in builds:
        first.setdefault(engine_for(build.installed) if build.installed else None, build)
    return list(first.values())


def _installed(builds: list[Target]) -> list[InstalledModel]:
    return [build.installed for build in builds if build.installed is not None]

"""Plans for one user's models: each build of a model, on each device, with the faster engine.

Joins the library, what headers tell, the devices and what this machine has taught. Loads nothing;
`runtime.placement` decides where a model goes, `runtime.engine_choice` which engine runs it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from app.acquisition import HUB_PREFIX, Acquisition
from app.engines import Engines, same_models
from app.inspection import Inspection, catalog_model, plan_model
from app.learning import Learning
from app.library import InstalledModel, Library
from app.targets import Target
from runtime.backend import DESCRIPTORS
from runtime.client import run_job
from runtime.devices import Device
from runtime.engine_choice import EngineChoice, choose_plan
from runtime.errors import DeviceUnavailable, EngineError
from runtime.exact_memory import exact_memory
from runtime.jobs import CancelToken, OnProgress, ignore_progress
from runtime.placement import fits, tight
from runtime.placement import plan as make_plan
from runtime.plan import EngineName, Plan, PlanModel, PlanRequest

logger = logging.getLogger(__name__)

_SHORT_CONTEXT = 512  # tokens, enough to time an engine with


@dataclass(frozen=True)
class Planning:
    """Plans by the settings as they are now. `find` tells what a name means, `devices` what the
    next model will find, `threads` is what the user fixed."""

    find: Callable[[str], Target]
    devices: Callable[[], tuple[Device, ...]]
    library: Library
    acquisition: Acquisition
    inspection: Inspection
    learning: Learning
    engines: Engines
    threads: int | None

    def plan(self, model: str, request: PlanRequest) -> Plan:
        """Where a model would go here. Of one that is installed for several engines, the plan with
        the faster one. Raises DoesNotFit and its kin."""
        if model.startswith(HUB_PREFIX):
            return self.plan_for(self.model(model), request)
        builds = self.builds(model, request.engine)
        plans: list[Plan] = []
        refusals: list[EngineError] = []
        for build in builds:
            try:
                plans.append(self.plan_for(self.model_of(build), request))
            except EngineError as error:
                refusals.append(error)
        if not plans:  # that one build's engine does not reach a device says least
            raise min(refusals, key=lambda error: isinstance(error, DeviceUnavailable))
        return choose_plan(plans, self._choice(builds, plans[0].placement.n_threads))

    def plan_for(self, model: PlanModel, request: PlanRequest | None = None) -> Plan:
        """`plan` for what is known of a model without having it. Raises DoesNotFit and its kin."""
        request = request or PlanRequest(n_threads=self.threads)
        return make_plan(model, self.devices(), request, self.learning.load().speed)

    def exact(self, model: str, plan: Plan) -> Plan:
        """The plan with the memory that the engine itself reports, found by a child that allocates
        nothing; as it is where the file is not here or the engine cannot tell."""
        if model.startswith(HUB_PREFIX) or plan.placement.engine != "llamacpp":
            return plan
        path = self.build(model, plan).path
        if path is None:
            return plan
        arguments = {"path": str(path), "placement": msgspec.to_builtins(plan.placement)}
        try:
            log = self.inspection.log()
            report = run_job("simulate_memory", arguments, log=log, stall_seconds=60)
        except EngineError:
            logger.exception("the engine could not simulate its memory")
            return plan
        memory = exact_memory(plan.memory, report)
        if not fits(memory):
            return replace(plan, memory=memory, fits="does_not_fit")
        return replace(plan, memory=memory, fits="tight" if tight(memory) else "fits")

    # -- models ------------------------------------------------------------------------------

    def model(self, name: str) -> PlanModel:
        """What the planner must know of a model: its header's facts, or the catalog's."""
        if name.startswith(HUB_PREFIX):
            return plan_model(self.acquisition.look(name), None)
        return self.model_of(self.find(name))

    def model_of(self, target: Target) -> PlanModel:
        if target.path is None:
            assert target.entry is not None
            return catalog_model(target.entry)
        return plan_model(self.inspection.inspect(target.path), target.entry)

    def builds(self, name: str, engine: EngineName | None = None) -> list[Target]:
        """What a name means, and the same model for other engines; with `engine`, what it reads."""
        target = self.find(name)
        if target.installed is None:
            return [target]
        builds = [
            replace(target, path=each.path, installed=each)
            for each in same_models(target.installed, self.library)
        ]
        if engine is None:
            return builds
        formats = DESCRIPTORS[engine].formats
        read = [each for each in builds if each.installed and each.installed.format in formats]
        return read or [target]

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
        builds = self.builds(name)
        if len(builds) < 2:
            return None
        return self.measure(_installed(builds), on_progress, cancel)

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
            plans[0].placement.n_threads,
            together=sum(plan.memory.total for plan in plans) <= cpu.memory_free,
            on_progress=on_progress,
            cancel=cancel,
        )
        measured = {one.engine: one for one in choice.measurements if not one.failed}
        for each, plan in zip(models, plans, strict=True):
            found = measured.get(plan.placement.engine)
            if found is not None:
                self.learning.learn_decode(each, plan.placement, found.depth, found.decode_tps)
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
        return list(names.values())

    def _choice(self, builds: list[Target], threads: int) -> EngineChoice | None:
        if len(builds) < 2:
            return None
        return self.engines.kept(_installed(builds), self._cpu(), threads)

    def _cpu(self) -> Device:
        return next(device for device in self.devices() if device.id == "cpu")


def _installed(builds: list[Target]) -> list[InstalledModel]:
    return [build.installed for build in builds if build.installed is not None]

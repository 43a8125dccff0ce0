"""The value pipeline in order: catalog, install, inspect, plan, quantize, load, generate, store.

The only module that knows the order; window, command line and server all use it. Methods
block and are meant for worker threads; callbacks run on the calling thread. Knows no widget and
contains no texts.
"""

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, cast
from uuid import uuid4

import psutil

from app.downloads.acquisition import HUB_PREFIX
from app.history.runs import LoadedModel, with_memory_returned
from app.history.saved_context import SavedContexts
from app.history.store import Store
from app.hub.values import RepoDetails, Variant
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel
from app.library.targets import Target
from app.paths import Paths
from app.planning.alternatives import memory_ran_out
from app.planning.cpu_library import CpuLibrary
from app.planning.draft_model import with_draft, with_draft_or_reason
from app.planning.engine_timings import Engines
from app.planning.formats import PATIENCE_SECONDS, Formats, recommended, usual_recipe
from app.planning.inspection import Inspection
from app.planning.learning import Learning, default_learning
from app.planning.machine import Machine, Probe, failed_device, measurable, probe_in_child
from app.planning.planner import Planning
from app.quantizing.budget import Budget
from app.quantizing.conversion import Conversion
from app.quantizing.quality_file import KeptQuality, QualityFile
from app.quantizing.requantizing import Requantizing, requantizing
from app.session.answer_stream import AnswerPart, stream_answer
from app.session.run_log import RunLog
from app.session.user_models import UserModels
from app.settings import Settings
from quant.formats import Family
from quant.recipe import QuantRecipe, QuantReport
from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.errors import DeviceUnavailable, EngineError, InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.machine import rpc
from runtime.machine.conditions import ConditionsSampler
from runtime.model.info import ModelInfo
from runtime.plan import KvCacheType, Plan, PlanModel, PlanRequest, Policy, Reason
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.diagnosis import Diagnosis
from runtime.planning.format_choice import FormatRanking, Wish
from runtime.process.client import Worker, run_job
from runtime.process.job_table import PROFILE
from runtime.process.job_values import ProfileArgs
from runtime.process.protocol import Streamed
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress, ignore_progress
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)


class Session(UserModels):
    """One user's models, one worker, one history. Thread-safe; one generation at a time."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        store: Store | None = None,
        *,
        inspection: Inspection | None = None,
        probe: Probe = probe_in_child,
    ) -> None:
        """Several sessions may share an `inspection`, and a `probe` that finds devices."""
        super().__init__(paths, settings)
        self._store = store
        self._store_lock = threading.Lock()
        self._worker: Worker | None = None
        self._contexts = SavedContexts(paths.contexts)
        self._loaded: LoadedModel | None = None
        self.cpu_library = CpuLibrary(paths.learning / "cpu-library.json", paths.worker_log)
        self._busy = threading.RLock()
        self._device_changed = False  # from a device that failed, and the next answer has to say so
        self._inspection = inspection or Inspection(self._worker_log)
        self.engines = Engines(paths.learning / "engines.json", self._worker_log)
        self._measured = QualityFile(paths.learning / "quality.json")
        self.machine = Machine(self._worker_log, lambda: self.settings.rpc_servers, probe)
        self._runs = RunLog(lambda: self.store, lambda: self.planning, self._worker_log)

    # -- parts ------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The history, opened when it is first needed."""
        with self._store_lock:
            if self._store is None:
                self._store = Store(self.paths.history)
            return self._store

    @property
    def learning(self) -> Learning:
        """What was learnt about this machine."""
        return default_learning(self.paths.learning)

    @property
    def loaded(self) -> LoadedModel | None:
        return self._loaded

    @property
    def worker_pid(self) -> int | None:
        """The process that holds the loaded model."""
        worker = self._worker
        return worker.pid if worker is not None else None

    def devices(self, *, refresh: bool = False) -> tuple[Device, ...]:
        """What this machine has, found by a child process; kept for a few seconds."""
        return self.machine.devices(refresh=refresh)

    # -- the pipeline ------------------------------------------------------------------------

    def inspect(self, model: str) -> ModelInfo:
        """Header facts of a model on this machine, or of hub:OWNER/REPO[/FILE] without its weights.

        Parsed in a child process. Raises ModelFileError, CorruptFile, UnsupportedModel,
        UnknownModel, HubError.
        """
        if model.startswith(HUB_PREFIX):
            return self.acquisition.read_header(model)
        return self._inspection.inspect(self.find(model).local)

    def plan(
        self,
        model: str,
        *,
        policy: Policy = "auto",
        device: str | None = None,
        n_ctx: int | None = None,
        kv_type: KvCacheType | None = None,
        engine: str | None = None,
        draft: str = "",
    ) -> Plan:
        """Where a model would go here, and what that takes. Raises DoesNotFit or a related error.

        Of a model that is installed for several engines, the plan with the faster one. `draft`
        names a draft model (raises DraftRefused); the one in the settings does
        where it can, and the plan says why where it cannot.
        """
        request = PlanRequest(
            policy=policy,
            device=device,
            n_ctx=n_ctx,
            kv_type=kv_type,
            engine=engine,
            n_threads=self.settings.threads or None,
        )
        planning = self.planning
        plan = planning.plan(model, request)
        if draft:
            return with_draft(planning, model, plan, draft)
        return with_draft_or_reason(planning, model, plan, self.settings.draft_model)

    @property
    def planning(self) -> Planning:
        """Plans by the settings as they are now, with what the loaded model holds given back."""
        return Planning(
            self.find,
            self.catalog,
            self._devices_for_next,
            self.library,
            self.acquisition,
            self._inspection,
            self.learning,
            self.engines,
            self.settings.threads or None,
            self._measured,
            lambda entry: self.formats.recipe_of(entry),
        )

    @property
    def formats(self) -> Formats:
        """Which format of a model to take here, by the user's wish."""
        settings = self.settings
        wish = cast(Wish, settings.prefer)
        cpu = self.machine.cpu()
        threads = settings.threads or cpu.cores or 1
        return Formats(self.plan_for, self.catalog, wish, settings.context, threads)

    def choose_variant(
        self, found: Sequence[Variant], details: RepoDetails, entry: CatalogEntry | None
    ) -> Variant:
        """Which of a repository's GGUF variants to take, by the user's wish and this machine."""
        return self.formats.choose_variant(found, details, entry)

    def plan_for(self, model: PlanModel) -> Plan:
        """`plan` for a model known only by its header. Raises DoesNotFit or a related error."""
        return self.planning.plan_for(model)

    def _devices_for_next(self) -> tuple[Device, ...]:
        devices = self.devices()
        if self._loaded is not None and self._worker is not None and self._worker.alive:
            return with_memory_returned(self._loaded, devices)
        return devices

    def load(
        self,
        model: str,
        plan: Plan | None = None,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> LoadReport:
        """Load a model in a fresh worker, in place of the one before. Raises EngineError; where
        memory is too small or ran out, it carries the next plan that fits.

        Where a device fails, the model is planned and loaded again without it: the plan of what
        is `loaded` then begins with the reason, and the next answer carries a notice.
        """
        with self._busy:
            plan = plan or self.plan(model)
            self.unload()
            while True:
                target = self.planning.build(model, plan)
                worker = Worker.start(self._worker_log())
                try:
                    plan = self.planning.confirmed(model, plan, worker)
                    report = worker.load(str(target.local), plan.placement, on_progress, cancel)
                    break
                except EngineError as error:
                    worker.close()
                    plan = self._plan_after_failure(model, plan, error)
                except BaseException:
                    worker.close()
                    raise
            self._worker = worker
            self.machine.in_use = frozenset(part.device for part in plan.placement.layers)
            profile = target.entry.chat if target.entry else None
            self._loaded = LoadedModel(target, plan, report, profile)
            return report

    def _plan_after_failure(self, model: str, plan: Plan, error: EngineError) -> Plan:
        """A plan without the accelerator that failed, by what else was asked for; or the same plan
        with another CPU library. Raises the error where neither failed, or where nothing else is
        left; where memory ran out, with the next plan that fits."""
        if self.cpu_library.switch_library_after(error):
            return plan
        short = memory_ran_out(error)
        if short is not None:
            raise self.planning.out_of_memory_error(model, plan, short, error)
        failed = failed_device(plan.placement, error)
        if failed is None:
            raise error
        device, code = failed
        logger.warning("%s failed (%s): %s", device, code, summary_of(error))
        self.machine.failed(device, code)
        try:
            request = replace(plan.request, device=None, n_ctx=plan.placement.n_ctx)
            planning = self.planning
            other = planning.plan(model, request)
            other = with_draft_or_reason(planning, model, other, self.settings.draft_model)
        except EngineError:
            raise error from None
        self._device_changed = True
        reason = Reason("device_failed", {"device": device, "why": code})
        return replace(other, reasons=(reason, *other.reasons))

    def profile(
        self,
        *,
        full: bool = False,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> BandwidthProfile:
        """Measure the bandwidth of this machine's memories, its GPUs' included, and keep the result
        unless it is doubtful and a trusted one is known. Raises Cancelled."""
        args = ProfileArgs("full" if full else "quick", tuple(measurable(self.devices())))
        profile = run_job(PROFILE, args, on_progress, cancel, self._worker_log())
        self.learning.keep_profile(profile)
        return profile

    def unload(self) -> None:
        """End the worker, if there is one, and free its memory."""
        with self._busy:
            self._save_context()
            worker, self._worker, self._loaded = self._worker, None, None
            self.machine.in_use = frozenset()
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

        `conversation` names what the request belongs to: its KV state is saved when another
        one is entered, and restored with it.
        Raises InvalidRequest when no model is loaded, WorkerDied when the worker dies meanwhile
        (DeviceUnavailable with the server's name where an RPC server died in the answer),
        Cancelled when stopped before the first token.
        """
        shown = False

        def stream(streamed: Streamed) -> None:
            nonlocal shown
            shown = True
            on_stream(streamed)

        with self._busy:
            loaded = self._loaded
            if loaded is None:
                raise InvalidRequest(field="model", reason="no_model_loaded")
            if self._worker is None or not self._worker.alive:
                self._restart(loaded, loaded.plan, on_progress, cancel)
            try:
                stats = self._generate(request, stream, cancel, on_progress, conversation)
            except EngineError as error:
                plan = self._plan_after_failure(loaded.target.name, loaded.plan, error)
                self._restart(loaded, plan, on_progress, cancel)
                if shown:  # a new answer cannot continue this one
                    failed = plan.reasons[0].facts
                    if failed.get("why") == rpc.LOST:  # more precise than that the engine ended
                        raise DeviceUnavailable(
                            device=str(failed["device"]), reason=rpc.LOST
                        ) from error
                    raise
                stats = self._generate(request, stream, cancel, on_progress, conversation)
            return self._with_device_notice(stats)

    def stream(
        self,
        request: GenerationRequest | str,
        cancel: CancelToken | None = None,
        on_progress: OnProgress = ignore_progress,
        conversation: str | None = None,
    ) -> Generator[AnswerPart, None, None]:
        """`generate` as an iterator over the parts of the answer; a text is asked as one question,
        sampled as the model's makers recommend. Closing it or leaving its loop cancels."""
        if isinstance(request, str):
            loaded = self._loaded
            sampling = self.sampling(loaded.target.name) if loaded else SamplingParams()
            request = GenerationRequest(uuid4().hex, (Message("user", request),), sampling)
        generate = partial(self.generate, on_progress=on_progress, conversation=conversation)
        return stream_answer(generate, request, cancel)

    def _with_device_notice(self, stats: GenerationStats) -> GenerationStats:
        """The stats of the first answer after a device failed, with a notice."""
        if self._device_changed:
            self._device_changed = False
            stats = replace(stats, notices=(*stats.notices, "device_changed"))
        return stats

    def _generate(
        self,
        request: GenerationRequest,
        on_stream: Callable[[Streamed], None],
        cancel: CancelToken | None,
        on_progress: OnProgress,
        conversation: str | None,
    ) -> GenerationStats:
        worker, loaded = self._worker, self._loaded
        assert worker is not None
        assert loaded is not None
        self._contexts.enter(worker, loaded.context_key, conversation)
        watch = ConditionsSampler(worker.pid)
        watch.start()
        try:
            stats = worker.generate(request, on_stream, cancel, on_progress, loaded.profile)
        finally:
            conditions = watch.stop()
        self._contexts.record_growth(stats)
        self._runs.add(loaded, stats, conditions)
        return stats

    def why_slow(self) -> Diagnosis | None:
        """The causes of the last run's slowness by weight; None before a planned run.

        Of a session without a run, the last one in the history. Raises UnknownModel where its model
        is gone.
        """
        return self._runs.why_slow()

    def _restart(
        self, loaded: LoadedModel, plan: Plan, on_progress: OnProgress, cancel: CancelToken | None
    ) -> None:
        on_progress(Progress("restart", 0, None, "steps"))
        self._contexts.forget()
        try:
            self.load(loaded.target.name, plan, on_progress, cancel)
        except BaseException:
            self._loaded = loaded  # the next prompt tries again
            raise

    def count_tokens(self, request: GenerationRequest) -> int:
        """Prompt tokens of a request with the loaded model. Raises InvalidRequest without one."""
        with self._busy:
            if self._loaded is None or self._worker is None:
                raise InvalidRequest(field="model", reason="no_model_loaded")
            return self._worker.count_tokens(request, self._loaded.profile)

    def quantize(
        self,
        model: str,
        recipe: str | Budget | None = None,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        name: str | None = None,
        context: int | None = None,
        calibrate: Path | bool = False,
        requantize: bool = False,
    ) -> tuple[InstalledModel, QuantReport]:
        """Quantize an installed model (or a file or folder) and install the result: a GGUF file, or
        an ONNX folder with NPU bodies for `context` tokens, as `recipe` (a name, or a JSON file)
        says, by default what `recipe_for` gives; or a GGUF file as large as a Budget says, its
        formats chosen by what errors cost. `calibrate` names a calibration text (True: the bundled
        one). A model that is then installed for two engines has them timed. A model that is
        quantized already is refused with AlreadyQuantized, unless `requantize` says that it is
        known.

        Runs in a child that a cancel kills; nothing is left behind then. Returns the new model and
        the report. Raises QuantError, LibraryError.
        """
        recipe = recipe or self.recipe_for(model)[0].name
        made, report = self.conversion.quantize(
            model,
            recipe,
            on_progress,
            cancel,
            name=name,
            context=context,
            calibrate=calibrate,
            requantize=requantize,
        )
        with suppress(EngineError, Cancelled):  # the new model is installed, timed or not
            self.planning.time_engines(made.name, on_progress, cancel)
        return made, report

    def quantize_to(
        self,
        path: Path,
        model: str,
        recipe: str | Budget,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        *,
        context: int | None = None,
        calibrate: Path | bool = False,
        requantize: bool = False,
    ) -> QuantReport:
        """As `quantize`, but the result becomes the file or folder `path`, whole or not at all, and
        is not installed. Raises QuantError, OutputRefused."""
        return self.conversion.quantize_to(
            path,
            model,
            recipe,
            on_progress,
            cancel,
            context=context,
            calibrate=calibrate,
            requantize=requantize,
        )

    def recipe_for(
        self,
        model: str,
        family: Family | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> tuple[QuantRecipe, Reason | None]:
        """What to quantize a model with here, by the user's wish, and why; only GGUF files or ONNX
        folders where a family is named. `patience` is how many seconds it may take at most, as far
        as can be foreseen. Raises UnknownModel, UnsupportedModel."""
        found = self.rank_recipes(model, family, patience)
        return (usual_recipe(family), None) if found is None else recommended(found[1])

    def rank_recipes(
        self,
        model: str,
        family: Family | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> tuple[ModelInfo, FormatRanking] | None:
        """A model's header facts and the recipes that make it smaller here, the one to take first;
        None where its header cannot be read or there is none. Raises UnknownModel,
        UnsupportedModel."""
        entry, info = self.find(model).entry, self.inspect_source(model)
        if info is None:
            return None
        reasoning = entry is not None and entry.chat.kind == "reasoning"
        ranking = replace(self.formats, patience=patience).of_recipes(
            info.shape, family, reasoning=reasoning, below=info.weights.total
        )
        return (info, ranking) if ranking.formats else None

    def inspect_source(self, model: str) -> ModelInfo | None:
        """`inspect` for what may be full-precision weights; None where they cannot be read. Raises
        UnknownModel, UnsupportedModel."""
        return self._inspection.inspect_source(self.find(model).local)

    @property
    def conversion(self) -> Conversion:
        """What a conversion costs in quality, measured."""
        return Conversion(
            self.find, self._requantizing, self.library, self._worker_log, self._measured
        )

    def _requantizing(self, target: Target) -> Requantizing | None:
        known = self.acquisition.known_details
        return requantizing(target, self._inspection.inspect, known)

    def measured(self, model: InstalledModel) -> KeptQuality | None:
        """What an installed model lost when it was last measured here; None where it was not."""
        return self._measured.get(model.sha256)

    def unmeasured(self, source: str) -> Iterator[tuple[str, str]]:
        """Models here that nobody measured yet, and what each can be measured against, where one
        of the two came from `source` (a catalog id or repository) and free memory holds both."""
        free = psutil.virtual_memory().available
        for model in self.installed():
            reference = self.reference_of(model)
            if reference is None or self.measured(model) is not None:
                continue
            if source in (model.source, reference.source) and model.size + reference.size <= free:
                yield model.name, reference.name

    def forget_context(self, conversation: str) -> None:
        """Delete the saved KV state of a deleted conversation. Waits for a running answer."""
        with self._busy:
            self._contexts.remove(conversation)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker at once and close the history."""
        if self._busy.acquire(blocking=False):  # do not wait for a running answer
            try:
                self._save_context()
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

    def _save_context(self) -> None:
        if self._worker is not None and self._loaded is not None:
            self._contexts.leave(self._worker, self._loaded.context_key)

    def _worker_log(self) -> Path:
        """The log of children with an engine. Called before each of them starts, so this is where
        the CPU library is chosen: not before the window is shown."""
        self.cpu_library.select()
        self.paths.logs.mkdir(parents=True, exist_ok=True)
        return self.paths.worker_log

"""Which model is chosen, how it is planned, and whether it is loaded. Knows no widget."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.documents.attachments import with_attachments
from app.errors import AppError
from app.gui.parts.bridge import Bridge, Job
from app.history.records import Attachment
from app.history.runs import predicted_tps
from app.library.folder import InstalledModel
from app.session.session import Session
from runtime.backend import LoadReport
from runtime.errors import EngineError
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import Interval, KvCacheType, Plan, Policy
from runtime.planning.plan_parts import Part
from runtime.process.protocol import Streamed
from runtime.progress import CancelToken, OnProgress


@dataclass(frozen=True)
class PlanChoices:
    """What the user fixed for the next plan; None leaves it to the planner."""

    policy: Policy = "auto"
    device: str | None = None
    n_ctx: int | None = None
    kv_type: KvCacheType | None = None
    engine: str | None = None


class ModelSelection(QObject):
    """The chosen model. Every change of choice re-plans at once, away from the window's thread."""

    chosen_changed = Signal(str)
    plan_changed = Signal(object)  # Plan | None
    planning = Signal()
    problem = Signal(object)  # the error
    loading = Signal(bool)
    loaded_changed = Signal(object)  # LoadReport | None

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self.chosen = ""
        self.choices = _from_settings(session)
        self.plan: Plan | None = None
        self.parts: tuple[Part, ...] = ()  # of `plan`; empty: only its sums are known
        self.report: LoadReport | None = None
        self._plan_number = 0

    def installed(self) -> list[InstalledModel]:
        """The installed models (reads one small file each)."""
        return self._session.installed()

    def names(self) -> list[str]:
        """What can be asked: the installed models, then the remote ones."""
        remotes = [endpoint.name for endpoint in self._session.remotes.all()]
        return [model.name for model in self.installed()] + remotes

    def address(self, name: str) -> str:
        """Where what is written to a remote model goes; "" for a model on this machine."""
        endpoint = self._session.remotes.find(name)
        return endpoint.url if endpoint is not None else ""

    def recommended(self) -> SamplingParams:
        """How the chosen model wants to be sampled; plain defaults when it has just gone."""
        try:
            return self._session.sampling(self.chosen)
        except (AppError, EngineError):
            return SamplingParams()

    @property
    def offers_math_hint(self) -> bool:
        """Whether the chosen model's makers recommend their directive for mathematics."""
        try:
            entry = self._session.find(self.chosen).entry
        except (AppError, EngineError):
            return False
        return entry is not None and entry.math_hint

    def choose(self, name: str, *, plan: bool = True) -> None:
        """Make `name` the model of the window and plan it."""
        if name == self.chosen:
            return
        self.chosen = name
        self.plan = None
        self.chosen_changed.emit(name)
        self.plan_changed.emit(None)
        if plan and name:
            self.replan()

    def set_choices(self, **changes: Any) -> None:
        """Change what is fixed for the plan."""
        self.choices = replace(self.choices, **changes)
        self.replan()

    def use_context(self, n_ctx: int | None) -> None:
        """Plan for a conversation's own context; None is that of the settings."""
        wanted = n_ctx or self._session.settings.context or None
        if wanted != self.choices.n_ctx:
            self.set_choices(n_ctx=wanted)

    def use_settings(self) -> None:
        """Plan by the settings as they are now."""
        self.choices = _from_settings(self._session)
        self.replan()

    def replan(self) -> None:
        """Plan again; an answer that comes after a newer question is dropped."""
        if not self.chosen or self.address(self.chosen):
            return
        self._plan_number += 1
        number, name, choices = self._plan_number, self.chosen, self.choices
        self.planning.emit()
        work = self.plan_work(name, choices)

        def plan_and_parts() -> tuple[Plan, tuple[Part, ...]]:
            plan = work()
            return plan, self._session.planning.parts(name, plan)

        job = self._bridge.call(plan_and_parts)
        job.finished.connect(lambda found: self._planned(number, *found))
        job.failed.connect(lambda error: self._plan_failed(number, error))

    def plan_work(self, name: str, choices: PlanChoices) -> Callable[[], Plan]:
        """The planning call for any thread."""
        return lambda: self._session.plan(
            name,
            policy=choices.policy,
            device=choices.device,
            n_ctx=choices.n_ctx,
            kv_type=choices.kv_type,
            engine=choices.engine,
        )

    def load(self) -> Job:
        """Load the chosen model now."""
        name, plan, choices = self.chosen, self.plan, self.choices

        def work(on_progress: OnProgress, cancel: CancelToken) -> LoadReport | None:
            return self.ensure_loaded(name, plan, choices, on_progress, cancel)

        job = self._bridge.run(work)
        self.watch_load(job)
        return job

    def ensure_loaded(
        self,
        name: str,
        plan: Plan | None,
        choices: PlanChoices,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> LoadReport | None:
        """Load unless this very model and plan are loaded. Blocks: for working threads."""
        loaded = self._session.loaded
        if loaded is not None and loaded.target.name == name:
            if plan is None or loaded.plan.placement == plan.placement:
                return loaded.report
        plan = plan or self.plan_work(name, choices)()
        return self._session.load(name, plan, on_progress, cancel)

    def answer(
        self,
        name: str,
        plan: Plan | None,
        choices: PlanChoices,
        request: GenerationRequest,
        receive: Callable[[Streamed], None],
        conversation: str,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> GenerationStats:
        """Ask a model, loaded first where it is on this machine. Blocks: for working threads."""
        remote = self._session.remote(name)
        if remote is not None:
            return remote.generate(request, receive, cancel)
        self.ensure_loaded(name, plan, choices, on_progress, cancel)
        return self._session.generate(request, receive, cancel, on_progress, conversation)

    def predicted_tps(self, stats: GenerationStats) -> Interval | None:
        """The decode speed that the loaded model's plan predicts at an answer's depth."""
        loaded = self._session.loaded
        return predicted_tps(loaded.plan, stats) if loaded is not None else None

    def count_tokens(self, attachment: Attachment) -> int:
        """Tokens that a file takes in a prompt of the loaded model. Blocks: for working threads.
        Raises InvalidRequest when no model is loaded."""
        text = with_attachments((attachment,), "")
        request = GenerationRequest(uuid.uuid4().hex, (Message("user", text),))
        return self._session.count_tokens(request)

    def watch_load(self, job: Job) -> None:
        """Announce the start and end of a job that may load the model."""
        self.loading.emit(True)
        job.failed.connect(self.problem)
        job.ended.connect(self.refresh_loaded)

    def refresh_loaded(self) -> None:
        """Announce what the session has loaded now."""
        loaded = self._session.loaded
        self.report = loaded.report if loaded else None
        if loaded is not None and loaded.target.name == self.chosen and loaded.replanned:
            self.plan = loaded.plan  # a device failed: what was planned here cannot be
            self.parts = ()
            self.plan_changed.emit(self.plan)
        self.loading.emit(False)
        self.loaded_changed.emit(self.report)

    def unload(self) -> Job:
        """Free the memory."""
        job = self._bridge.call(self._session.unload)
        job.ended.connect(self.refresh_loaded)
        return job

    def _planned(self, number: int, plan: Plan, parts: tuple[Part, ...]) -> None:
        if number == self._plan_number:
            self.plan, self.parts = plan, parts
            self.plan_changed.emit(plan)

    def _plan_failed(self, number: int, error: Exception) -> None:
        if number == self._plan_number:
            self.plan = None
            self.plan_changed.emit(None)
            self.problem.emit(error)


def _from_settings(session: Session) -> PlanChoices:
    settings = session.settings
    return PlanChoices(
        policy=settings.policy,  # type: ignore[arg-type]
        n_ctx=settings.context or None,
        kv_type=None if settings.kv_cache == "auto" else settings.kv_cache,  # type: ignore[arg-type]
        engine=None if settings.engine == "auto" else settings.engine,
    )

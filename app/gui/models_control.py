"""What models there are and what can be done with them: install, remove, quantize. No widgets."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal

from app.acquisition import HUB_PREFIX
from app.catalog import CatalogEntry
from app.gui.bridge import Bridge, Job
from app.hub_values import SearchHit, SearchPage
from app.library import InstalledModel, TrashedModel
from app.session import Session
from runtime.jobs import CancelToken, OnProgress, Progress
from runtime.plan import Plan

Section = Literal["installed", "catalog", "hub"]


@dataclass(frozen=True)
class ModelItem:
    """One line of the models list: something installed, or a catalog entry."""

    key: str
    title: str
    section: Section
    size: int  # bytes on disk, or of the weights a plan worked out; 0 while unknown
    entry: CatalogEntry | None = None
    installed: InstalledModel | None = None
    plan: Plan | None = None
    plan_error: Exception | None = None
    hit: SearchHit | None = None


@dataclass(frozen=True)
class Work:
    """One long job on a model. `kind` is "install", "download" or "quantize"."""

    key: str
    kind: str
    job: Job
    progress: Progress | None = None


class ModelsControl(QObject):
    """The list of models with their plans, and the work in progress on them."""

    items_changed = Signal()
    work_changed = Signal(str)  # key
    work_ended = Signal(str, object, object)  # key, result or None, error or None
    search_failed = Signal(object)
    removed = Signal(object)  # TrashedModel

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._bridge = bridge
        self._plans: dict[str, Plan | Exception] = {}
        self._items: list[ModelItem] = []
        self.work: dict[str, Work] = {}
        self._hits: list[ModelItem] = []

    @property
    def items(self) -> list[ModelItem]:
        """Installed models first, then the catalog's that are not installed."""
        return self._items

    def item(self, key: str) -> ModelItem | None:
        return next((item for item in self._items if item.key == key), None)

    def refresh(self) -> None:
        """Read what is installed again and plan what has no plan yet."""
        job = self._bridge.call(self._collect)
        job.finished.connect(self._collected)

    def replan(self) -> None:
        """Plan everything again, after a new measurement of the machine."""
        self._plans.clear()
        self.refresh()

    def search_hub(self, text: str) -> None:
        """Ask the hub; its repositories follow the catalog's entries."""
        job = self._bridge.run(lambda _p, cancel: self._session.acquisition.search(text, cancel))
        job.finished.connect(self._found)
        job.failed.connect(self.search_failed)

    def _found(self, page: SearchPage) -> None:
        self._hits = [
            ModelItem(f"{HUB_PREFIX}{hit.repo}", hit.repo, "hub", 0, hit=hit) for hit in page.hits
        ]
        self.refresh()

    def _collect(self) -> list[ModelItem]:
        installed = self._session.installed()
        items = [
            ModelItem(
                model.name, model.name, "installed", model.size,
                self._session.entry_of(model), model,
            )
            for model in installed
        ]  # fmt: skip
        here = {model.source for model in installed} | {model.name for model in installed}
        items += [
            ModelItem(entry.id, entry.name, "catalog", 0, entry)
            for entry in self._session.catalog
            if entry.id not in here
        ]
        return items + self._hits

    def _collected(self, items: list[ModelItem]) -> None:
        self._items = [self._with_plan(item) for item in items]
        self.items_changed.emit()
        missing = [i.key for i in items if i.key not in self._plans and i.hit is None]
        if missing:
            job = self._bridge.run(lambda progress, cancel: self._plan_all(missing, cancel))
            job.finished.connect(self._planned)

    def _plan_all(self, keys: list[str], cancel: CancelToken) -> dict[str, Plan | Exception]:
        found: dict[str, Plan | Exception] = {}
        for key in keys:
            cancel.raise_if_cancelled()
            try:
                found[key] = self._session.plan(key)
            except Exception as error:  # each model has its own reason; the list shows it
                found[key] = error
        return found

    def _planned(self, plans: dict[str, Plan | Exception]) -> None:
        self._plans.update(plans)
        self._items = [self._with_plan(item) for item in self._items]
        self.items_changed.emit()

    def _with_plan(self, item: ModelItem) -> ModelItem:
        found = self._plans.get(item.key)
        plan = found if isinstance(found, Plan) else None
        error = found if isinstance(found, Exception) else None
        size = item.size or (sum(d.weights for d in plan.memory.devices) if plan else 0)
        return replace(item, size=size, plan=plan, plan_error=error)

    # -- work ------------------------------------------------------------------------------------

    def install(self, key: str) -> None:
        """Install a catalog entry or download a repository; a download that was stopped resumes."""
        self._start(key, "install", lambda p, c: self._session.pull(key, p, c))

    def quantize(self, key: str, recipe: str) -> None:
        """Quantize an installed model to 4 bits."""
        self._start(key, "quantize", lambda p, c: self._session.quantize(key, recipe, p, c))

    def cancel(self, key: str) -> None:
        """Stop the work on a model."""
        if key in self.work:
            self.work[key].job.cancel()

    def remove(self, name: str) -> None:
        """Move a model to the library's trash; `removed` carries what `restore` needs."""
        job = self._bridge.call(lambda: self._session.library.remove(name))
        job.finished.connect(self._removed)
        job.failed.connect(lambda error: self.work_ended.emit(name, None, error))

    def restore(self, trashed: TrashedModel) -> None:
        """Undo `remove`."""
        job = self._bridge.call(lambda: self._session.library.restore(trashed.key))
        job.ended.connect(self.refresh)

    def _removed(self, trashed: TrashedModel) -> None:
        self._plans.pop(trashed.name, None)
        self.refresh()
        self.removed.emit(trashed)

    def _start(self, key: str, kind: str, work: Callable[[OnProgress, CancelToken], Any]) -> None:
        if key in self.work:
            return
        job = self._bridge.run(work)
        self.work[key] = Work(key, kind, job)
        job.progressed.connect(lambda progress: self._progress(key, progress))
        job.finished.connect(lambda result: self._end(key, result, None))
        job.failed.connect(lambda error: self._end(key, None, error))
        job.cancelled.connect(lambda: self._end(key, None, None))
        self.work_changed.emit(key)

    def _progress(self, key: str, progress: Progress) -> None:
        work = self.work[key]
        self.work[key] = Work(key, work.kind, work.job, progress)
        self.work_changed.emit(key)

    def _end(self, key: str, result: Any, error: Exception | None) -> None:
        self.work.pop(key, None)
        self._plans.pop(key, None)
        self.work_changed.emit(key)
        self.refresh()
        self.work_ended.emit(key, result, error)

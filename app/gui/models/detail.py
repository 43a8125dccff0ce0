"""One model in full: what it is, whether it fits here, its variants, and what can be done with it.

Shows one item of `ModelsControl` and asks it to work.
"""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.downloads.install import ModelRequest
from app.downloads.queue import QueueItem
from app.gui.models.access import AccessBox
from app.gui.models.control import ModelItem, ModelsControl, Work
from app.gui.models.downloads import error_of
from app.gui.models.facts import facts_of, notes_view, plan_card, quality_words
from app.gui.models.model_words import progress_words
from app.gui.models.variants import VariantTable, offer_loss_words, offer_name, offer_words
from app.gui.parts import words
from app.gui.parts.controls import button, label, row
from app.gui.parts.failures import problem_box
from app.gui.parts.theme import READING_WIDTH, SPACE_L, SPACE_M, SPACE_S, Theme
from app.gui.parts.words import tr
from app.planning.engine_timings import engine_for
from app.planning.offers import Described, Offer
from runtime.progress import Progress

REFINE_DELAY_MILLISECONDS = 600  # a variant must be marked for so long before its header is fetched
DESCRIBE_MILLISECONDS = 300  # a result must be looked at for so long before the hub is asked
NEED_ACCESS = ("GatedModel", "TokenRefused", "RepoNotFound")


class ModelDetail(QScrollArea):
    """The page of one model. What has the keyboard's focus keeps it when the page changes."""

    chat_asked = Signal(str)
    quantize_asked = Signal(str)

    def __init__(self, control: ModelsControl, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control = control
        self._theme = theme
        self.key = ""
        self._problems: dict[str, Exception] = {}
        self._sound: set[str] = set()
        self._marked: ModelRequest | None = None  # the variant, while the page is built anew
        self.variants: VariantTable | None = None
        self.setObjectName("page")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName(tr("Model"))
        self._progress: QProgressBar | None = None
        self._progress_text = label("", "small")
        self._shape: object = None
        self._delay = QTimer(self)
        self._delay.setSingleShot(True)
        self._delay.setInterval(DESCRIBE_MILLISECONDS)
        self._delay.timeout.connect(lambda: control.describe(self.key))
        self._refine_delay = QTimer(self)
        self._refine_delay.setSingleShot(True)
        self._refine_delay.setInterval(REFINE_DELAY_MILLISECONDS)
        self._refine_delay.timeout.connect(self._refine_marked)
        control.offer_changed.connect(self._offer_changed)
        control.items_changed.connect(self.refresh)
        control.work_changed.connect(self._work_changed)
        control.work_ended.connect(self._work_ended)
        control.described.connect(lambda key: self.refresh() if key == self.key else None)
        control.downloads.changed.connect(self._downloads_changed)
        self.refresh()

    def show_item(self, key: str) -> None:
        """Show a model; the hub is asked about one that it was searched for."""
        self.key = key
        self.verticalScrollBar().setValue(0)
        self.refresh()
        item = self._control.item(key)
        wanted = item is not None and item.hit is not None
        if wanted and self._control.description(key) is None:
            self._delay.start()
        else:
            self._delay.stop()

    def refresh(self) -> None:
        """Build the page anew."""
        focused = self.focusWidget()
        name = focused.objectName() if focused is not None and focused.hasFocus() else ""
        item = self._control.item(self.key)
        self._marked = self.variants.offer().request if self.variants is not None else None
        self._progress, self.variants = None, None
        self._shape = self._download_shape()
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(SPACE_L + 8, SPACE_L, SPACE_L + 8, SPACE_L)
        layout.setSpacing(SPACE_M)
        layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        if item is None:
            layout.addStretch(1)
            hint = label(tr("Choose a model to see whether it fits this machine."), "muted")
            hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(hint)
            layout.addStretch(2)
        else:
            self._fill(layout, item)
        body.setMaximumWidth(self._theme.px(READING_WIDTH) + 64)
        holder = QWidget()
        outer = row(spacing=0)
        outer.addWidget(body, 100)
        outer.addStretch(1)
        holder.setLayout(outer)
        position = self.verticalScrollBar().value()
        self.setWidget(holder)
        self.verticalScrollBar().setValue(position)
        if name:
            self._focus_again(name)

    def _focus_again(self, name: str) -> None:
        """Focus what had it before, else the first button: its successor."""
        found = self.findChild(QWidget, name)
        if found is None or not found.isEnabled():
            buttons = [b for b in self.findChildren(QPushButton) if b.isEnabled()]
            found = buttons[0] if buttons else self
        found.setFocus()

    def _fill(self, layout: QVBoxLayout, item: ModelItem) -> None:
        title = label(item.title, "title", wrap=True)
        title.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(title)
        if item.entry is not None:
            layout.addWidget(label(tr(item.entry.summary), "muted", wrap=True))
            if item.entry.demonstration:
                text = tr("A demo model: it shows how everything works, but knows little.")
                layout.addWidget(label(text, "warning", wrap=True))
        work = self._control.work.get(item.key)
        layout.addLayout(row(*self._actions(item, work), 1))
        if work is not None:
            self._add_progress(layout, work)
        if item.installed is not None and not item.installed.verified:
            text = tr("Unverified: the hub provides no checksum for this download.")
            layout.addWidget(label(text, "warning", wrap=True))
        if item.key in self._sound:
            layout.addWidget(label(tr("Verified: all files are exactly as installed."), "good"))
        if item.key in self._control.quality:
            text = quality_words(self._control.quality[item.key])
            layout.addWidget(label(text, wrap=True))
        self._add_problem(layout, item)
        layout.addSpacing(SPACE_S)
        self._add_fit(layout, item)
        self._add_variants(layout, item)
        layout.addSpacing(SPACE_S)
        self._add_facts(layout, item)
        found = self._control.description(item.key)
        if isinstance(found, Described) and found.notes:
            layout.addWidget(label(tr("Model card"), "section"))
            layout.addWidget(notes_view(found.notes, found.repo.url, self._theme))
        layout.addStretch(1)

    # -- actions ---------------------------------------------------------------------------------

    def _actions(self, item: ModelItem, work: Work | None) -> list[QPushButton]:
        key, control = item.key, self._control
        if work is not None:
            return [_button("cancel", tr("Cancel"), lambda: control.cancel(key))]
        if item.installed is not None:
            return self._installed_actions(item)
        if item.entry is not None and item.entry.source is not None:
            text = tr("Install · {0}", words.size(item.entry.source.size))
            return [_button("download", text, lambda: self._do(key, control.install), "primary")]
        made = self._here_actions(item) or self._download_actions(item)
        if item.hit is None and not control.describing(key):
            tip = tr("Load all variants and the model card from the hub")
            made.append(_button("variants", tr("Variants"), lambda: control.describe(key), tip=tip))
        return made

    def _here_actions(self, item: ModelItem) -> list[QPushButton]:
        """For a result of the hub that is installed: the way to it."""
        if item.hit is None or self._control.downloads.find(_source(item)):
            return []
        here = self._control.installed_from(item.hit.repo)
        if not here:
            return []
        runs = [model for model in here if engine_for(model)]
        name = (runs or here)[0].name
        if not runs:
            quantize = lambda: self.quantize_asked.emit(name)  # noqa: E731
            return [_button("quantize", tr("Quantize…"), quantize, "primary", name)]
        chat = lambda: self.chat_asked.emit(name)  # noqa: E731
        return [_button("chat", tr("Chat"), chat, "primary", tr("Installed as {0}", name))]

    def _download_actions(self, item: ModelItem) -> list[QPushButton]:
        """Download, or pause and resume what is being downloaded."""
        key, control = item.key, self._control
        queued = control.downloads.find(_source(item))
        if not queued:
            size = _default_size(control.description(key)) or item.size
            text = tr("Download · {0}", words.size(size)) if size else tr("Download")
            tip = tr("Download the default variant from the hub, verify it and install it")
            return [_button("download", text, lambda: self._download(key, None), "primary", tip)]
        download, downloads = queued[0], control.downloads
        if download.state in ("paused", "failed", "waiting"):
            resume = _button("pause", tr("Resume"), lambda: downloads.resume(download.id))
            return [resume]
        return [_button("pause", tr("Pause"), lambda: downloads.pause(download.id))]

    def _installed_actions(self, item: ModelItem) -> list[QPushButton]:
        key, control, installed = item.key, self._control, item.installed
        assert installed is not None
        made = []
        runs = engine_for(installed) is not None
        if runs:
            tip = tr("Chat with this model")
            made.append(
                _button("chat", tr("Chat"), lambda: self.chat_asked.emit(key), "primary", tip)
            )
        if installed.recipe is None and installed.format in ("gguf", "safetensors"):
            tip = tr("4-bit blocks, including embeddings and LM head")
            kind = "" if runs else "primary"
            convert = lambda: self.quantize_asked.emit(key)  # noqa: E731
            made.append(_button("quantize", tr("Quantize…"), convert, kind, tip))
        if item.reference:
            tip = tr("Measure what quantization cost against {0}", item.reference)
            measure = lambda: control.measure(key, item.reference, quick=True)  # noqa: E731
            made.append(_button("measure", tr("Measure loss"), measure, tip=tip))
        tip = tr("Check every file against its checksum")
        made.append(_button("verify", tr("Verify"), lambda: self._do(key, control.verify), "", tip))
        tip = tr("Move to the trash; can be undone")
        made.append(_button("remove", tr("Remove"), lambda: control.remove(key), "danger", tip))
        return made

    def _do(self, key: str, work: Callable[[str], None]) -> None:
        self._problems.pop(key, None)
        self._sound.discard(key)
        work(key)

    def _download(self, key: str, offer: Offer | None) -> None:
        request = offer.request if offer is not None else None
        self._do(key, lambda _key: self._control.download(key, request))

    # -- parts -----------------------------------------------------------------------------------

    def _add_problem(self, layout: QVBoxLayout, item: ModelItem) -> None:
        error = self._problems.get(item.key)
        found = self._control.description(item.key)
        if error is None and isinstance(found, Exception):
            error = found
        stopped = [d for d in self._control.downloads.find(_source(item)) if d.state == "failed"]
        refused = error_of(stopped[0]) if stopped and error is None else None
        error = error or refused  # the queue tells other errors itself
        if error is not None and (refused is None or type(error).__name__ in NEED_ACCESS):
            layout.addWidget(problem_box(error))
        gated = item.hit is not None and item.hit.gated and item.installed is None
        if gated or type(error).__name__ in NEED_ACCESS:
            page = str(getattr(error, "facts", {}).get("url") or "")
            if not page and isinstance(found, Described):
                page = found.repo.url
            box = AccessBox(self._control.session, self._control.bridge, page, _source(item))
            box.saved.connect(lambda: self._access_given(item.key, stopped))
            layout.addWidget(box)

    def _access_given(self, key: str, stopped: Sequence[QueueItem]) -> None:
        """Go on with the downloads that were refused; else ask the hub again."""
        for download in stopped:
            self._control.downloads.resume(download.id)
        if not stopped:
            self._do(key, self._control.describe)

    def _add_progress(self, layout: QVBoxLayout, work: Work) -> None:
        self._progress = QProgressBar()
        self._progress.setTextVisible(False)
        self._progress.setAccessibleName(tr("Progress"))
        self._progress_text = label("", "small")
        layout.addWidget(self._progress)
        layout.addWidget(self._progress_text)
        self._show_progress(work.progress)

    def _show_progress(self, progress: Progress | None) -> None:
        if self._progress is None:
            return
        if progress is None or not progress.total:
            self._progress.setRange(0, 0)
        else:
            self._progress.setRange(0, 1000)
            self._progress.setValue(round(1000 * progress.done / progress.total))
        self._progress_text.setText(progress_words(progress) if progress else tr("Starting"))

    def _add_fit(self, layout: QVBoxLayout, item: ModelItem) -> None:
        if item.installed is not None and engine_for(item.installed) is None:
            text = tr("Full-precision weights: quantize them to run them here.")
            layout.addWidget(label(text, "muted", wrap=True))
            return
        if item.plan is None and item.plan_error is None and item.hit is not None:
            return
        layout.addWidget(label(tr("On this machine"), "section"))
        if item.plan is not None:
            layout.addWidget(plan_card(item, item.plan))
        elif item.plan_error is None:
            layout.addWidget(label(tr("Working out the plan…"), "muted"))
        else:
            layout.addWidget(problem_box(item.plan_error))

    def _add_variants(self, layout: QVBoxLayout, item: ModelItem) -> None:
        found = self._control.description(item.key)
        if self._control.describing(item.key):
            layout.addWidget(label(tr("Asking the hub…"), "muted"))
        if not isinstance(found, Described) or not found.offers:
            return
        layout.addWidget(label(tr("Variants"), "section"))
        if found.cached_at:
            text = tr("As of {0}; the hub cannot be reached now.", found.cached_at[:10])
            layout.addWidget(label(text, "warning", wrap=True))
        self.variants = self._variant_table(layout, item, found)
        if any(offer.quantize_here for offer in found.offers):
            text = tr(
                "Quantize here: download the official weights and create the 4-bit file"
                " on this machine."
            )
            layout.addWidget(label(text, "small", wrap=True))

    def _variant_table(
        self, layout: QVBoxLayout, item: ModelItem, found: Described
    ) -> VariantTable:
        """The table, with what can be done with the variant it marks below it."""
        table = VariantTable(found.offers, self._theme.scale)
        table.setObjectName("variantTable")
        if self._marked is not None:
            table.mark(self._marked)

        def fetch() -> None:
            if not self._control.installed_as(table.offer()):
                self._download(item.key, table.offer())

        get = _button("getVariant", "", fetch)
        basis = label("", "small", wrap=True)
        basis.setObjectName("variantBasis")
        loss = label("", "small", wrap=True)
        loss.setObjectName("variantLoss")
        known = item.entry or item.hit

        def show(offer: Offer) -> None:
            here = self._control.installed_as(offer)
            get.setText(tr("Installed as {0}", here) if here else _get_words(offer))
            get.setEnabled(not here)
            basis.setText(offer_words(offer))
            loss.setText(offer_loss_words(offer, known.parameters if known else None))
            self._refine_delay.start()

        table.current.connect(show)
        table.chosen.connect(lambda _offer: fetch())
        show(table.offer())
        layout.addWidget(table)
        layout.addWidget(basis)
        layout.addWidget(loss)
        layout.addLayout(row(get, 1))
        return table

    def _refine_marked(self) -> None:
        if self.variants is not None and self.isVisible():
            self._control.refine_offer(self.key, self.variants.offer())

    def _offer_changed(self, key: str, before: Offer, after: Offer) -> None:
        table = self.variants
        if key == self.key and table is not None and before in table.offers:
            table.change(before, after)
            table.current.emit(table.offer())

    def _add_facts(self, layout: QVBoxLayout, item: ModelItem) -> None:
        facts = facts_of(item)
        if not facts:
            return
        layout.addWidget(label(tr("About the model"), "section"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACE_L)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        for number, (name, value) in enumerate(facts):
            grid.addWidget(label(name, "muted"), number, 0, Qt.AlignmentFlag.AlignTop)
            text = label(value, wrap=True)
            text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            grid.addWidget(text, number, 1)
        layout.addLayout(grid)

    # -- changes ---------------------------------------------------------------------------------

    def _download_shape(self) -> object:
        """What of the downloads decides which buttons there are."""
        item = self._control.item(self.key)
        queued = self._control.downloads.find(_source(item)) if item is not None else ()
        return [(download.id, download.state) for download in queued]

    def _downloads_changed(self) -> None:
        if self._download_shape() != self._shape:
            self.refresh()

    def _work_changed(self, key: str) -> None:
        if key != self.key:
            return
        work = self._control.work.get(key)
        if work is not None and self._progress is not None:
            self._show_progress(work.progress)
        else:
            self.refresh()

    def _work_ended(self, work: Work, _result: object, error: Exception | None) -> None:
        if error is not None:
            self._problems[work.key] = error
        elif work.kind == "verify" and not work.job.token.cancelled:
            self._sound.add(work.key)
        if work.key == self.key:
            self.refresh()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.refresh()


def _button(
    name: str, text: str, do: Callable[[], object], kind: str = "", tip: str = ""
) -> QPushButton:
    made = button(text, kind, tip)
    made.setObjectName(name)
    made.clicked.connect(lambda: do())
    return made


def _get_words(offer: Offer) -> str:
    size = words.size(offer.size) if offer.size is not None else "–"
    return tr("Download {0} · {1}", offer_name(offer), size)


def _default_size(found: Described | Exception | None) -> int:
    """Bytes of the default variant; 0 until the hub has answered."""
    offers = found.offers if isinstance(found, Described) else ()
    return next((offer.size or 0 for offer in offers if offer.preferred), 0)


def _source(item: ModelItem) -> str:
    """What downloads of this model name as their source or repository."""
    return item.hit.repo if item.hit is not None else item.key

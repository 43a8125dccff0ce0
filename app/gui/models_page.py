"""One model in full: what it is, whether it fits here, and what can be done with it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.explain import explain, reason_text
from app.gui import words
from app.gui.controls import Problem, button, label, row
from app.gui.models_control import ModelItem, ModelsControl, Work
from app.gui.models_list import fit_words
from app.gui.theme import READING_WIDTH, SPACE_L, SPACE_M, SPACE_S, Theme
from app.gui.words import tr
from runtime.jobs import Progress
from runtime.plan import Plan

RECIPES = ("q4_0",)


class ModelsPage(QScrollArea):
    """Shows one item of `ModelsControl` and asks it to work."""

    chat_asked = Signal(str)

    def __init__(self, control: ModelsControl, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._control = control
        self._theme = theme
        self._key = ""
        self._problems: dict[str, Exception] = {}
        self.setObjectName("page")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName(tr("Model"))
        control.items_changed.connect(self._refresh)
        control.work_changed.connect(self._work_changed)
        control.work_ended.connect(self._work_ended)
        self._progress: QProgressBar | None = None
        self._progress_text = label("", "small")
        self._refresh()

    @property
    def key(self) -> str:
        """The model shown."""
        return self._key

    def show_item(self, key: str) -> None:
        self._key = key
        self._refresh()

    def _refresh(self) -> None:
        item = self._control.item(self._key)
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(SPACE_L + 8, SPACE_L, SPACE_L + 8, SPACE_L)
        layout.setSpacing(SPACE_M)
        layout.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._progress = None
        if item is None:
            layout.addStretch(1)
            hint = label(tr("Choose a model to see whether it fits this machine."), "muted")
            hint.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(hint)
            layout.addStretch(2)
        else:
            self._fill(layout, item)
        holder = QWidget()
        outer = row(spacing=0)
        body.setMaximumWidth(self._theme.px(READING_WIDTH) + 64)
        outer.addWidget(body, 100)
        outer.addStretch(1)
        holder.setLayout(outer)
        position = self.verticalScrollBar().value()
        self.setWidget(holder)
        self.verticalScrollBar().setValue(position)

    def _fill(self, layout: QVBoxLayout, item: ModelItem) -> None:
        layout.addWidget(label(item.title, "title", wrap=True))
        if item.entry is not None:
            layout.addWidget(label(tr(item.entry.summary), "muted", wrap=True))
            if item.entry.demonstration:
                text = tr("A demonstration: it shows how everything works and knows little.")
                layout.addWidget(label(text, "warning", wrap=True))
        work = self._control.work.get(item.key)
        layout.addLayout(self._actions(item, work))
        if work is not None:
            self._add_progress(layout, work)
        if item.key in self._problems:
            wording = explain(self._problems[item.key])
            layout.addWidget(Problem(tr(wording.title), tr(wording.sentence), tr(wording.hint)))
        layout.addSpacing(SPACE_S)
        if item.hit is None:
            self._add_fit(layout, item)
        layout.addSpacing(SPACE_S)
        self._add_facts(layout, item)
        layout.addStretch(1)

    def _actions(self, item: ModelItem, work: Work | None) -> QVBoxLayout:
        buttons: list[QWidget | int] = []
        if work is not None:
            pausable = work.kind == "install" and (item.entry is None or item.entry.source is None)
            cancel = button(tr("Pause") if pausable else tr("Cancel"))
            cancel.clicked.connect(lambda: self._control.cancel(item.key))
            buttons.append(cancel)
        elif item.installed is not None:
            chat = button(tr("Chat"), "primary", tr("Chat with this model"))
            chat.clicked.connect(lambda: self.chat_asked.emit(item.key))
            buttons.append(chat)
            if item.installed.recipe is None and item.installed.format == "gguf":
                convert = button(
                    tr("Quantize to 4 bits"), "", tr("4-bit blocks, embeddings and LM head")
                )
                convert.clicked.connect(lambda: self._control.quantize(item.key, RECIPES[0]))
                buttons.append(convert)
            remove = button(tr("Remove"), "danger", tr("Move to the trash; can be undone"))
            remove.clicked.connect(lambda: self._control.remove(item.key))
            buttons.append(remove)
        elif item.entry is not None and item.entry.source is not None:
            size = words.size(item.entry.source.size)
            install = button(tr("Install · {0}", size), "primary")
            install.clicked.connect(lambda: self._install(item.key))
            buttons.append(install)
        elif item.entry is not None or item.hit is not None:
            text = tr("Download · {0}", words.size(item.size)) if item.size else tr("Download")
            fetch = button(text, "primary", tr("Fetch from the hub, check, install"))
            fetch.clicked.connect(lambda: self._install(item.key))
            buttons.append(fetch)
        layout = QVBoxLayout()
        layout.addLayout(row(*buttons, 1))
        return layout

    def _install(self, key: str) -> None:
        self._problems.pop(key, None)
        self._control.install(key)

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
        layout.addWidget(label(tr("On this machine"), "section"))
        if item.plan is None:
            if item.plan_error is None:
                layout.addWidget(label(tr("Working out the plan …"), "muted"))
            else:
                wording = explain(item.plan_error)
                layout.addWidget(Problem(tr(wording.title), tr(wording.sentence), tr(wording.hint)))
            return
        layout.addWidget(plan_card(item, item.plan))

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

    def _work_changed(self, key: str) -> None:
        if key != self._key:
            return
        work = self._control.work.get(key)
        if work is not None and self._progress is not None:
            self._show_progress(work.progress)
        else:
            self._refresh()

    def _work_ended(self, key: str, _result: object, error: Exception | None) -> None:
        if error is not None:
            self._problems[key] = error
        if key == self._key:
            self._refresh()

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self._refresh()


def plan_card(item: ModelItem, plan: Plan) -> QFrame:
    """Fit, memory and expected speed in one card, with the plan's reasons."""
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(14, 12, 14, 12)
    layout.setSpacing(SPACE_S)
    word, _icon, kind = fit_words(item)
    figures = row(spacing=SPACE_L)
    available = sum(device.available for device in plan.memory.devices)
    memory = tr("{0} of {1} free", words.size(plan.memory.total), words.size(available))
    columns = [(tr("Memory"), memory)]
    if plan.speed is not None:
        columns.append((tr("Decode"), tr("{0} tok/s expected", words.span(plan.speed.decode_tps))))
        columns.append(
            (tr("Prefill"), tr("{0} tok/s expected", words.span(plan.speed.prefill_tps)))
        )
    columns.append((tr("Context"), tr("{0} tokens", words.count(plan.placement.n_ctx))))
    for name, value in columns:
        figures.addLayout(_figure(name, value))
    figures.addStretch(1)
    layout.addWidget(label(word, kind))
    layout.addLayout(figures)
    for reason in plan.reasons:
        layout.addWidget(label(tr(reason_text(reason)), "muted", wrap=True))
    return card


def _figure(name: str, value: str) -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.setSpacing(2)
    layout.addWidget(label(name, "small"))
    layout.addWidget(label(value, "value"))
    return layout


def facts_of(item: ModelItem) -> list[tuple[str, str]]:
    """What a person wants to know of a model, in order."""
    facts: list[tuple[str, str]] = []
    entry = item.entry
    if entry is not None:
        facts.append((tr("Parameters"), words.parameters(entry.parameters)))
        if entry.active_parameters != entry.parameters:
            facts.append((tr("Active parameters"), words.parameters(entry.active_parameters)))
        if entry.teacher:
            facts.append((tr("Distilled from"), entry.teacher))
        if entry.base_model:
            facts.append((tr("Base model"), entry.base_model))
        shape = entry.shape
        facts.append(
            (tr("Architecture"), f"{shape.architecture}, {shape.block_count} {tr('blocks')}, "
             f"{shape.attention}, {tr('width')} {words.count(shape.embedding_length)}")
        )  # fmt: skip
        facts.append((tr("Context"), tr("{0} tokens", words.count(shape.context_length))))
        facts.append((tr("Licence"), entry.licence))
    if item.hit is not None:
        hit = item.hit
        facts.append((tr("Repository"), hit.repo))
        if hit.parameters:
            facts.append((tr("Parameters"), words.parameters(hit.parameters)))
        facts.append((tr("Variants"), ", ".join(hit.quantizations) or "–"))
        facts.append((tr("Licence"), hit.licence or "–"))
        facts.append((tr("Downloads"), words.count(hit.downloads or 0)))
        if hit.gated:
            facts.append((tr("Access"), tr("asks for agreement on the hub")))
    if item.installed is not None:
        facts.append((tr("Installed"), item.installed.installed_at[:10]))
        facts.append((tr("Size on disk"), words.size(item.installed.size)))
        facts.append((tr("File"), str(item.installed.path)))
        facts.append(("SHA-256", item.installed.sha256))
    return facts


def progress_words(progress: Progress) -> str:
    """How far a job is, in its own unit."""
    names = {
        "download": tr("Downloading"),
        "verify": tr("Checking"),
        "install": tr("Installing"),
        "quantize": tr("Quantizing"),
        "fetch": tr("Downloading"),
    }
    name = names.get(progress.phase, progress.phase.capitalize())
    if progress.unit == "bytes":
        amount = words.size(progress.done)
        if progress.total:
            amount = tr("{0} of {1}", amount, words.size(progress.total))
        return f"{name} · {amount}"
    if progress.unit == "fraction" or not progress.total:
        done = f" · {progress.done / 10:.0f} %" if progress.total else ""
        return f"{name}{done} {progress.detail}".strip()
    return f"{name} · {tr('{0} of {1}', progress.done, progress.total)} {progress.detail}".strip()

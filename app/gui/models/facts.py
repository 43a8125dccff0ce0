"""The parts of one model's page that only show: plan, facts, notes. Starts nothing."""

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices, QTextDocument
from PySide6.QtWidgets import QFrame, QGridLayout, QTextBrowser, QVBoxLayout

from app.gui.models.control import ModelItem
from app.gui.models.model_words import fit_words
from app.gui.parts import words
from app.gui.parts.controls import label
from app.gui.parts.speed_words import time_lines
from app.gui.parts.theme import SPACE_L, SPACE_S, Theme
from app.gui.parts.words import tr
from app.hub.values import quantization_of
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel
from app.wording.explain import reason_text
from app.wording.loss import loss_sentences, maker_sentence
from app.wording.sentences import VERDICTS
from app.wording.units import format_divergence
from quant.estimate import Estimate
from quant.quality.figures import QualityReport
from runtime.plan import Plan

_MOST_HASHES = 12  # lines


def plan_card(item: ModelItem, plan: Plan) -> QFrame:
    """Fit, memory and expected speed in one card, with the plan's reasons."""
    card = QFrame()
    card.setObjectName("card")
    layout = QVBoxLayout(card)
    layout.setContentsMargins(14, 12, 14, 12)
    layout.setSpacing(SPACE_S)
    word, _icon, kind = fit_words(item)
    figures = QGridLayout()
    figures.setHorizontalSpacing(SPACE_L)
    figures.setVerticalSpacing(SPACE_S)
    available = sum(device.available for device in plan.memory.devices)
    memory = tr("{0} of {1} free", words.size(plan.memory.total), words.size(available))
    cells = [(tr("Memory"), memory)]
    if plan.speed is not None:
        decode = plan.speed.decode_tps
        cells.append((tr("Decode"), tr("{0} tok/s expected", words.span(decode))))
        cells.append((tr("Compared to reading"), words.pace(decode)))
    cells.append((tr("Context"), tr("{0} tokens", words.count(plan.placement.n_ctx))))
    if plan.speed is not None:
        prefill = tr("{0} tok/s expected", words.span(plan.speed.prefill_tps))
        cells.append((tr("Prefill"), prefill))
    for number, (name, value) in enumerate(cells):
        figures.addLayout(_figure(name, value), number // 3, number % 3)
    figures.setColumnStretch(3, 1)
    layout.addWidget(label(word, kind))
    layout.addLayout(figures)
    for line in time_lines(plan.speed):
        layout.addWidget(label(line, "small", wrap=True))
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
        if entry.sampling is not None:
            facts.append((tr("Recommended use"), use_words(entry)))
    if item.hit is not None:
        hit = item.hit
        facts.append((tr("Repository"), hit.repo))
        if hit.parameters and entry is None:
            facts.append((tr("Parameters"), words.parameters(hit.parameters)))
        facts.append((tr("Variants"), ", ".join(hit.quantizations) or "–"))
        if entry is None:
            facts.append((tr("Licence"), hit.licence or "–"))
        facts.append((tr("Downloads"), words.count(hit.downloads or 0)))
        if hit.gated:
            facts.append((tr("Access"), tr("gated: terms must be accepted on the hub")))
    if item.installed is not None:
        facts.append((tr("Installed"), item.installed.installed_at[:10]))
        facts += _loss_facts(item, item.installed)
        facts += _installed_facts(item.installed, entry is not None)
    return facts


def _loss_facts(item: ModelItem, installed: InstalledModel) -> list[tuple[str, str]]:
    """What was measured of this very file, else what its format is expected to lose."""
    if item.measured is not None and item.measured.kl_mean is not None:
        kl_mean = format_divergence(item.measured.kl_mean)
        text = tr("mean KL divergence {0} against {1}", kl_mean, item.measured.against)
        return [(tr("Measured loss"), text)]
    name = installed.recipe or quantization_of(installed.path.name)
    if item.entry is None or name is None:
        return []
    sentences = loss_sentences(name, item.entry.parameters)
    if sentences and installed.recipe is None and (differ := maker_sentence(name)):
        sentences.append(differ)
    return [(tr("Expected loss"), " ".join(map(tr, sentences)))] if sentences else []


def _installed_facts(installed: InstalledModel, in_catalog: bool) -> list[tuple[str, str]]:
    """Where an installed model came from and what is here of it."""
    facts = [(tr("Source"), installed.source)]
    if installed.revision:
        facts.append((tr("Commit"), installed.revision))
    if not in_catalog:
        facts.append((tr("Licence"), installed.licence or tr("not stated")))
    if installed.recipe:
        facts.append((tr("Recipe"), installed.recipe))
    facts.append((tr("Size on disk"), words.size(installed.size)))
    facts.append((tr("File"), str(installed.path)))
    many = len(installed.files) > 1
    for file in installed.files[:_MOST_HASHES]:
        name = f"SHA-256, {file.path.name}" if many else "SHA-256"
        facts.append((name, file.sha256))
    if len(installed.files) > _MOST_HASHES:
        facts.append((tr("SHA-256 of all files"), installed.sha256))
    if not installed.verified:
        facts.append((tr("Checksum"), tr("not verified: the hub provides none")))
    return facts


def use_words(entry: CatalogEntry) -> str:
    """How the makers want the model to be used; the chat does so by itself."""
    sampling = entry.sampling
    assert sampling is not None
    parts = [tr("temperature {0}", sampling.temperature), tr("top-p {0}", sampling.top_p)]
    if entry.chat.fold_system:
        parts.append(tr("instructions in the first message, no system prompt"))
    return ", ".join(parts)


def quality_words(report: QualityReport) -> str:
    """What quantization cost."""
    verdict = tr(VERDICTS[report.verdict])
    figures = tr(
        "Mean KL divergence {0}; same top token at {1} % of {2} positions.",
        _with_interval(report.kl_mean, 4),
        _number(report.same_top.through(lambda share: 100 * share), 1),
        report.tokens,
    )
    if report.tokens == report.planned:
        return f"{verdict} {figures}"
    limit = tr("Time ran out after {0} of {1} positions.", report.tokens, report.planned)
    return f"{verdict} {figures} {limit}"


def _with_interval(estimate: Estimate, decimals: int) -> str:
    value = _number(estimate, decimals)
    if estimate.low is None or estimate.high is None:
        return value
    low, high = (f"{each:.{decimals}f}" for each in (estimate.low, estimate.high))
    return tr("{0} ({1} to {2})", value, low, high)


def _number(estimate: Estimate, decimals: int) -> str:
    value = estimate.value
    return tr("not a number") if value is None else f"{value:.{decimals}f}"


class NotesView(QTextBrowser):
    """A model card. HTML in it is not interpreted, nothing it names is fetched."""

    def loadResource(self, kind: int, name: QUrl | str) -> None:
        return None


def notes_view(notes: str, page: str, theme: Theme) -> NotesView:
    """The makers' own page, from its Markdown; its links open in the web browser."""
    view = NotesView()
    view.setObjectName("notes")
    view.setAccessibleName(tr("Model card"))
    view.setOpenLinks(False)
    view.anchorClicked.connect(
        lambda link: QDesktopServices.openUrl(QUrl(page + "/").resolved(link))
    )
    features = QTextDocument.MarkdownFeature
    view.document().setMarkdown(
        without_front_matter(notes), features.MarkdownDialectGitHub | features.MarkdownNoHTML
    )
    view.setFixedHeight(theme.px(320))
    return view


def without_front_matter(notes: str) -> str:
    """A model card without the YAML block that the hub reads."""
    if notes.startswith("---\n"):
        _, found, rest = notes[4:].partition("\n---\n")
        return rest if found else notes
    return notes

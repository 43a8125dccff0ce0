"""The variants of one model side by side: size, bits per weight, fit, expected speed."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from app.downloads.install import ModelRequest
from app.gui.models.model_words import fit_of
from app.gui.models.quantize import recipe_words
from app.gui.parts import words
from app.gui.parts.words import tr
from app.planning.offers import Offer
from app.wording.explain import explain, reason_text
from app.wording.loss import loss_sentences, maker_sentence

_ROW = 30
_MOST_ROWS = 9  # before the table scrolls


class VariantTable(QTableWidget):
    """One row for each offer; Enter or a double click chooses it."""

    chosen = Signal(object)  # Offer
    current = Signal(object)

    def __init__(self, offers: Sequence[Offer], scale: int) -> None:
        headings = [
            tr("Variant"), tr("Download"), tr("Bits per weight"), tr("Fit"), tr("Expected"),
        ]  # fmt: skip
        super().__init__(len(offers), len(headings))
        self.offers = offers
        self.setAccessibleName(tr("Variants"))
        self.setHorizontalHeaderLabels(headings)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for number, offer in enumerate(offers):
            self._fill(number, offer)
        height = _ROW * scale // 100
        self.verticalHeader().setDefaultSectionSize(height)
        shown = min(len(offers), _MOST_ROWS)
        self.setFixedHeight(height * shown + header.sizeHint().height() + 8)
        preferred = [i for i, offer in enumerate(offers) if offer.preferred]
        self.setCurrentCell(preferred[0] if preferred else 0, 0)
        self.itemActivated.connect(lambda item: self.chosen.emit(self.offers[item.row()]))
        self.currentCellChanged.connect(lambda *_: self.current.emit(self.offer()))

    def offer(self) -> Offer:
        """The one marked."""
        return self.offers[max(self.currentRow(), 0)]

    def mark(self, request: ModelRequest) -> None:
        """Mark the offer of this request, if it is one of these."""
        for number, offer in enumerate(self.offers):
            if offer.request == request:
                self.setCurrentCell(number, 0)

    def change(self, before: Offer, after: Offer) -> None:
        """Show what the file's header says."""
        offers = list(self.offers)
        number = offers.index(before)
        offers[number] = after
        self.offers = offers
        self._fill(number, after)

    def _fill(self, number: int, offer: Offer) -> None:
        bits, speed = offer.bits_per_weight, offer.plan.speed if offer.plan else None
        about = "" if offer.exact else "≈ "
        texts = (
            offer_name(offer),
            words.size(offer.size) if offer.size is not None else "–",
            f"{bits:.2f}" if bits else "–",
            fit_of(offer.plan, offer.problem)[0] or "–",
            f"{about}{words.span(speed.decode_tps)} tok/s" if speed else "–",
        )
        for place, text in enumerate(texts):
            cell = QTableWidgetItem(text)
            if place in (1, 2):
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if place == 0:
                cell.setToolTip(", ".join(file.path for file in offer.request.files[:4]))
            self.setItem(number, place, cell)


def offer_words(offer: Offer) -> str:
    """What the plan of an offer rests on, or why there is none."""
    if offer.problem is not None:
        return tr(explain(offer.problem).sentence)
    if not offer.exact:
        return tr("Estimated from the file's size.")
    if offer.plan is None:
        return ""
    memory = words.size(offer.plan.memory.total)
    n_ctx = words.count(offer.plan.placement.n_ctx)
    return tr("From the file header: {0} of memory, {1} tokens of context.", memory, n_ctx)


def offer_loss_words(offer: Offer, parameters: int | None) -> str:
    """What an offer is expected to lose on a model of so many parameters, whether makers' files of
    its name differ, and why it is recommended or not; "" where none of that is known."""
    sentences: list[str] = [*loss_sentences(offer.label, parameters)] if parameters else []
    if sentences and not offer.quantize_here and (differ := maker_sentence(offer.label)):
        sentences.append(differ)
    if offer.reason is not None:
        sentences.append(reason_text(offer.reason))
    return " ".join(tr(each) for each in sentences)


def offer_name(offer: Offer) -> str:
    """What an offer is called: its variant, or what this machine would make."""
    if offer.quantize_here:
        return tr("Quantize here to {0}", recipe_words(offer.label)[0])
    return tr("{0} (recommended)", offer.label) if offer.preferred else offer.label

"""Narrowing the list of models: size, variant, licence, origin, access, fit; the hub's order."""

from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QLineEdit

from app.gui.models.control import ModelItem
from app.gui.parts.controls import Check, Choice, label
from app.gui.parts.words import tr
from app.hub.values import SearchQuery, Sort, WeightFormat

BILLION = 10**9
_SIZES = (2, 4, 9, 16, 40, 80)  # billions of parameters: what families of models come in
_VARIANTS = ("Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16")
_LICENCES = ("mit", "apache-2.0", "llama3.1", "llama3.3", "gemma", "other")
_ARCHITECTURES = ("qwen2", "qwen3", "llama", "deepseek2", "gemma3", "phi3", "mistral3")


@dataclass(frozen=True)
class Filters:
    """What the user wants to see; empty texts and None mean "any"."""

    format: WeightFormat = "gguf"
    max_parameters: int | None = None
    quantization: str = ""
    licence: str = ""
    architecture: str = ""
    distilled_from: str = ""
    open_only: bool = False
    fits_only: bool = False
    sort: Sort = "downloads"

    def query(self, text: str) -> SearchQuery:
        """The question to the hub."""
        return SearchQuery(
            text,
            format=self.format,
            architecture=self.architecture,
            max_parameters=self.max_parameters,
            quantization=self.quantization if self.format == "gguf" else "",
            licence=self.licence,
            distilled_from=self.distilled_from,
            gated=False if self.open_only else None,
            sort=self.sort,
        )

    def shows(self, item: ModelItem) -> bool:
        """Whether a model of the list is shown; what is unknown of it does not exclude it. The hub
        has applied all but the fit to its own."""
        if self.fits_only and item.plan is None:
            return False
        entry = item.entry
        if item.hit is not None or entry is None:
            return True
        origin = f"{entry.teacher} {entry.base_model}".lower()
        return (
            (self.max_parameters is None or entry.parameters <= self.max_parameters)
            and self.licence in ("", entry.licence)
            and self.architecture in ("", entry.shape.architecture)
            and self.distilled_from.lower() in origin
        )


class FilterPanel(QFrame):
    """Controls for `Filters`; `changed` follows every choice."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.size_choice = Choice(
            [(None, tr("Any size"))]
            + [(n * BILLION, tr("Up to {0} B parameters", n)) for n in _SIZES]
        )
        self.format = Choice(
            [
                ("gguf", tr("GGUF files, ready to run")),
                ("safetensors", tr("Full-precision weights, to quantize here")),
                ("onnx", tr("ONNX folders")),
            ]
        )
        self.variant = Choice([("", tr("Any variant"))] + [(v, v) for v in _VARIANTS])
        self.licence = Choice([("", tr("Any licence"))] + [(v, v) for v in _LICENCES])
        self.architecture = Choice(
            [("", tr("Any architecture"))] + [(v, v) for v in _ARCHITECTURES]
        )
        self.origin = QLineEdit()
        self.origin.setPlaceholderText(tr("Distilled from"))
        self.origin.setClearButtonEnabled(True)
        self.open_only = Check(tr("No gated models"))
        self.fits_only = Check(tr("Only models that fit"))
        self.sort = Choice(
            [
                ("downloads", tr("Most downloaded")),
                ("likes", tr("Most liked")),
                ("trendingScore", tr("Trending")),
                ("lastModified", tr("Recently updated")),
                ("createdAt", tr("Newest")),
            ]
        )
        choices = (
            self.format, self.size_choice, self.variant, self.licence, self.architecture, self.sort,
        )  # fmt: skip
        for choice in choices:
            choice.currentIndexChanged.connect(self.changed)
        for check in (self.open_only, self.fits_only):
            check.toggled.connect(self.changed)
        self.origin.editingFinished.connect(self.changed)
        self._lay_out()

    def _lay_out(self) -> None:
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        names = {
            self.format: tr("Format"), self.size_choice: tr("Size"), self.variant: tr("Variant"),
            self.licence: tr("Licence"), self.architecture: tr("Architecture"),
            self.origin: tr("Distilled from"), self.sort: tr("Sort order"),
        }  # fmt: skip
        for field, name in names.items():
            field.setAccessibleName(name)
            layout.addRow(field)
        layout.addRow(self.fits_only)
        layout.addRow(self.open_only)
        layout.addRow(label(tr("Sort order and variant apply to hub results."), "small", wrap=True))

    def filters(self) -> Filters:
        return Filters(
            format=self.format.currentData(),
            max_parameters=self.size_choice.currentData(),
            quantization=self.variant.currentData(),
            licence=self.licence.currentData(),
            architecture=self.architecture.currentData(),
            distilled_from=self.origin.text().strip(),
            open_only=self.open_only.isChecked(),
            fits_only=self.fits_only.isChecked(),
            sort=self.sort.currentData(),
        )

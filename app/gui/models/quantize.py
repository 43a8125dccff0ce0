"""The question before quantizing: for which engine, by which recipe, and what that takes."""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QFormLayout, QWidget

from app.gui.parts import words
from app.gui.parts.controls import Check, Choice, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M
from app.gui.parts.words import tr
from app.quantizing.conversion import MEASURE_SECONDS
from app.quantizing.forecast import FAST, FAST_BLOCK, expected, rows_fit
from app.quantizing.requantizing import Requantizing
from app.wording.explain import reason_text
from app.wording.loss import loss_sentences
from quant.recipe import recipe_named
from runtime.planning.format_choice import FormatRanking, RankedFormat
from runtime.shape import ModelShape, parameter_count

_BYTES_PER_TOKEN = 3  # of a text, roughly
_BUNDLED_BYTES = 21000
QUALITY_TOKENS = 63000  # prompt tokens that measuring evaluates: the bundled texts, in both models
# Recipes that are offered in any case; the one to be taken here comes before them.
_GGUF = ("q4_k_m", "q4_0", "q4_0-search", "q4_0-best", "q6_k", "q8_0")
_ONNX = ("onnx-q4-b32-search", "onnx-q4-b32", FAST)
_UNCALIBRATED = ("q8_0", "onnx-q4-b32")  # plain rounding: calibration has no effect
_BUNDLED, _OWN = "bundled", "own"


@dataclass(frozen=True)
class QuantizeChoice:
    """What was chosen: a recipe's name, whether to measure what it cost, the calibration text
    (True: the bundled one), and whether to quantize what is quantized already."""

    recipe: str
    measure: bool
    calibrate: Path | bool = False
    requantize: bool = False


class QuantizeDialog(QDialog):
    """Recipe and target of one model, with the size and time to expect.

    A model that is quantized already can be quantized again only by who says so; `official_wanted`
    carries the repository of the full-precision weights where those are wanted instead.
    """

    chosen = Signal(object)  # QuantizeChoice
    official_wanted = Signal(str)

    def __init__(
        self,
        name: str,
        shape: ModelShape | None,
        threads: int,
        prefill_tps: float | None,
        requantizing: Requantizing | None = None,
        parent: QWidget | None = None,
        ranking: FormatRanking | None = None,
    ) -> None:
        """`ranking` orders the recipes for this model and machine; the first of each target is
        marked as recommended."""
        super().__init__(parent)
        self._recommended = _first_of_each_family(ranking)
        self._shape = shape
        self._threads = threads
        self._prefill_tps = prefill_tps
        self.setWindowTitle(tr("Quantize {0}", name))
        gguf, onnx = tr("llama.cpp (GGUF): any CPU or GPU"), tr("ONNX Runtime: also NPUs")
        self.target = Choice([("gguf", gguf), ("onnx", onnx)])
        self.target.setAccessibleName(tr("Target"))
        self.recipe = Choice([])
        self.recipe.setAccessibleName(tr("Recipe"))
        self.recipe.setMinimumContentsLength(26)
        self.calibration = Choice(
            [
                (None, tr("none: all inputs weighted equally")),
                (_BUNDLED, tr("bundled text")),
                (_OWN, tr("your own text…")),
            ]
        )
        self.calibration.setAccessibleName(tr("Calibration text"))
        self._text: Path | None = None
        self.about = label("", "muted", wrap=True)
        self.loss = label("", "small", wrap=True)
        self.expectation = label("", "value", wrap=True)
        self.measure = Check(tr("Measure the quality loss afterwards"))
        self.measure.setChecked(True)
        self._measure_time = label("", "small", wrap=True)
        self.start = button(tr("Quantize"), "primary")
        self.anyway = Check(tr("Quantize it anyway"))
        self._lay_out(requantizing)
        self.target.currentIndexChanged.connect(self._fill)
        self.recipe.currentIndexChanged.connect(self._choose_recipe)
        self.calibration.currentIndexChanged.connect(self._show)
        self.calibration.activated.connect(self._ask_text)
        self._fill()
        if self._recommended:  # the family of the first of all
            self.target.setCurrentIndex(self.target.findData(next(iter(self._recommended))))

    def _lay_out(self, requantizing: Requantizing | None) -> None:
        self.start.setObjectName("startQuantize")
        self.start.setDefault(True)
        self.start.clicked.connect(self._start)
        cancel = button(tr("Cancel"))
        cancel.clicked.connect(self.reject)
        form = QFormLayout(self)
        form.setContentsMargins(SPACE_L, SPACE_L, SPACE_L, SPACE_M)
        form.setSpacing(SPACE_M)
        if requantizing is not None:
            self._warn(form, requantizing)
        form.addRow(tr("Target"), self.target)
        form.addRow(tr("Recipe"), self.recipe)
        form.addRow(tr("Calibration text"), self.calibration)
        form.addRow("", self.about)
        form.addRow("", self.loss)
        form.addRow(tr("Expected"), self.expectation)
        form.addRow("", self.measure)
        form.addRow("", self._measure_time)
        form.addRow(row(1, cancel, self.start))
        self.setMinimumWidth(460)

    def _warn(self, form: QFormLayout, found: Requantizing) -> None:
        """What quantizing again costs, above all else; nothing starts before it is agreed to."""
        text = tr(
            "This model is already quantized ({0}). Quantizing it again adds to what that lost;"
            " start from the full-precision weights if you can.",
            found.format,
        )
        form.addRow(label(text, "warning", wrap=True))
        if found.official is not None:
            official = found.official
            get = button(tr("Download {0}", official))
            get.setObjectName("getOfficial")
            get.clicked.connect(lambda: self._get_official(official))
            form.addRow("", row(get, 1))
        form.addRow("", self.anyway)
        self.start.setEnabled(False)
        self.anyway.toggled.connect(self.start.setEnabled)

    def _get_official(self, repo: str) -> None:
        self.official_wanted.emit(repo)
        self.reject()

    def _fill(self) -> None:
        names = _GGUF if self.target.currentData() == "gguf" else _ONNX
        first = self._recommended.get(self.target.currentData())
        if first is not None:
            names = tuple(dict.fromkeys((first.candidate.label, *names)))
        self.recipe.clear()
        for name in names:
            if name == FAST and self._shape and not rows_fit(self._shape, FAST_BLOCK):
                continue
            title = recipe_words(name)[0]
            if first is not None and name == first.candidate.label:
                title = tr("{0} (recommended)", title)
            self.recipe.addItem(title, name)

    def _choose_recipe(self) -> None:
        """A recipe starts with the calibration text it requires, or with none."""
        name = self.recipe.currentData()
        if name is not None:
            demanded = _BUNDLED if recipe_named(name).importance == "required" else None
            self.calibration.setCurrentIndex(self.calibration.findData(demanded))
        self._show()

    def _show(self) -> None:
        name = self.recipe.currentData()
        if name is None:
            return
        about = recipe_words(name)[1]
        first = self._recommended.get(self.target.currentData())
        if first is not None and name == first.candidate.label:
            about = f"{about} {tr(reason_text(first.reason))}"
        self.about.setText(about.strip())
        self._show_calibration(name)
        self._measure_time.setText(self._measuring())
        if self._shape is None:
            self.expectation.setText("–")
            return
        will = expected(self._shape, recipe_named(name), self._threads)
        self.expectation.setText(
            tr(
                "{0}, {1} bits per weight, about {2}",
                words.size(will.size),
                f"{will.bits_per_weight:.2f}",
                words.seconds(will.seconds + self._calibration_seconds()),
            )
        )

    def _show_calibration(self, name: str) -> None:
        """Whether the recipe can or must be calibrated, and the loss to expect."""
        required = recipe_named(name).importance == "required"
        if required and self.calibration.currentData() is None:
            self.calibration.setCurrentIndex(self.calibration.findData(_BUNDLED))
        self.calibration.setEnabled(name not in _UNCALIBRATED)
        sentences = []
        if self._shape is not None:
            weighed = self._calibrate() is not False
            sentences = loss_sentences(name, parameter_count(self._shape), weighed)
        self.loss.setText(" ".join(tr(each) for each in sentences))

    def _ask_text(self) -> None:
        if self.calibration.currentData() == _OWN:
            filters = f"{tr('Texts')} (*.txt *.md);;{tr('All files')} (*)"
            name, _ = QFileDialog.getOpenFileName(self, tr("Calibration text"), "", filters)
            self.use_text(Path(name) if name else None)

    def use_text(self, path: Path | None) -> None:
        """Weigh errors by this text; without one, as before one was asked for."""
        self._text = path or self._text
        if self._text is None:
            self.calibration.setCurrentIndex(0)
        else:
            index = self.calibration.findData(_OWN)
            self.calibration.setItemText(index, self._text.name)
            self.calibration.setCurrentIndex(index)
        self._show()

    def _calibrate(self) -> Path | bool:
        kind = self.calibration.currentData()
        if self.recipe.currentData() in _UNCALIBRATED or kind is None:
            return False
        return self._text if kind == _OWN and self._text is not None else kind == _BUNDLED

    def _calibration_seconds(self) -> float:
        """How long the text takes to run through the model; 0 where its speed is not known."""
        text = self._calibrate()
        if text is False or not self._prefill_tps:
            return 0.0
        size = _BUNDLED_BYTES
        if isinstance(text, Path) and text.is_file():
            size = text.stat().st_size
        return size / _BYTES_PER_TOKEN / self._prefill_tps

    def _measuring(self) -> str:
        """How much longer it takes to measure; "" where the model's speed is not known."""
        if not self._prefill_tps:
            return ""
        seconds = min(2 * QUALITY_TOKENS / self._prefill_tps, MEASURE_SECONDS)
        return tr("about {0} more", words.seconds(seconds))

    def _start(self) -> None:
        choice = QuantizeChoice(
            self.recipe.currentData(),
            self.measure.isChecked(),
            self._calibrate(),
            self.anyway.isChecked(),
        )
        self.chosen.emit(choice)
        self.accept()


def _first_of_each_family(ranking: FormatRanking | None) -> dict[str, RankedFormat]:
    """The recommended recipe by family, the better family first."""
    first: dict[str, RankedFormat] = {}
    for each in ranking.formats if ranking is not None else ():
        first.setdefault(recipe_named(each.candidate.label).family, each)
    return first


def recipe_words(name: str) -> tuple[str, str]:
    """A recipe's name for people and what to expect of its quality; the name alone where there is
    no more to say than its figures do."""
    four = tr("4-bit blocks throughout, including embeddings and LM head.")
    known = {
        "q4_0": ("Q4_0", four),
        "q4_0-search": (
            tr("Q4_0, searched scales"),
            f"{four} {tr('Slightly closer to the original; takes longer to make.')}",
        ),
        "q4_0-best": (
            tr("Q4_0, searched scales with calibration"),
            f"{four} {tr('The closest at this size: a calibration text runs through it first.')}",
        ),
        "q4_k_m": (
            "Q4_K_M",
            tr("4 bits, with 6 where it matters most: closer to the original, slightly slower."),
        ),
        "q6_k": ("Q6_K", tr("6 bits: barely distinguishable from the original.")),
        "q8_0": ("Q8_0", tr("8 bits: almost lossless, twice the size.")),
        "onnx-q4-b32-search": (
            tr("4 bits, blocks of 32, searched scales"),
            f"{four} {tr('The closest of these to the original; takes longer to make.')}",
        ),
        "onnx-q4-b32": (tr("4 bits, blocks of 32"), f"{four} {tr('Quick to make.')}"),
        FAST: (
            tr("Fast: 4 bits, blocks of 128, searched scales"),
            tr("About 25% faster on the CPU than blocks of 32, with more quality loss."),
        ),
    }
    return known.get(name, (name, ""))

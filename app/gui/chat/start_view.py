"""What an empty conversation shows: the next step. Knows no model, only its name."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QLabel, QProgressBar, QVBoxLayout, QWidget

from app.gui.models.control import ModelItem
from app.gui.models.model_words import detail_words, progress_words
from app.gui.parts import icons
from app.gui.parts.controls import button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_S, Theme
from app.gui.parts.words import tr
from app.library.catalog import CatalogEntry
from runtime.progress import Progress

COMFORTABLE_TPS = 5.0  # about as fast as one reads


class StartView(QWidget):
    """Suggestions when a model is there, else the way to get one; a banner for a better one."""

    suggested = Signal(str)
    get_starter_asked = Signal()
    browse_asked = Signal()
    banner_asked = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._banner_id = ""
        self._logo = QLabel()
        self._logo.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._title = label(tr("What would you like to ask?"), "title", wrap=True)
        self._title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._sentence = label("", "muted", wrap=True)
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._suggestions = QWidget()
        self._get = QWidget()
        self._build_suggestions()
        self._build_get()
        self.banner = self._build_banner()
        inner = QWidget()
        inner.setMaximumWidth(theme.px(560))
        middle = QVBoxLayout(inner)
        middle.setSpacing(SPACE_S)
        middle.addStretch(2)
        for each in (self._logo, self._title, self._sentence):
            middle.addWidget(each)
        middle.addSpacing(SPACE_L)
        middle.addWidget(self._suggestions)
        middle.addWidget(self._get)
        middle.addStretch(3)
        middle.addWidget(self.banner)
        middle.addSpacing(SPACE_L)
        outer = row(1, spacing=0)
        outer.addWidget(inner, 100)
        outer.addStretch(1)
        outer.setContentsMargins(SPACE_L, 0, SPACE_L, 0)
        self.setLayout(outer)
        self.set_theme(theme)
        self.set_model("")

    def _build_suggestions(self) -> None:
        layout = QVBoxLayout(self._suggestions)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACE_S)
        for text in (
            tr("What is the capital of France? Answer in one sentence."),
            tr("Write a short story about a lighthouse keeper."),
            tr("Explain why the sky is blue."),
        ):
            made = button(text, "suggestion")
            made.clicked.connect(lambda _checked=False, text=text: self.suggested.emit(text))
            layout.addWidget(made)

    def _build_get(self) -> None:
        self.get_button = button(tr("Get the starter model"), "primary")
        self.get_button.clicked.connect(self.get_starter_asked)
        browse = button(tr("Browse models"), "")
        browse.clicked.connect(self.browse_asked)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(tr("Progress"))
        self.progress.hide()
        self.progress_text = label("", "small")
        self.progress_text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self._get)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(1, self.get_button, browse, 1))
        layout.addWidget(self.progress)
        layout.addWidget(self.progress_text)

    def _build_banner(self) -> QFrame:
        frame = QFrame()
        frame.setObjectName("banner")
        self._banner_title = label("", "strong", wrap=True)
        self._banner_text = label("", "muted", wrap=True)
        self._banner_button = button(tr("Show"), "primary")
        self._banner_button.clicked.connect(lambda: self.banner_asked.emit(self._banner_id))
        texts = QVBoxLayout()
        texts.setSpacing(2)
        texts.addWidget(self._banner_title)
        texts.addWidget(self._banner_text)
        layout = row(spacing=12)
        layout.setContentsMargins(14, 10, 12, 10)
        layout.addLayout(texts, 1)
        layout.addWidget(self._banner_button)
        frame.setLayout(layout)
        frame.hide()
        return frame

    def set_model(self, name: str) -> None:
        """Suggest questions when there is a model; else offer to get one."""
        self._suggestions.setVisible(bool(name))
        self._get.setVisible(not name)
        if name:
            self._title.setText(tr("What would you like to ask?"))
            self._sentence.setText(
                tr("{0} runs on this machine. Nothing you write leaves it.", name)
            )
        else:
            self._title.setText(tr("Start with a small model"))
            self._sentence.setText(
                tr("SmolLM2 135M needs about 100 MB and shows how everything works.")
            )

    def show_work(self, progress: Progress | None, running: bool) -> None:
        """How far getting the starter is."""
        self.get_button.setEnabled(not running)
        self.progress.setVisible(running)
        self.progress_text.setText(progress_words(progress) if progress else "")
        if progress is not None and progress.total:
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(1000 * progress.done / progress.total))
        else:
            self.progress.setRange(0, 0)

    def recommend(self, items: Sequence[ModelItem]) -> None:
        """Offer the best distill of DeepSeek-R1 for this machine, unless it is installed."""
        fitting = [
            item for item in items
            if item.entry is not None and is_r1_distill(item.entry)
            and item.plan is not None and item.plan.fits == "fits"
        ]  # fmt: skip
        best = max(fitting, key=recommendation_key, default=None)
        if best is None or best.installed is not None:
            self.set_banner("", "", "")
            return
        fast, _size = recommendation_key(best)
        why = (
            tr(
                "The largest DeepSeek-R1 distill that answers at reading speed or faster on"
                " this machine."
            )
            if fast
            else tr(
                "The smallest DeepSeek-R1 distill: larger ones answer more slowly than one reads."
            )
        )
        if best.plan is not None and best.plan.speed is None:
            why = tr("The smallest DeepSeek-R1 distill, until this machine has been measured.")
        title = tr("Recommended for this machine: {0}", best.title)
        self.set_banner(best.key, title, f"{detail_words(best)}\n{why}")

    def set_banner(self, entry_id: str, title: str, text: str) -> None:
        """Recommend a model for this machine; empty text hides the banner."""
        self._banner_id = entry_id
        self._banner_title.setText(title)
        self._banner_text.setText(text)
        self._banner_button.setAccessibleName(f"{tr('Show')}: {title}")
        self.banner.setVisible(bool(title))

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        ratio = max(self.devicePixelRatioF(), 1.0)
        self._logo.setPixmap(icons.pixmap("logo", theme.accent, theme.px(52), ratio))


def is_r1_distill(entry: CatalogEntry) -> bool:
    """Whether DeepSeek-R1 was the teacher."""
    return entry.distilled and (entry.teacher or "").startswith("deepseek-ai/DeepSeek-R1")


def recommendation_key(item: ModelItem) -> tuple[bool, int]:
    """The largest among the models that answer at reading speed; else the smallest."""
    speed = item.plan.speed.decode_tps.low if item.plan and item.plan.speed else 0.0
    size = item.entry.parameters if item.entry else 0
    fast = speed >= COMFORTABLE_TPS
    return fast, size if fast else -size

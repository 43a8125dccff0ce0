"""Help that needs no network: topics of the bundled text, and a search over all of them.

Knows how the help file is cut into topics; the words are in app/help/.
"""

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.gui.parts.controls import label
from app.gui.parts.theme import SPACE_L, SPACE_M, SPACE_S, Theme
from app.gui.parts.words import tr
from app.gui.text.formulas import FormulaCache
from app.gui.text.markdown_view import MarkdownView

FOLDER = Path(__file__).parents[2] / "help"


@dataclass(frozen=True)
class Topic:
    """One section of the help, in Markdown."""

    title: str
    text: str


def topics(markdown: str) -> list[Topic]:
    """The sections below the second-level headings."""
    found = []
    for part in markdown.split("\n## ")[1:]:
        title, _, text = part.partition("\n")
        found.append(Topic(title.strip(), text.strip()))
    return found


def bundled(language: str) -> str:
    """The help in a language ("zh_CN"), in English where there is none."""
    path = FOLDER / f"{language}.md"
    return (path if path.exists() else FOLDER / "en.md").read_text("utf-8")


def matching(all_topics: list[Topic], text: str) -> list[Topic]:
    """Topics that hold every word, those with one in the title first."""
    words = text.lower().split()
    found = [t for t in all_topics if all(w in f"{t.title} {t.text}".lower() for w in words)]
    return sorted(found, key=lambda t: not any(w in t.title.lower() for w in words))


class HelpDialog(QDialog):
    """Type to search, arrows to choose."""

    link_clicked = Signal(str)

    def __init__(self, theme: Theme, shortcuts: str, parent: QWidget | None = None) -> None:
        """shortcuts: a Markdown table of the window's own keys."""
        super().__init__(parent)
        self._topics = topics(bundled(QLocale().name()))
        self._topics.append(Topic(tr("Keyboard"), shortcuts))
        self._found: list[Topic] = []
        self.setWindowTitle(tr("Help"))
        self.resize(820, 620)
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search the help"))
        self.search.setAccessibleName(tr("Search the help"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.list = QListWidget()
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setAccessibleName(tr("Topics"))
        self.list.currentRowChanged.connect(self._show)
        self._nothing = label(tr("Nothing found"), "muted")
        self.text = MarkdownView(theme, FormulaCache())
        self.text.setAccessibleName(tr("Help text"))
        self.text.link_clicked.connect(self.link_clicked)
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(SPACE_L, SPACE_S, SPACE_M, SPACE_L)
        inside.addWidget(self.text)
        inside.addStretch(1)
        self._area = QScrollArea()
        self._area.setAccessibleName(tr("Help"))
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setWidget(body)
        left = QVBoxLayout()
        left.setSpacing(SPACE_S)
        left.addWidget(self.search)
        left.addWidget(self._nothing)
        left.addWidget(self.list, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(SPACE_M, SPACE_M, 0, SPACE_M)
        layout.addLayout(left, 2)
        layout.addWidget(self._area, 5)
        self._filter("")

    def _filter(self, text: str) -> None:
        self._found = matching(self._topics, text)
        self._nothing.setVisible(not self._found)
        self.list.clear()
        self.list.addItems([topic.title for topic in self._found])
        self.list.setCurrentRow(0)

    def _show(self, row: int) -> None:
        if 0 <= row < len(self._found):
            topic = self._found[row]
            self.text.set_markdown(f"# {topic.title}\n\n{topic.text}")
            self._area.verticalScrollBar().setValue(0)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up) and self.search.hasFocus():
            step = 1 if event.key() == Qt.Key.Key_Down else -1
            row = min(max(self.list.currentRow() + step, 0), self.list.count() - 1)
            self.list.setCurrentRow(row)
        else:
            super().keyPressEvent(event)

"""Several answers to one question side by side, to keep one of them. Knows no store.

The answers are branches of one message: what is not kept stays reachable beside what is.
"""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.gui.chat.message_view import MessageView
from app.gui.parts.controls import Choice, ElidedLabel, button, label, row
from app.gui.parts.theme import SPACE_L, SPACE_M, SPACE_S, Theme
from app.gui.parts.words import tr
from app.gui.text.formulas import FormulaCache
from app.history.branches import Turn

COLUMN_WIDTH = 300  # at least, so that code and tables stay readable


class CompareView(QWidget):
    """A column for each answer; `grow` a column through its `MessageView`."""

    built = Signal(object)  # MessageView
    kept = Signal(int)
    another_asked = Signal(str)  # the model to ask
    left = Signal()

    def __init__(self, theme: Theme, formulas: FormulaCache, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._formulas = formulas
        self._columns: dict[int, _Column] = {}
        self.question = ElidedLabel("", "muted")
        self.model = Choice([])
        self.model.setMinimumContentsLength(18)
        self.model.setAccessibleName(tr("Model for the next answer"))
        self.another = button(tr("Another answer"), "", tr("Answer the same question again"))
        self.another.clicked.connect(lambda: self.another_asked.emit(self.model.currentData()))
        back = button(tr("Back to the chat"), "quiet")
        back.clicked.connect(self.left)
        self._row = QHBoxLayout()
        self._row.setContentsMargins(SPACE_L, 0, SPACE_L, SPACE_S)
        self._row.setSpacing(SPACE_M)
        columns = QWidget()
        columns.setLayout(self._row)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(columns)
        head = row(label(tr("Compare answers"), "section"), self.question)
        head.setStretch(1, 1)
        for each in (self.model, self.another, back):
            head.addWidget(each)
        head.setContentsMargins(SPACE_L, SPACE_S, SPACE_L, SPACE_S)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(area, 1)

    def show_models(self, names: Sequence[str], chosen: str) -> None:
        """What the next answer may come from."""
        self.model.clear()
        for name in names:
            self.model.addItem(name, name)
        self.model.setCurrentIndex(max(self.model.findData(chosen), 0))

    def show_answers(self, question: str, turns: Sequence[Turn], *, busy: bool) -> None:
        """These answers and no others; columns that stay are kept."""
        self.question.setText(" ".join(question.split()))
        self.another.setEnabled(not busy)
        wanted = {turn.message.id for turn in turns}
        for gone in [known for known in self._columns if known not in wanted]:
            self._columns.pop(gone).deleteLater()
        for turn in turns:
            column = self._columns.get(turn.message.id)
            if column is None:
                column = _Column(turn, self._theme, self._formulas)
                column.kept.connect(self.kept)
                self._columns[turn.message.id] = column
                self._row.addWidget(column, 1)
                self.built.emit(column.message)
            elif column.message.turn != turn:
                column.message.set_turn(turn)
            column.keep.setEnabled(turn.message.state != "streaming")

    def view(self, message_id: int) -> MessageView | None:
        column = self._columns.get(message_id)
        return column.message if column is not None else None

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        for column in self._columns.values():
            column.message.set_theme(theme)


class _Column(QFrame):
    kept = Signal(int)

    def __init__(self, turn: Turn, theme: Theme, formulas: FormulaCache) -> None:
        super().__init__()
        self.setObjectName("column")
        self.setMinimumWidth(theme.px(COLUMN_WIDTH))
        self.message = MessageView(turn, theme, formulas, show_thinking=False, actions=False)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setAccessibleName(tr("Answer {0}", turn.index + 1))
        body = QWidget()
        inside = QVBoxLayout(body)
        inside.setContentsMargins(0, 0, SPACE_S, 0)
        inside.addWidget(self.message)
        inside.addStretch(1)
        area.setWidget(body)
        self.keep = button(
            tr("Keep this answer"), "", tr("Continue with answer {0}", turn.index + 1)
        )
        self.keep.clicked.connect(lambda: self.kept.emit(turn.message.id))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(SPACE_M, SPACE_S, SPACE_S, SPACE_S)
        layout.addWidget(area, 1)
        layout.addLayout(row(self.keep, 1))

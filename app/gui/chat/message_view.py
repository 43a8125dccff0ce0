"""One message in the transcript: bubble or answer, thinking, numbers, actions. Knows no store."""

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.gui.chat.control import Delta
from app.gui.chat.thinking_view import ThinkingView
from app.gui.parts import words
from app.gui.parts.controls import IconButton, label, row
from app.gui.parts.failures import problem_box
from app.gui.parts.speech import Sentences, announce
from app.gui.parts.theme import Theme
from app.gui.parts.words import tr
from app.gui.text.formulas import FormulaCache
from app.gui.text.markdown_view import MarkdownView
from app.history.branches import Turn
from app.wording.explain import notice_text
from runtime.progress import Progress


class MessageView(QWidget):
    """Signals carry the message id; the page decides what they mean."""

    copy_asked = Signal(int)
    edit_asked = Signal(int)
    again_asked = Signal(int)
    continue_asked = Signal(int)
    delete_asked = Signal(int)
    compare_asked = Signal(int)
    branch_asked = Signal(int, int)
    link_clicked = Signal(str)
    spoken = Signal(str)  # to a screen reader

    def __init__(
        self,
        turn: Turn,
        theme: Theme,
        formulas: FormulaCache,
        *,
        show_thinking: bool,
        actions: bool = True,
    ) -> None:
        super().__init__()
        self._theme = theme
        self._formulas = formulas
        self._show_thinking = show_thinking
        self._has_actions = actions
        self._buttons: list[IconButton] = []
        self._thinking: ThinkingView | None = None
        self._sentences = Sentences()
        self._reasoning_tokens = 0
        self._reasoning_seconds = 0.0
        self.turn = turn
        self.message = turn.message
        self.answer = MarkdownView(theme, formulas, covering=self.message.role != "user")
        self.answer.link_clicked.connect(self.link_clicked)
        self._status = label("", "small")
        self._status.hide()
        self._numbers = label("", "small", wrap=True)
        self._notices = label("", "warning", wrap=True)
        self._notices.hide()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        if self.message.role == "user":
            self._build_question()
        else:
            self._build_answer()
        self._actions = QHBoxLayout()
        self._actions.setContentsMargins(0, 0, 0, 0)
        self._actions.setSpacing(2)
        self._layout.addLayout(self._actions)
        self.set_turn(turn)

    # -- building --------------------------------------------------------------------------------

    def _build_question(self) -> None:
        self.setAccessibleName(tr("You"))
        bubble = QFrame()
        bubble.setObjectName("userBubble")
        inside = QVBoxLayout(bubble)
        inside.setContentsMargins(14, 10, 14, 8)
        if self.message.attachments:
            names = [f"▪ {each.name}" for each in self.message.attachments]
            inside.addWidget(label("   ".join(names), "small", wrap=True))
        inside.addWidget(self.answer)
        self.answer.setVisible(bool(self.message.content))
        self._layout.addWidget(bubble)

    def _build_answer(self) -> None:
        self.setAccessibleName(tr("Answer"))
        name = label(self.message.model or tr("Answer"), "section")
        self._layout.addWidget(name)
        self._layout.addWidget(self._status)
        self._layout.addWidget(self.answer)
        self._layout.addWidget(self._notices)
        self._layout.addWidget(self._numbers)
        self._numbers.hide()

    def set_turn(self, turn: Turn) -> None:
        """Show a settled (or just begun) message and the actions it allows.

        Text that is already shown, because it was streamed, is not drawn again.
        """
        self.turn = turn
        self.message = turn.message
        if self.answer.markdown != self.message.content:
            self.answer.set_markdown(self.message.content)
        if self.message.reasoning:
            figures = self.message.figures
            self._thinking_view().set_text(
                self.message.reasoning, figures.reasoning_tokens, figures.reasoning_seconds
            )
        self._show_numbers()
        self._fill_actions(turn)

    def _fill_actions(self, turn: Turn) -> None:
        while self._actions.count():
            item = self._actions.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.deleteLater()
        self._buttons.clear()
        if self.message.state == "streaming" or not self._has_actions:
            return
        if len(turn.siblings) > 1:
            self._add("left", tr("Previous branch"), lambda i: self.branch_asked.emit(i, -1))
            place = label(f"{turn.index + 1} / {len(turn.siblings)}", "small")
            self._actions.addWidget(place)
            self._add("right", tr("Next branch"), lambda i: self.branch_asked.emit(i, 1))
        self._add("copy", tr("Copy message"), self.copy_asked.emit)
        if self.message.role == "user":
            self._add("edit", tr("Edit and ask again"), self.edit_asked.emit)
        else:
            if self.message.state == "cut":
                self._add("continue", tr("Continue answer"), self.continue_asked.emit)
            self._add("again", tr("Another answer"), self.again_asked.emit)
            self._add("compare", tr("Compare several answers"), self.compare_asked.emit)
        self._add("trash", tr("Delete from here"), self.delete_asked.emit)
        self._actions.addStretch(1)

    def _add(self, icon: str, name: str, action: Callable[[int], object]) -> None:
        made = IconButton(icon, name, self._theme, size=16)
        made.clicked.connect(lambda: action(self.message.id))
        self._actions.addWidget(made)
        self._buttons.append(made)

    def _thinking_view(self) -> ThinkingView:
        if self._thinking is None:
            self._thinking = ThinkingView(self._theme, expanded=self._show_thinking)
            self._layout.insertWidget(self._layout.indexOf(self.answer), self._thinking)
        return self._thinking

    @property
    def thinking(self) -> ThinkingView | None:
        return self._thinking

    # -- streaming -------------------------------------------------------------------------------

    def show_progress(self, progress: Progress) -> None:
        """What happens before the first token."""
        texts = {
            "load": tr("Loading the model"),
            "prefill": tr("Processing the prompt"),
            "restart": tr("Starting the engine again"),
        }
        text = texts.get(progress.phase, progress.phase)
        if progress.total:
            text += f" · {100 * progress.done // progress.total} %"
        self._status.setText(f"{text}…")
        self._status.show()

    def grow(self, delta: Delta) -> None:
        """Add what arrived."""
        if delta.reasoning:
            self._status.hide()
            self._reasoning_tokens = delta.tokens
            self._reasoning_seconds = delta.seconds
            self._thinking_view().append(delta.reasoning, delta.tokens, delta.seconds)
        if delta.content:
            self._status.hide()
            if self._thinking is not None and not self.answer.markdown:
                self._thinking.finish(self._reasoning_tokens, self._reasoning_seconds)
            self.answer.append(delta.content)
            if QAccessible.isActive():
                self._speak(self._sentences.add(delta.content))

    def settle(self) -> None:
        """The answer has ended: draw and announce what was deferred."""
        self.answer.settle()
        self._speak(self._sentences.rest())

    def _speak(self, text: str) -> None:
        if text:
            announce(self, text)
            self.spoken.emit(text)

    def show_error(self, error: Exception) -> None:
        """Why the answer ended early."""
        self._status.hide()
        self._layout.insertWidget(self._layout.indexOf(self._notices), problem_box(error))

    @property
    def reasoning_seconds(self) -> float:
        return self._reasoning_seconds

    def _show_numbers(self) -> None:
        figures = self.message.figures
        self._status.hide()
        parts = []
        if figures.decode_tps:
            parts.append(words.rate(figures.decode_tps))
        if figures.generated_tokens:
            parts.append(tr("{0} tokens", words.count(figures.generated_tokens)))
        if figures.time_to_first_token is not None:
            first = words.seconds(figures.time_to_first_token)
            parts.append(tr("first token after {0}", first))
        if figures.draft_tokens:
            drafts = (words.count(figures.accepted_tokens), words.count(figures.draft_tokens))
            parts.append(tr("{0} of {1} drafted tokens accepted", *drafts))
        if self.message.state == "cut":
            parts.append(tr("stopped early"))
        self._numbers.setText("  ·  ".join(parts))
        self._numbers.setVisible(bool(parts))
        times = words.time_shares(figures)
        self._numbers.setToolTip(times)
        self._numbers.setAccessibleDescription(times)
        notices = [tr(notice_text(code)) for code in figures.notices]
        self._notices.setText("\n".join(notices))
        self._notices.setVisible(bool(notices))

    def set_theme(self, theme: Theme) -> None:
        self._theme = theme
        self.answer.set_theme(theme)
        for each in self._buttons:
            each.set_theme(theme)
        if self._thinking is not None:
            self._thinking.set_theme(theme)


def centred(view: QWidget, width: int) -> QWidget:
    """`view` in the middle of the page, no wider than text reads well."""
    holder = QWidget()
    layout = row(1, spacing=0)
    view.setMaximumWidth(width)
    layout.addWidget(view, 100)
    layout.addStretch(1)
    holder.setLayout(layout)
    holder.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return holder

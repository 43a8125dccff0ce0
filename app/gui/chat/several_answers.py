"""Answers one question several times and keeps the answer that most of them agree on.

Knows the chat's control; how one is chosen is `runtime.answer.voting`'s. The others stay as
branches.
"""

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.chat.control import ChatControl
from app.history.records import StoredMessage
from runtime.answer.voting import pick_best

ANSWERS = 3  # the fewest that can have a majority


class SeveralAnswers(QObject):
    """One vote at a time; stopping an answer ends it with what there is."""

    picked = Signal(object)  # Pick

    def __init__(self, chat: ChatControl, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._chat = chat
        self._made: list[StoredMessage] = []  # empty: no vote under way
        chat.answer_ended.connect(self._ended)

    def ask(self) -> None:
        """Answer the last question of the shown path again until there are ANSWERS answers; the one
        that is shown is the first of them."""
        chat = self._chat
        turns = chat.tree.path(chat.conversation.head_id) if chat.conversation else []
        if chat.busy or not turns or turns[-1].message.role != "assistant":
            return
        self._made = [turns[-1].message]
        chat.regenerate(turns[-1].message.id)

    def _ended(self, message: StoredMessage, error: Exception | None) -> None:
        if not self._made:
            return
        first, open_one = self._made[0], self._chat.conversation
        elsewhere = open_one is None or open_one.id != first.conversation_id
        if elsewhere or message.parent_id != first.parent_id:
            self._made = []
            return
        if error is None:
            self._made.append(message)
        stopped = error is not None or message.figures.finish_reason == "cancelled"
        # The next answer begins only after all receivers of the signal have handled this one.
        QTimer.singleShot(0, self._keep if stopped or len(self._made) >= ANSWERS else self._next)

    def _next(self) -> None:
        if self._made and not self._chat.busy:
            self._chat.regenerate(self._made[0].id)

    def _keep(self) -> None:
        made, self._made = self._made, []
        if not made or self._chat.busy:
            return
        pick = pick_best([message.content for message in made])
        self._chat.show_branch(made[pick.index].id)
        self.picked.emit(pick)

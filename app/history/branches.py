"""A conversation as a tree: which messages are on the way to the head, and which stand beside them.

Pure functions over stored messages; knows no Qt and no store.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from app.history.records import StoredMessage


@dataclass(frozen=True)
class Turn:
    """A message on the shown path, with its place among its branches (index from 0)."""

    message: StoredMessage
    siblings: tuple[int, ...]

    @property
    def index(self) -> int:
        return self.siblings.index(self.message.id)


class Tree:
    """The messages of one conversation."""

    def __init__(self, messages: Iterable[StoredMessage]) -> None:
        self._messages = {message.id: message for message in messages}

    def put(self, message: StoredMessage) -> None:
        self._messages[message.id] = message

    def get(self, message_id: int) -> StoredMessage:
        return self._messages[message_id]

    def below(self, message_id: int) -> list[StoredMessage]:
        """A message and all that follows it in any branch, parents before children."""
        found = [self._messages[message_id]]
        for child in self._children(message_id):
            found += self.below(child)
        return found

    def remove(self, message_id: int) -> None:
        """Take out a message and all below it."""
        for child in self._children(message_id):
            self.remove(child)
        self._messages.pop(message_id, None)

    def path(self, head_id: int | None) -> list[Turn]:
        """From the first message to the head, each with its siblings, oldest first."""
        turns: list[Turn] = []
        current = self._messages.get(head_id) if head_id is not None else None
        while current is not None:
            turns.append(Turn(current, self.siblings(current.id)))
            parent = current.parent_id
            current = self._messages.get(parent) if parent is not None else None
        return turns[::-1]

    def siblings(self, message_id: int) -> tuple[int, ...]:
        """The branches a message is one of, itself included, oldest first."""
        return tuple(self._children(self._messages[message_id].parent_id))

    def branches_below(self, message_id: int) -> list[Turn]:
        """The messages that answer this one, oldest first."""
        children = tuple(self._children(message_id))
        return [Turn(self._messages[child], children) for child in children]

    def leaf_below(self, message_id: int) -> int:
        """The end of the newest branch below a message."""
        children = self._children(message_id)
        return self.leaf_below(children[-1]) if children else message_id

    def _children(self, parent_id: int | None) -> list[int]:
        return sorted(m.id for m in self._messages.values() if m.parent_id == parent_id)

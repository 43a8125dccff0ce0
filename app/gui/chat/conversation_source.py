"""Keeps the list of conversations filled: all of them, or what was searched for."""

from functools import partial

from PySide6.QtCore import QObject, QTimer, Signal

from app.gui.chat.control import ChatControl
from app.gui.chat.conversation_list import ConversationList
from app.gui.parts.bridge import Bridge
from app.history.records import SearchHit


class ConversationSource(QObject):
    """Reads the store for the list and marks the open conversation in it."""

    failed = Signal(object)  # why a search found nothing

    def __init__(
        self, chat: ChatControl, bridge: Bridge, listed: ConversationList, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._chat = chat
        self._bridge = bridge
        self._list = listed
        self._soon = QTimer(self)  # many changes at once fill the list once
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.refresh)
        chat.conversations_changed.connect(self._soon.start)
        chat.opened.connect(lambda _conversation: self._mark_current())
        listed.search_changed.connect(lambda _text: self.refresh())

    def refresh(self) -> None:
        """Fill the list from the store."""
        store = self._chat.store
        text = self._list.search.text().strip()
        if text:  # short words are searched in all messages, which takes a while
            job = self._bridge.call(partial(store.search, text))
            job.finished.connect(partial(self._found, text))
            job.failed.connect(self.failed)
            return
        self._list.show_conversations(store.conversations())
        self._mark_current()

    def _found(self, text: str, hits: list[SearchHit]) -> None:
        """Show what was found, unless something else is searched for by now."""
        if text == self._list.search.text().strip():
            self._list.show_hits(hits)
            self._mark_current()

    def _mark_current(self) -> None:
        current = self._chat.conversation
        self._list.set_current(current.id if current else None)

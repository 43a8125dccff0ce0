"""The menu of the open conversation and its messages: what the mouse finds on them, by keyboard.

Actions on a message are about the one that has the focus, else about the last of its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication

from app.gui.chat.message_view import MessageView
from app.gui.parts.words import tr

if TYPE_CHECKING:
    from app.gui.main_window import MainWindow

Entry = tuple[str, str, Callable[[], object]]


class ConversationMenu:
    """What the menu offers, as (text, shortcut, what it does)."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    def of_conversation(self) -> list[Entry]:
        """Actions on the open conversation; nothing happens where none is open."""
        does = self._window.conversations
        composer = self._window.chat_page.composer
        return [
            (tr("Rename conversation"), "Ctrl+Shift+R", lambda: self._open(does.rename)),
            (tr("Pin or unpin conversation"), "Ctrl+Shift+P", lambda: self._open(self._pin)),
            (tr("Move conversation to folder"), "Ctrl+Shift+O", lambda: self._open(does.move)),
            (tr("Delete conversation"), "Ctrl+Shift+Backspace", lambda: self._open(does.delete)),
            (tr("Attach files"), "Ctrl+O", lambda: does.choose_attachments(composer)),
        ]

    def of_message(self) -> list[Entry]:
        """Actions on a message."""
        page, chat = self._window.chat_page, self._window.chat
        return [
            (tr("Edit message"), "Ctrl+E", lambda: self._message("user", page.edit)),
            (tr("Another answer"), "Ctrl+R", lambda: self._message("assistant", chat.regenerate)),
            (tr("Continue answer"), "Ctrl+G", lambda: self._message("assistant", self._continue)),
            (tr("Copy message"), "Ctrl+Shift+C", lambda: self._message("", page.copy)),
            (tr("Previous branch"), "Alt+Left", lambda: self._branch(-1)),
            (tr("Next branch"), "Alt+Right", lambda: self._branch(1)),
            (tr("Delete from here"), "Ctrl+Shift+Del", lambda: self._message("", page.delete)),
        ]

    def _open(self, act: Callable[[int], object]) -> None:
        conversation = self._window.chat.conversation
        if conversation is not None:
            act(conversation.id)

    def _pin(self, conversation_id: int) -> None:
        stored = self._window.session.store.conversation(conversation_id)
        self._window.conversations.pin(conversation_id, not stored.pinned)

    def _continue(self, message_id: int) -> None:
        if self._window.chat.tree.get(message_id).state == "cut":
            self._window.chat.continue_answer(message_id)

    def _views(self, role: str) -> list[MessageView]:
        """Those an action may be about, the likeliest last."""
        views = self._window.chat_page.transcript.views()
        found = [view for view in views if role in ("", view.message.role)]
        focused = QApplication.focusWidget()
        return sorted(found, key=lambda view: focused is not None and view.isAncestorOf(focused))

    def _message(self, role: str, act: Callable[[int], object]) -> None:
        views = self._views(role)
        if views:
            act(views[-1].message.id)

    def _branch(self, step: int) -> None:
        forked = [view for view in self._views("") if len(view.turn.siblings) > 1]
        if forked:
            self._window.chat.switch_branch(forked[-1].message.id, step)

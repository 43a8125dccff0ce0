"""The menu of the open conversation and its messages: what the mouse finds on them, by keyboard.

Actions on a message are about the one that has the focus, else about the last of its kind.
"""

from collections.abc import Callable

from PySide6.QtWidgets import QApplication

from app.gui.chat.control import ChatControl
from app.gui.chat.conversation_actions import ConversationActions
from app.gui.chat.message_view import MessageView
from app.gui.chat.page import ChatPage
from app.gui.parts.command_palette import Command
from app.gui.parts.words import tr


class ConversationMenu:
    """What the menu offers; a hint is a shortcut."""

    def __init__(self, chat: ChatControl, page: ChatPage, actions: ConversationActions) -> None:
        self._chat = chat
        self._page = page
        self._actions = actions

    def of_conversation(self) -> list[Command]:
        """Actions on the open conversation; nothing happens where none is open."""
        does = self._actions
        composer = self._page.composer
        return [
            Command(tr("Rename conversation"), "Ctrl+Shift+R", lambda: self._open(does.rename)),
            Command(tr("Pin or unpin conversation"), "Ctrl+Shift+P", lambda: self._open(self._pin)),
            Command(
                tr("Move conversation to folder"), "Ctrl+Shift+O", lambda: self._open(does.move)
            ),
            Command(
                tr("Delete conversation"), "Ctrl+Shift+Backspace", lambda: self._open(does.delete)
            ),
            Command(tr("Attach files"), "Ctrl+O", lambda: does.choose_attachments(composer)),
        ]

    def of_message(self) -> list[Command]:
        """Actions on a message."""
        page, chat = self._page, self._chat
        return [
            Command(tr("Edit message"), "Ctrl+E", lambda: self._message("user", page.edit)),
            Command(
                tr("Another answer"), "Ctrl+R", lambda: self._message("assistant", chat.regenerate)
            ),
            Command(
                tr("Continue answer"), "Ctrl+G", lambda: self._message("assistant", self._continue)
            ),
            Command(tr("Copy message"), "Ctrl+Shift+C", lambda: self._message("", page.copy)),
            Command(tr("Previous branch"), "Alt+Left", lambda: self._branch(-1)),
            Command(tr("Next branch"), "Alt+Right", lambda: self._branch(1)),
            Command(
                tr("Delete from here"), "Ctrl+Shift+Del", lambda: self._message("", page.delete)
            ),
        ]

    def _open(self, act: Callable[[int], object]) -> None:
        conversation = self._chat.conversation
        if conversation is not None:
            act(conversation.id)

    def _pin(self, conversation_id: int) -> None:
        stored = self._chat.store.conversation(conversation_id)
        self._actions.pin(conversation_id, not stored.pinned)

    def _continue(self, message_id: int) -> None:
        if self._chat.tree.get(message_id).state == "cut":
            self._chat.continue_answer(message_id)

    def _views(self, role: str) -> list[MessageView]:
        """Those an action may be about, the likeliest last."""
        views = self._page.transcript.views()
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
            self._chat.switch_branch(forked[-1].message.id, step)

"""Everything by keyboard: the actions of conversation and messages, find, undo, the palette."""

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QInputDialog
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.history.records import Conversation

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def talk(window: MainWindow) -> Conversation:
    """An open conversation of two questions, the last answer in two branches, the shown one cut."""
    store = window.session.store
    chat = store.add_conversation("Stills")
    ask = store.add_message(chat.id, "user", "Why copper?")
    answer = store.add_message(chat.id, "assistant", "Copper conducts heat.", parent_id=ask.id)
    more = store.add_message(chat.id, "user", "And tin?", parent_id=answer.id)
    store.add_message(chat.id, "assistant", "Tin melts.", parent_id=more.id)
    store.add_message(chat.id, "assistant", "Tin and copper", parent_id=more.id, state="cut")
    window.open_conversation(chat.id)
    window.activateWindow()
    return store.conversation(chat.id)


def trigger(window: MainWindow, name: str) -> None:
    window.commands.actions_by_name[name].trigger()


def accept_dialog(text: str) -> None:
    """Type into the dialog that opens, and accept it."""

    def act() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QInputDialog)
        dialog.setTextValue(text)
        dialog.accept()

    QTimer.singleShot(100, act)


def test_every_action_has_its_own_key_and_stands_in_the_palette(window: MainWindow) -> None:
    actions = window.commands.actions_by_name
    keys = [a.shortcut().toString() for a in actions.values() if not a.shortcut().isEmpty()]
    assert len(keys) == len(set(keys))
    for name in ("Rename conversation", "Pin or unpin conversation", "Move conversation to folder",
                 "Delete conversation", "Attach files", "Edit message", "Another answer",
                 "Continue answer", "Copy message", "Previous branch", "Next branch",
                 "Delete from here"):  # fmt: skip
        assert not actions[name].shortcut().isEmpty(), name
    window.commands.show_palette()
    palette = window.commands.palette
    QTest.keyClicks(palette.field, "rename conv")
    assert palette.list.item(0).text().startswith("Rename conversation")
    palette.hide()


def test_rename_pin_folder_and_delete(qtbot: QtBot, window: MainWindow, talk: Conversation) -> None:
    store = window.session.store
    accept_dialog("Copper stills")
    trigger(window, "Rename conversation")
    assert store.conversation(talk.id).title == "Copper stills"
    assert window.chat_page.title.text() == "Copper stills"
    trigger(window, "Pin or unpin conversation")
    assert window.conversation_list.model.entries[0].section == "Pinned"
    trigger(window, "Pin or unpin conversation")
    assert not store.conversation(talk.id).pinned
    accept_dialog("work")
    trigger(window, "Move conversation to folder")
    assert window.conversation_list.model.entries[0].section == "work"
    trigger(window, "Delete conversation")
    assert store.conversations() == []
    window.toast.button.click()
    assert [each.id for each in store.conversations()] == [talk.id]


def test_messages_are_copied_edited_and_their_branches_shown(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    views = window.chat_page.transcript.views
    trigger(window, "Copy message")
    assert QApplication.clipboard().text() == "Tin and copper"
    trigger(window, "Previous branch")
    assert views()[-1].message.content == "Tin melts."
    trigger(window, "Next branch")
    assert views()[-1].message.content == "Tin and copper"
    trigger(window, "Edit message")
    composer = window.chat_page.composer.text
    assert composer.toPlainText() == "And tin?"
    QTest.keyClick(composer, Qt.Key.Key_Escape)
    views()[1].answer.setFocus()  # the one that has the focus is meant
    trigger(window, "Copy message")
    assert QApplication.clipboard().text() == "Copper conducts heat."


def test_answers_are_continued_and_asked_again(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    window.chat.set_options(max_tokens=3)
    trigger(window, "Continue answer")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    message = window.chat_page.transcript.views()[-1].message
    assert message.content.startswith("Tin and copper")
    assert len(message.content) > len("Tin and copper")
    trigger(window, "Another answer")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    assert len(window.chat_page.transcript.views()[-1].turn.siblings) == 3


def test_deleting_messages_can_be_undone(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    store = window.session.store
    views = window.chat_page.transcript.views
    views()[2].answer.setFocus()
    trigger(window, "Delete from here")
    assert [view.message.content for view in views()] == ["Why copper?", "Copper conducts heat."]
    assert len(store.messages(talk.id)) == 2
    window.toast.button.click()
    assert views()[-1].message.content == "Tin and copper"
    assert len(store.messages(talk.id)) == 5
    assert len(views()[-1].turn.siblings) == 2


def test_find_unfolds_the_thinking_it_finds_words_in(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    store = window.session.store
    asked = store.messages(talk.id)[-1]
    long = "A wire.\n" * 200 + "Perhaps silver.\n" + "A wire.\n" * 200
    store.add_message(talk.id, "assistant", "Use gold.", reasoning=long, parent_id=asked.id)
    window.open_conversation(talk.id)
    view = window.chat_page.transcript.views()[-1]
    assert view.thinking is not None
    assert not view.thinking.expanded
    QTest.keyClick(window, Qt.Key.Key_F, CONTROL)
    bar = window.chat_page.find_bar
    QTest.keyClicks(bar.field, "Silver")
    assert bar.count.text() == "1 of 1"
    assert view.thinking.expanded
    assert view.thinking.marked() == "silver"
    qtbot.waitUntil(lambda: not view.thinking.visibleRegion().isEmpty())
    QTest.keyClick(bar.field, Qt.Key.Key_Escape)
    assert view.thinking.marked() == ""


def test_find_marks_words_behind_characters_of_two_units_and_other_cases(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    store = window.session.store
    asked = store.messages(talk.id)[-1]
    store.add_message(talk.id, "assistant", "😀 Straße 😀 Zinn", parent_id=asked.id)
    window.open_conversation(talk.id)
    QTest.keyClick(window, Qt.Key.Key_F, CONTROL)
    bar = window.chat_page.find_bar
    view = window.chat_page.transcript.views()[-1]
    bar.field.setText("zinn")
    assert bar.count.text() == "1 of 1"
    assert view.answer.textCursor().selectedText() == "Zinn"
    window.chat_page.transcript.clear()
    bar.step(1)  # what was found is no longer shown


def test_find_goes_through_the_open_conversation(
    qtbot: QtBot, window: MainWindow, talk: Conversation
) -> None:
    QTest.keyClick(window, Qt.Key.Key_F, CONTROL)
    bar = window.chat_page.find_bar
    assert bar.isVisible()
    QTest.keyClicks(bar.field, "COPPER")
    assert bar.count.text() == "1 of 3"

    def marked() -> list[tuple[int, str]]:
        cursors = [view.answer.textCursor() for view in window.chat_page.transcript.views()]
        return [(n, c.selectedText()) for n, c in enumerate(cursors) if c.hasSelection()]

    assert marked() == [(0, "copper")]
    QTest.keyClick(bar.field, Qt.Key.Key_Return)
    assert marked() == [(1, "Copper")]
    QTest.keyClick(bar.field, Qt.Key.Key_Return, SHIFT)
    QTest.keyClick(bar.field, Qt.Key.Key_Return, SHIFT)
    assert bar.count.text() == "3 of 3"
    assert marked() == [(3, "copper")]
    QTest.keyClicks(bar.field, "x")
    assert bar.count.text() == "Nothing found"
    QTest.keyClick(bar.field, Qt.Key.Key_Escape)
    assert not bar.isVisible()
    assert marked() == []
    action = window.commands.actions_by_name["Search all conversations"]
    assert action.shortcut() == QKeySequence("Ctrl+Shift+F")
    action.trigger()
    assert QApplication.focusWidget() is window.conversation_list.search

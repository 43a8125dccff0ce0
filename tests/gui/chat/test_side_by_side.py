"""Answers side by side, the tour of the first start, and the help that needs no network."""

import re

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.dialogs.help import HelpDialog, bundled, topics
from app.gui.main_window import MainWindow
from app.settings import load


def test_several_answers_are_compared_and_one_is_kept(qtbot: QtBot, window: MainWindow) -> None:
    window.chat.set_options(max_tokens=6)
    window.chat.send("Name a colour.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    first = window.chat_page.transcript.views()[-1].message
    page, compared = window.chat_page, window.chat_page.compare_view
    page.compare_last()  # alone: a second answer is asked for at once
    assert window.chat.busy
    assert not compared.another.isEnabled()
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    compared.another.click()
    qtbot.waitUntil(lambda: window.chat.busy, timeout=5000)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    answers = [m for m in window.session.store.messages(first.conversation_id)
               if m.parent_id == first.parent_id]  # fmt: skip
    assert len(answers) == 3
    assert compared.isVisible()
    for answer in answers:
        view = compared.view(answer.id)
        assert view is not None
        assert view.isVisible()
        assert view.answer.markdown == answer.content
    compared.kept.emit(answers[1].id)
    assert page.transcript.isVisible()
    assert page.transcript.views()[-1].message.id == answers[1].id
    assert window.session.store.conversation(first.conversation_id).head_id == answers[1].id
    page.compare(answers[1].id)  # there are several: none is asked for
    assert not window.chat.busy
    window.new_chat()
    assert not compared.isVisible()


def test_the_tour_has_three_steps_by_keyboard_and_is_shown_once(
    qtbot: QtBot, window: MainWindow
) -> None:
    window.offer_tour()
    seen = []
    for _ in range(3):
        card = QApplication.focusWidget()
        assert card is not None
        tour = card.parentWidget()
        assert tour is not None
        assert tour.isVisible()
        assert window.body.rect().contains(tour.geometry())
        seen.append(tour.accessibleName())
        QTest.keyClick(card, Qt.Key.Key_Return)
    assert len(set(seen)) == 3
    assert QApplication.focusWidget() is window.chat_page.composer.text
    assert load(window.session.paths.settings)[0].tour_seen
    window.offer_tour()
    assert QApplication.focusWidget() is window.chat_page.composer.text


def test_the_help_is_searched_offline(qtbot: QtBot, window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_F1)
    (dialog,) = window.findChildren(HelpDialog)
    assert dialog.list.count() > 8
    assert "Ctrl+K" in dialog._topics[-1].text
    QTest.keyClicks(dialog.search, "power saving")
    assert [topic.title for topic in dialog._found] == ["Speed, and why"]
    assert "power saving" in dialog.text.toPlainText()
    dialog.search.setText("no such word anywhere")
    assert dialog.list.count() == 0
    dialog.close()


def test_both_languages_have_the_same_topics() -> None:
    english, chinese = topics(bundled("en")), topics(bundled("zh_CN"))
    assert len(english) == len(chinese) > 8
    for ours, theirs in zip(english, chinese, strict=True):
        assert theirs.text != ours.text
        assert re.findall(r"Ctrl\+\w|`[^`]+`", ours.text) == re.findall(
            r"Ctrl\+\w|`[^`]+`", theirs.text
        )
    assert bundled("fr") == bundled("en")

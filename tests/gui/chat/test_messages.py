"""What a message shows and what is done to it: thinking, tables, edits, branches, news."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextTable
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPlainTextEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.chat.thinking_view import ThinkingView
from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.gui.text.formulas import FormulaCache
from app.gui.text.markdown_view import MarkdownView
from app.history.records import Attachment
from tests.helpers.streamed_window import scripted_plan, write_script


@pytest.fixture
def thinking(qtbot: QtBot) -> ThinkingView:
    view = ThinkingView(theme.choose("light", 100, False), expanded=True)
    qtbot.addWidget(view)
    view.resize(500, 320)
    view.show()
    return view


def box_of(view: ThinkingView) -> QPlainTextEdit:
    found = view.findChild(QPlainTextEdit)
    assert isinstance(found, QPlainTextEdit)
    return found


def use_script(
    window: MainWindow, folder: Path, *, thinking: int, answer: int, rate: float
) -> None:
    """Let the scripted engine answer from now on."""
    write_script(folder / "script.json", thinking, answer, rate)
    window.models.choose(str(folder / "script.json"), plan=False)
    window.models.plan = scripted_plan()


def test_unfolded_stored_thinking_stands_in_its_box(thinking: ThinkingView) -> None:
    thinking.set_text("stored thoughts", 2, 1.0)
    assert box_of(thinking).toPlainText() == "stored thoughts"
    thinking.set_text("others", 1, 1.0)
    assert box_of(thinking).toPlainText() == "others"


def test_thinking_that_just_ended_stays_where_it_is_read(thinking: ThinkingView) -> None:
    text = "".join(f"thought {number} about copper. " for number in range(600))
    thinking.append(text, 900, 3.0)
    box = box_of(thinking)
    bar = box.verticalScrollBar()
    assert bar.maximum() > 0
    bar.setValue(5)
    thinking.set_text(text, 900, 4.0)
    assert bar.value() == 5
    assert "".join(box.toPlainText().split()) == "".join(text.split())


def test_tables_align_their_columns(qtbot: QtBot) -> None:
    view = MarkdownView(theme.choose("light", 100, False), FormulaCache())
    qtbot.addWidget(view)
    view.set_markdown("| a | b | c |\n|---|:-:|---:|\n| 1 | 2 | 3 |\n\nafter")
    (table,) = view.document().rootFrame().childFrames()
    assert isinstance(table, QTextTable)
    sides = [
        table.cellAt(1, column).firstCursorPosition().blockFormat().alignment()
        for column in range(3)
    ]
    flags = Qt.AlignmentFlag
    assert sides == [flags.AlignLeft, flags.AlignHCenter, flags.AlignRight]
    assert view.document().lastBlock().blockFormat().alignment() == flags.AlignLeft


def test_settled_messages_are_not_drawn_again(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    store = window.session.store
    chat = store.add_conversation("Stills")
    ask = store.add_message(chat.id, "user", "Why copper?")
    store.add_message(chat.id, "assistant", "It *conducts*.", parent_id=ask.id, reasoning="hm")
    window.open_conversation(chat.id)
    views = window.chat_page.transcript.views()
    before = [view.answer.document().revision() for view in views]
    use_script(window, tmp_path, thinking=4, answer=300, rate=2000)
    window.chat.send("And tin?")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    again = window.chat_page.transcript.views()
    assert again[:2] == views
    assert [view.answer.document().revision() for view in views] == before
    window.chat.regenerate(again[-1].message.id)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    window.chat.switch_branch(window.chat_page.transcript.views()[-1].message.id, -1)
    assert [view.answer.document().revision() for view in views] == before


def test_an_edit_keeps_its_files_and_escape_leaves_it(qtbot: QtBot, window: MainWindow) -> None:
    store = window.session.store
    chat = store.add_conversation("Stills")
    files = (Attachment("a.txt", "copper", 1), Attachment("b.txt", "tin", 1))
    store.add_message(chat.id, "user", "Compare them.", attachments=files)
    window.open_conversation(chat.id)
    page = window.chat_page
    composer = page.composer
    composer.set_draft("half a thought", ())
    page.edit(page.transcript.views()[0].message.id)
    assert composer.text.toPlainText() == "Compare them."
    assert composer.attachments == files
    QTest.keyClick(composer.text, Qt.Key.Key_Escape)
    assert composer.text.toPlainText() == "half a thought"
    assert not composer.attachments
    composer.set_draft("", ())
    QTest.keyClick(composer.text, Qt.Key.Key_Up)
    assert composer.attachments == files
    QApplication.processEvents()  # shows the new chips
    (first,) = [b for b in composer.findChildren(QPushButton)
               if b.isVisible() and "a.txt" in b.text()]  # fmt: skip
    first.click()
    window.chat.set_options(max_tokens=2)
    QTest.keyClick(composer.text, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    questions = [m for m in store.messages(chat.id) if m.role == "user"]
    assert [m.attachments for m in questions] == [files, files[1:]]
    QTest.keyClick(composer.text, Qt.Key.Key_Escape)  # nothing to leave any more
    assert composer.text.toPlainText() == ""


def test_without_a_model_nothing_that_was_written_is_lost(qtbot: QtBot, window: MainWindow) -> None:
    window.models.choose("")
    file = Attachment("a.txt", "copper", 1)
    composer = window.chat_page.composer
    composer.set_draft("What is it?", (file,))
    QTest.keyClick(composer.text, Qt.Key.Key_Return)
    assert composer.text.toPlainText() == "What is it?"
    assert composer.attachments == (file,)
    popup = QApplication.activePopupWidget()
    assert popup is not None
    popup.close()


def test_settings_of_a_new_chat_are_stored_with_its_first_message(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    store = window.session.store
    window.inspector.sampling.temperature.setValue(1.3)
    assert store.conversations() == []
    assert window.chat.sampling().temperature == pytest.approx(1.3)
    use_script(window, tmp_path, thinking=4, answer=40, rate=2000)
    window.chat.send("Hello")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    (chat,) = store.conversations()
    sampling = chat.options["sampling"]
    assert isinstance(sampling, dict)
    assert sampling["temperature"] == pytest.approx(1.3)
    window.new_chat()
    assert window.chat.option("sampling", dict) is None


def test_coming_back_to_a_streaming_answer_shows_all_of_it(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    use_script(window, tmp_path, thinking=2000, answer=2000, rate=400)
    window.chat.send("Go.")
    identity = window.chat.conversation.id if window.chat.conversation else 0
    shown = window.chat_page.transcript

    def thought() -> int:
        view = shown.views()[-1].thinking
        return len(view.text()) if view is not None else 0

    qtbot.waitUntil(lambda: thought() > 200, timeout=20000)
    window.new_chat()
    QTest.qWait(150)
    window.open_conversation(identity)
    qtbot.waitUntil(lambda: thought() > 900, timeout=20000)
    view = shown.views()[-1].thinking
    assert view is not None
    seen = " ".join(view.text().split())
    assert seen.startswith("Let me think about the still again.")
    numbers = [int(part.partition(",")[0]) for part in seen.split("must be about ")[1:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    window.chat.stop()
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)


def test_live_thinking_seconds_do_not_count_the_loading(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    use_script(window, tmp_path, thinking=400, answer=40, rate=400)
    seconds: list[float] = []
    window.chat.answer_grew.connect(lambda delta: seconds.append(delta.seconds))
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert seconds[0] == 0.0
    assert seconds == sorted(seconds)
    assert seconds[-1] > 0.0


def leave(qtbot: QtBot, window: MainWindow) -> None:
    """Bring another window to the front."""
    other = QPushButton("other")
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(lambda: not window.isActiveWindow())


def test_only_a_long_answer_that_was_not_stopped_is_told(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    use_script(window, tmp_path, thinking=4, answer=400, rate=400)
    leave(qtbot, window)
    notices = window.announcements.notices
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert notices.last == ""  # short
    notices.long_seconds = 0.1
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: window.chat_page.transcript.views()[-1].answer.markdown != "")
    window.chat.stop()
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert notices.last == ""  # stopped by the person
    window.chat.set_options(max_tokens=60)
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert notices.last == "Answer ended early"
    window.chat.set_options(max_tokens=None)
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert notices.last == "Answer finished"

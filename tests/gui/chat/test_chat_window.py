"""The chat in the real window, with the real worker and the starter model."""

import os
import signal
import sys
import time

import psutil
import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from app.gui.application import run_window
from app.gui.chat.message_view import MessageView
from app.gui.main_window import MainWindow
from app.gui.parts.controls import Problem
from app.session.session import Session
from runtime.answer.kv_state import state_name
from runtime.generation import SamplingParams

QUESTION = "What is the capital of France? Answer in one sentence."
LONG = "Write a very long story about a lighthouse keeper and the sea."


def type_and_send(window: MainWindow, text: str) -> None:
    """As a person does it: click, type, Enter."""
    box = window.chat_page.composer.text
    box.setFocus()
    QTest.keyClicks(box, text)
    QTest.keyClick(box, Qt.Key.Key_Return)


def wait_answer(qtbot: QtBot, window: MainWindow) -> MessageView:
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    return window.chat_page.transcript.views()[-1]


def wait_streaming(qtbot: QtBot, window: MainWindow) -> MessageView:
    """Until some text of an answer is on the screen."""

    def some_text() -> bool:
        views = window.chat_page.transcript.views()
        return bool(views) and window.chat.busy and len(views[-1].answer.toPlainText()) > 10

    qtbot.waitUntil(some_text, timeout=60000)
    return window.chat_page.transcript.views()[-1]


def worker_pids() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_the_starter_is_ready_and_answers(qtbot: QtBot, window: MainWindow) -> None:
    window.chat.set_options(sampling={"temperature": 0.0})
    type_and_send(window, QUESTION)
    answer = wait_answer(qtbot, window)
    assert "Paris" in answer.answer.toPlainText()
    assert answer.message.state == "finished"
    stored = window.session.store.messages(answer.message.conversation_id)
    assert [m.role for m in stored] == ["user", "assistant"]
    assert stored[1].content == answer.message.content
    assert "tok/s" in window.status.speed.text()
    assert "first token" in window.status.first.text()
    assert " of " in window.status.memory.text()
    (run,) = window.session.store.runs()
    assert run.measured_decode_tps == pytest.approx(answer.message.stats["decode_tps"])
    assert window.conversation_list.model.entries[0].title.startswith("What is the capital")


def test_stop_keeps_what_came_and_continue_goes_on(qtbot: QtBot, window: MainWindow) -> None:
    type_and_send(window, LONG)
    wait_streaming(qtbot, window)
    QTest.keyClick(window.chat_page.composer.text, Qt.Key.Key_Escape)
    view = wait_answer(qtbot, window)
    cut = view.message
    assert cut.state == "cut"
    assert cut.content
    window.chat.set_options(max_tokens=8)
    window.chat.continue_answer(cut.id)
    view = wait_answer(qtbot, window)
    assert view.message.id == cut.id
    assert view.message.content.startswith(cut.content)
    assert len(view.message.content) > len(cut.content)


def test_regenerate_and_edit_make_branches(qtbot: QtBot, window: MainWindow) -> None:
    window.chat.set_options(max_tokens=6)
    type_and_send(window, "Say hello.")
    first = wait_answer(qtbot, window).message
    window.chat.regenerate(first.id)
    second = wait_answer(qtbot, window).message
    assert second.id != first.id
    assert second.parent_id == first.parent_id
    window.chat.switch_branch(second.id, -1)
    assert window.chat_page.transcript.views()[-1].message.id == first.id
    texts = [w.text() for w in window.chat_page.transcript.views()[-1].findChildren(QLabel)]
    assert "1 / 2" in texts
    question = window.chat_page.transcript.views()[0].message
    QTest.keyClick(window.chat_page.composer.text, Qt.Key.Key_Up)  # edits the last question
    assert window.chat_page.composer.text.toPlainText() == question.content
    window.chat_page.composer.text.clear()
    type_and_send(window, "Say goodbye.")
    wait_answer(qtbot, window)
    roots = [m for m in window.session.store.messages(question.conversation_id)
             if m.parent_id is None]  # fmt: skip
    assert [m.content for m in roots] == ["Say hello.", "Say goodbye."]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_killed_worker_is_named_and_the_next_prompt_works(
    qtbot: QtBot, window: MainWindow, number: signal.Signals
) -> None:
    type_and_send(window, LONG)
    wait_streaming(qtbot, window)
    for pid in worker_pids():
        os.kill(pid, number)
    view = wait_answer(qtbot, window)
    assert view.message.state == "cut"
    assert view.message.content
    problems = view.findChildren(Problem)
    assert len(problems) == 1
    spoken = problems[0].accessibleName() + problems[0].accessibleDescription()
    assert number.name in spoken
    window.chat.set_options(max_tokens=8)
    type_and_send(window, QUESTION)
    assert wait_answer(qtbot, window).message.content


def opened_window() -> MainWindow | None:
    shown = (each for each in QApplication.topLevelWidgets() if isinstance(each, MainWindow))
    return next((each for each in shown if each.isVisible()), None)


def test_closing_while_answering_ends_the_worker(
    qapp: QApplication, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of `run_window`: when it returns, the worker is gone and what came is stored."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # run_window sets its own
    session.settings = session.settings.with_value("language", "en")
    answering: list[tuple[int, set[int]]] = []
    others = worker_pids()
    deadline = time.monotonic() + 60

    def use() -> None:
        window = opened_window()
        if window is None:
            return
        views = window.chat_page.transcript.views()
        if window.chat.busy and views and len(views[-1].answer.toPlainText()) > 10:
            answering.append((views[-1].message.id, worker_pids() - others))
            window.close()
        elif not views and window.models.plan is not None and not window.bridge.busy:
            type_and_send(window, LONG)
        elif time.monotonic() > deadline:
            window.close()

    timer = QTimer(interval=20)
    timer.timeout.connect(use)
    timer.start()
    assert run_window(session) == 0
    timer.stop()
    ((identity, workers),) = answering
    assert workers
    assert not workers & worker_pids()
    stored = session.store.message(identity)
    assert stored.content
    assert stored.state == "cut"


def test_the_window_answers_while_it_loads_and_generates(qtbot: QtBot, window: MainWindow) -> None:
    """The longest gap between two turns of the event loop stays below what one notices."""
    gaps: list[float] = []
    type_and_send(window, LONG)
    last = time.perf_counter()
    while len(gaps) < 100:
        QTest.qWait(10)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    window.chat.stop()
    wait_answer(qtbot, window)
    assert max(gaps) < 0.5
    assert sorted(gaps)[len(gaps) * 95 // 100] < 0.1


def test_delete_can_be_undone_and_search_finds_what_was_said(
    qtbot: QtBot, window: MainWindow
) -> None:
    store = window.session.store
    chat = store.add_conversation("Copper")
    store.add_message(chat.id, "user", "How is a copper alembic cleaned?")
    other = store.add_conversation("Other")
    window.conversation_source.refresh()
    listed = window.conversation_list
    assert len(listed.model.entries) == 2
    listed.search.setText("alembic")
    qtbot.waitUntil(lambda: len(listed.model.entries) == 1, timeout=2000)
    assert listed.model.entries[0].conversation_id == chat.id
    listed.view.clicked.emit(listed.model.index(0))
    assert window.chat.conversation is not None
    assert window.chat.conversation.id == chat.id
    listed.search.clear()
    qtbot.waitUntil(lambda: len(listed.model.entries) == 2, timeout=2000)
    listed.delete_asked.emit(other.id)
    qtbot.waitUntil(lambda: len(listed.model.entries) == 1, timeout=2000)
    assert listed.model.entries[0].conversation_id == chat.id
    window.toast.button.click()
    qtbot.waitUntil(lambda: len(listed.model.entries) == 2, timeout=2000)


def test_deleting_many_conversations_while_answering_leaves_the_window_its_threads(
    qtbot: QtBot, window: MainWindow
) -> None:
    store = window.session.store
    chats = [store.add_conversation(f"chat {number}") for number in range(12)]
    folder = window.session.paths.contexts
    folder.mkdir(parents=True, exist_ok=True)
    kept = [folder / f"{state_name(str(chat.id))}.kv" for chat in chats]
    for path in kept:
        path.write_bytes(b"its words")
    type_and_send(window, LONG)
    wait_streaming(qtbot, window)
    for chat in chats:
        window.conversations.delete(chat.id)
    done: list[object] = []
    window.bridge.call(lambda: "a thread was free").finished.connect(done.append)
    qtbot.waitUntil(lambda: bool(done), timeout=3000)
    assert window.chat.busy
    window.chat.stop()
    wait_answer(qtbot, window)
    qtbot.waitUntil(lambda: not any(path.exists() for path in kept), timeout=10000)


def test_each_conversation_has_its_own_sampling_and_a_way_back(
    qtbot: QtBot, window: MainWindow
) -> None:
    recommended = window.session.sampling(window.models.chosen)
    panel = window.inspector.sampling
    assert panel.temperature.value() == pytest.approx(recommended.temperature)
    panel.temperature.setValue(1.3)
    assert window.chat.sampling() == SamplingParams(**{**recommended.__dict__, "temperature": 1.3})
    window.new_chat()
    assert panel.temperature.value() == pytest.approx(recommended.temperature)
    panel.temperature.setValue(0.9)
    panel.reset.click()
    assert window.chat.sampling() == recommended


def test_each_conversation_has_its_own_context(qtbot: QtBot, window: MainWindow) -> None:
    chat = window.session.store.add_conversation("Stills")
    window.open_conversation(chat.id)
    box = window.inspector.plan.context
    box.setCurrentIndex(box.findData(2048))
    box.activated.emit(box.currentIndex())
    window.new_chat()
    assert window.models.choices.n_ctx is None
    assert box.currentData() is None
    window.open_conversation(chat.id)
    assert window.models.choices.n_ctx == 2048
    assert box.currentData() == 2048
    qtbot.waitUntil(
        lambda: window.models.plan is not None and window.models.plan.placement.n_ctx == 2048,
        timeout=20000,
    )


def test_every_change_replans_at_once(qtbot: QtBot, window: MainWindow) -> None:
    panel = window.inspector.plan
    before = window.models.plan
    assert before is not None
    index = panel.context.findData(2048)
    panel.context.setCurrentIndex(index)
    panel.context.activated.emit(index)
    qtbot.waitUntil(lambda: window.models.plan is not before and window.models.plan is not None)
    plan = window.models.plan
    assert plan is not None
    assert plan.placement.n_ctx == 2048
    assert plan.memory.total < before.memory.total

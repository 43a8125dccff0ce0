"""Mathematics in the window: DeepSeek's directive where it is offered, and a vote among answers."""

import json
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.gui.parts.words import time_shares, tr
from runtime.prompt.chat_profile import MATH_HINT
from tests.helpers import streamed_window

TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}"


def idle(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)


def write(path: Path, answer: str) -> None:
    pieces = [answer[at : at + 4] for at in range(0, len(answer), 4)]
    path.write_text(json.dumps({"pieces": pieces, "chat_template": TEMPLATE}))


def test_the_answer_most_agree_on_is_kept(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    script = tmp_path / "model.json"
    write(script, "It is \\boxed{5}.")
    window.models.choose(str(script), plan=False)
    window.models.plan = streamed_window.scripted_plan()
    window.chat.send("What is 2 + 2?")
    idle(qtbot, window)
    first = window.chat_page.transcript.views()[-1].message
    write(script, "It is \\boxed{4}.")
    window.session.unload()  # the next two come from the changed script
    with qtbot.waitSignal(window.several.picked, timeout=30000) as picked:
        QTest.keyClick(
            window,
            Qt.Key.Key_D,
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
        )
    assert picked.args is not None
    (pick,) = picked.args
    answers = window.chat.tree.branches_below(first.parent_id or 0)
    assert [turn.message.content[-4:] for turn in answers] == ["{5}.", "{4}.", "{4}."]
    assert (pick.method, pick.votes, pick.count, pick.result) == ("majority", 2, 3, "4")
    shown = window.chat_page.transcript.views()[-1].message
    assert shown.id == answers[1].message.id
    assert window.session.store.conversation(shown.conversation_id).head_id == shown.id
    assert "Answer 2 was chosen" in window.toast.text()


def test_a_stopped_answer_ends_the_vote(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    script = tmp_path / "model.json"
    write(script, "One.")
    window.models.choose(str(script), plan=False)
    window.models.plan = streamed_window.scripted_plan()
    window.chat.send("Go.")
    idle(qtbot, window)
    first = window.chat_page.transcript.views()[-1].message
    slow = {"pieces": ["Two "] * 400, "decode_seconds_per_token": 0.05, "chat_template": TEMPLATE}
    script.write_text(json.dumps(slow))
    window.session.unload()
    window.several.ask()
    with qtbot.waitSignal(window.several.picked, timeout=30000):
        qtbot.waitUntil(lambda: bool(window.chat_page.transcript.views()[-1].answer.toPlainText()))
        window.chat.stop()
    assert len(window.chat.tree.branches_below(first.parent_id or 0)) == 2
    assert not window.chat.busy


def test_the_directive_is_offered_kept_and_sent(qtbot: QtBot, window: MainWindow) -> None:
    box, chat = window.inspector.sampling.math, window.chat
    assert not box.isVisibleTo(window.inspector)  # the starter is no model for mathematics
    session = window.session
    session._catalog = tuple(replace(entry, math_hint=True) for entry in session.catalog)
    chat.new()
    assert box.isVisibleTo(window.inspector)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Space)
    chat.set_options(max_tokens=4)
    chat.send("What is 2 + 2?")
    idle(qtbot, window)
    view = window.chat_page.transcript.views()[-1]
    asked = chat._request(view.message, continue_last=False)
    assert asked.messages[0].content == f"What is 2 + 2?\n{MATH_HINT}"
    stored = session.store.messages(view.message.conversation_id)[0]
    assert stored.content == "What is 2 + 2?"  # asked so, and shown as written
    conversation = chat.conversation
    assert conversation is not None
    chat.new()
    assert not box.isChecked()
    chat.open(conversation.id)
    assert box.isChecked()
    QTest.keyClick(box, Qt.Key.Key_Space)
    asked = chat._request(view.message, continue_last=False)
    assert asked.messages[0].content == "What is 2 + 2?"


def test_an_answer_tells_where_its_time_went(qtbot: QtBot, window: MainWindow) -> None:
    window.chat.set_options(max_tokens=4)
    window.chat.send("Hello")
    idle(qtbot, window)
    view = window.chat_page.transcript.views()[-1]
    figures = view.message.figures
    assert view._numbers.toolTip() == view._numbers.accessibleDescription() == time_shares(figures)
    assert f"engine {figures.engine_share:.0%}" in time_shares(figures)
    stages = time_shares(replace(figures, stage_seconds={"body": 1.5, "lm_head": 0.25}))
    assert stages.endswith("Stages: body 1.5 s, lm_head 0.25 s")
    guessed = replace(
        view.message, stats={**view.message.stats, "draft_tokens": 8, "accepted_tokens": 6}
    )
    view.set_turn(replace(view.turn, message=guessed))
    assert tr("{0} of {1} drafted tokens accepted", 6, 8) in view._numbers.text()

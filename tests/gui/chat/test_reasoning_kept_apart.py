"""What a model thinks stays out of what it answers, in the window and in what is asked next."""

import json
from pathlib import Path

from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from tests.helpers import streamed_window

TEMPLATE = "{% for m in messages %}{{ m.content }}\n{% endfor %}{# </think> #}"  # forces no tag


def ask(qtbot: QtBot, window: MainWindow, text: str) -> None:
    window.chat.send(text)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)


def test_reasoning_without_an_opening_tag_is_moved_and_not_sent_back(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    said = "SECRET sums: 2 + 2.\n</think>\n\nThe answer is 4."
    pieces = [said[at : at + 3] for at in range(0, len(said), 3)]
    script = {
        "pieces": pieces,
        "decode_seconds_per_token": 0.03,  # seen as an answer before the closing tag comes
        "chat_template": TEMPLATE,
    }
    path = tmp_path / "thinker.json"
    path.write_text(json.dumps(script))
    window.models.choose(str(path), plan=False)
    window.models.plan = streamed_window.scripted_plan()
    ask(qtbot, window, "What is 2 + 2?")
    view = window.chat_page.transcript.views()[-1]
    stored = window.session.store.message(view.message.id)
    assert stored.content == view.answer.toPlainText() == "The answer is 4."
    assert stored.reasoning == "SECRET sums: 2 + 2."
    ask(qtbot, window, "Are you sure?")
    last = window.chat_page.transcript.views()[-1].message
    asked = window.chat._request(last, continue_last=False)
    turns = ["What is 2 + 2?", "The answer is 4.", "Are you sure?"]
    assert [turn.content for turn in asked.messages] == turns


def test_an_answer_that_is_continued_moves_what_it_had_before(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    path = tmp_path / "thinker.json"
    first = {"pieces": ["SECRET one, "], "chat_template": TEMPLATE}
    path.write_text(json.dumps(first))
    window.models.choose(str(path), plan=False)
    window.models.plan = streamed_window.scripted_plan()
    ask(qtbot, window, "Go.")
    message = window.chat_page.transcript.views()[-1].message
    assert message.content == "SECRET one, "
    rest = ["SECRET two\n", "</think>", "\n\n", "Four."]
    path.write_text(json.dumps({**first, "pieces": rest}))
    window.session.unload()
    window.chat.continue_answer(message.id)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    stored = window.session.store.message(message.id)
    assert (stored.content, stored.reasoning) == ("Four.", "SECRET one, SECRET two")
    assert window.chat_page.transcript.views()[-1].answer.toPlainText() == "Four."

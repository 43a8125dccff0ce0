"""A remote model in the window: chosen, asked, compared with the one on this machine."""

from pathlib import Path

import serving
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.remote.endpoints import Endpoint


def test_the_same_question_to_the_local_and_the_remote_model(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, starter_gguf: Path
) -> None:
    chat, page = window.chat, window.chat_page
    with serving.serving(tmp_path / "served", starter_gguf) as served:
        window.session.remotes.add(Endpoint("far", served.base), serving.KEY)
        chat.set_options(max_tokens=6)
        chat.send("Name a colour.")
        qtbot.waitUntil(lambda: not chat.busy, timeout=60000)
        here = page.transcript.views()[-1].message
        page.compare(here.id)
        qtbot.waitUntil(lambda: not chat.busy, timeout=60000)
        compared = page.compare_view
        compared.model.setCurrentIndex(compared.model.findData("far"))
        compared.another.click()
        qtbot.waitUntil(lambda: chat.busy, timeout=5000)
        qtbot.waitUntil(lambda: not chat.busy, timeout=60000)
        messages = window.session.store.messages(here.conversation_id)
        answers = [m for m in messages if m.parent_id == here.parent_id]
    far = answers[-1]
    assert (far.model, far.state, far.stats["engine"]) == ("far", "cut", "remote")
    assert far.content
    assert far.stats["generated_tokens"] == 6
    assert [answer.model == "far" for answer in answers] == [False, False, True]
    assert served.base in window.inspector.state.text()
    assert not window.inspector.load_button.isEnabled()

"""Remote models in the window: added, changed, removed; asked and compared with a local one."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QMenu, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.dialogs.remote import RemoteDialog
from app.gui.main_window import MainWindow
from app.remote.endpoints import Endpoint
from tests.helpers import serving
from tests.helpers.accessible import nameless
from tests.helpers.faulty_endpoint import KEY, faulty_endpoint


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


def dialog_of(window: MainWindow) -> RemoteDialog:
    """The dialog, opened as the menu opens it."""
    window.commands.actions_by_name["Remote models"].trigger()
    dialog = window.findChild(RemoteDialog)
    assert isinstance(dialog, RemoteDialog)
    assert dialog.isVisible()
    return dialog


def press(qtbot: QtBot, window: MainWindow, key: QPushButton) -> None:
    key.setFocus()
    QTest.keyClick(key, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: not window.bridge.busy, timeout=10000)


def test_a_remote_model_is_added_changed_and_removed(qtbot: QtBot, window: MainWindow) -> None:
    remotes, dialog = window.session.remotes, dialog_of(window)
    assert nameless(dialog) == []
    assert any("Not offline" in label.text() for label in dialog.findChildren(QLabel))
    with faulty_endpoint() as server:
        QTest.keyClicks(dialog.name, "far")
        QTest.keyClicks(dialog.url, f"{server.url}/tags")
        QTest.keyClicks(dialog.key, KEY)
        press(qtbot, window, dialog.keep)
        assert "offers one." in dialog.status.text()
        assert (dialog.key.text(), dialog.name.isEnabled()) == ("", False)
        assert remotes.find("far") == Endpoint("far", f"{server.url}/tags")
        path, headers, _ = server.seen[-1]
        assert (path, headers["Authorization"]) == ("/tags/models", f"Bearer {KEY}")
        window.models.choose("far")
        window.chat.send("Yes?")
        qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
        assert window.chat_page.transcript.views()[-1].message.content.strip() == "Yes"
        QTest.keyClicks(dialog.model, "two")
        QTest.keyClicks(dialog.proxy, "http://127.0.0.1:9")
        press(qtbot, window, dialog.keep)
        assert "the existing key" in dialog.status.text()
        changed = Endpoint("far", f"{server.url}/tags", "two", proxy="http://127.0.0.1:9")
        assert remotes.find("far") == changed
        assert remotes.key(changed) == KEY
        assert "cannot be reached" in dialog.status.text()  # that proxy is none
        dialog.proxy.clear()
        press(qtbot, window, dialog.keep)
        assert "does not offer that model. It offers one." in dialog.status.text()
    assert [a.text() for a in choice(window) if "far" in a.text()] == [
        f"far (not offline: {server.url}/tags)"
    ]
    press(qtbot, window, dialog.remove)
    assert (remotes.all(), remotes.key(changed)) == ((), None)
    assert [a.text() for a in choice(window) if "far" in a.text()] == []
    assert window.models.chosen == window.models.names()[0]


def choice(window: MainWindow) -> list[QAction]:
    """The menu in which a model is chosen."""
    window.chat_page.choose_model()
    menu = window.chat_page.findChildren(QMenu)[-1]
    menu.hide()
    return menu.actions()


def test_what_cannot_be_kept_is_said(qtbot: QtBot, window: MainWindow) -> None:
    dialog = dialog_of(window)
    for name, url, said in (
        ("no name", "https://example.org", "letters, digits"),
        (window.models.chosen, "https://example.org", "An installed model is already named"),
        ("far", "nowhere", "not an http or https address"),
        ("far", "http://203.0.113.1:8000", "without https"),
    ):
        dialog.name.setText(name)
        dialog.url.setText(url)
        press(qtbot, window, dialog.keep)
        assert said in dialog.status.text()
        assert window.session.remotes.all() == ()

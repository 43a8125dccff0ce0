"""What assistive technology is told: roles, dialogs, a focus that is seen, answers as they come."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QScrollArea,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.gui.dialogs.about import AboutDialog
from app.gui.dialogs.help import HelpDialog
from app.gui.dialogs.tour import Tour
from app.gui.main_window import MainWindow
from app.gui.models.quantize import QuantizeDialog
from app.gui.parts.speech import PAUSE_SECONDS, Sentences
from app.system.licences import notices
from tests.helpers.accessible import nameless, tree
from tests.helpers.streamed_window import scripted_plan, write_script

ROLES = QAccessible.Role


@pytest.fixture
def screen_reader() -> Iterator[None]:
    """As if one were running."""
    QAccessible.setActive(True)
    yield
    QAccessible.setActive(False)


def role(widget: QWidget) -> QAccessible.Role:
    found = QAccessible.queryAccessibleInterface(widget)
    assert found is not None
    return found.role()


def test_parts_made_here_have_a_role(qtbot: QtBot, window: MainWindow) -> None:
    store = window.session.store
    chat = store.add_conversation("Stills")
    ask = store.add_message(chat.id, "user", "Why copper?")
    store.add_message(chat.id, "assistant", "It conducts.", parent_id=ask.id, reasoning="hm")
    window.open_conversation(chat.id)
    assert role(window.inspector.plan.picture) == ROLES.Graphic
    thinking = window.chat_page.transcript.views()[-1].thinking
    assert thinking is not None
    (title,) = thinking.findChildren(QAbstractButton)
    assert role(title) == ROLES.Button
    assert title.accessibleName() == "Thought, collapsed"
    title.setFocus()
    QTest.keyClick(title, Qt.Key.Key_Space)
    assert title.accessibleName() == "Thought, expanded"
    QTest.keyClick(title, Qt.Key.Key_Return)
    assert title.accessibleName() == "Thought, collapsed"


def focusable_without_role(window: QWidget) -> list[str]:
    """What takes the focus but says no more than that it is there. Qt has no better role for an
    area that the keyboard scrolls: it must have a name."""
    vague = {ROLES.NoRole, ROLES.Client, ROLES.Border, ROLES.Window}
    return [
        type(widget).__name__
        for each in tree(window)
        if each.role() in vague
        and isinstance(widget := each.object(), QWidget)
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
        and not (isinstance(widget, QScrollArea) and each.text(QAccessible.Text.Name))
    ]


def opened_help(window: MainWindow) -> QWidget:
    window.show_help()
    return window.findChildren(HelpDialog)[-1]


def opened_tour(window: MainWindow) -> QWidget:
    window.show_tour()
    return window.findChildren(Tour)[-1]


def opened_about(window: MainWindow) -> QWidget:
    dialog = AboutDialog(notices(), window)
    dialog.show()
    return dialog


def opened_quantize(window: MainWindow) -> QWidget:
    window.show_page("models")
    window.model_list.select(window.models.chosen)
    button = window.models_page.findChild(QAbstractButton, "quantize")
    assert button is not None
    button.click()
    for _ in range(200):
        if window.findChildren(QuantizeDialog):
            break
        QTest.qWait(50)
    return window.findChildren(QuantizeDialog)[-1]


def opened_compare(window: MainWindow) -> QWidget:
    store = window.session.store
    chat = store.add_conversation("Stills")
    ask = store.add_message(chat.id, "user", "Why copper?")
    for text in ("It conducts.", "It binds sulphur."):
        store.add_message(chat.id, "assistant", text, parent_id=ask.id)
    window.open_conversation(chat.id)
    window.chat_page.compare_last()
    return window.chat_page.compare_view


@pytest.mark.parametrize(
    "opened", [opened_help, opened_tour, opened_about, opened_quantize, opened_compare]
)
def test_other_views_have_names_and_roles(
    qtbot: QtBot, window: MainWindow, opened: Callable[[MainWindow], QWidget]
) -> None:
    view = opened(window)
    qtbot.waitUntil(view.isVisible, timeout=5000)
    assert nameless(view) == []
    assert focusable_without_role(view) == []
    assert len(list(tree(view))) > 3


def test_nothing_that_takes_the_focus_is_without_a_role(qtbot: QtBot, window: MainWindow) -> None:
    for page in ("chat", "models", "speed"):
        window.show_page(page)
        assert focusable_without_role(window) == []


def test_the_focus_is_seen(qtbot: QtBot, window: MainWindow) -> None:
    """Every kind of control looks different with the focus than without it."""
    window.activateWindow()
    kinds: dict[tuple[str, str], QWidget] = {}
    for each in window.findChildren(QWidget):
        wanted = QAbstractButton | QLineEdit | QComboBox | QAbstractSpinBox
        if isinstance(each, wanted) and each.isVisible() and each.isEnabled():
            if each.focusPolicy() & Qt.FocusPolicy.TabFocus:
                kinds.setdefault((type(each).__name__, str(each.property("kind"))), each)
    assert len(kinds) > 6
    unseen = []
    for kind, widget in kinds.items():
        window.chat_page.transcript.setFocus()
        before = widget.grab().toImage()
        widget.setFocus(Qt.FocusReason.TabFocusReason)
        if widget.grab().toImage() == before:
            unseen.append(kind)
    assert unseen == []


def test_sentences_are_said_whole_without_marks_and_not_too_often() -> None:
    now = [10.0]
    sentences = Sentences(lambda: now[0])
    assert sentences.add("The **ratio** is") == ""
    assert sentences.add(" 1.5 and `x`. Then") == "The ratio is 1.5 and x ."
    assert sentences.add(" more follows. And") == ""  # too soon
    now[0] += PAUSE_SECONDS
    assert sentences.add(" on. Not") == "Then more follows. And on."
    assert sentences.rest() == "Not"
    assert sentences.rest() == ""
    now[0] += PAUSE_SECONDS
    assert sentences.add("铜导热。还") == "铜导热。"
    now[0] += PAUSE_SECONDS
    assert len(sentences.add("long " * 400 + "end. ")) < 700


def test_an_answer_is_spoken_as_it_comes(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, screen_reader: None
) -> None:
    write_script(tmp_path / "script.json", 40, 400, 400)
    window.models.choose(str(tmp_path / "script.json"), plan=False)
    window.models.plan = scripted_plan()
    said: list[str] = []
    window.chat_page.transcript.built.connect(lambda view: view.spoken.connect(said.append))
    window.chat.send("Go.")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=20000)
    assert 1 <= len(said) <= 4
    assert said[0].startswith("Step 1")
    assert "**" not in "".join(said)
    assert "second with care" in said[-1]

"""What assistive technology sees: names, roles, focus; and that text can be read."""

from itertools import product

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.markup import code_colours
from tests.helpers.accessible import nameless


@pytest.mark.parametrize("page", ["chat", "models", "speed"])
def test_every_control_has_a_name(qtbot: QtBot, window: MainWindow, page: str) -> None:
    if page == "chat":
        chat = window.session.store.add_conversation("Stills")
        window.session.store.add_message(chat.id, "user", "Why copper?")
        window.open_conversation(chat.id)
    window.show_page(page)
    qtbot.waitUntil(lambda: not window.bridge.busy, timeout=10000)
    assert nameless(window) == []


def test_settings_and_palette_have_names(qtbot: QtBot, window: MainWindow) -> None:
    dialog = SettingsDialog(window.session.settings, window)
    dialog.show()
    assert nameless(dialog) == []
    dialog.close()
    window.commands.show_palette()
    assert nameless(window.commands.palette) == []


def test_tab_reaches_every_pane_and_f6_goes_round(qtbot: QtBot, window: MainWindow) -> None:
    window.activateWindow()
    window.chat_page.composer.text.setFocus()
    reached = set()
    for _ in range(60):
        focused = QApplication.focusWidget()
        assert focused is not None
        reached.add(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    wanted = [
        window.rail.buttons["chat"],  # the arrow keys move on to the other pages
        window.rail.settings,
        window.conversation_list.search,
        window.conversation_list.new_button,
        window.chat_page.model_button,
        window.chat_page.composer.text,
        window.inspector.plan.policy,
        window.inspector.sampling.temperature,
        window.status.why,
    ]
    missing = [w.accessibleName() or w for w in wanted if w not in reached]
    assert missing == []
    window.next_pane(1)
    first = QApplication.focusWidget()
    window.next_pane(1)
    assert QApplication.focusWidget() is not first


def test_placement_parts_are_read_out_by_keyboard(qtbot: QtBot, window: MainWindow) -> None:
    picture = window.inspector.plan.picture
    picture.setFocus()
    QTest.keyClick(picture, Qt.Key.Key_Down)
    assert "MB" in picture.accessibleName()
    before = picture.accessibleName()
    QTest.keyClick(picture, Qt.Key.Key_Down)
    assert picture.accessibleName() != before


@pytest.mark.parametrize("look", [theme.LIGHT, theme.DARK], ids=lambda look: look.name)
def test_text_has_enough_contrast(look: theme.Theme) -> None:
    grounds = (look.window, look.surface, look.raised, look.rail, look.selected)
    for ink, ground in product((look.text, look.muted), grounds):
        assert theme.contrast(ink, ground) >= 4.5, (ink, ground)
    pairs = [
        (look.on_accent, look.accent),
        (look.text, look.accent_soft),
        (look.muted, look.accent_soft),
        (look.muted, look.bad_soft),
        (look.inline_code, look.surface),
        (look.inline_code, look.accent_soft),
        (look.window, look.text),
    ]
    pairs += [(ink, look.surface) for ink in (look.accent, look.good, look.warning, look.bad)]
    colours = code_colours.DARK if look.dark else code_colours.LIGHT
    pairs += [(ink, look.code) for ink in colours.values()]
    for ink, ground in pairs:
        assert theme.contrast(ink, ground) >= 4.5, (ink, ground)
    for colour in (look.focus, look.strong_border, *look.segments):
        assert theme.contrast(colour, look.surface) >= 3.0, colour

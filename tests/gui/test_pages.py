"""Models, speed, settings, palette, attachments, export: real widgets on a real session."""

from pathlib import Path

import docx
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.documents.attachments import read_attachment
from app.errors import UnreadableFile
from app.gui.chat.control import prompt_message
from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window import MainWindow
from app.gui.models.quantize import QuantizeDialog
from app.session.session import Session
from app.settings import DECLARATIONS, load


def button_named(window: MainWindow, text: str) -> QPushButton:
    found = [b for b in window.models_page.findChildren(QPushButton) if b.text().startswith(text)]
    assert found, f"no button {text}"
    return found[-1]


def test_the_list_shows_what_is_installed_and_whether_the_rest_fits(
    qtbot: QtBot, window: MainWindow
) -> None:
    items = window.model_list.model.items
    assert items[0].section == "installed"
    assert len(items) == len(window.session.catalog)
    assert all(item.plan is not None or item.plan_error is not None for item in items)
    window.model_list.search.setText("qwen 32b")
    assert [item.key for item in window.model_list.model.items] == ["deepseek-r1-distill-qwen-32b"]


@pytest.mark.slow
def test_quantize_then_chat_then_remove_and_undo(qtbot: QtBot, window: MainWindow) -> None:
    window.show_page("models")
    key = window.models.chosen
    window.model_list.select(key)
    button_named(window, "Quantize").click()
    qtbot.waitUntil(lambda: window.findChild(QuantizeDialog) is not None, timeout=10000)
    dialog = window.findChild(QuantizeDialog)
    assert isinstance(dialog, QuantizeDialog)
    dialog.measure.setChecked(False)
    dialog.anyway.setChecked(True)
    dialog.findChild(QPushButton, "startQuantize").click()  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: len(window.session.installed()) == 2, timeout=60000)
    qtbot.waitUntil(lambda: not window.bridge.busy, timeout=20000)
    made = next(m.name for m in window.session.installed() if m.name != key)
    window.model_list.select(made)
    button_named(window, "Chat").click()
    assert window.models.chosen == made
    window.library.remove(made)
    qtbot.waitUntil(lambda: len(window.session.installed()) == 1, timeout=10000)
    qtbot.waitUntil(lambda: "removed" in window.toast.text(), timeout=5000)
    window.toast.button.click()
    qtbot.waitUntil(lambda: len(window.session.installed()) == 2, timeout=10000)


def test_settings_are_all_there_take_effect_and_are_kept(qtbot: QtBot, window: MainWindow) -> None:
    dialog = SettingsDialog(window.session.settings, window)
    dialog.changed.connect(window.settings.use)
    shown = {n for n, d in DECLARATIONS.items() if d.group != "Window"}
    assert set(dialog.fields) == shown
    dialog.search.setText("theme")
    dialog.show()
    assert dialog.fields["theme"].isVisible()
    assert not dialog.fields["threads"].isVisible()
    box = dialog.fields["theme"]
    box.setCurrentIndex(box.findData("dark"))  # type: ignore[attr-defined]
    box.activated.emit(box.currentIndex())  # type: ignore[attr-defined]
    assert window.theme.dark
    stored, _ = load(window.session.paths.settings)
    assert stored.theme == "dark"
    dialog._reset("theme")
    assert load(window.session.paths.settings)[0].theme == "system"
    dialog.close()


def test_the_palette_does_what_is_typed(qtbot: QtBot, window: MainWindow) -> None:
    QTest.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.commands.palette
    qtbot.waitUntil(palette.isVisible)
    QTest.keyClicks(palette.field, "show mod")
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.pages.currentWidget() is window.models_page
    assert not palette.isVisible()


def test_speed_page_lists_runs_and_why_explains_the_last(qtbot: QtBot, window: MainWindow) -> None:
    window.chat.set_options(max_tokens=4)
    window.chat.send("Hello")
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    window.show_page("speed")
    sheet = window.speed_page.history.sheet
    qtbot.waitUntil(lambda: sheet.rowCount() == 1, timeout=10000)
    texts = [sheet.index(0, column).data() for column in range(sheet.columnCount())]
    assert texts[1] == window.models.chosen
    assert "tok/s" in texts[5]
    window.show_why()
    assert window.diagnosis.isVisible()
    qtbot.waitUntil(lambda: "No answer" in window.diagnosis.summary.text(), timeout=10000)


def test_files_become_chips_with_tokens_and_go_into_the_prompt(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    note = tmp_path / "note.py"
    note.write_text("print('copper')\n")
    composer = window.chat_page.composer
    window.conversations.attach(composer, [str(note)])
    qtbot.waitUntil(lambda: len(composer.attachments) == 1, timeout=5000)
    assert composer.attachments[0].tokens > 0
    window.chat.set_options(max_tokens=4)
    composer.set_text("What does it print?")
    QTest.keyClick(composer.text, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not window.chat.busy, timeout=60000)
    question = window.chat_page.transcript.views()[0].message
    assert question.attachments[0].name == "note.py"
    prompt = prompt_message(question).content
    assert prompt.startswith("[file name]: note.py\n[file content begin]\nprint('copper')")
    assert prompt.endswith("[file content end]\nWhat does it print?")


def test_attachments_of_each_kind_are_read(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("A copper still")
    document.save(str(tmp_path / "a.docx"))
    assert read_attachment(tmp_path / "a.docx").text == "A copper still"
    (tmp_path / "zh.txt").write_bytes("蒸馏".encode("gb18030"))
    assert read_attachment(tmp_path / "zh.txt").text == "蒸馏"
    for name, data, reason in (
        ("x.bin", b"\x00\x01", "binary"),
        ("x.pdf", b"%PDF-1.4 broken", "damaged"),
        ("x.docx", b"no zip", "damaged"),
        ("x.txt", b"  ", "empty"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableFile) as caught:
            read_attachment(tmp_path / name)
        assert caught.value.facts["reason"] == reason
    with pytest.raises(UnreadableFile):
        read_attachment(tmp_path / "missing.txt")


def test_an_empty_library_offers_the_next_step(
    qtbot: QtBot, window: MainWindow, session: Session
) -> None:
    session.library.remove(window.models.chosen)
    window.library.refresh()
    qtbot.waitUntil(lambda: window.models.chosen == "", timeout=10000)
    window.new_chat()
    assert window.chat_page.start.get_button.isVisible()


def test_finished_work_is_told_only_when_the_window_is_not_in_front(
    qtbot: QtBot, window: MainWindow
) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    assert not window.announcements.notices.notify("done", "text")
    other = QPushButton("other")
    qtbot.addWidget(other)
    other.show()
    other.activateWindow()
    qtbot.waitUntil(lambda: not window.isActiveWindow())
    assert window.announcements.notices.notify("done", "text")
    window.announcements.notices.enabled = False
    assert not window.announcements.notices.notify("again", "text")
    assert window.announcements.notices.last == "done"


def test_the_chosen_model_is_remembered(qtbot: QtBot, window: MainWindow) -> None:
    assert load(window.session.paths.settings)[0].last_model == window.models.chosen

"""Files and links from outside, on the real window: asked about first, and handed to the one window
that is open. About shows the licences of what is inside."""

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from app.gui.dialogs.about import AboutDialog
from app.gui.main_window import MainWindow
from app.gui.open_requests import OpenRequests
from app.gui.single_instance import Instance
from app.system.licences import notices

BUTTONS = QMessageBox.StandardButton


def answer_with(button: QMessageBox.StandardButton) -> list[str]:
    """Press a button of the next question; the list gets its text."""
    asked: list[str] = []

    def press() -> None:
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(20, press)
            return
        asked.append(box.text())
        box.button(button).click()

    QTimer.singleShot(20, press)
    return asked


def test_a_file_is_added_only_when_agreed(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    original = window.session.installed()[0].path
    file = tmp_path / "another.gguf"
    file.symlink_to(original)
    requests = OpenRequests(window, window.library, window.show_model, window.search_hub)
    before = len(window.session.installed())
    asked = answer_with(BUTTONS.Cancel)
    requests.take(str(file))
    assert str(file) in asked[0]
    assert len(window.session.installed()) == before
    answer_with(BUTTONS.Yes)
    requests.take(str(file))
    qtbot.waitUntil(lambda: len(window.session.installed()) == before + 1, timeout=20000)
    qtbot.waitUntil(lambda: not window.bridge.busy, timeout=20000)


def test_a_link_asks_before_it_acts(window: MainWindow) -> None:
    requests = OpenRequests(window, window.library, window.show_model, window.search_hub)
    key = window.library.items[0].key
    asked = answer_with(BUTTONS.Cancel)
    requests.take(f"stillroom:model/{key}")
    assert key in asked[0]
    assert window.pages.currentWidget() is window.chat_page
    answer_with(BUTTONS.Yes)
    requests.take(f"stillroom:model/{key}")
    assert window.pages.currentWidget() is window.models_page
    requests.take("stillroom:run/anything")  # means nothing: no question


SECOND = """
import sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
from app.gui.single_instance import Instance
application = QCoreApplication([])
print(Instance(Path(sys.argv[1])).hand_over("stillroom:model/x"))
"""


def test_a_second_start_hands_over(qtbot: QtBot, tmp_path: Path) -> None:
    first = Instance(tmp_path)
    assert not first.hand_over("anything")
    assert first.listen()
    command = [sys.executable, "-c", SECOND]
    with qtbot.waitSignal(first.received, timeout=20000) as caught:
        second = subprocess.Popen([*command, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert caught.args == ["stillroom:model/x"]
    said, _ = second.communicate(timeout=20)
    assert said.strip() == "True"
    first.close()
    said = subprocess.check_output([*command, str(tmp_path)], text=True)
    assert said.strip() == "False"


def test_two_homes_are_two_windows(qapp: QApplication, tmp_path: Path) -> None:
    first, second = Instance(tmp_path / "a"), Instance(tmp_path / "b")
    assert first.listen()
    assert not second.hand_over("")
    first.close()


@pytest.mark.parametrize("package", ["numpy", "PySide6_Essentials", "llama_cpp_python"])
def test_about_shows_what_is_inside(qtbot: QtBot, package: str) -> None:
    found = notices()
    dialog = AboutDialog(found)
    qtbot.addWidget(dialog)
    (row,) = [place for place, each in enumerate(found) if each.name == package]
    dialog.packages.setCurrentRow(row)
    assert found[row].version in dialog.packages.currentItem().text()
    if package == "numpy":
        assert "Redistributions of source code must retain" in dialog.text.toPlainText()

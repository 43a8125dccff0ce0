"""Faults of the program in the window: logged with their traceback, told, and easy to report."""

import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.errors import StoreError
from app.gui.main_window import MainWindow
from app.gui.parts.failures import problem_box
from app.logs import start_logging

SECRET = " ".join(("I", "love", "somebody"))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "stillroom.log"
    start_logging(path)
    return path


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's hooks are set back after the test."""
    for module, hook in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))


def broken() -> None:
    raise ValueError(SECRET)


def test_a_job_that_fails_by_a_fault(
    qtbot: QtBot, window: MainWindow, log: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("a job of the window failed")
    job = window.bridge.call(broken)
    with qtbot.waitSignal(job.failed, timeout=5000):
        pass
    qtbot.waitUntil(window.toast.isVisible, timeout=5000)
    assert window.toast.text() == f"Something went wrong. ValueError: {SECRET}."
    assert window.toast.button.text() == "Copy bug report"
    text = log.read_text()
    assert "a job of the window failed\nTraceback (most recent call last):" in text
    assert 'File "app/gui/parts/bridge.py"' in text
    assert "in broken" in text
    assert SECRET not in text
    QGuiApplication.clipboard().clear()
    window.toast.button.click()
    qtbot.waitUntil(lambda: "Stillroom" in QGuiApplication.clipboard().text(), timeout=5000)
    assert "Bug report copied" in window.toast.text()


def test_a_job_that_fails_in_a_way_we_know_offers_no_report(
    qtbot: QtBot, window: MainWindow, log: Path
) -> None:
    def full() -> None:
        raise StoreError(path="x", reason="failed")

    with qtbot.waitSignal(window.bridge.call(full).failed, timeout=5000):
        pass
    assert not window.toast.isVisible()
    assert not log.exists() or "Traceback" not in log.read_text()
    assert not problem_box(StoreError(path="x", reason="failed")).findChildren(QPushButton)


def test_the_box_of_a_fault_has_a_button_that_copies_a_report(
    qtbot: QtBot, window: MainWindow
) -> None:
    box = problem_box(ValueError(SECRET))
    qtbot.addWidget(box)
    (button,) = box.findChildren(QPushButton)
    QGuiApplication.clipboard().clear()
    button.click()
    qtbot.waitUntil(lambda: "Processor" in QGuiApplication.clipboard().text(), timeout=5000)


@pytest.mark.usefixtures("hooks")
def test_a_fault_in_a_slot_and_one_in_a_thread(
    qtbot: QtBot, window: MainWindow, log: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("nobody caught this")
    expect_log("ended by an exception")
    window.reports.watch()
    with qtbot.captureExceptions():
        watching = sys.excepthook
        window.reports.watch()  # over pytest-qt's own hook
        QTimer.singleShot(0, broken)
        qtbot.waitUntil(lambda: SECRET in window.toast.text(), timeout=5000)
        sys.excepthook = watching
    window.toast.show_text("before")
    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    qtbot.waitUntil(lambda: SECRET in window.toast.text(), timeout=5000)
    text = log.read_text()
    assert text.count("Traceback (most recent call last):") == 2
    assert SECRET not in text


def test_the_log_folder_and_a_report_are_in_menu_and_palette(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[QUrl] = []

    def open_url(url: QUrl) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(QDesktopServices, "openUrl", open_url)
    actions = window.commands.actions_by_name
    actions["Open log folder"].trigger()
    assert [Path(url.toLocalFile()) for url in opened] == [window.session.paths.logs]
    assert window.session.paths.logs.is_dir()
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda _url: False)
    actions["Open log folder"].trigger()
    assert str(window.session.paths.logs) in window.toast.text()
    helps = {action.text() for action in actions["Help"].associatedObjects()[0].actions()}  # type: ignore[attr-defined]
    assert {"Open log folder", "Copy bug report"} <= helps
    QGuiApplication.clipboard().clear()
    actions["Copy bug report"].trigger()
    qtbot.waitUntil(lambda: "Processor" in QGuiApplication.clipboard().text(), timeout=5000)
    copied = QGuiApplication.clipboard().text()
    assert str(Path.home()) not in copied

"""Parts of the window that little else touches: system theme, links, copying code, sparkline."""

from dataclasses import replace

import pytest
from PySide6.QtCore import QObject, Qt, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.gui.text.formulas import FormulaCache
from app.gui.text.markdown_view import MarkdownView
from runtime.plan import Interval, SpeedEstimate


def test_the_system_theme_is_followed_while_the_window_is_open(
    qtbot: QtBot, window: MainWindow
) -> None:
    changed = QGuiApplication.styleHints().colorSchemeChanged
    dark, light = Qt.ColorScheme.Dark, Qt.ColorScheme.Light
    for scheme in (dark, light, dark):
        changed.emit(scheme)
        assert window.theme.dark == (scheme == dark)
    window.settings.use(window.session.settings.with_value("theme", "light"), "theme")
    changed.emit(dark)
    assert not window.theme.dark  # what the person chose stays


class Browser(QObject):
    """Takes addresses in the place of the desktop's web browser."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []

    @Slot(QUrl)
    def take(self, address: QUrl) -> None:
        self.opened.append(address.toString())


@pytest.mark.parametrize("agree", [True, False])
def test_links_are_opened_only_when_confirmed(
    qtbot: QtBot, window: MainWindow, agree: bool
) -> None:
    asked: list[str] = []

    def answer() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        kinds = QMessageBox.StandardButton
        box.button(kinds.Open if agree else kinds.Cancel).click()

    browser = Browser()
    # PySide takes str alone, its stubs say bytes.
    QDesktopServices.setUrlHandler("https", browser, "take")  # type: ignore[arg-type]
    try:
        QTimer.singleShot(100, answer)
        window.chat_page.open_link("https://example.org/page")
    finally:
        QDesktopServices.unsetUrlHandler("https")
    assert "https://example.org/page" in asked[0]
    assert browser.opened == (["https://example.org/page"] if agree else [])


def test_each_code_block_is_copied_by_its_own_link(qtbot: QtBot) -> None:
    view = MarkdownView(theme.choose("light", 100, False), FormulaCache())
    qtbot.addWidget(view)
    links: list[str] = []
    view.link_clicked.connect(links.append)
    view.set_markdown("```python\nfirst = 1\n```\n\ntext\n\n```\nsecond\n  line\n```\n")
    for number, code in enumerate(("first = 1", "second\n  line")):
        view.anchorClicked.emit(QUrl(f"copy:{number}"))
        assert QApplication.clipboard().text() == code
    assert links == []
    view.anchorClicked.emit(QUrl("https://example.org"))
    assert links == ["https://example.org"]


def test_the_speed_stands_with_its_history_and_beside_its_prediction(
    qtbot: QtBot, window: MainWindow
) -> None:
    status = window.status
    assert status.spark.isHidden()
    for tps in (10.0, 12.0, 11.0):
        status._live_shown = 0.0
        status.show_live(tps)
    assert not status.spark.isHidden()
    line = status.spark.grab().toImage()
    rows = {y for x in range(line.width()) for y in range(line.height())
            if line.pixelColor(x, y) != line.pixelColor(0, line.height() - 1)}  # fmt: skip
    assert len(rows) > 2  # it goes up and down
    assert status.speed.text().startswith("11")
    plan = window.models.plan
    assert plan is not None
    expected = Interval(13.0, 14.5, 16.0)
    speed = SpeedEstimate(expected, expected, {0: expected}, "bandwidth")
    status.show_plan(replace(plan, speed=speed))
    assert status.speed.text().endswith("tok/s expected")
    status._live_shown = 0.0
    status.show_live(11.0)
    assert status.speed.text().startswith("11")
    assert "13" in status.speed.text()
    assert "16" in status.speed.text()
    assert "predicted" in status.speed.text()
    status.show_model("")
    assert status.spark.isHidden()

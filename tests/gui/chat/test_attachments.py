"""Attached files: their text, and how much of the context they take."""

from pathlib import Path

import pytest
from PySide6.QtGui import QFont, QPdfWriter, QTextDocument
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from app.documents.attachments import read_attachment
from app.documents.token_estimate import estimated_tokens
from app.gui.main_window import MainWindow
from app.history.records import Attachment

ENGLISH = "A copper still conducts heat evenly and binds sulphur from the mash. " * 8
CHINESE = "铜制蒸馏器导热均匀，并能吸附酒醪中的硫化物。" * 8


def test_the_text_of_a_pdf_is_read(qapp: QApplication, tmp_path: Path) -> None:
    document = QTextDocument("Copper conducts heat.\n\nTin does not bind sulphur.")
    document.setDefaultFont(QFont("DejaVu Sans"))  # not every font maps its glyphs back to text
    writer = QPdfWriter(str(tmp_path / "a.pdf"))
    document.print_(writer)
    text = " ".join(read_attachment(tmp_path / "a.pdf").text.split())
    assert text.startswith("Copper conducts heat. Tin does not bind sulphur.")


def test_files_are_counted_by_the_loaded_model(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    composer = window.chat_page.composer
    for name, text in (("en.txt", ENGLISH), ("zh.txt", CHINESE)):
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / "en.txt"), str(tmp_path / "zh.txt")]
    window.conversations.attach(composer, names)
    qtbot.waitUntil(lambda: len(composer.attachments) == 2, timeout=5000)
    guessed = {each.name: each.tokens for each in composer.attachments}
    assert guessed == {"en.txt": estimated_tokens(ENGLISH), "zh.txt": estimated_tokens(CHINESE)}
    assert all("about" in chip.text() for chip in composer.findChildren(QPushButton, "chip"))
    composer.set_draft("", ())
    window.models.load()
    qtbot.waitUntil(lambda: window.models.report is not None, timeout=30000)
    window.conversations.attach(composer, names)
    qtbot.waitUntil(
        lambda: (
            len(composer.attachments) == 2
            and all(
                "about" not in chip.text() for chip in composer.findChildren(QPushButton, "chip")
            )
        ),
        timeout=20000,
    )
    counted = {each.name: each.tokens for each in composer.attachments}
    assert counted["en.txt"] == pytest.approx(guessed["en.txt"], rel=0.35)
    # The starter's small vocabulary takes one to two tokens a character, the R1 distills' about
    # two thirds: the guess lies between.
    assert 0.3 * counted["zh.txt"] < guessed["zh.txt"] < 2 * counted["zh.txt"]


def test_a_file_that_no_context_holds_is_told(qtbot: QtBot, window: MainWindow) -> None:
    composer = window.chat_page.composer
    composer.add_attachment(Attachment("small.txt", "copper", 2))
    composer.add_attachment(Attachment("large.txt", "copper " * 9, 10**6))
    small, large = composer.findChildren(QPushButton, "chip")
    assert large.text().startswith("△ large.txt")
    assert "Longer than the context" in large.accessibleDescription()
    assert not small.text().startswith("△")
    composer.set_context(10, 2 * 10**6)
    assert not large.text().startswith("△")


def test_the_meter_counts_system_text_and_every_script(qtbot: QtBot, window: MainWindow) -> None:
    meter = window.chat_page.composer._meter
    used: list[int] = []
    for system, text in (("", ""), (ENGLISH, ""), (ENGLISH, CHINESE)):
        window.chat.set_options(system=system or None)
        window.chat_page.composer.set_text(text)
        window.chat_page._show_context()
        used.append(int(meter.text().split(" of ")[0].replace(",", "").replace("\u202f", "")))
    assert used[0] == 0
    assert used[1] == estimated_tokens(ENGLISH)
    assert used[2] - used[1] == estimated_tokens(CHINESE)
    assert estimated_tokens(CHINESE) > 0.9 * len(CHINESE)

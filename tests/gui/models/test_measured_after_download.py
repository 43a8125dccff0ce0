"""What a download lost is measured by itself where its full-precision weights are here."""

from pathlib import Path

from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.downloads.install import ModelRequest
from app.downloads.queue import QueueItem
from app.gui.main_window import MainWindow
from app.gui.models.facts import facts_of
from app.library.catalog import load_catalog
from app.session.session import Session
from quant.gguf.export import quantize_gguf
from quant.recipe import recipe_named
from tests.helpers.checkpoints import write_checkpoint

ENTRY = next(entry for entry in load_catalog() if entry.id == "deepseek-r1-distill-qwen-1.5b")
FILE = "small-Q8_0"


def install_both(session: Session, tmp_path: Path) -> None:
    """Full-precision weights of a catalog entry, and a quantized file of another maker."""
    folder = write_checkpoint("qwen2", tmp_path / "full")
    quantize_gguf(folder, tmp_path / f"{FILE}.gguf", recipe_named("q8_0"))
    official, makers = str(ENTRY.repositories.official), str(ENTRY.repositories.gguf)
    session.library.add(folder, name="full", format="safetensors", source=official)
    path = tmp_path / f"{FILE}.gguf"
    session.library.add(path, name=FILE, format="gguf", source=makers)


def downloaded(source: str) -> QueueItem:
    return QueueItem("1", ModelRequest(FILE, source, "c", (), "gguf", source), "done")


def test_a_downloaded_file_is_measured_against_its_full_precision_weights(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    control = window.library
    install_both(control.session, tmp_path)
    control.refresh()
    qtbot.waitUntil(lambda: control.item(FILE) is not None, timeout=20000)
    item = control.item(FILE)
    assert item is not None
    facts = dict(facts_of(item))
    assert facts["Expected loss"].startswith("Expected loss for a model of 1.8 B parameters")
    control.downloads.finished.emit(downloaded("someone/else"))
    qtbot.wait(200)
    assert not control.work
    control.downloads.finished.emit(downloaded(str(ENTRY.repositories.gguf)))
    qtbot.waitUntil(lambda: FILE in control.quality, timeout=60000)
    assert (control.quality[FILE].kl_mean.value or 1) < 0.05
    window.show_page("models")
    window.model_list.select(FILE)
    detail = window.models_page.detail
    button = detail.findChild(QPushButton, "measure")
    assert button is not None
    assert button.toolTip() == "Measure what quantization cost against full"
    assert any("Mean KL divergence" in each.text() for each in detail.findChildren(QLabel))
    qtbot.waitUntil(lambda: control.item(FILE).measured is not None)  # type: ignore[union-attr]
    window.model_list.select("full")
    window.model_list.select(FILE)
    assert [each.text() for each in detail.findChildren(QLabel) if "against full" in each.text()]
    assert list(control.session.unmeasured(str(ENTRY.repositories.gguf))) == []

"""The variants of a model in the window: each is planned by its own header once it is marked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from app.session.session import Session
from tests.helpers.checkpoints import write_checkpoint
from tests.helpers.hub_server import HubFile, HubRepo, HubServer
from tests.helpers.shapes import SMOLLM2_135M, write_shape_gguf

ENTRY = "deepseek-r1-distill-qwen-1.5b"
OFFICIAL = "o/small"


@pytest.fixture
def hub(tmp_path: Path, session: Session) -> Iterator[HubServer]:
    folder = tmp_path / "official"
    folder.mkdir()
    write_checkpoint("qwen2", folder)
    weights = {path.name: HubFile(path.read_bytes()) for path in folder.iterdir()}
    listed = {}
    for number, label in enumerate(("Q4_0", "Q8_0")):
        path = write_shape_gguf(tmp_path / f"m-{label}.gguf", SMOLLM2_135M, label, weights="hole")
        listed[path.name] = HubFile(path, str(number) * 64)
    entry = next(entry for entry in session.catalog if entry.id == ENTRY)
    repos = {
        str(entry.repositories.gguf): HubRepo(listed, tags=["gguf"]),
        OFFICIAL: HubRepo(weights, tags=["safetensors"]),
    }
    with HubServer(repos) as server:
        session.settings = session.settings.with_value("hub_endpoint", server.endpoint)
        yield server


def basis(window: MainWindow) -> str:
    found = window.models_page.detail.findChild(QLabel, "variantBasis")
    return found.text() if found is not None else ""


def test_a_marked_variant_is_planned_by_its_header(
    qtbot: QtBot, hub: HubServer, window: MainWindow
) -> None:
    window.show_page("models")
    detail = window.models_page.detail
    window.model_list.select(ENTRY)
    found = detail.findChild(QPushButton, "variants")
    assert found is not None
    found.click()
    qtbot.waitUntil(lambda: detail.variants is not None, timeout=20000)
    table = detail.variants
    assert table is not None
    assert basis(window) == "Estimated from the file's size."
    loss = detail.findChild(QLabel, "variantLoss")
    assert loss is not None
    assert loss.text().startswith("Expected loss for a model of 1.8 B parameters: mean KL")
    qtbot.waitUntil(lambda: detail.variants.offers[0].exact, timeout=20000)  # type: ignore[union-attr]
    assert basis(window).startswith("From the file header")
    assert not table.offers[1].exact, "nobody asked for it"
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert basis(window) == "Estimated from the file's size."
    window.library.items_changed.emit()
    table = detail.variants
    assert table is not None
    assert table.offer().label == "Q8_0", "what was marked stays marked"
    qtbot.waitUntil(lambda: detail.variants.offers[1].exact, timeout=20000)  # type: ignore[union-attr]
    assert basis(window).startswith("From the file header")


def test_official_weights_can_be_searched_for(
    qtbot: QtBot, hub: HubServer, window: MainWindow
) -> None:
    window.show_page("models")
    search, panel = window.library.search, window.model_list.filters
    panel.format.setCurrentIndex(panel.format.findData("safetensors"))
    window.model_list.search.setText("small")
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: search.asked and not search.busy, timeout=20000)
    key = f"hub:{OFFICIAL}"
    qtbot.waitUntil(lambda: window.library.item(key) is not None, timeout=20000)
    window.model_list.select(key)
    detail = window.models_page.detail
    qtbot.waitUntil(lambda: detail.variants is not None, timeout=20000)
    assert detail.variants is not None
    (offer,) = detail.variants.offers
    assert offer.quantize_here
    assert offer.exact
    get = detail.findChild(QPushButton, "getVariant")
    assert get is not None
    assert get.text().startswith("Download Quantize here to Q4_K_M")

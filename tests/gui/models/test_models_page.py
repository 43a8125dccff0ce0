"""The models page against a hub on loopback: search, variants, filters, queue, gated, offline."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.downloads.install import request_for
from app.gui.main_window import MainWindow
from app.gui.models.control import ModelItem
from app.gui.models.library import CleanUpDialog, ImportDialog
from app.gui.models.quantize import QuantizeDialog
from app.hub.values import RemoteFile, Variant
from app.library.catalog import load_catalog
from app.library.folder import InstalledModel
from app.library.importers import found_file
from app.session.session import Session
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

ENTRY = next(entry for entry in load_catalog() if entry.id == "deepseek-r1-distill-qwen-7b")
REPO, OFFICIAL = str(ENTRY.repositories.gguf), str(ENTRY.repositories.official)
GATED = "someone/Distill-Qwen-7B-Gated-GGUF"
STARTER = "smollm2-135m-instruct"
GB = 10**9


class Sparse(HubFile):
    """A file that is only listed."""

    def __init__(self, size: int) -> None:
        super().__init__(b"", "a" * 64)
        self._listed = size

    @property
    def size(self) -> int:
        return self._listed


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    names = {"Q2_K": 3 * GB, "Q4_0": 4 * GB, "Q8_0": 8 * GB}
    card = b"---\nlicense: mit\n---\n# Usage\nUse a temperature of 0.6. ![x](http://tracker/a.png)"
    repos = {
        REPO: HubRepo(
            {f"m-{label}.gguf": Sparse(size) for label, size in names.items()},
            tags=["gguf", "license:mit", f"base_model:{OFFICIAL}"],
            gguf={"total": ENTRY.parameters, "architecture": "qwen2"},
        ),
        OFFICIAL: HubRepo(
            {"model.safetensors": Sparse(2 * ENTRY.parameters), "README.md": HubFile(card)},
            tags=["safetensors", "license:mit"],
        ),
        GATED: HubRepo({"g-Q4_0.gguf": Sparse(4 * GB)}, tags=["gguf"], gated="manual"),
    }
    with HubServer(repos, token="right") as server:
        yield server


@pytest.fixture
def session(session: Session, hub: HubServer) -> Session:
    session.settings = session.settings.with_value("hub_endpoint", hub.endpoint)
    return session


def texts(page: QWidget) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel))


def search(qtbot: QtBot, window: MainWindow, text: str) -> None:
    window.show_page("models")
    window.model_list.search.setText(text)
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)
    found = window.library.search
    qtbot.waitUntil(lambda: found.asked and not found.busy, timeout=20000)
    qtbot.waitUntil(lambda: len(shown_hits(window)) == len(found.hits), timeout=20000)


def open_result(qtbot: QtBot, window: MainWindow, repo: str) -> None:
    window.model_list.select(f"hub:{repo}")
    described = window.library.description
    qtbot.waitUntil(lambda: described(f"hub:{repo}") is not None, timeout=20000)


def test_variants_side_by_side_and_the_makers_notes(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    search(qtbot, window, "distill qwen 7b")
    sections = [item.section for item in window.model_list.model.items]
    assert sections == ["catalog", "hub", "hub"]
    found = f"hub:{REPO}"
    qtbot.waitUntil(lambda: planned(window, found), timeout=30000)
    open_result(qtbot, window, REPO)
    table = window.models_page.detail.variants
    assert table is not None
    labels = [(offer.label, offer.quantize_here) for offer in table.offers]
    assert labels == [("Q2_K", False), ("Q4_0", False), ("Q8_0", False), ("q4_k_m", True)]
    bits = [offer.bits_per_weight or 0 for offer in table.offers]
    assert bits == pytest.approx([3.15, 4.2, 8.4, 4.9], abs=0.05)
    assert table.offer().label == "Q4_0", "the usual one is marked"
    get = window.models_page.detail.findChild(QPushButton, "getVariant")
    assert get is not None
    assert get.text() == "Download Q4_0 (recommended) · 4.00 GB"
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert get.text() == "Download Q8_0 · 8.00 GB"
    notes = window.models_page.detail.findChild(QWidget, "notes")
    assert "Use a temperature of 0.6." in notes.toPlainText()  # type: ignore[union-attr]
    assert "license" not in notes.toPlainText()  # type: ignore[union-attr]
    assert {seen.kind for seen in hub.seen} <= {"search", "info", "resolve"}


def test_filters_narrow_the_list_and_the_question(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    panel = window.model_list.filters
    window.show_page("models")
    window.model_list.filter_button.click()
    assert panel.isVisible()
    panel.size_choice.setCurrentIndex(panel.size_choice.findData(9 * GB))
    shown = window.model_list.model.items
    assert shown
    assert all(item.entry is None or item.entry.parameters <= 9 * GB for item in shown)
    panel.open_only.click()
    search(qtbot, window, "7b")
    assert [item.title for item in shown_hits(window)] == [REPO]
    asked = next(seen.target for seen in reversed(hub.seen) if seen.kind == "search")
    assert "gated=false" in asked
    assert "num_parameters=max%3A9000000000" in asked
    panel.fits_only.click()
    assert all(item.plan is not None for item in window.model_list.model.items)


def planned(window: MainWindow, key: str) -> bool:
    item = window.library.item(key)
    return item is not None and item.plan is not None


def shown_hits(window: MainWindow) -> list[ModelItem]:
    return [item for item in window.model_list.model.items if item.section == "hub"]


def test_a_gated_model_asks_for_a_token_and_takes_it(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.downloads.acquisition.system_keyring", lambda: None)
    search(qtbot, window, "gated")
    open_result(qtbot, window, GATED)
    detail = window.models_page.detail
    field = detail.findChild(QLineEdit, "accessToken")
    assert field is not None
    assert "grants access on request" in texts(detail)
    field.setText("right")
    QTest.keyClick(field, Qt.Key.Key_Return)
    acquisition = window.session.acquisition
    qtbot.waitUntil(
        lambda: acquisition.tokens.get(acquisition.hub.endpoint) == "right", timeout=5000
    )


def test_offline_is_said_at_once_and_earlier_results_are_offered(
    qtbot: QtBot, window: MainWindow
) -> None:
    search(qtbot, window, "distill")
    found = len(shown_hits(window))
    window.session.settings = window.session.settings.with_value("offline", True)
    said = window.model_list.status
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "offline" in said.text().lower(), timeout=2000)
    qtbot.waitUntil(lambda: not shown_hits(window), timeout=5000)
    assert window.model_list.earlier.isVisible()
    window.model_list.earlier.click()
    qtbot.waitUntil(lambda: len(shown_hits(window)) == found, timeout=5000)
    assert "As of" in said.text()


def test_the_queue_keeps_the_focus_and_its_order(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    hub.faults = [Fault("cdn", None, rate=300_000)]
    downloads = window.library.downloads
    for name in ("first", "a-very-long-name-" * 6, "蒸馏模型"):
        data = b"GGUF" + os.urandom(2_000_000)
        hub.repos[f"o/{name[:20].strip('-')}"] = HubRepo({"x-Q4_0.gguf": HubFile(data)})
        file = RemoteFile(
            f"o/{name[:20].strip('-')}", "c" * 40, "x-Q4_0.gguf", len(data), HubFile(data).sha256
        )
        downloads.add(request_for(Variant("Q4_0", "gguf", (file,)), name=name[:110]))
    qtbot.waitUntil(lambda: len(downloads.items) == 3, timeout=5000)
    window.show_page("models")
    panel = window.models_page.downloads
    qtbot.waitUntil(lambda: len(panel.rows) == 3 and panel.isVisible(), timeout=5000)
    qtbot.waitUntil(
        lambda: [i.state for i in downloads.items] == ["running", "running", "queued"],
        timeout=10000,
    )
    waiting = downloads.items[2]
    row = panel.rows[waiting.id]
    window.activateWindow()
    row.pause.setFocus()
    QTest.keyClick(row.pause, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: downloads.items[2].state == "paused", timeout=5000)
    resume = f"Resume {waiting.request.name}"
    qtbot.waitUntil(lambda: row.pause.accessibleName() == resume, timeout=5000)
    assert QApplication.focusWidget() is row.pause
    for item in downloads.items:
        panel.rows[item.id].cancel.click()
    qtbot.waitUntil(lambda: not downloads.items, timeout=10000)
    qtbot.waitUntil(lambda: not panel.isVisible(), timeout=5000)


def test_quantize_tells_size_and_time_for_every_recipe(qtbot: QtBot, window: MainWindow) -> None:
    dialog = QuantizeDialog(ENTRY.id, ENTRY.shape, 2, 40.0)
    qtbot.addWidget(dialog)
    sizes = {}
    for target in range(dialog.target.count()):
        dialog.target.setCurrentIndex(target)
        for recipe in range(dialog.recipe.count()):
            dialog.recipe.setCurrentIndex(recipe)
            sizes[dialog.recipe.currentData()] = dialog.expectation.text()
    assert sizes["q4_0"].startswith("4.28 GB, 4.50 bits per weight, about ")
    assert sizes["q8_0"].startswith("8.09 GB")
    assert len(set(sizes.values())) == len(sizes)


def test_the_fast_recipe_is_offered_where_rows_are_whole_blocks(
    qtbot: QtBot, window: MainWindow
) -> None:
    """The starter's rows of 576 weights would have to be padded to blocks of 128."""
    for name, offered in ((ENTRY.id, True), (STARTER, False)):
        dialog = QuantizeDialog(name, window.session.planning.model(name).shape, 2, None)
        qtbot.addWidget(dialog)
        dialog.target.setCurrentIndex(dialog.target.findData("onnx"))
        assert (dialog.recipe.findData("onnx-q4-fast") >= 0) is offered


def test_the_table_sorts_by_value_and_opens(qtbot: QtBot, window: MainWindow) -> None:
    window.show_page("models")
    window.models_page.as_table.click()
    table = window.models_page.table
    assert table.rowCount() == len(window.model_list.model.items)
    table.sortItems(2)
    numbers = [table.item(n, 2).text() for n in range(3)]  # type: ignore[union-attr]
    assert numbers[:2] == ["135 M", "1.8 B"]
    table.setCurrentCell(1, 0)
    table.itemActivated.emit(table.item(1, 0))
    assert window.models_page.key == "deepseek-r1-distill-qwen-1.5b"
    assert window.models_page.detail.isVisible()


def test_the_table_is_sorted_by_keyboard(qtbot: QtBot, window: MainWindow) -> None:
    window.show_page("models")
    page = window.models_page
    assert not page.order.isVisible()
    page.as_table.click()
    assert page.order.isVisible()
    page.order.setFocus()
    menu = page.order.menu()
    assert [action.text() for action in menu.actions()][2] == "Parameters"

    def choose() -> None:
        for _ in range(3):
            QTest.keyClick(menu, Qt.Key.Key_Down)
        QTest.keyClick(menu, Qt.Key.Key_Return)

    for expected, words in (("671 B", "descending"), ("135 M", "ascending")):
        said: list[str] = []
        page.announced.connect(said.append)
        QTimer.singleShot(200, choose)
        QTest.keyClick(page.order, Qt.Key.Key_Space)
        qtbot.waitUntil(lambda said=said: bool(said), timeout=5000)  # type: ignore[misc]
        assert said == [f"Sorted by Parameters, {words}"]
        assert page.table.item(0, 2).text() == expected  # type: ignore[union-attr]
        assert QApplication.focusWidget() is page.table


def test_filters_ask_the_hub_once_when_they_rest(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    search(qtbot, window, "distill")
    before = hub.count("search")
    panel = window.model_list.filters
    for size in (2, 4, 9):
        panel.size_choice.setCurrentIndex(panel.size_choice.findData(size * GB))
    panel.open_only.click()
    assert hub.count("search") == before
    qtbot.waitUntil(lambda: hub.count("search") == before + 1, timeout=5000)
    qtbot.waitUntil(lambda: not window.library.search.busy, timeout=5000)
    qtbot.wait(400)
    assert hub.count("search") == before + 1
    assert "num_parameters=max%3A9000000000" in hub.seen[-1].target
    panel.fits_only.click()  # the hub knows nothing of that
    qtbot.wait(400)
    assert hub.count("search") == before + 1


def test_import_and_clean_up_dialogs(
    qtbot: QtBot, window: MainWindow, starter_model: InstalledModel, tmp_path: Path
) -> None:
    copy = tmp_path / "Mine-Q4_1.gguf"
    copy.symlink_to(starter_model.path)
    button = window.models_page.library
    button._offer([found_file(copy)])
    dialog = window.findChild(ImportDialog)
    assert isinstance(dialog, ImportDialog)
    dialog.findChild(QPushButton, "takeImports").click()  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: window.library.item("Mine-Q4_1") is not None, timeout=20000)
    window.library.remove("Mine-Q4_1")
    qtbot.waitUntil(lambda: window.library.item("Mine-Q4_1") is None, timeout=10000)
    button.clean_up()
    qtbot.waitUntil(lambda: window.findChild(CleanUpDialog) is not None, timeout=10000)
    care = window.findChild(CleanUpDialog)
    assert isinstance(care, CleanUpDialog)
    care.table.setCurrentCell(0, 0)
    assert care.back.isEnabled()
    care.back.click()
    qtbot.waitUntil(lambda: window.library.item("Mine-Q4_1") is not None, timeout=10000)
    assert copy.is_symlink()

"""The models page when things go wrong: refused, busy, unverified, nothing found yet."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.downloads.install import request_for
from app.errors import LibraryBusy
from app.gui.dialogs.settings import SettingsDialog
from app.gui.main_window import MainWindow
from app.gui.models.access import TokenDialog
from app.gui.models.library import ImportDialog
from app.hub.values import variants
from app.library.catalog import load_catalog
from app.library.folder import InstalledModel
from app.session.session import Session
from tests.helpers.checkpoints import write_checkpoint
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

ENTRY = next(entry for entry in load_catalog() if entry.id == "deepseek-r1-distill-qwen-7b")
REPO = str(ENTRY.repositories.gguf)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    data = HubFile(b"GGUF" + os.urandom(3_000_000))
    repos = {REPO: HubRepo({"m-Q4_0.gguf": data}, tags=["gguf"], gguf={"architecture": "qwen2"})}
    with HubServer(repos, token="right") as server:
        yield server


@pytest.fixture
def session(session: Session, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("app.downloads.acquisition.system_keyring", lambda: None)
    session.settings = session.settings.with_value("hub_endpoint", hub.endpoint)
    return session


def texts(page: QWidget) -> str:
    return "\n".join(label.text() for label in page.findChildren(QLabel))


def ask(window: MainWindow, text: str) -> None:
    window.show_page("models")
    window.model_list.search.setText(text)
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)


def test_a_gated_catalog_model_that_fails_in_the_queue_asks_for_a_token(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    hub.repos[REPO].gated = "manual"
    window.show_page("models")
    window.model_list.select(ENTRY.id)
    downloads, detail = window.library.downloads, window.models_page.detail
    window.library.download(ENTRY.id)
    qtbot.waitUntil(lambda: [i.state for i in downloads.items] == ["failed"], timeout=20000)
    qtbot.waitUntil(lambda: detail.findChild(QLineEdit, "accessToken") is not None, timeout=5000)
    assert "gated" in texts(detail)
    field = detail.findChild(QLineEdit, "accessToken")
    assert field is not None
    field.setText("right")
    QTest.keyClick(field, Qt.Key.Key_Return)

    def gone_on() -> bool:  # to the check of the header: random bytes are no model
        (item,) = downloads.items
        return item.state == "failed" and (item.error or {}).get("type") == "CorruptFile"

    qtbot.waitUntil(gone_on, timeout=20000)


def test_the_folder_is_not_moved_while_other_work_runs_and_downloads_go_on(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "new"))
    go_on = threading.Event()
    control, before = window.library, window.session.library.root
    job = control.maintain_folder(lambda _progress, _cancel: go_on.wait(20))
    assert job is not None
    with qtbot.waitSignal(control.failed, timeout=5000) as failed:
        window.models_page.library.move_folder()
    assert isinstance(failed.args[0], LibraryBusy)
    details = window.session.acquisition.hub.details(REPO)
    control.downloads.add(request_for(variants(details.files)[0]))
    qtbot.waitUntil(
        lambda: [i.state for i in control.downloads.items] == ["failed"], timeout=20000
    )  # it ran: random bytes are no model
    with qtbot.waitSignal(job.ended, timeout=5000):
        go_on.set()
    assert window.session.library.root == before
    window.models_page.library.move_folder()
    qtbot.waitUntil(lambda: not control.work, timeout=20000)
    assert window.session.library.root == tmp_path / "new"
    qtbot.waitUntil(lambda: not control.downloads.run_elsewhere, timeout=5000)
    assert [item.state for item in control.downloads.items] == ["failed"]


def test_nothing_waits_for_a_keyring_on_the_windows_thread(
    qtbot: QtBot, window: MainWindow, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[int] = set()
    opened: list[QUrl] = []
    monkeypatch.setattr(
        "app.downloads.acquisition.system_keyring", lambda: asked.add(threading.get_ident())
    )
    monkeypatch.setattr("app.gui.models.access.QDesktopServices.openUrl", opened.append)
    search, found = window.library.search, window.model_list
    ask(window, "distill")
    qtbot.waitUntil(lambda: search.asked and not search.busy, timeout=20000)
    hub.faults = [Fault("search", status=503)]
    with qtbot.waitSignal(search.failed, timeout=20000):
        ask(window, "distill")
    assert found.earlier.isVisible(), "what was seen last is offered"
    hub.repos[REPO].gated = "manual"
    window.model_list.search.clear()
    window.model_list.select(ENTRY.id)
    window.library.download(ENTRY.id)
    detail = window.models_page.detail
    qtbot.waitUntil(lambda: detail.findChild(QPushButton, "accessPage") is not None, timeout=20000)
    page = detail.findChild(QPushButton, "accessPage")
    assert page is not None
    page.click()
    qtbot.waitUntil(lambda: bool(opened), timeout=5000)
    assert opened[0].toString() == f"{hub.endpoint}/{REPO}"
    assert asked
    assert threading.get_ident() not in asked


def test_the_token_is_kept_checked_and_removed_in_the_settings(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    opened: list[TokenDialog] = []
    settings = SettingsDialog(window.session.settings, window)
    qtbot.addWidget(settings)
    settings.add_button("hub_endpoint", "Access token", lambda: opened.append(dialog()))

    def dialog() -> TokenDialog:
        made = TokenDialog(window.session, window.bridge, window)
        made.show()
        return made

    next(b for b in settings.findChildren(QPushButton) if b.text() == "Access token").click()
    (box,) = opened
    qtbot.waitUntil(lambda: box.state.text() == f"No token for {hub.endpoint} is saved.")
    assert not box.check.isEnabled()
    for token, words in (("wrong", "refused the token"), ("right", "belongs to tester")):
        box.token.setText(token)
        QTest.keyClick(box.token, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: box.check.isEnabled(), timeout=10000)
        assert box.state.text() == f"A token for {hub.endpoint} is saved."
        assert box.token.text() == "", "it is shown no longer than needed"
        box.check.click()
        qtbot.waitUntil(lambda words=words: words in box.status.text(), timeout=10000)  # type: ignore[misc]
    qtbot.waitUntil(lambda: box.remove.isEnabled(), timeout=10000)
    box.remove.click()
    qtbot.waitUntil(lambda: box.state.text().startswith("No token"), timeout=10000)
    acquisition = window.session.acquisition
    assert acquisition.tokens.get(hub.endpoint) is None
    box.close()


@pytest.mark.parametrize("status", [429, 503])
def test_earlier_results_are_offered_whenever_the_hub_gives_none(
    qtbot: QtBot, window: MainWindow, hub: HubServer, status: int
) -> None:
    search = window.library.search
    ask(window, "distill")
    qtbot.waitUntil(lambda: search.asked and not search.busy, timeout=20000)
    hub.faults = [Fault("search", status=status)]
    with qtbot.waitSignal(search.failed, timeout=20000) as failed:
        ask(window, "distill")
    assert [hit.repo for hit in failed.args[1].hits] == [REPO]
    assert "None" not in window.model_list.status.text()


def test_no_match_so_far_is_not_called_none(
    qtbot: QtBot, window: MainWindow, hub: HubServer
) -> None:
    hub.page_size = 1
    for number in range(30):
        hub.repos[f"o/distill-{number}"] = HubRepo({"m-Q4_0.gguf": HubFile(b"x")}, tags=["gguf"])
    panel = window.model_list.filters
    panel.variant.setCurrentIndex(panel.variant.findData("BF16"))
    search, said = window.library.search, window.model_list.status
    ask(window, "distill")
    qtbot.waitUntil(lambda: search.asked and not search.busy, timeout=20000)
    assert not search.hits
    assert said.text() == "No match among the first results. “More results” searches further."
    while search.has_more:
        window.model_list.more.click()
        qtbot.waitUntil(lambda: not search.busy, timeout=20000)
    assert said.text() == "Nothing on the hub matches."
    assert hub.count("search") == 31


def test_a_folder_is_imported_as_one_model(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Distill-Tiny"
    folder.mkdir()
    write_checkpoint("qwen2", folder)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    menu = window.models_page.library.menu()
    next(each for each in menu.actions() if each.text() == "Import a folder…").trigger()
    qtbot.waitUntil(lambda: window.findChild(ImportDialog) is not None, timeout=10000)
    dialog = window.findChild(ImportDialog)
    assert isinstance(dialog, ImportDialog)
    dialog.findChild(QPushButton, "takeImports").click()  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: window.library.item("Distill-Tiny") is not None, timeout=20000)
    window.show_page("models")
    window.model_list.select("Distill-Tiny")
    assert window.models_page.detail.findChild(QPushButton, "quantize") is not None


def test_an_unverified_model_is_called_that(
    qtbot: QtBot, window: MainWindow, starter_model: InstalledModel
) -> None:
    library = window.session.library
    facts = {"format": "gguf", "link": True, "source": "o/n", "revision": "c" * 40}
    library.add(starter_model.path, name="bare", licence="mit", verified=False, **facts)  # type: ignore[arg-type]
    library.add(starter_model.path, name="sound", **facts)  # type: ignore[arg-type]
    window.show_page("models")
    window.library.refresh()
    qtbot.waitUntil(lambda: window.library.item("sound") is not None, timeout=20000)
    detail = window.models_page.detail
    window.model_list.select("bare")
    shown = texts(detail)
    assert "Unverified: the hub provides no checksum" in shown
    for fact in ("o/n", "c" * 40, "mit", starter_model.sha256):
        assert fact in shown
    window.model_list.select("sound")
    assert "nverified" not in texts(detail)

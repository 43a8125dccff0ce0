"""What the first start shows: the starter ready, and the best R1 distill for this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.chat.start_view import StartView, is_r1_distill
from app.gui.main_window import MainWindow
from app.gui.models.control import ModelItem
from app.gui.parts import theme
from app.library.catalog import load_catalog, starter
from app.library.folder import InstalledModel
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from runtime.plan import Interval, Plan, SpeedEstimate
from tests.helpers.hub_server import HubFile, HubRepo, HubServer

DISTILLS = {e.id: e for e in load_catalog() if is_r1_distill(e)}
SMALL, MIDDLE, LARGE = (f"deepseek-r1-distill-qwen-{size}" for size in ("1.5b", "7b", "14b"))


def test_only_what_r1_taught_is_an_r1_distill() -> None:
    names = {entry.id for entry in load_catalog()}
    assert set(DISTILLS) == {name for name in names if name.startswith("deepseek-r1-")}
    other = replace(DISTILLS[SMALL], teacher="other/Teacher")
    assert not is_r1_distill(other)
    assert not is_r1_distill(replace(DISTILLS[SMALL], teacher=None))


@pytest.fixture
def plan(window: MainWindow) -> Plan:
    """A real plan, to be varied."""
    made = window.models.plan
    assert made is not None
    return made


def item(
    plan: Plan, entry_id: str, tps: float | None, fits: Literal["fits", "tight"] = "fits"
) -> ModelItem:
    entry = DISTILLS[entry_id]
    speed = None
    if tps is not None:
        interval = Interval(tps * 0.9, tps, tps * 1.1)
        speed = SpeedEstimate(interval, interval, {0: interval}, "bandwidth")
    planned = replace(plan, fits=fits, speed=speed)
    return ModelItem(entry.id, entry.name, "catalog", 10**9, entry, plan=planned)


def said(view: StartView) -> str:
    return "\n".join(label.text() for label in view.banner.findChildren(QLabel))


def test_the_largest_that_answers_as_fast_as_one_reads_is_recommended_with_the_reason(
    qtbot: QtBot, window: MainWindow, plan: Plan, starter_model: InstalledModel
) -> None:
    view = window.chat_page.start
    items = [item(plan, SMALL, 40.0), item(plan, MIDDLE, 12.0), item(plan, LARGE, 3.0)]
    view.recommend(items)
    assert view.banner.isVisible()
    assert DISTILLS[MIDDLE].name in said(view)
    assert "largest DeepSeek-R1 distill that answers at reading speed or faster" in said(view)
    slow = [item(plan, MIDDLE, 2.0), item(plan, SMALL, 4.0)]
    view.recommend(slow)
    assert DISTILLS[SMALL].name in said(view)
    assert "larger ones answer more slowly than one reads" in said(view)
    view.recommend([item(plan, SMALL, None), item(plan, MIDDLE, None)])
    assert DISTILLS[SMALL].name in said(view)
    assert "until this machine has been measured" in said(view)
    view.recommend([item(plan, MIDDLE, 12.0, "tight"), item(plan, SMALL, 40.0)])
    assert DISTILLS[SMALL].name in said(view), "what is tight is not recommended"
    teacher = replace(DISTILLS[LARGE], teacher="someone/else")
    other = replace(item(plan, LARGE, 50.0), entry=teacher)
    view.recommend([other, item(plan, SMALL, 40.0)])
    assert DISTILLS[SMALL].name in said(view), "other distills are not R1's"
    view.recommend([replace(item(plan, SMALL, 40.0), installed=starter_model)])
    assert not view.banner.isVisible(), "it is here already"
    view.recommend([])
    assert not view.banner.isVisible()


def test_the_banner_opens_the_model_by_keyboard(
    qtbot: QtBot, window: MainWindow, plan: Plan
) -> None:
    view = window.chat_page.start
    view.recommend([item(plan, MIDDLE, 12.0)])
    show = view.banner.findChild(QPushButton)
    assert show is not None
    assert show.accessibleName() == f"Show: Recommended for this machine: {DISTILLS[MIDDLE].name}"
    show.setFocus()
    QTest.keyClick(show, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.models_page.isVisible(), timeout=5000)
    assert window.models_page.key == MIDDLE


def test_the_first_start_has_the_starter_ready(
    qtbot: QtBot,
    qapp: QApplication,
    stillroom_home: Path,
    tmp_path: Path,
    starter_model: InstalledModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = starter(load_catalog())
    assert entry is not None
    assert entry.source is not None
    (tmp_path / Path(entry.source.member).name).symlink_to(starter_model.path)
    for module in (
        "app.session.user_models",
        "app.gui.startup",
    ):  # as an installer would have put it there
        monkeypatch.setattr(f"{module}.bundled_folder", lambda: tmp_path)
    qapp.setStyle("Fusion")
    window = MainWindow(
        Session(Paths.under(stillroom_home), Settings()), theme.choose("light", 100, False)
    )
    qtbot.addWidget(window)
    window.show()
    window.start()
    qtbot.waitUntil(lambda: window.models.chosen == entry.id, timeout=30000)
    qtbot.waitUntil(lambda: not window.bridge.busy, timeout=30000)
    assert [model.name for model in window.session.installed()] == [entry.id]
    assert not window.chat_page.start.get_button.isVisible()
    window.close()
    window.session.close()


@pytest.fixture
def hub(starter_model: InstalledModel, session: Session) -> Iterator[HubServer]:
    files = {
        "small-Q4_1.gguf": HubFile(starter_model.path, starter_model.sha256),
        "small-Q8_0.gguf": HubFile(b"GGUF" + bytes(2_000_000)),
    }
    with HubServer({"o/small": HubRepo(files, tags=["gguf"])}) as server:
        session.settings = session.settings.with_value("hub_endpoint", server.endpoint)
        yield server


def test_a_result_that_is_installed_leads_to_it(
    qtbot: QtBot, hub: HubServer, window: MainWindow, starter_model: InstalledModel
) -> None:
    window.session.library.add(
        starter_model.path, name="small", format="gguf", source="o/small", link=True
    )
    window.show_page("models")
    search, detail = window.library.search, window.models_page.detail
    window.model_list.search.setText("small")
    QTest.keyClick(window.model_list.search, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: search.asked and not search.busy, timeout=20000)
    qtbot.waitUntil(lambda: window.library.item("hub:o/small") is not None, timeout=20000)
    qtbot.waitUntil(lambda: window.library.item("small") is not None, timeout=20000)
    window.model_list.select("hub:o/small")
    assert detail.findChild(QPushButton, "download") is None
    qtbot.waitUntil(lambda: detail.variants is not None, timeout=20000)
    table = detail.variants
    assert table is not None
    get = detail.findChild(QPushButton, "getVariant")
    assert get is not None
    table.setCurrentCell([o.label for o in table.offers].index("Q4_1"), 0)
    assert get.text() == "Installed as small"
    assert not get.isEnabled()
    table.setCurrentCell([o.label for o in table.offers].index("Q8_0"), 0)
    assert get.text().startswith("Download Q8_0")
    assert get.isEnabled()
    chat = detail.findChild(QPushButton, "chat")
    assert chat is not None
    chat.click()
    assert window.models.chosen == "small"

"""The Speed page and the diagnosis: real widgets over a real store and a stored profile."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.gui import theme
from app.gui.bridge import Bridge
from app.gui.diagnosis_panel import DiagnosisPanel
from app.gui.speed_page import SpeedPage
from app.gui.speed_view import SpeedView
from app.library import InstalledModel
from app.paths import Paths
from app.records import RunRecord
from app.session import Session
from app.settings import Settings
from app.speed_report import NEAR, SpeedReport, fastest_read, marks, speed_report
from runtime.bandwidth import BandwidthProfile, machine_fingerprint
from runtime.diagnosis import Cause, Diagnosis
from runtime.plan import Interval, PlanRequest

PROFILE = Path(__file__).parents[1] / "data" / "profile.json"


def run(at: float, tps: float, promised: Interval | None = None) -> RunRecord:
    return RunRecord(
        at, "smollm2-135m-instruct", "", "llamacpp", "1", ("cpu",), {}, None,
        promised, None, tps, 400_000_000, 390_000_000,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(
    tmp_path_factory: pytest.TempPathFactory, starter_model: InstalledModel
) -> Iterator[tuple[Session, SpeedReport]]:
    """A session of a measured machine with two runs, and its report."""
    session = Session(Paths.under(tmp_path_factory.mktemp("measured")), Settings())
    session.library.add(
        starter_model.path,
        name=starter_model.name,
        format="gguf",
        source="test",
        digests={starter_model.path.name: starter_model.sha256},
        link=True,
    )
    profile = BandwidthProfile.from_json(json.loads(PROFILE.read_text()))
    session.learning.keep_profile(replace(profile, fingerprint=machine_fingerprint()))
    session.store.add_run(run(1000.0, 100.0, Interval(90, 105, 120)))
    session.store.add_run(run(2000.0, 50.0, Interval(90, 105, 120)))
    yield session, speed_report(session)
    session.close()


@pytest.fixture
def page(qtbot: QtBot, measured: tuple[Session, SpeedReport]) -> SpeedPage:
    """The page of that machine."""
    session, report = measured
    made = SpeedPage(session, Bridge(), theme.choose("light", 100, False))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    made.show_report(report)
    return made


def cell(view: SpeedView, row: int, column: int) -> str:
    return str(view.sheet.index(row, column).data())


def test_each_view_has_a_plot_a_table_and_the_right_figures(page: SpeedPage) -> None:
    for view in page.views:
        assert view.tabs.isVisible()
        assert view.tabs.count() == 2
        assert view.table.accessibleName() == view.tabs.accessibleName() != ""
    profile = page.bandwidth.report.profile  # type: ignore[union-attr]
    assert profile is not None
    host = profile.devices[0]
    curves = [*host.plain, *(c for kernel in host.products.values() for c in kernel)]
    assert page.bandwidth.sheet.rowCount() == sum(len(curve.points) for curve in curves)
    assert [cell(page.history, i, 5) for i in (0, 1)] == ["50.0 tok/s", "100 tok/s"]
    assert "50 % inside" in page.history.note.text()


def test_no_prediction_is_above_the_roof(page: SpeedPage) -> None:
    report = page.roofline.report
    assert report is not None
    rows = page.roofline.rows(report)
    assert "smollm2-135m-instruct" in [row[0] for row in rows]
    for _name, nbytes, roof, _low, predicted, _high, _measured, _runs in rows:
        assert predicted is None or predicted < roof
        assert roof == pytest.approx(fastest_read(report.profile).at(nbytes) / nbytes)  # type: ignore[arg-type, union-attr]


def test_memory_cells_are_what_a_plan_promises(
    page: SpeedPage, measured: tuple[Session, SpeedReport]
) -> None:
    session, report = measured
    kinds = {point.model.shape.attention for point in report.models}
    assert kinds == {"MHA", "GQA", "MLA"}
    point = report.models[0]
    request = PlanRequest(device="cpu", n_ctx=2048, kv_type="q8_0", sequences=4)
    plan = session.planning.plan_for(point.model, request)
    page.memory.kv.setCurrentIndex(page.memory.kv.findData("q8_0"))
    cells = {(c.batch, c.n_ctx): c.total for c in page.memory.cells(point)}
    assert cells[4, 2048] == plan.memory.total
    assert cells[4, 2048] > cells[1, 2048]


def test_figures_are_saved_as_picture_table_and_data(page: SpeedPage, tmp_path: Path) -> None:
    for kind in ("png", "csv", "json"):
        page.roofline.write(tmp_path / f"out.{kind}", kind)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = json.loads((tmp_path / "out.json").read_text())
    assert [row["model"] for row in rows] == [entry["model"] for entry in data]
    assert float(rows[0]["bytes_per_token"]) == data[0]["bytes_per_token"] > 1e6
    with pytest.raises(OSError, match="out"):
        page.roofline.write(tmp_path / "missing" / "out.csv", "csv")


def test_another_theme_draws_again_and_keeps_the_tab(page: SpeedPage) -> None:
    page.history.tabs.setCurrentIndex(1)
    before = page.history.plot
    page.set_theme(theme.choose("dark", 100, True))
    assert page.history.plot is not before
    assert page.history.tabs.currentWidget() is page.history.table
    assert page.history.table.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_models_that_read_alike_share_a_label(page: SpeedPage) -> None:
    report = page.bandwidth.report
    assert report is not None
    first = report.models[0]
    near = replace(first, name="near", working_set=int(first.working_set * (NEAR - 0.1)))
    far = replace(first, name="far", working_set=first.working_set * 3)
    assert [label for _point, label in marks((far, first, near))] == [
        "smollm2-135m-instruct +1", "", "far",
    ]  # fmt: skip


def test_an_unmeasured_machine_says_what_to_do(qtbot: QtBot, session: Session) -> None:
    bridge = Bridge()
    page = SpeedPage(session, bridge, theme.choose("light", 100, False))
    qtbot.addWidget(page)
    page.show()
    page.refresh()
    qtbot.waitUntil(lambda: page.memory.report is not None, timeout=20000)
    assert not page.bandwidth.tabs.isVisible()
    assert "Not measured yet" in page.bandwidth.note.text()
    assert page.memory.tabs.isVisible()


# -- why is it slow ------------------------------------------------------------------------------


def texts(panel: DiagnosisPanel) -> list[str]:
    return [each.text() for each in panel.findChildren(QLabel) if each.isVisibleTo(panel)]


def test_causes_are_shown_with_their_share_and_what_to_do(qtbot: QtBot, session: Session) -> None:
    panel = DiagnosisPanel(session, Bridge())
    qtbot.addWidget(panel)
    panel.show()
    causes = (Cause("other_load", 2.0, 0.7, {}),)
    panel.show_diagnosis(Diagnosis(2.7, causes, 0.3))
    qtbot.waitUntil(lambda: len(texts(panel)) == 5)
    shown = texts(panel)
    assert "2.7 times slower than planned" in shown
    assert "70 %  other programs kept the cores busy" in shown
    assert "Close them, or wait." in shown
    assert "30 % no measurement explains" in shown
    panel.show_diagnosis(Diagnosis(1.0, (), 0.0))
    assert "As fast as planned" in texts(panel)
    assert "Close them, or wait." not in texts(panel)

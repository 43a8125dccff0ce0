"""The Speed page and the diagnosis: real widgets over a real store and a stored profile."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from pyqtgraph import InfiniteLine
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.gui.chat.control import stats_json
from app.gui.models.selection import ModelSelection
from app.gui.parts import theme
from app.gui.parts.bridge import Bridge
from app.gui.parts.speed_words import time_lines
from app.gui.parts.status_bar import StatusBar
from app.gui.speed.diagnosis_panel import DiagnosisPanel
from app.gui.speed.page import SpeedPage
from app.gui.speed.view import SpeedView
from app.history.records import AnswerFigures, RunRecord
from app.history.runs import LoadedModel
from app.library.catalog import entry_named, load_catalog
from app.library.folder import InstalledModel
from app.library.targets import Target
from app.paths import Paths
from app.planning.inspection import catalog_model
from app.session.session import Session
from app.session.speed_report import NEAR, SpeedReport, fastest_read, marks, speed_report
from app.settings import Settings
from runtime.backend import LoadReport
from runtime.generation import GenerationStats
from runtime.plan import (
    DeviceMemory,
    Interval,
    LayerRange,
    MemoryEstimate,
    Placement,
    Plan,
    PlanRequest,
    SpeedEstimate,
)
from runtime.planning.bandwidth import BandwidthProfile, cache_facts, machine_fingerprint
from runtime.planning.diagnosis import Cause, Diagnosis
from runtime.planning.speed import SpeedModel
from runtime.progress import Cancelled

PROFILE = Path(__file__).parents[2] / "data" / "profile.json"


def run(at: float, tps: float, predicted: Interval | None = None) -> RunRecord:
    return RunRecord(
        at, "smollm2-135m-instruct", "", "llamacpp", "1", ("cpu",), {}, None,
        predicted, None, tps, 400_000_000, 390_000_000,
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
    profile = msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile)
    session.learning.keep_profile(replace(profile, fingerprint=machine_fingerprint()))
    session.store.add_run(run(1000.0, 100.0, Interval(90, 105, 120)))
    session.store.add_run(run(2000.0, 50.0, Interval(90, 105, 120)))
    yield session, speed_report(session)
    session.close()


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """Alive until the test's last events are handled: a job that is deleted lets go of the panel
    it was for, which must not be what the job's owner lives by."""
    bridge = Bridge()
    yield bridge
    bridge.close()


@pytest.fixture
def page(qtbot: QtBot, bridge: Bridge, measured: tuple[Session, SpeedReport]) -> SpeedPage:
    """The page of that machine."""
    session, report = measured
    made = SpeedPage(session, bridge, theme.choose("light", 100, False))
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
    assert "50 % within the predicted range" in page.history.note.text()


def test_no_prediction_is_above_the_roof(page: SpeedPage) -> None:
    report = page.roofline.report
    assert report is not None
    rows = page.roofline.rows(report)
    assert "smollm2-135m-instruct" in [row[0] for row in rows]
    for _name, nbytes, roof, _low, predicted, _high, _measured, _runs in rows:
        assert isinstance(nbytes, int)
        assert isinstance(roof, float)
        assert not isinstance(predicted, str)
        assert predicted is None or predicted < roof
        assert roof == pytest.approx(fastest_read(report.profile).at(nbytes) / nbytes)


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


def test_what_is_mapped_stands_beside_what_must_be_free(
    page: SpeedPage, measured: tuple[Session, SpeedReport]
) -> None:
    _session, report = measured
    point = next(p for p in report.models if p.name == "deepseek-llm-7b-chat")
    page.memory.model.setCurrentIndex(page.memory.model.findData(point.name))
    page.memory.show_report(report)
    (row, *_) = page.memory.rows(report)
    assert row[-1] == page.memory.cells(point)[0].mapped > 3e9
    assert page.memory.sheet.headerData(7, Qt.Orientation.Horizontal) == "Mapped file"


def lines_of(view: SpeedView) -> dict[str, float]:
    """The labelled vertical lines of a plot: label and place."""
    lines = [item for item in view.plot.getPlotItem().items if isinstance(item, InfiniteLine)]
    return {line.label.format: 10 ** line.value() for line in lines if hasattr(line, "label")}


def test_caches_are_marked_and_every_device_is_drawn(
    page: SpeedPage, measured: tuple[Session, SpeedReport]
) -> None:
    _session, report = measured
    profile = report.profile
    assert profile is not None
    gpu = replace(profile.devices[0], device="cuda0", plain=())
    caches = cache_facts({1: 48 << 10, 2: 2 << 20, 3: 32 << 20})
    both = replace(profile, devices=(*profile.devices, gpu), facts=caches)
    page.bandwidth.show_report(replace(report, profile=both))
    lines = lines_of(page.bandwidth)
    assert {name: round(lines[name]) for name in ("L1", "L2", "L3")} == {
        "L1": 48 << 10, "L2": 2 << 20, "L3": 32 << 20,
    }  # fmt: skip
    drawn = [item.name() for item in page.bandwidth.plot.listDataItems()]
    assert [name for name in drawn if name.startswith("cuda0")]
    assert len(drawn) == len(profile.devices[0].plain) + 1
    page.bandwidth.show_report(report)  # of a profile that knows no cache
    assert "L1" not in lines_of(page.bandwidth)


def test_either_measurement_can_be_asked_for(page: SpeedPage, qtbot: QtBot) -> None:
    asked: list[bool] = []

    def profile(*, full: bool, on_progress: object, cancel: object) -> BandwidthProfile:
        asked.append(full)
        raise Cancelled

    page._session.profile = profile  # type: ignore[assignment, method-assign]
    for number, each in enumerate((page.measure, page.thorough), 1):
        QTest.mouseClick(each, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: len(asked) == number and page._job is None)  # noqa: B023
    assert asked == [False, True]


def test_what_was_not_kept_and_not_measured_is_told(
    page: SpeedPage, measured: tuple[Session, SpeedReport]
) -> None:
    _session, report = measured
    assert report.profile is not None
    page._keep_new(replace(report.profile, measured_at="2030-01-01T00:00:00"))
    page.show_report(replace(report, unmeasured=("cuda0",)))
    assert "unreliable and was discarded" in page._state.text()
    assert "Not measured: cuda0" in page._state.text()
    page._keep_new(report.profile)
    page.show_report(report)
    assert "discarded" not in page._state.text()
    assert "Not measured" not in page._state.text()


def test_a_plan_is_told_with_its_times() -> None:
    profile = msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile)
    model = catalog_model(entry_named(load_catalog(), "deepseek-r1-distill-qwen-7b"))
    placed = Placement(
        "llamacpp", (LayerRange("cpu", 0, 27),), "cpu", 32768, n_threads=2, n_threads_batch=2
    )
    more, first, answer = time_lines(SpeedModel(profile).predict(model, placed))
    assert re.match(
        r"With more context: .+ tok/s at 4.096 tokens, .+ at 16.384, .+ at 32.768$", more
    )
    assert re.match(r"Time to first token: .+ s – .+ for a prompt of 256 tokens", first)
    assert re.match(r"Typical R1 answer: .+ – .+ for 3.000 tokens", answer)
    assert time_lines(None) == []


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


def test_an_unmeasured_machine_says_what_to_do(
    qtbot: QtBot, session: Session, bridge: Bridge
) -> None:
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


def test_causes_are_shown_with_their_share_and_what_to_do(
    qtbot: QtBot, session: Session, bridge: Bridge
) -> None:
    panel = DiagnosisPanel(session, bridge)
    qtbot.addWidget(panel)
    panel.show()
    causes = (Cause("other_load", 2.0, 0.7, {}),)
    panel.show_diagnosis(Diagnosis(2.7, causes, 0.3))
    qtbot.waitUntil(lambda: len(texts(panel)) == 5)
    shown = texts(panel)
    assert "2.7 times slower than predicted" in shown
    assert "70 %  other programs kept the cores busy" in shown
    assert "Close them, or wait." in shown
    assert "30 % not explained by any measurement" in shown
    panel.show_diagnosis(Diagnosis(1.0, (), 0.0))
    assert "As fast as predicted" in texts(panel)
    assert "Close them, or wait." not in texts(panel)


def test_an_answer_is_judged_by_what_its_own_depth_was_promised(
    qtbot: QtBot, session: Session, bridge: Bridge
) -> None:
    panel = DiagnosisPanel(session, bridge)
    qtbot.addWidget(panel)
    fast = AnswerFigures(
        predicted_decode_tps=Interval(4.0, 5.0, 6.0), decode_tps=4.5, generated_tokens=64
    )
    panel.judge(fast)
    assert panel.isHidden()
    panel.judge(replace(fast, decode_tps=3.5))
    assert not panel.isHidden()
    qtbot.waitUntil(lambda: "No answer with a predicted speed yet." in texts(panel))
    panel.judge(AnswerFigures(decode_tps=3.5, generated_tokens=64))  # nothing was predicted
    assert panel.isHidden()


def planned(tps: float, *devices: DeviceMemory) -> Plan:
    placed = Placement("llamacpp", (LayerRange("cpu", 0, 3),), "cpu", 8192)
    at = {depth: Interval(0.9 * v, v, 1.1 * v) for depth, v in ((0, tps), (8192, tps / 2))}
    speed = SpeedEstimate(at[0], at[0], at, "bandwidth")
    return Plan(placed, MemoryEstimate(devices), speed, "fits", ())


def test_the_promise_kept_with_an_answer_is_that_of_the_loaded_plan(
    qtbot: QtBot, session: Session, bridge: Bridge
) -> None:
    models = ModelSelection(session, bridge)
    host = DeviceMemory("cpu", 1, 1, 1)
    stats = GenerationStats(
        "r", "stop", 4000, 0, 192, 0, 0.1, 0.1, 1.0, 640.0, 7.0, peak_memory=1
    )  # fmt: skip
    models.plan = planned(100.0, host)  # chosen meanwhile, not loaded
    assert models.predicted_tps(stats) is None
    report = LoadReport("llamacpp", "1", 8192, 0.1, {})
    target = Target("m", Path("m.gguf"), None)
    session._loaded = LoadedModel(target, planned(20.0, host), report, None)
    kept = stats_json(stats, models)["predicted_decode_tps"]
    assert isinstance(kept, dict)
    assert kept["median"] == pytest.approx(1 / (0.05 + 0.05 * 4096 / 8192))
    session._loaded = None


def test_the_status_bar_compares_the_worker_with_the_host_alone(qtbot: QtBot) -> None:
    bar = StatusBar(theme.choose("light", 100, False))
    qtbot.addWidget(bar)
    host = DeviceMemory("cpu", 2 * 10**9, 10**9, 0, mapped=10**9)
    bar.show_plan(planned(9.0, DeviceMemory("cuda0", 5 * 10**9, 10**9, 0), host))
    assert bar.memory.text() == "4.00 GB planned · cuda0 6.00 GB"
    bar.show_figures(AnswerFigures(peak_memory=39 * 10**8))
    assert bar.memory.text() == "memory 3.90 GB of 4.00 GB planned · cuda0 6.00 GB"
    buffers = {"CPU_Mapped": {"weights": 10**9}, "CUDA0": {"weights": 5 * 10**9}}
    bar.show_loaded(LoadReport("llamacpp", "1", 8192, 0.1, buffers))
    assert bar.memory.text().startswith("memory 1.00 GB of 4.00 GB planned")

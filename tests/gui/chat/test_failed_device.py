"""A device that fails under a model: the window shows the plan that was made around it."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.gui.models.plan_panel import PlanPanel
from app.gui.models.selection import ModelSelection
from app.gui.parts.bridge import Bridge
from app.gui.parts.theme import LIGHT
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from runtime.machine.providers import TARGETS
from tests.helpers.onnx_models import break_plugin, export_tiny

TARGET = TARGETS["openvino-cpu"]
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec(TARGET.module) is None, reason=f"{TARGET.distribution} not installed"
)


@pytest.fixture
def tiny(
    stillroom_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Session]:
    """A session with a tiny ONNX model, and a plug-in whose library is none."""
    session = Session(Paths.under(stillroom_home), Settings())
    folder = export_tiny(tmp_path, "llama")
    session.library.add(folder, name="tiny", format="onnx", source="import", link=True)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    break_plugin(plugins, TARGET)
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    yield session
    session.close()
    shutil.rmtree(plugins)


def test_the_plan_panel_shows_where_the_model_runs_now_and_why(
    qtbot: QtBot, tiny: Session, expect_log: Callable[[str], None]
) -> None:
    expect_log("openvino-cpu failed")
    window = QWidget()
    qtbot.addWidget(window)
    bridge = Bridge(window)
    models = ModelSelection(tiny, bridge, window)
    panel = PlanPanel(models, LIGHT)
    qtbot.addWidget(panel)
    models.choose("tiny", plan=False)
    with qtbot.waitSignal(models.plan_changed, timeout=60_000):
        models.set_choices(device="openvino-cpu")
    assert models.plan is not None
    assert models.plan.placement.layers[0].device == "openvino-cpu"
    with qtbot.waitSignal(models.loaded_changed, timeout=60_000):
        models.load()
    qtbot.waitUntil(lambda: not bridge.busy, timeout=60_000)
    assert models.plan.placement.layers[0].device == "cpu"
    assert "openvino-cpu was planned but failed" in panel._reasons.text()
    bridge.close()

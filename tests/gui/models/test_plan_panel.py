"""The plan panel: its picture tells every part, and every control plans again at once."""

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox
from pytestqt.qtbot import QtBot

from app.gui.main_window import MainWindow
from runtime.plan import Plan


def choose(qtbot: QtBot, window: MainWindow, box: QComboBox, value: object) -> Plan:
    """Choose as a person does, and wait for the new plan."""
    before = window.models.plan
    index = box.findData(value)
    assert index >= 0
    box.setCurrentIndex(index)
    box.activated.emit(index)
    qtbot.waitUntil(lambda: window.models.plan is not before, timeout=20000)
    assert window.models.plan is not None
    return window.models.plan


def test_the_picture_tells_each_part_with_its_bytes(qtbot: QtBot, window: MainWindow) -> None:
    parts = {part.kind: part for part in window.models.parts}
    plan = window.models.plan
    assert plan is not None
    assert set(parts) >= {"embedding", "blocks", "lm_head", "kv_cache", "compute"}
    assert parts["blocks"].blocks == 30
    (memory,) = plan.memory.devices
    weights = sum(parts[kind].nbytes for kind in ("embedding", "blocks", "lm_head"))
    assert weights == memory.weights
    assert parts["kv_cache"].nbytes == memory.kv_cache
    picture = window.inspector.plan.picture
    picture.setFocus()
    told = []
    for _ in window.models.parts:
        QTest.keyClick(picture, Qt.Key.Key_Down)
        told.append(picture.accessibleName())
    assert len(set(told)) == len(told)
    assert [name.split(" · ")[1] for name in told[:3]] == ["embeddings", "30 blocks", "LM head"]
    assert all("MB" in name or "shared" in name or "kB" in name for name in told)
    assert all(name in picture.accessibleDescription() for name in told)


def test_each_control_plans_again(qtbot: QtBot, window: MainWindow) -> None:
    panel = window.inspector.plan
    before = window.models.plan
    assert before is not None
    plan = choose(qtbot, window, panel.kv, "q8_0")
    assert plan.placement.kv_type_k == "q8_0"
    assert plan.memory.devices[0].kv_cache < before.memory.devices[0].kv_cache
    plan = choose(qtbot, window, panel.policy, "full")
    assert plan.request.policy == "full"
    assert plan.placement.kv_type_k == "q8_0"  # what was chosen before stays
    plan = choose(qtbot, window, panel.device, "cpu")
    assert plan.request.device == "cpu"
    assert window.models.parts
    assert panel.picture.accessibleDescription().count("CPU") == len(window.models.parts)


def test_the_picture_draws_its_segments(qtbot: QtBot, window: MainWindow) -> None:
    picture = window.inspector.plan.picture
    image = picture.grab().toImage()
    seen = {image.pixelColor(9, y).name() for y in range(image.height())}
    shown = {window.theme.segments[index] for index in (4, 0, 1)}
    assert shown <= seen

"""The question before quantizing: what it offers, what it says, and what comes of it."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.gui.models.quantize import QuantizeChoice, QuantizeDialog
from app.library.catalog import load_catalog
from app.planning.inspection import catalog_model
from app.quantizing.requantizing import Requantizing
from app.wording.units import format_divergence
from quant.quality.expected_loss import expected_loss
from runtime.plan import Interval
from runtime.planning.format_choice import FormatCandidate, rank_formats
from runtime.shape import parameter_count

MODEL = catalog_model(next(each for each in load_catalog() if "1.5b" in each.id))


@pytest.fixture
def dialog(qtbot: QtBot) -> QuantizeDialog:
    made = QuantizeDialog("a model", MODEL.shape, 2, None)
    qtbot.addWidget(made)
    made.show()
    return made


def test_the_recipe_to_take_here_is_marked_and_explained(qtbot: QtBot) -> None:
    speed, loss = Interval(18.0, 20.0, 22.0), Interval(0.02, 0.03, 0.05)
    names = ("onnx-q4-b128-asym-search", "onnx-q4-b32", "q4_1")
    ranked = [
        FormatCandidate(name, "any", 1, speed, loss, 8192, place)
        for place, name in enumerate(names)
    ]
    ranking = rank_formats(ranked, "balanced", loss)
    dialog = QuantizeDialog("a model", MODEL.shape, 2, None, ranking=ranking)
    qtbot.addWidget(dialog)
    assert (dialog.target.currentData(), dialog.recipe.currentData()) == ("onnx", names[0])
    assert dialog.recipe.currentText() == f"{names[0]} (recommended)"
    assert "20.0 tok/s predicted" in dialog.about.text()
    choose(dialog, "gguf", "q4_1")
    assert dialog.recipe.currentIndex() == 0
    assert dialog.recipe.currentText() == "q4_1 (recommended)"
    choose(dialog, "gguf", "q4_0")
    assert "tok/s" not in dialog.about.text()


def choose(dialog: QuantizeDialog, target: str, recipe: str) -> None:
    dialog.target.setCurrentIndex(dialog.target.findData(target))
    assert dialog.recipe.findData(recipe) >= 0
    dialog.recipe.setCurrentIndex(dialog.recipe.findData(recipe))


def chosen(qtbot: QtBot, dialog: QuantizeDialog) -> QuantizeChoice:
    with qtbot.waitSignal(dialog.chosen) as caught:
        dialog._start()
    (choice,) = caught.args
    assert isinstance(choice, QuantizeChoice)
    return choice


def test_a_recipe_that_demands_a_text_begins_with_the_bundled_one(
    qtbot: QtBot, dialog: QuantizeDialog
) -> None:
    choose(dialog, "gguf", "q4_0-best")
    dialog.calibration.setCurrentIndex(0)
    assert dialog.calibration.currentData() == "bundled"
    choose(dialog, "gguf", "q4_0")
    assert dialog.calibration.currentData() is None
    choose(dialog, "gguf", "q4_0-best")
    assert chosen(qtbot, dialog) == QuantizeChoice("q4_0-best", True, True)


def test_an_own_text_is_named_and_handed_on(
    qtbot: QtBot, dialog: QuantizeDialog, tmp_path: Path
) -> None:
    choose(dialog, "onnx", "onnx-q4-b32-search")
    dialog.use_text(tmp_path / "letters.txt")
    assert dialog.calibration.currentText() == "letters.txt"
    wanted = QuantizeChoice("onnx-q4-b32-search", True, tmp_path / "letters.txt")
    assert chosen(qtbot, dialog) == wanted


def test_no_text_named_leaves_none(dialog: QuantizeDialog) -> None:
    dialog.calibration.setCurrentIndex(dialog.calibration.findData("own"))
    dialog.use_text(None)
    assert dialog.calibration.currentData() is None


def test_a_recipe_that_cannot_be_weighed_is_not(qtbot: QtBot, dialog: QuantizeDialog) -> None:
    choose(dialog, "gguf", "q8_0")
    assert not dialog.calibration.isEnabled()
    assert chosen(qtbot, dialog).calibrate is False


def test_every_recipe_says_what_to_expect_on_a_model_of_this_size(dialog: QuantizeDialog) -> None:
    for target in range(dialog.target.count()):
        dialog.target.setCurrentIndex(target)
        for index in range(dialog.recipe.count()):
            dialog.recipe.setCurrentIndex(index)
            name = dialog.recipe.currentData()
            weighed = dialog.calibration.currentData() is not None
            loss = expected_loss(name, parameter_count(MODEL.shape), weighed)
            assert loss is not None
            interval = f"{format_divergence(loss.likely)} ({format_divergence(loss.low)} to"
            assert interval in dialog.loss.text()
            assert "a model of 1.8 B parameters" in dialog.loss.text()
            assert ("carried over from Q4_0" in dialog.loss.text()) == bool(loss.carried_from)


def test_a_calibration_text_lowers_the_loss_to_expect(dialog: QuantizeDialog) -> None:
    choose(dialog, "gguf", "q4_k_m")
    before = dialog.loss.text()
    dialog.calibration.setCurrentIndex(dialog.calibration.findData("bundled"))
    assert dialog.loss.text() not in ("", before)


@pytest.mark.parametrize("official", ["owner/Full", None])
def test_what_is_quantized_already_is_quantized_only_knowingly(
    qtbot: QtBot, official: str | None
) -> None:
    found = Requantizing(Path("m.gguf"), "Q4_1", "blk.0.attn_q.weight", official)
    dialog = QuantizeDialog("a model", None, 2, None, found)
    qtbot.addWidget(dialog)
    dialog.show()
    texts = [each.text() for each in dialog.findChildren(QLabel)]
    assert any("already quantized (Q4_1)" in text for text in texts)
    assert not dialog.start.isEnabled()
    get = dialog.findChild(QPushButton, "getOfficial")
    assert (get is not None) == (official is not None)
    dialog.anyway.setChecked(True)
    assert dialog.start.isEnabled()
    assert chosen(qtbot, dialog).requantize


def test_the_official_weights_are_asked_for_instead(qtbot: QtBot) -> None:
    found = Requantizing(Path("m.gguf"), "Q4_1", "blk.0.attn_q.weight", "owner/Full")
    dialog = QuantizeDialog("a model", None, 2, None, found)
    qtbot.addWidget(dialog)
    dialog.show()
    get = dialog.findChild(QPushButton, "getOfficial")
    assert get is not None
    with qtbot.waitSignal(dialog.official_wanted) as caught:
        get.click()
    assert caught.args == ["owner/Full"]
    assert not dialog.isVisible()


def test_full_precision_is_quantized_without_a_word(dialog: QuantizeDialog) -> None:
    assert dialog.start.isEnabled()
    assert not dialog.anyway.isVisible()

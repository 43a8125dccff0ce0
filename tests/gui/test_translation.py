"""The Chinese interface: complete, in step with the texts, with the same placeholders."""

import re

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from app.gui.application import install_language
from app.gui.parts.words import tr
from app.translations.extract import HERE, LANGUAGES, all_texts, read, texts_of
from app.wording.explain import explain, reason_text
from runtime.errors import DoesNotFit
from runtime.plan import Reason


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_with_its_placeholders(language: str) -> None:
    translated = read(HERE / f"stillroom_{language}.ts")
    assert [text for text in all_texts() if text not in translated] == []
    for text, target in translated.items():
        assert sorted(re.findall(r"\{[^}]*\}", text)) == sorted(re.findall(r"\{[^}]*\}", target)), (
            text
        )


def test_the_compiled_file_is_not_older_than_its_texts(qapp: QApplication) -> None:
    before = QLocale()
    translators = install_language(qapp, "zh_CN")
    try:
        assert translators
        for text, target in read(HERE / "stillroom_zh_CN.ts").items():
            assert tr(text) == target
    finally:
        for translator in translators:
            qapp.removeTranslator(translator)
        QLocale.setDefault(before)
    assert tr("Send") == "Send"


def test_errors_and_reasons_are_said_in_the_windows_language(qapp: QApplication) -> None:
    before = QLocale()
    translators = install_language(qapp, "zh_CN")
    try:
        found = explain(DoesNotFit(device="gpu0", needed=5 * 10**9, available=2 * 10**9,
                                   suggestion={"n_ctx": 2048, "device": "cpu"}))  # fmt: skip
        assert tr(found.sentence) == "需要 gpu0 上的 5.00 GB，但可用的只有 2.00 GB。"
        assert tr(found.hint) == "放得下的方案：2048 个词元的上下文、设备 cpu。"
        reason = Reason("device_left_out", {"device": "npu0", "why": "driver:not_loaded"})
        assert tr(reason_text(reason)) == "未使用 npu0：其驱动程序未加载。"
    finally:
        for translator in translators:
            qapp.removeTranslator(translator)
        QLocale.setDefault(before)
    assert found.sentence == "This needs 5.00 GB on gpu0, but only 2.00 GB is free."
    assert tr(reason_text(reason)) == "npu0 is not used: its driver is not loaded."


def test_texts_are_found_in_source() -> None:
    source = 'x = tr("one")\ny = tr("two {0}", 1)\nz = f("three")'
    assert list(texts_of(source)) == ["one", "two {0}"]

"""The Chinese interface: complete, in step with the texts, with the same placeholders."""

import re

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from app.gui.application import install_language
from app.gui.words import tr
from app.translations.extract import HERE, LANGUAGES, all_texts, read, texts_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_with_its_placeholders(language: str) -> None:
    translated = read(HERE / f"stillroom_{language}.ts")
    assert [text for text in all_texts() if text not in translated] == []
    for text, target in translated.items():
        assert sorted(re.findall(r"\{\d\}", text)) == sorted(re.findall(r"\{\d\}", target)), text


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


def test_texts_are_found_in_source() -> None:
    source = 'x = tr("one")\ny = tr("two {0}", 1)\nz = f("three")'
    assert list(texts_of(source)) == ["one", "two {0}"]

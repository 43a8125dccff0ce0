"""Keeps the translation files in step with the program's texts.

    python -m app.translations.extract            # update the .ts files, keep what is translated
    python -m app.translations.extract --release  # and compile them with Qt's lrelease

Texts are the literal arguments of `tr` in the window, the settings' declarations, the catalog's
summaries, and the sentences of `app.wording.sentences` and `app.wording.explain`, save those that
only the command line says. Knows no Qt at run time; lrelease is part of PySide6.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import PySide6

from app.library.catalog import load_catalog
from app.settings import DECLARATIONS
from app.wording import explain
from app.wording.codes import CODES
from app.wording.errors import CONTEXT_LIMITS, ERRORS, EXITS, FIELDS, OFFLINE, TITLED
from app.wording.sentences import (
    CAUSES,
    CHOICES,
    DOUBTS,
    LOSSES,
    NOTICES,
    PAIRS,
    PICKS,
    REASONS,
    UNAVAILABLE,
    VERDICTS,
)

HERE = Path(__file__).parent
GUI = HERE.parent / "gui"
CONTEXT = "Stillroom"
LANGUAGES = ("zh_CN",)


def texts_of(source: str) -> Iterator[str]:
    """The literal first arguments of tr(...) in one module, and tables meant for tr."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            names = [t.id for t in node.targets if isinstance(t, ast.Name)]
            if names and names[0] == "_WORDS":
                for value in node.value.values:
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value


def sentences_of(source: str) -> Iterator[str]:
    """Every text that reads like words, or has a place for a fact, in a module of sentences; not
    docstrings, and not f-strings, which only the command line says."""
    tree = ast.parse(source)
    left_out = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                for part in ast.walk(node)}  # fmt: skip
    left_out |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in left_out and re.search(r"\w\w+ \w|\{\w|^[A-Z][a-z]+$", node.value):
                yield node.value


def strings(value: object) -> Iterator[str]:
    """All texts in a table, however nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from strings(each)


def all_texts() -> list[str]:
    """Every text of the window once, sorted."""
    found: set[str] = set()
    for path in sorted(GUI.rglob("*.py")):
        found.update(texts_of(path.read_text(encoding="utf-8")))
    found.update(sentences_of(Path(explain.__file__).read_text(encoding="utf-8")))
    for table in (
        ERRORS, EXITS, FIELDS, CONTEXT_LIMITS, REASONS, UNAVAILABLE, NOTICES, OFFLINE, DOUBTS,
        TITLED, VERDICTS, CAUSES, PICKS, CODES, LOSSES, PAIRS, CHOICES,
    ):  # fmt: skip
        found.update(text for text in strings(table) if text)
    found.update(entry.summary for entry in load_catalog())
    for declaration in DECLARATIONS.values():
        found.update((declaration.group, declaration.title, declaration.help))
    return sorted(found)


def read(path: Path) -> dict[str, str]:
    """Source text to translation of one .ts file; untranslated ones are left out."""
    if not path.exists():
        return {}
    found = {}
    for message in ElementTree.parse(path).iter("message"):
        source, target = message.findtext("source", ""), message.findtext("translation", "")
        if target:
            found[source] = target
    return found


def write(path: Path, language: str, translations: dict[str, str], texts: list[str]) -> None:
    """One .ts file in Qt's format."""
    root = ElementTree.Element("TS", version="2.1", language=language, sourcelanguage="en")
    context = ElementTree.SubElement(root, "context")
    ElementTree.SubElement(context, "name").text = CONTEXT
    for text in texts:
        message = ElementTree.SubElement(context, "message")
        ElementTree.SubElement(message, "source").text = text
        target = ElementTree.SubElement(message, "translation")
        target.text = translations.get(text, "")
        if not target.text:
            target.set("type", "unfinished")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    head = '<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n'
    path.write_text(f"{head}{body}\n", "utf-8")


def main() -> int:
    texts = all_texts()
    for language in LANGUAGES:
        path = HERE / f"stillroom_{language}.ts"
        write(path, language, read(path), texts)
        if "--release" in sys.argv:
            tool = Path(PySide6.__file__).parent / "lrelease"
            subprocess.run([tool, "-silent", path, "-qm", path.with_suffix(".qm")], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

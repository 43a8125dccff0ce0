"""What documents, docstrings and comments name exists; the map names every folder.

Knows paths and dotted module names, not whether what is said about them is true.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.packaging.test_source_rules import FILES, ROOT

DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
MAP = (DOCS / "architecture.md").read_text(encoding="utf-8")
TEXTS = {".md", ".toml", ".yml", ".yaml", ".sh", ".nsi", ".spec", ".cfg", ".ini"}
# What they tell was so when it was written.
HISTORY = (ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "results")
PATH = re.compile(
    r"(?<![\w./*~-])((?:app|runtime|quant|tests|benchmarks|installers|docs)/[\w./<>*{}-]*[\w/*>}])"
)
MODULE = re.compile(r"(?<![\w./-])((?:app|runtime|quant|tests|benchmarks)(?:\.\w+)+)(?![\w/-])")
# No modules: the desktop's name of the program, sample code, and a made-up field of a name.
OTHER = re.compile(r"app\.stillroom\b|\.(?:NAME|X)$|\.py$|\.exe$|\.spec$")


def told(path: Path) -> Iterator[str]:
    """The prose of a file: all of a document; of Python the comments and what stands in three
    quotes, which is docstrings and few other texts (parsing the whole tree takes six seconds)."""
    if path.suffix == ".py":
        source = path.read_text(encoding="utf-8")
        yield from re.findall(r'"""(.*?)"""', source, re.DOTALL)
        yield from re.findall(r"(?m)(?:^|\s)#\s(.*)$", source)
    elif path.suffix in TEXTS or path.name == "Makefile":
        yield path.read_text(encoding="utf-8")


@cache
def prose() -> list[tuple[Path, str]]:
    """Every file with what it tells; read once, and only when a test asks."""
    return [
        (path, "\n".join(told(path)))
        for path in FILES
        if not any(path == old or old in path.parents for old in HISTORY)
    ]


def is_there(name: str) -> bool:
    """Whether a path exists, or is made by building; of a pattern, whether something fits it."""
    if name == "app/models.json":  # in the wheel
        return True
    pattern = re.sub(r"<\w+>|\{\w+\}|NAME|FILE", "*", name)
    return bool(list(ROOT.glob(pattern.rstrip("/")))) if "*" in pattern else (ROOT / name).exists()


def is_module(name: str) -> bool:
    """Whether a dotted name is a module, or a name that occurs in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:count])
        rest = parts[count:]
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                source = file.read_text(encoding="utf-8")
                return all(re.search(rf"\b{part}\b", source) for part in rest)
        if place.is_dir():
            return not rest
    return False


def test_every_path_that_is_named_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in prose()
        for name in PATH.findall(text)
        if not is_there(name)
    }
    assert missing == set()


def test_every_file_that_is_named_by_its_name_alone_exists() -> None:
    names = {path.name for path in FILES}
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in prose()
        for name in re.findall(r"`(\w+\.(?:py|md|sh|spec|nsi))`", text)
        if name not in names
    }
    assert missing == set()


def test_every_module_that_is_named_exists() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in prose()
        for name in MODULE.findall(text)
        if not OTHER.search(name) and not is_module(name)
    }
    assert missing == set()


def test_every_link_of_a_document_leads_somewhere() -> None:
    lost = {
        f"{path.relative_to(ROOT)}: {target}"
        for path, text in prose()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)", text)
        if "://" not in target and not (path.parent / target).exists()
    }
    assert lost == set()


def test_the_map_names_every_folder_and_is_one_page() -> None:
    folders = {
        str(path.parent.relative_to(ROOT))
        for layer in ("app", "runtime", "quant")
        for path in (ROOT / layer).rglob("*.py")
    }
    assert len(folders) > 30
    assert {folder for folder in folders if f"`{folder}/`" not in MAP} == set()
    assert len(MAP.splitlines()) < 110


RECORDS = sorted(DECISIONS.glob("0*.md"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_decision_tells_why_and_what_was_measured(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {path.name[:4]} ")
    assert len(text.splitlines()) < 60
    heads = [text.find(f"**{head}") for head in ("Context", "Decision", "What", "Consequences")]
    assert -1 not in heads
    assert heads == sorted(heads)
    assert f"]({path.name})" in (DECISIONS / "README.md").read_text(encoding="utf-8")


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_readme_names_every_room() -> None:
    """A glance at README shows the folders of each layer; the small ones of data are left out."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    glance = text[text.index("## What is where") :].split("```")[1]
    rooms = {
        path.parent.name
        for layer in ("app", "runtime", "quant")
        for path in (ROOT / layer).glob("*/__init__.py")
    }
    assert len(rooms) > 25
    assert {room for room in rooms if not re.search(rf"\b{room}\b", glance)} == set()

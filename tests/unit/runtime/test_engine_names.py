"""An engine's name is a value: outside `runtime/backends`, nothing is decided by comparing it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import registry

ROOT = Path(__file__).resolve().parents[3]
NAMES = frozenset(engine.name for engine in registry.engines())
FORMATS = frozenset(name for engine in registry.engines() for name in engine.formats)


def sources() -> list[Path]:
    """The product's modules but for the engines' own."""
    found = (path for layer in ("app", "runtime", "quant") for path in (ROOT / layer).rglob("*.py"))
    return sorted(path for path in found if "backends" not in path.relative_to(ROOT).parts)


def decisions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of comparisons with an engine's name, and of tables with one for a key.

    Where a name is that of a container as well ("onnx"), what it is compared with must be called
    an engine.
    """
    for node in ast.walk(tree):
        sides: list[ast.AST]
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            sides = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.match_case):
            sides = [node.pattern]
        else:
            continue
        found = {each.value for side in sides for each in ast.walk(side)
                 if isinstance(each, ast.Constant) and isinstance(each.value, str)}  # fmt: skip
        text = ast.unparse(node)
        if found & (NAMES - FORMATS) or (found & NAMES and "engine" in text.lower()):
            yield getattr(node, "lineno", 0), text


def test_no_engine_is_known_by_name_outside_its_room() -> None:
    told = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sources()
        for line, text in decisions(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert told == []


@pytest.mark.parametrize(
    "source",
    [
        'placement.engine == "onnx"',
        '"genai" != engine',
        'engine in ("onnx", "genai")',
        'which == "llamacpp"',
        'COSTS = {"llamacpp": 1.0}',
        'match name:\n    case "llamacpp":\n        pass',
    ],
)
def test_a_decision_by_name_is_found(source: str) -> None:
    assert list(decisions(ast.parse(source)))


@pytest.mark.parametrize("source", ['model.format == "onnx"', 'engine = "llamacpp"', 'f("genai")'])
def test_a_name_as_a_value_is_none(source: str) -> None:
    assert not list(decisions(ast.parse(source)))

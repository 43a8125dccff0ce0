"""The folders: each has a contract, none is too full, none import each other in a circle.

Reads sources and pyproject.toml; imports nothing of what it checks. Which way imports go between
two folders is import-linter's to check (`lint-imports`).
"""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("app", "runtime", "quant")
MOST_MODULES = 25


def modules(*packages: str) -> dict[str, Path]:
    """Every module but the packages' own `__init__`, by dotted name."""
    found = {}
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "__init__.py":
                found[".".join(path.relative_to(ROOT).with_suffix("").parts)] = path
    return found


def folder_of(module: str) -> str:
    return module.rpartition(".")[0]


def imported(path: Path) -> Iterator[str]:
    """What a module imports, by the names it may be known under."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def contracts(kind: str) -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = project["tool"]["importlinter"]["contracts"]
    return [contract for contract in found if contract["type"] == kind]


def test_every_folder_has_a_contract_that_names_it() -> None:
    """The modules that lie beside folders, in app, runtime and quant, have one as "app.*"."""
    folders = {folder_of(module) for module in modules(*PACKAGES)}
    wanted = {f"{folder}.*" if folder in PACKAGES else folder for folder in folders}
    named = Counter(
        source for contract in contracts("forbidden") for source in contract["source_modules"]
    )
    del named["app"]  # of the contract about engines, which holds for all of it
    assert named == Counter(wanted)


def test_the_name_of_a_contract_is_a_sentence_about_its_folder() -> None:
    for contract in contracts("forbidden"):
        (source,) = contract["source_modules"]
        words = contract["name"].split()
        assert len(words) >= 4, contract["name"]
        assert words[0].rstrip(":") == source.removesuffix(".*") or source == "app"


def test_every_folder_of_folders_states_its_layers_in_full() -> None:
    folders = {folder_of(module) for module in modules(*PACKAGES)}
    inner = {folder_of(folder) for folder in folders if "." in folder}
    layered = {container for c in contracts("layers") for container in c.get("containers", ())}
    assert layered == inner
    assert all(c["exhaustive"] for c in contracts("layers") if "containers" in c)


def test_no_folder_has_too_many_modules() -> None:
    counted = Counter(map(folder_of, modules(*PACKAGES, "tests", "benchmarks")))
    assert len(counted) > 40
    assert {name: count for name, count in counted.items() if count > MOST_MODULES} == {}


def test_no_folders_and_no_modules_import_each_other_in_a_circle() -> None:
    """`app.__main__` starts everything and is imported by nobody: it is left out."""
    known = modules(*PACKAGES, "tests", "benchmarks")
    del known["app.__main__"]
    of_modules: dict[str, set[str]] = {}
    of_folders: dict[str, set[str]] = {}
    for module, path in known.items():
        targets = {name for name in imported(path) if name in known} - {module}
        of_modules[module] = targets
        here = folder_of(module)
        of_folders.setdefault(here, set()).update({folder_of(t) for t in targets} - {here})
    assert sum(map(len, of_folders.values())) > 200
    circles = []
    for graph in (of_modules, of_folders):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circles.append(" -> ".join(error.args[1]))
    assert circles == []

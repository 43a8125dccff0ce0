"""The wheel, the layers between packages, and what a process of ours loads."""

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("llama_cpp", "onnxruntime", "onnxruntime_genai")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [*command, "--no-index", "--disable-pip-version-check", "--wheel-dir", folder, ROOT],
        check=True,
    )
    (path,) = folder.glob("stillroom-*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_is_whole(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    expected = {
        str(path.relative_to(ROOT))
        for package in ("app", "runtime", "quant")
        for path in (ROOT / package).rglob("*.py")
    }
    assert expected <= names
    assert {"app/models.json", "app/library/catalog.schema.json"} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"app", "runtime", "quant"}
    assert not [name for name in names if "__pycache__" in name or "test" in name.split("/")[0]]


def test_the_wheel_has_its_data_and_scripts(wheel: zipfile.ZipFile) -> None:
    catalog = json.loads(wheel.read("app/models.json"))
    assert catalog == json.loads((ROOT / "models.json").read_text())
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(entry_points).decode()
    assert "stillroom = app.__main__:main" in text
    assert "stillroom-gui = app.__main__:main" in text


def test_nobody_else_installs_packages_of_our_names() -> None:
    owners = importlib.metadata.packages_distributions()
    for name in ("app", "runtime", "quant"):
        assert set(owners.get(name, [])) <= {"stillroom"}


def test_import_contracts_hold() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


LIST_MODULES = """
import atexit, json, os, sys
target = os.environ.pop("MODULES_FILE")
atexit.register(lambda: open(target, "w").write(json.dumps(sorted(sys.modules))))
sys.argv = ["stillroom", *sys.argv[1:]]
from app.__main__ import main
sys.exit(main())
"""


def modules_of(tmp_path: Path, *arguments: str) -> set[str]:
    """The top-level modules that a run of the program had loaded at its end."""
    listed = tmp_path / "modules.json"
    result = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, *arguments],
        env={**os.environ, "MODULES_FILE": str(listed), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return {name.split(".")[0] for name in json.loads(listed.read_text())}


def test_the_window_loads_no_engine(tmp_path: Path) -> None:
    picture = tmp_path / "window.png"
    loaded = modules_of(tmp_path, "--screenshot", str(picture))
    assert picture.stat().st_size > 1000
    assert "PySide6" in loaded
    assert loaded.isdisjoint(ENGINES)


@pytest.mark.parametrize("command", [["list"], ["devices"]])
def test_the_command_line_loads_no_engine_and_no_qt(tmp_path: Path, command: list[str]) -> None:
    loaded = modules_of(tmp_path, *command)
    assert loaded.isdisjoint((*ENGINES, "PySide6"))

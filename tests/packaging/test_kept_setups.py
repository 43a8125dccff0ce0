"""What set-ups keep for the next clone: whole, checked before use, few."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pip
import pytest

from tests.packaging.installer_scripts import ROOT, script


@pytest.fixture
def kept() -> ModuleType:
    return script("kept")


def put_files(folder: Path) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "engine.so").write_bytes(b"machine code")
    (folder / "METADATA").write_text("Version: 1\n")


def test_what_is_kept_is_found_again_by_its_key(kept: ModuleType, tmp_path: Path) -> None:
    engines = kept.Kept(tmp_path, "engine", 4, hashed=True)
    assert engines.find("key") is None
    engines.put("key", put_files)
    entry = engines.find("key")
    assert (entry / "lib" / "engine.so").read_bytes() == b"machine code"
    assert engines.find("of another processor") is None


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("harm", ["changed", "cut short", "removed", "added", "no manifest"])
def test_a_damaged_entry_is_thrown_away_and_told(
    kept: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str, hashed: bool
) -> None:
    engines = kept.Kept(tmp_path, "engine", 4, hashed=hashed)
    engines.put("key", put_files)
    entry = tmp_path / "engine" / "key"
    library = entry / "lib" / "engine.so"
    if harm == "changed":
        library.write_bytes(b"machine c0de")
    elif harm == "cut short":
        os.truncate(library, 5)
    elif harm == "removed":
        library.unlink()
    elif harm == "added":
        (entry / "lib" / "other.so").touch()
    else:
        (entry / "kept.json").unlink()
    assert engines.find("key") is None
    assert not entry.exists()
    assert f"what was kept in {entry} is damaged: thrown away" in capsys.readouterr().err
    engines.put("key", put_files)
    assert engines.find("key") == entry


def test_an_entry_cut_short_is_never_found(
    kept: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(folder: Path) -> None:
        put_files(folder)
        raise OSError("no space left")

    engines = kept.Kept(tmp_path, "engine", 4, hashed=True)
    engines.put("key", fill)
    assert engines.find("key") is None
    assert list((tmp_path / "engine").iterdir()) == []
    told = capsys.readouterr().err
    assert "nothing is kept for the next clone in" in told
    assert "no space left" in told


def test_a_process_killed_while_keeping_leaves_nothing_to_find(
    kept: ModuleType, tmp_path: Path
) -> None:
    code = (
        "import os, sys, kept; from pathlib import Path\n"
        "def fill(folder): (folder / 'part').touch(); os._exit(9)\n"
        "kept.Kept(Path(sys.argv[1]), 'engine', 4, hashed=True).put('key', fill)\n"
    )
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "installers")}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=variables, check=False)
    (half,) = (tmp_path / "engine").iterdir()
    engines = kept.Kept(tmp_path, "engine", 4, hashed=True)
    assert engines.find("key") is None
    engines.put("another", put_files)
    assert half.exists()  # another set-up may be at it
    os.utime(half, (0, time.time() - 2 * kept.HALF_MADE_SECONDS))
    engines.put("a third", put_files)
    assert not half.exists()


def test_the_entries_used_last_stay(kept: ModuleType, tmp_path: Path) -> None:
    engines = kept.Kept(tmp_path, "engine", 2, hashed=True)
    for age, key in enumerate(("a", "b")):
        engines.put(key, put_files)
        os.utime(tmp_path / "engine" / key, (0, 1000 + age))
    assert engines.find("a") is not None  # and so used last
    engines.put("c", put_files)
    assert {path.name for path in (tmp_path / "engine").iterdir()} == {"a", "c"}


@pytest.mark.skipif(sys.platform != "linux", reason="folders by the custom of Linux")
def test_where_it_is_kept(
    kept: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("STILLROOM_SETUP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert kept.home() == tmp_path / "cache" / "stillroom"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the custom says to ignore it
    assert kept.home() == tmp_path / ".cache" / "stillroom"
    monkeypatch.setenv("STILLROOM_SETUP_CACHE", str(tmp_path / "mine"))
    assert kept.home() == tmp_path / "mine"
    monkeypatch.setenv("STILLROOM_SETUP_CACHE", "")
    assert kept.home() is None
    engines = kept.Kept(kept.home(), "engine", 2, hashed=True)
    engines.put("key", put_files)
    assert engines.find("key") is None


@pytest.mark.skipif(sys.platform == "win32", reason="programs of Windows name their folder inside")
def test_an_environment_works_where_it_is_laid_out(kept: ModuleType, tmp_path: Path) -> None:
    environments = script("environments")
    packages = kept.Kept(tmp_path / "kept", "packages", 2, hashed=False)
    first, second = tmp_path / "first", tmp_path / "second"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", first], check=True)
    (site,) = first.glob("lib/python*/site-packages")
    for part in ("pip", importlib.metadata.distribution("pip")._path.name):  # type: ignore[attr-defined]
        shutil.copytree(Path(pip.__file__).parents[1] / part, site / part)
    text = "from pip._internal.cli.main import main; raise SystemExit(main())"
    (first / "bin" / "pip").write_text(f"#!{first}/bin/python\n{text}\n")
    (first / "bin" / "pip").chmod(0o755)
    environments.keep(packages, "key", first)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", second], check=True)
    environments.lay_out(packages.find("key"), second)
    told = subprocess.check_output([second / "bin" / "pip", "--version"], text=True)
    assert f"from {second}/" in told
    assert b"@the-environment@" not in (second / "bin" / "pip").read_bytes()
    (one,) = first.glob("lib/python*/site-packages/pip/__init__.py")
    (other,) = second.glob("lib/python*/site-packages/pip/__init__.py")
    assert one.samefile(other)
    # pip replaces files, so that what is kept stays as it was
    command = [str(second / "bin" / "python"), "-m", "pip", "uninstall", "-y", "-q", "pip"]
    subprocess.run(command, check=True)
    assert one.exists()
    assert packages.find("key") is not None


def test_folders_that_a_first_line_cannot_name(tmp_path: Path) -> None:
    can_be_kept = script("environments").can_be_kept
    assert can_be_kept(Path("/work/clone/.venv")) == (sys.platform != "win32")
    assert not can_be_kept(Path("/work/my clone/.venv"))
    assert not can_be_kept(Path("/work") / ("x" * 100) / ".venv")


def test_an_environment_laid_out_in_part_has_no_pip(tmp_path: Path) -> None:
    kept_files, target = tmp_path / "kept", tmp_path / "target"
    for name in ("lib/pip/__init__.py", "lib/pip/__main__.py", "lib/zz/__init__.py"):
        path = kept_files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (target / "lib").mkdir(parents=True)
    (target / "lib" / "zz").touch()  # a file where a folder has to be ends it midway
    with pytest.raises(OSError, match="zz"):
        script("environments").lay_out(kept_files, target)
    assert not (target / "lib" / "pip" / "__init__.py").exists()


def test_who_has_no_home_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")  # what pathlib says

    kept = script("kept")
    for name in (kept.VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    for system in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert kept.home() is None

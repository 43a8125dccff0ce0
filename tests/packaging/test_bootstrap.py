"""The set-up of a checkout: what it would install, and when it does anything again."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.packaging.installer_scripts import script

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, working in folders of its own."""
    module = script("bootstrap")
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMPS", tmp_path / ".venv" / "setup.json")
    monkeypatch.setattr(module, "import_once", lambda: None)
    monkeypatch.setenv("STILLROOM_SETUP_CACHE", str(tmp_path / "kept"))
    return module


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_engine_is_taken_out_of_the_lock(bootstrap: ModuleType, lock: str) -> None:
    text = (ROOT / lock).read_text()
    others, engine = bootstrap.split_lock(text)
    assert engine.startswith("llama-cpp-python==")
    assert "--hash=sha256:" in engine
    assert "llama-cpp-python" not in others
    assert others.count("==") + engine.count("==") == text.count("==")


def test_a_lock_is_installed_as_it_stands(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip would look for newer releases of what a locked package asks for with extras."""
    calls: list[list[str]] = []
    monkeypatch.setattr(bootstrap, "pip_install", lambda text, options, *_: calls.append(options))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bootstrap.VENV], check=True)
    bootstrap.install_locked("requirements.lock", fresh=False)
    bootstrap.install_locked("requirements.lock", fresh=False)  # nothing has changed
    assert calls == [["--no-deps", "--no-compile"]]


def test_the_lock_is_whole() -> None:
    """Nothing that an installed package needs is missing here, where the lock was installed."""
    result = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_missing_libraries_are_named_as_debian_packages(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"libxcb-cursor.so.0", "libEGL.so.1"}
    monkeypatch.setattr(bootstrap, "loads", lambda name: name not in absent)
    monkeypatch.setattr(bootstrap, "has_fonts", lambda: True)
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    assert set(bootstrap.missing_window_parts("run")) == {"libegl1", "libxcb-cursor0"}
    assert {"xvfb", "xauth"} <= set(bootstrap.missing_window_parts("test"))


def test_without_rights_the_command_to_type_is_said(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.os, "geteuid", lambda: 1000)
    with pytest.raises(bootstrap.SetupFailed, match=r"sudo apt-get install .* libegl1 xvfb"):
        bootstrap.install_missing(["xvfb", "libegl1"], needed=True)
    bootstrap.install_missing(["libegl1"], needed=False)
    assert "libegl1" in capsys.readouterr().err


def test_an_environment_cut_short_is_made_again(bootstrap: ModuleType) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bootstrap.VENV], check=True)
    assert not bootstrap.venv_works()
    assert bootstrap.make_venv()
    give_pip(bootstrap.VENV)
    marker = bootstrap.VENV / "kept"
    marker.touch()
    assert not bootstrap.make_venv()
    assert marker.exists()
    bootstrap.write_stamp("root", "/elsewhere")  # as after the checkout was moved
    assert bootstrap.make_venv()
    assert not marker.exists()


def give_pip(environment: Path) -> None:
    """What stands for pip where only its being there is asked for."""
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "pip.py").touch()


@pytest.mark.timeout(300)
def test_the_next_clone_takes_the_packages_of_the_last(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """pip is called once for two clones, and again when a file that they share was changed."""
    calls = []

    def pip_install(*_: object) -> None:
        calls.append(bootstrap.VENV)
        give_pip(bootstrap.VENV)
        program = bootstrap.VENV / "bin" / "tool"
        program.write_text(f"#!{bootstrap.VENV}/bin/python\nimport sys; print(sys.prefix)\n")
        program.chmod(0o755)

    monkeypatch.setattr(bootstrap, "pip_install", pip_install)
    for name in ("first", "second"):
        monkeypatch.setattr(bootstrap, "VENV", tmp_path / name)
        monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / name / "setup.json")
        bootstrap.install_locked("requirements.lock", fresh=bootstrap.make_venv())
    assert calls == [tmp_path / "first"]
    tool = subprocess.check_output([tmp_path / "second" / "bin" / "tool"], text=True)
    assert tool.strip() == str(tmp_path / "second")
    (shared,) = (tmp_path / "second").glob("lib/python*/site-packages/pip.py")
    shared.write_text("changed = True")
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / "third")
    monkeypatch.setattr(bootstrap, "STAMPS", tmp_path / "third" / "setup.json")
    bootstrap.install_locked("requirements.lock", fresh=bootstrap.make_venv())
    assert calls == [tmp_path / "first", tmp_path / "third"]
    assert "is damaged: thrown away" in capfd.readouterr().err


def test_checkers_of_source_ask_for_no_compiler(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap.native_engine.shutil, "which", lambda *_, **__: None)
    assert bootstrap.missing_build_tools("lint") == []
    assert bootstrap.missing_build_tools("test") == ["g++"]


def test_progress_tells_how_far_a_build_is(capsys: pytest.CaptureFixture[str]) -> None:
    progress = script("progress")
    times = iter([0.0, 5.0, 20.0, 21.0])
    read = progress.of_ninja(progress.Progress("engine", clock=lambda: next(times)))
    lines = ("[1/77] Building", "[20/77] Building", "a warning", "[77/77] Linking")
    for line in lines:
        read(line)
    assert capsys.readouterr().err.splitlines() == [
        "setup: engine: 20 of 77, about 57 s left",
        "setup: engine: 77 of 77",
    ]


def test_what_a_set_up_cost_is_told_with_its_children(tmp_path: Path) -> None:
    costs = script("progress").Costs()
    assert costs.told() == ""
    busy = "import time\nwhile time.process_time() < 1.2: pass"
    with costs.step("nothing"):
        pass
    with costs.step("work"):
        subprocess.run([sys.executable, "-c", busy], check=True)
    assert "nothing" not in costs.told()
    assert costs.steps[1][1] >= 1.2
    assert "of processor time): work" in costs.told()


def test_a_command_that_fails_is_told_with_its_last_lines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    progress = script("progress")
    lines: list[str] = []
    command = [sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"]
    with pytest.raises(progress.SetupFailed, match=r"failed \(3\); the whole log is .*log"):
        progress.run(command, log=tmp_path / "log", on_line=lines.append)
    assert lines == ["what went wrong\n"]
    assert "what went wrong" in capfd.readouterr().err

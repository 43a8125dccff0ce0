"""The set-up of a checkout: what it would install, and when it does anything again."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, working in a folder of its own."""
    spec = importlib.util.spec_from_file_location("b", ROOT / "installers" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMPS", tmp_path / ".venv" / "setup.json")
    return module


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_engine_is_taken_out_of_the_lock(bootstrap: ModuleType, lock: str) -> None:
    text = (ROOT / lock).read_text()
    others, engine = bootstrap.split_lock(text)
    assert engine.startswith("llama-cpp-python==")
    assert "--hash=sha256:" in engine
    assert "llama-cpp-python" not in others
    assert others.count("==") + engine.count("==") == text.count("==")


def test_the_engine_is_compiled_without_amx_and_never_from_a_cache(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-O2")
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(bootstrap, "processor", lambda: "avx2 avx512f")
    flags = bootstrap.compiler_flags()
    assert flags["CFLAGS"] == "-O2 -mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    monkeypatch.setattr(bootstrap, "processor", lambda: "avx2 avx512f avx512_fp16 amx_int8")
    for known, more in ((True, " -mno-avx512fp16"), (False, "")):
        monkeypatch.setattr(bootstrap, "compiler_knows", lambda flag, known=known: known)
        assert bootstrap.compiler_flags()["CXXFLAGS"] == flags["CXXFLAGS"] + more
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "aarch64")
    assert "CFLAGS" not in bootstrap.compiler_flags()

    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "pip_install", lambda text, options, *_: calls.append(options))
    monkeypatch.setattr(bootstrap, "engine_is_sound", lambda: True)
    bootstrap.VENV.mkdir()
    bootstrap.build_engine("requirements.lock")
    bootstrap.build_engine("requirements.lock")  # nothing has changed
    (options,) = calls
    assert {"--no-cache-dir", "--no-binary", "llama-cpp-python"} <= set(options)
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=ON")
    bootstrap.build_engine("requirements.lock")
    assert len(calls) == 2


def test_a_lock_is_installed_as_it_stands(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip would look for newer releases of what a locked package asks for with extras."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "pip_install", lambda text, options, *_: calls.append(options))
    bootstrap.VENV.mkdir()
    bootstrap.install_locked("requirements.lock")
    bootstrap.install_locked("requirements.lock")  # nothing has changed
    assert [list(options) for options in calls] == [["--no-deps"]]


def test_the_lock_is_whole() -> None:
    """Nothing that an installed package needs is missing here, where the lock was installed."""
    result = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_flags_are_tried_on_the_compiler(bootstrap: ModuleType) -> None:
    assert bootstrap.compiler_knows("-O2")
    assert not bootstrap.compiler_knows("-mno-such-instructions")


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
    bootstrap.make_venv()
    assert bootstrap.venv_works()
    marker = bootstrap.VENV / "kept"
    marker.touch()
    bootstrap.make_venv()
    assert marker.exists()
    bootstrap.write_stamp("root", "/elsewhere")  # as after the checkout was moved
    bootstrap.make_venv()
    assert not marker.exists()

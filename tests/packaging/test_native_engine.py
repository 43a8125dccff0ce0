"""The engine of a checkout: what a build holds for, how it goes on, how it is put in and taken."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import pytest

from tests.packaging.installer_scripts import script

# As llama.cpp's: a project of that name, a library `llama` made of two files of src/.
PROJECT = """
cmake_minimum_required(VERSION 3.14)
project("llama.cpp" C CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_subdirectory(src)
"""


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("native_engine")
    for name in module.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return module


def test_x86_is_compiled_without_amx(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CFLAGS", "-O2")
    monkeypatch.setattr(native.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(native, "processor", lambda: "avx2 avx512f")
    flags = native.compiler_flags()
    amx = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"
    assert flags == {"CFLAGS": f"-O2 {amx}", "CXXFLAGS": amx}
    monkeypatch.setattr(native, "processor", lambda: "avx2 avx512f avx512_fp16 amx_int8")
    for known, more in ((True, " -mno-avx512fp16"), (False, "")):
        monkeypatch.setattr(native, "compiler_knows", lambda flag, known=known: known)
        assert native.compiler_flags()["CXXFLAGS"] == amx + more
    monkeypatch.setattr(native.platform, "machine", lambda: "aarch64")
    assert native.compiler_flags() == {}


def test_flags_are_tried_on_the_compiler(native: ModuleType) -> None:
    assert native.compiler_knows("-O2")
    assert not native.compiler_knows("-mno-such-instructions")


def test_a_build_holds_for_what_it_was_made_with(
    native: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [native.build_key()]
    assert native.build_key() == keys[0]
    with monkeypatch.context() as patch:
        patch.setenv("CMAKE_ARGS", "-DGGML_CUDA=ON")
        keys.append(native.build_key())
    with monkeypatch.context() as patch:
        patch.setattr(native, "processor", lambda: "another processor's features")
        keys.append(native.build_key())
    with monkeypatch.context() as patch:
        patch.setattr(native, "compiler_identity", lambda: "another compiler")
        keys.append(native.build_key())
    with monkeypatch.context() as patch:
        patch.setattr(native.engine, "locked_engine", lambda: "another source")
        keys.append(native.build_key())
    assert len(set(keys)) == 5
    assert native.compiler_identity()


def test_a_build_that_was_cut_short_goes_on(native: ModuleType, tmp_path: Path) -> None:
    """A real build: what was compiled before stays, and each file has its optimisation."""
    source = tmp_path / "source" / "vendor" / "llama.cpp"
    (source / "src").mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(PROJECT)
    names = ("llama-model.cpp", "llama-vocab.cpp")
    listed = " ".join(names)
    (source / "src" / "CMakeLists.txt").write_text(f"add_library(llama SHARED {listed})\n")
    (source / "src" / names[0]).write_text("int model() { return 1; }\n")
    (source / "src" / names[1]).write_text("#error cut short here\n")
    log = tmp_path / "log"
    lines: list[str] = []

    def compile_now() -> Path:
        libraries: Path = native.engine.compile_engine(
            Path(sys.executable).parent, tmp_path / "source", tmp_path / "build", native.OPTIONS,
            log=log, on_line=lines.append,
        )  # fmt: skip
        return libraries

    with pytest.raises(script("progress").SetupFailed, match="the whole log is"):
        compile_now()
    assert "cut short here" in log.read_text()
    (source / "src" / names[1]).write_text("int vocab() { return 2; }\n")
    lines.clear()
    libraries = compile_now()
    assert [path for path in libraries.iterdir() if "llama" in path.name]
    counted = [line for line in lines if line.startswith("[")]
    assert not any(names[0] in line for line in counted)
    assert any(names[1] in line for line in counted)
    commands = json.loads((tmp_path / "build/objects/compile_commands.json").read_text())
    last = {
        Path(each["file"]).name: [word for word in each["command"].split() if word[:2] == "-O"][-1]
        for each in commands
    }
    assert last == {"llama-model.cpp": "-O1", "llama-vocab.cpp": "-O3"}


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A set-up whose environment has this one's packages and no engine of its own yet."""
    module = script("bootstrap")
    environment = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("platlib") + "\n")
    monkeypatch.setattr(module, "VENV", environment)
    monkeypatch.setattr(module, "STAMPS", environment / "setup.json")
    return module


def keep_the_real_engine(folder: Path) -> None:
    site = Path(sysconfig.get_path("platlib"))
    for path in (site / "llama_cpp", *site.glob("llama_cpp_python-*.dist-info")):
        shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))


def cut_libraries(folder: Path) -> None:
    keep_the_real_engine(folder)
    for library in (folder / "llama_cpp" / "lib").iterdir():
        library.write_bytes(library.read_bytes()[:5000])


def test_a_kept_engine_is_loaded_before_it_is_used(
    bootstrap: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real engine is taken; one whose files are as kept, and do not load, is thrown away."""
    engines = bootstrap.kept.Kept(tmp_path / "kept", "engine", 4, hashed=True)
    engines.put("sound", keep_the_real_engine)
    engines.put("cut", cut_libraries)
    assert not bootstrap.take_kept_engine(engines, "of another processor")
    assert not bootstrap.take_kept_engine(engines, "cut")
    assert engines.find("cut") is None
    assert "is damaged: thrown away" in capfd.readouterr().err
    assert bootstrap.take_kept_engine(engines, "sound")
    code = "import llama_cpp; print(llama_cpp.__file__)"
    found = subprocess.check_output([bootstrap.venv_python(), "-c", code], text=True)
    assert Path(found).is_relative_to(tmp_path / ".venv")
    assert engines.find("sound") is not None  # nothing was written beside what is kept


def test_an_engine_that_pip_installed_is_removed_by_pip(
    bootstrap: ModuleType, tmp_path: Path
) -> None:
    """With all that pip put elsewhere, as headers and CMake's files."""
    (site,) = (tmp_path / ".venv").glob("lib/python*/site-packages")
    metadata = site / "llama_cpp_python-0.0.1.dist-info"
    (site / "llama_cpp").mkdir()
    metadata.mkdir()
    files = {
        site / "llama_cpp" / "__init__.py": "",
        tmp_path / ".venv" / "include" / "llama.h": "",
        metadata / "METADATA": "Metadata-Version: 2.1\nName: llama_cpp_python\nVersion: 0.0.1\n",
        metadata / "INSTALLER": "pip\n",
    }
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    names = [
        path.relative_to(site).as_posix()
        if path.is_relative_to(site)
        else f"../../../{path.relative_to(tmp_path / '.venv').as_posix()}"
        for path in files
    ]
    (metadata / "RECORD").write_text(
        "".join(f"{name},,\n" for name in [*names, "llama_cpp_python-0.0.1.dist-info/RECORD"])
    )
    bootstrap.remove_engine_of_pip()
    assert [path for path in files if path.exists()] == []

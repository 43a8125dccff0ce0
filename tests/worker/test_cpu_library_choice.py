"""The choice of a CPU library, with real children that load real (tiny) libraries and die of them.

The libraries are compiled here. What they need of an engine they leave to the one installed, so
the one that works ends in a token evaluated by it.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import WorkerDied
from runtime.plan import Reason
from runtime.process.client import run_job
from runtime.process.cpu_library import (
    CpuChoiceFile,
    choose_cpu_library,
    cpu_libraries,
    environment_of,
    refuse_cpu_library,
)
from runtime.process.job_table import CHECK_CPU_LIBRARY
from runtime.process.job_values import LibraryArgs

SOURCE = """
#include <stddef.h>
#include <signal.h>
struct reg {{ int version; const char *(*name)(void *); size_t (*count)(void *);
             void *(*get)(void *, size_t); void *(*address)(void *, const char *);
             void *context; }};
static const char *name(void *r) {{ return "Tiny"; }}
static size_t count(void *r) {{ return 0; }}
static void *get(void *r, size_t i) {{ return NULL; }}
static void *address(void *r, const char *n) {{ return NULL; }}
int ggml_backend_score(void) {{ {score} }}
struct reg *ggml_backend_init(void) {{
    static struct reg it = {{ {version}, name, count, get, address, NULL }};
    {init}
    return &it;
}}
"""
Build = Callable[..., Path]
CRASH = "raise(SIGILL);"


def api_version() -> int:
    """GGML_BACKEND_API_VERSION of the installed engine, read from a registry entry of its own."""
    code = (
        "import ctypes, runtime.backends.llama.native as n\n"
        "n.start_engine()\n"
        "entry = n.function('ggml_backend_reg_get', ctypes.c_void_p, ctypes.c_size_t)(0)\n"
        "print(ctypes.c_int.from_address(entry).value)"
    )
    return int(subprocess.check_output([sys.executable, "-c", code]))


@pytest.fixture(scope="module")
def version() -> int:
    return api_version()


@pytest.fixture
def build(tmp_path: Path, version: int) -> Build:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")

    def compile_library(name: str, score: str, init: str = "") -> Path:
        source, library = tmp_path / f"{name}.c", tmp_path / f"libggml-cpu-{name}.so"
        source.write_text(SOURCE.format(score=score, init=init, version=version))
        command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        return library

    return compile_library


def test_the_best_that_survives_is_used_and_remembered(build: Build, tmp_path: Path) -> None:
    build("amx", "return 900;", CRASH)
    works = build("plain", "return 100;")
    build("future", "return 0;")
    libraries = cpu_libraries(tmp_path)
    file = CpuChoiceFile(tmp_path / "choice.json")

    choice = choose_cpu_library(libraries, file, "this processor")

    assert choice.library == str(works)
    assert choice.refused == {
        "libggml-cpu-amx.so": "SIGILL", "libggml-cpu-future.so": "unsupported",
    }  # fmt: skip
    facts = {"library": works.name, "failed": {"libggml-cpu-amx.so": "SIGILL"}, "count": 3}
    assert choice.reason == Reason("cpu_library_next", facts)
    log = tmp_path / "children.log"  # made by the first child
    assert choose_cpu_library(libraries, file, "this processor", log) == choice
    assert not log.exists()
    build("future", "return 950;  /* another build of the engine */")
    assert choose_cpu_library(libraries, file, "this processor").library.endswith("future.so")


def test_a_library_that_dies_when_it_is_only_asked_is_passed_over(
    build: Build, tmp_path: Path
) -> None:
    build("worse", f"{CRASH} return 900;")
    build("good", "return 100;")
    file = CpuChoiceFile(tmp_path / "choice.json")

    choice = choose_cpu_library(cpu_libraries(tmp_path), file, "this processor")

    assert Path(choice.library).name == "libggml-cpu-good.so"
    assert choice.refused == {"libggml-cpu-worse.so": "SIGILL"}


def test_an_illegal_instruction_at_work_moves_on_to_the_next(build: Build, tmp_path: Path) -> None:
    best = build("best", "return 900;")
    second = build("second", "return 100;")
    libraries = cpu_libraries(tmp_path)
    file = CpuChoiceFile(tmp_path / "choice.json")
    assert choose_cpu_library(libraries, file, "cpu").library == str(best)
    memory = WorkerDied(kind="out_of_memory", exit_code=-9, cause="SIGKILL", stderr_tail="")
    illegal = WorkerDied(kind="crashed", exit_code=-4, cause="SIGILL", stderr_tail="")

    assert refuse_cpu_library(libraries, file, "cpu", memory) is None
    following = refuse_cpu_library(libraries, file, "cpu", illegal)

    assert following is not None
    assert following.library == str(second)
    assert choose_cpu_library(libraries, file, "cpu") == following
    last = refuse_cpu_library(libraries, file, "cpu", illegal)
    assert last is not None
    assert (last.library, last.reason.code) == ("", "cpu_library_none")


def test_an_engine_compiled_for_this_machine_has_no_choice(tmp_path: Path) -> None:
    choice = choose_cpu_library(cpu_libraries(tmp_path), CpuChoiceFile(tmp_path / "c.json"), "cpu")

    assert choice.reason.code == "cpu_library_own"
    assert environment_of(choice) == {}
    assert not (tmp_path / "c.json").exists()


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "choice.json"
    for text in ("", "{", "[]", '{"key": "k", "choice": {"library": 1}}'):
        path.write_text(text)
        assert CpuChoiceFile(path).get("k", ()) is None


@pytest.mark.slow
@pytest.mark.skipif(
    "STILLROOM_TEST_ENGINE" not in os.environ, reason="names an engine's lib folder"
)
def test_the_real_libraries_of_a_distributed_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STILLROOM_TEST_ENGINE is a folder with libllama and a CPU library per generation."""
    folder = Path(os.environ["STILLROOM_TEST_ENGINE"])
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(folder))
    file = CpuChoiceFile(tmp_path / "choice.json")

    choice = choose_cpu_library(cpu_libraries(folder), file, "this processor")

    assert Path(choice.library).parent == folder
    assert run_job(CHECK_CPU_LIBRARY, LibraryArgs(choice.library)).token >= 0

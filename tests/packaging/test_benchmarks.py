"""Benchmarks: each tells what it does and runs nothing when asked for help; README lists them all.

What they measure is not checked here, because that takes hours and a quiet machine.
"""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.llama_cpp import compiler_flags

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in BENCHMARKS.rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
)
# In one process, because each alone imports numpy, onnx and Qt again. `run_module` is what `-m` is.
ASK_ALL = """
import contextlib, io, json, os, runpy, sys
acts = []
def note(event, arguments):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.fork", "socket.connect", "os.mkdir"):
        acts.append(event)
    elif event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
        acts.extend({f"{event} {arguments[0]}"} - {f"{event} {os.devnull}"})
sys.addaudithook(note)
sys.dont_write_bytecode = True
told = {}
for name in sys.argv[1:]:
    acts.clear()
    sys.argv = [name, "--help"]
    output, code = io.StringIO(), None
    with contextlib.redirect_stdout(output):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code
    told[name] = {"code": code, "output": output.getvalue(), "acts": list(acts)}
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What every script did and said when it was asked for help."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-c", ASK_ALL, *SCRIPTS],
        cwd=ROOT,
        env={**os.environ, "STILLROOM_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) > 20


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_tells_what_the_script_does_and_runs_nothing(
    told: dict[str, dict[str, Any]], name: str
) -> None:
    answer = told[name]
    assert answer["code"] == 0
    assert re.match(rf"usage: python3? -m {re.escape(name)} ", answer["output"])
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    first = path.read_text(encoding="utf-8").removeprefix('"""').splitlines()[0]
    assert first in answer["output"]
    assert answer["acts"] == []


def test_readme_lists_every_script_and_every_result() -> None:
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(benchmarks(?:\.\w+)+)`", text))
    assert named == {name for name in SCRIPTS if ".common." not in name}
    # A table or its JSON is enough: they have the same name.
    told = {Path(name).stem for name in re.findall(r"`([\w.-]+)`", text)}
    results = {path.stem for path in (BENCHMARKS / "results").iterdir()}
    assert results - told == set()


def test_no_benchmark_changes_the_search_path() -> None:
    changed = [
        str(path.relative_to(ROOT))
        for path in BENCHMARKS.rglob("*.py")
        if "sys.path" in path.read_text(encoding="utf-8")
    ]
    assert changed == []


def test_llama_cpp_s_tools_are_built_with_the_flags_of_the_set_up() -> None:
    """They are asked of a script in another folder, by a name that no checker follows."""
    flags = compiler_flags()
    assert set(flags) <= {"CFLAGS", "CXXFLAGS"}
    if platform.machine().lower() in ("x86_64", "amd64"):
        assert "-mno-amx-int8" in flags["CXXFLAGS"]

"""The llama.cpp engine for this machine: its options and flags, and what a build of it holds for.

Knows processors and compilers; how to compile at all is `engine`'s. Standard library only.
"""

import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import engine

HERE = Path(__file__).resolve().parent
HOOK = HERE / "native.cmake"
OPTIONS = {
    "GGML_NATIVE": "ON",
    "GGML_ALL_WARNINGS": "OFF",
    "LLAMA_ALL_WARNINGS": "OFF",
    "CMAKE_PROJECT_llama.cpp_INCLUDE": str(HOOK),
}
# What the caller may set, as CMake and pip understand it; part of what a build holds for.
VARIABLES = ("CC", "CXX", "CMAKE_ARGS", "CFLAGS", "CXXFLAGS", "LDFLAGS")

# The engine's AMX code loses its tile configuration to the optimiser and dies with SIGILL in the
# first prompt (ggml-org/llama.cpp #26954), so it is compiled without.
X86_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"

# With this instruction set the engine's attention works on 128 values at once and takes heads of 64
# one by one: a token after 1,000 others costs 48 ms instead of 25 (starter model, one thread).
HALF_FLAG = "-mno-avx512fp16"


def compile_here(
    python: str, folder: Path, log: Path, on_line: Callable[[str], None]
) -> tuple[Path, Path]:
    """Compile for this machine in `folder`, going on where an earlier try was cut short.

    Returns the folders of the source and of the libraries. python: whose cmake and ninja are used.
    log and on_line: as of `progress.run`. Raises SetupFailed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = engine.fetch_source(python, folder)
    # Flags count only when CMake first looks at a folder, so others get a folder of their own.
    objects = folder / build_key()[:12]
    libraries = engine.compile_engine(
        Path(python).parent,
        source,
        objects,
        OPTIONS,
        arguments=tuple(shlex.split(os.environ.get("CMAKE_ARGS", ""))),
        environment={**os.environ, **compiler_flags()},
        log=log,
        on_line=on_line,
    )
    return source, libraries


def build_key() -> str:
    """What a compiled engine holds for: source, options, compiler, C library and processor."""
    facts = {
        "source": engine.locked_engine(),
        "options": {**engine.OPTIONS, **OPTIONS, "CMAKE_PROJECT_llama.cpp_INCLUDE": ""},
        "hook": HOOK.read_text(),
        "caller": {name: os.environ.get(name, "") for name in VARIABLES},
        "flags": compiler_flags(),
        "compiler": compiler_identity(),
        "system": [platform.system(), platform.machine(), *platform.libc_ver()],
        "processor": processor(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def compiler_flags() -> dict[str, str]:
    """CFLAGS and CXXFLAGS of the build, what the caller set first; none where none are needed."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    half = "avx512_fp16" in processor().split() and compiler_knows(HALF_FLAG)
    x86 = f"{X86_FLAGS} {HALF_FLAG}" if half else X86_FLAGS
    return {name: f"{os.environ.get(name, '')} {x86}".strip() for name in ("CFLAGS", "CXXFLAGS")}


def compiler() -> str | None:
    """The C++ compiler that CMake will most probably take."""
    names = [os.environ.get("CXX", "c++"), "g++", "clang++"]
    names += ["cl"] if sys.platform == "win32" else []
    return next((found for name in names if (found := shutil.which(name))), None)


def compiler_identity() -> str:
    """The compiler's version and target, in its own words."""
    found = compiler()
    if found is None:
        return ""
    asked = [subprocess.run([found, option], capture_output=True, text=True, check=False)
             for option in ("--version", "-dumpmachine")]  # fmt: skip
    return "".join(result.stdout or result.stderr for result in asked)


def compiler_knows(flag: str) -> bool:
    """Whether the C++ compiler takes `flag`; older ones end at what they do not know."""
    found = compiler()
    if found is None:
        return False
    command = [found, flag, "-x", "c++", "-E", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def processor() -> str:
    """What -march=native depends on: an engine taken to another processor is compiled again."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def works(python: str) -> bool:
    """Whether the engine that `python` finds loads, and has no AMX code."""
    code = (
        "import llama_cpp.llama_cpp as n; f = getattr(n._lib, 'ggml_cpu_has_amx_int8', None);"
        "raise SystemExit(bool(f and f()))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0

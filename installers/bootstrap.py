"""Sets up a checkout: `python3 installers/bootstrap.py run|test` (what the Makefile calls).

Standard library only, because it runs before anything is installed. Makes .venv, installs the
locked packages by hash, and builds the llama.cpp engine from source with this machine's flags.
Every step is skipped when its inputs have not changed, so repeated calls take a moment.
"""

import ctypes
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "stillroom-setup.json"
BUILD_LOG = VENV / "engine-build.log"
LOCKS = {"run": "requirements.lock", "test": "requirements-dev.lock"}
ENGINE = "llama-cpp-python"

# The engine's AMX code loses its tile configuration to the optimiser and dies with SIGILL in the
# first prompt (ggml-org/llama.cpp #26954), so it is compiled without.
X86_FLAGS = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"

# With this instruction set the engine's attention works on 128 values at once and takes heads of 64
# one by one: a token after 1,000 others costs 48 ms instead of 25 (starter model, one thread).
HALF_FLAG = "-mno-avx512fp16"

# Shared libraries Qt loads, and the Debian packages they come in.
QT_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
X11_LIBRARIES = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
TEST_PROGRAMS = {"xvfb-run": "xvfb", "xauth": "xauth", "strace": "strace"}
# Checkers of the installers' files; a test without its checker is skipped.
CHECKERS = {
    "appstreamcli": "appstream",
    "desktop-file-validate": "desktop-file-utils",
    "makensis": "nsis",
}
FONT_PACKAGE = "fonts-dejavu-core"


class SetupFailed(Exception):
    """One sentence for the person who called make."""


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


def main(purpose: str) -> int:
    """Set up for `purpose`: "run" or "test"."""
    try:
        check_python()
        install_missing(missing_build_tools(), needed=True)
        make_venv()
        install_locked(LOCKS[purpose])
        build_engine(LOCKS[purpose])
        install_ourselves()
        if purpose == "test" or wants_window():
            install_missing(missing_window_parts(purpose), needed=purpose == "test")
        if purpose == "test" and sys.platform == "linux":
            checkers = [package for name, package in CHECKERS.items() if not shutil.which(name)]
            install_missing(checkers, needed=False)
    except SetupFailed as error:
        say(str(error))
        return 1
    return 0


def check_python() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        version = platform.python_version()
        raise SetupFailed(f"Python 3.11 to 3.13 is needed, and this is {version}.")


def wants_window() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


# -- system packages ------------------------------------------------------------------------------


def missing_build_tools() -> list[str]:
    """Debian packages of what the set-up itself needs."""
    missing = []
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        missing.append("g++")
    if sys.platform == "linux":
        probe = [sys.executable, "-c", "import ensurepip, venv"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            major, minor = sys.version_info[:2]
            missing.append(f"python{major}.{minor}-venv")
    return missing


def missing_window_parts(purpose: str) -> list[str]:
    """Debian packages without which Qt cannot open a window (or a test cannot show one)."""
    if sys.platform != "linux":
        return []
    libraries = {**QT_LIBRARIES, **X11_LIBRARIES}
    missing = [package for name, package in libraries.items() if not loads(name)]
    if purpose == "test":
        programs = TEST_PROGRAMS.items()
        missing += [package for name, package in programs if not shutil.which(name)]
    if not has_fonts():
        missing.append(FONT_PACKAGE)
    return missing


def loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_fonts() -> bool:
    folders = (Path("/usr/share/fonts"), Path.home() / ".fonts", Path("/usr/local/share/fonts"))
    return any(next(folder.rglob("*.[to]tf"), None) for folder in folders if folder.is_dir())


def install_missing(packages: Sequence[str], *, needed: bool) -> None:
    """Install Debian packages when we may; otherwise say exactly what to install."""
    if not packages:
        return
    command = f"apt-get install --no-install-recommends {' '.join(sorted(set(packages)))}"
    if shutil.which("apt-get") and os.geteuid() == 0:
        say(f"installing system packages: {' '.join(sorted(set(packages)))}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update", "-q"], environment)
        run([*command.split(), "-y", "-q"], environment)
        return
    message = f"system packages are missing; on Debian or Ubuntu: sudo {command}"
    if needed:
        raise SetupFailed(message)
    say(message)


# -- Python packages ------------------------------------------------------------------------------


def venv_python() -> str:
    folder = "Scripts" if sys.platform == "win32" else "bin"
    return str(VENV / folder / "python")


def make_venv() -> None:
    """Make .venv, anew where an earlier set-up was cut short or the checkout was moved: scripts
    and the editable install name their folder."""
    if venv_works() and read_stamp("root") in (None, str(ROOT)):
        write_stamp("root", str(ROOT))
        return
    say("making .venv")
    run([sys.executable, "-m", "venv", "--clear", str(VENV)])
    write_stamp("root", str(ROOT))


def venv_works() -> bool:
    probe = [venv_python(), "-c", "import pip"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_locked(lock: str) -> None:
    """Install everything but the engine, by hash.

    The lock is whole, so pip resolves nothing: with hashes it would take a package's newest
    release, and refuse it, where one package asks for another with extras
    (https://github.com/pypa/pip/issues/9644).
    """
    text = (ROOT / lock).read_text()
    others, _ = split_lock(text)
    stamp = digest(others)
    if read_stamp(lock) == stamp:
        return
    say(f"installing the packages of {lock}")
    pip_install(others, ["--no-deps"])
    write_stamp(lock, stamp)


def build_engine(lock: str) -> None:
    """Compile llama-cpp-python from its source archive for this processor.

    Always from source and never through pip's cache: pip would reuse a wheel it once built with
    other flags, whatever the flags are now.
    """
    _, engine = split_lock((ROOT / lock).read_text())
    flags = compiler_flags()
    stamp = digest(engine + json.dumps(flags) + processor())
    if read_stamp("engine") == stamp and engine_is_sound():
        return
    say("compiling the llama.cpp engine (about 4 minutes on 2 cores)")
    environment = {**os.environ, **flags}
    options = ["--no-cache-dir", "--no-binary", ENGINE, "--no-build-isolation", "--no-deps"]
    pip_install(engine, [*options, "--force-reinstall", "-v"], environment, BUILD_LOG)
    if not engine_is_sound():
        raise SetupFailed(f"the compiled engine does not work here; the log is {BUILD_LOG}")
    write_stamp("engine", stamp)


def compiler_flags() -> dict[str, str]:
    """Environment of the build, what the caller set included."""
    own = {name: os.environ.get(name, "") for name in ("CMAKE_ARGS", "CFLAGS", "CXXFLAGS")}
    # The library for pictures and sound, a third of the build, is not used. RPC without RDMA: its
    # library would be taken from whatever this machine happens to have.
    flags = {"CMAKE_ARGS": "-DLLAVA_BUILD=OFF -DGGML_RPC=ON -DGGML_RPC_RDMA=OFF"}
    if platform.machine().lower() in ("x86_64", "amd64"):
        half = "avx512_fp16" in processor().split() and compiler_knows(HALF_FLAG)
        x86 = f"{X86_FLAGS} {HALF_FLAG}" if half else X86_FLAGS
        flags.update(CFLAGS=x86, CXXFLAGS=x86)
    return {name: f"{own[name]} {value}".strip() for name, value in flags.items()}


def compiler_knows(flag: str) -> bool:
    """Whether the C++ compiler takes `flag`; older ones end at what they do not know."""
    names = (os.environ.get("CXX", "c++"), "g++", "clang++")
    compiler = next((found for name in names if (found := shutil.which(name))), None)
    if compiler is None:
        return False
    command = [compiler, flag, "-x", "c++", "-E", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def processor() -> str:
    """What -march=native depends on: a .venv copied to another machine is built again."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def engine_is_sound() -> bool:
    """Whether the installed engine loads, and has no AMX code."""
    code = (
        "import llama_cpp.llama_cpp as n; f = getattr(n._lib, 'ggml_cpu_has_amx_int8', None);"
        "raise SystemExit(bool(f and f()))"
    )
    return (
        subprocess.run([venv_python(), "-c", code], capture_output=True, check=False).returncode
        == 0
    )


def install_ourselves() -> None:
    stamp = digest((ROOT / "pyproject.toml").read_text())
    if read_stamp("stillroom") == stamp:
        return
    run(
        [venv_python(), "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "-e", str(ROOT)]
    )  # fmt: skip
    write_stamp("stillroom", stamp)


def split_lock(text: str) -> tuple[str, str]:
    """A lock's text without the engine's requirement, and that requirement alone."""
    parts = re.split(r"\n(?=\S)", text.strip())
    engine = [part for part in parts if part.startswith(f"{ENGINE}==")]
    others = [part for part in parts if not part.startswith(f"{ENGINE}==")]
    return "\n".join(others) + "\n", "\n".join(engine) + "\n"


def pip_install(
    requirements: str,
    options: Sequence[str],
    environment: dict[str, str] | None = None,
    log: Path | None = None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(requirements)
        command = [venv_python(), "-m", "pip", "install", "--disable-pip-version-check"]
        quiet = [] if log else ["-q"]
        run([*command, *quiet, "--require-hashes", "-r", str(file), *options], environment, log)


# -- small things ---------------------------------------------------------------------------------


def run(
    command: Sequence[str], environment: dict[str, str] | None = None, log: Path | None = None
) -> None:
    if log is None:
        result = subprocess.run(command, env=environment, check=False, stdout=sys.stderr)
    else:
        with log.open("wb") as file:
            result = subprocess.run(command, env=environment, check=False, stdout=file, stderr=file)
    if result.returncode:
        if log is not None:
            sys.stderr.write("\n".join(log.read_text(errors="replace").splitlines()[-30:]) + "\n")
        where = f"; the whole log is {log}" if log else ""
        raise SetupFailed(f"`{' '.join(command[:4])} ...` failed ({result.returncode}){where}.")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_stamp(name: str) -> str | None:
    try:
        value = json.loads(STAMPS.read_text()).get(name)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, str) else None


def write_stamp(name: str, value: str) -> None:
    try:
        stamps = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        stamps = {}
    STAMPS.write_text(json.dumps({**stamps, name: value}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] not in (["run"], ["test"]):
        sys.exit("usage: bootstrap.py run|test")
    sys.exit(main(sys.argv[1]))

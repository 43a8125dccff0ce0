"""Sets up a checkout: `python3 installers/bootstrap.py run|lint|test` (what the Makefile calls).

Standard library only, because it runs before anything is installed. Makes .venv, installs the
locked packages by hash, and builds the llama.cpp engine from source with this machine's flags.
Every step is skipped when its inputs have not changed, so repeated calls take a moment. Packages
and engine are kept for this user's next clone.
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
from collections.abc import Callable, Sequence
from pathlib import Path

import engine
import environments
import kept
import native_engine
from progress import Costs, Progress, SetupFailed, of_ninja, of_pip, run, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "stillroom-setup.json"
BUILD_LOG = VENV / "engine-build.log"
# "lint" is "test" without the engine and the screen, which checkers of source do not need.
LOCKS = {
    "run": "requirements.lock",
    "lint": "requirements-dev.lock",
    "test": "requirements-dev.lock",
}
KEPT_ENGINES = 4  # 7 MB each
KEPT_ENVIRONMENTS = 2  # up to 2 GB each, on disk once with the clones that link to it

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


def main(purpose: str) -> int:
    """Set up for `purpose`, a key of LOCKS."""
    costs = Costs()
    try:
        check_python()
        with costs.step("system packages"):
            install_missing(missing_build_tools(purpose), needed=True)
        with costs.step("environment"):
            fresh = make_venv()
        with costs.step("packages"):
            install_locked(LOCKS[purpose], fresh=fresh)
        if purpose != "lint":
            with costs.step("engine"):
                install_engine()
        with costs.step("Stillroom"):
            install_ourselves()
        with costs.step("window's packages"):
            prepare_window(purpose)
    except SetupFailed as error:
        say(str(error))
        return 1
    if told := costs.told():
        say(told)
    return 0


def prepare_window(purpose: str) -> None:
    if purpose == "test" or (purpose == "run" and wants_window()):
        install_missing(missing_window_parts(purpose), needed=purpose == "test")
    if purpose == "test" and sys.platform == "linux":
        checkers = [package for name, package in CHECKERS.items() if not shutil.which(name)]
        install_missing(checkers, needed=False)


def check_python() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        version = platform.python_version()
        raise SetupFailed(f"Python 3.11 to 3.13 is needed, and this is {version}.")


def wants_window() -> bool:
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


# -- system packages ------------------------------------------------------------------------------


def missing_build_tools(purpose: str) -> list[str]:
    """Debian packages of what the set-up itself needs."""
    missing = []
    if purpose != "lint" and native_engine.compiler() is None:
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


def make_venv() -> bool:
    """Make .venv, anew where an earlier set-up was cut short or the checkout was moved: scripts
    and the editable install name their folder. Returns whether it is a fresh one, without pip."""
    if venv_works() and read_stamp("root") in (None, str(ROOT)):
        write_stamp("root", str(ROOT))
        return False
    say("making .venv")
    run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(VENV)])
    return True


def venv_works() -> bool:
    # A folder without its __init__.py is a package too, but not one that was laid out whole.
    code = "import pip; raise SystemExit(not getattr(pip, '__file__', None))"
    probe = [venv_python(), "-c", code]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def install_locked(lock: str, *, fresh: bool) -> None:
    """Install everything but the engine: into a fresh environment from what this user's earlier
    set-up has kept of the same lock, otherwise with pip and by hash."""
    others, _ = split_lock((ROOT / lock).read_text())
    stamp = digest(others)
    if read_stamp(lock) == stamp:
        return
    environments_kept = kept.Kept(kept.home(), "packages", KEPT_ENVIRONMENTS, hashed=False)
    key = environments.environment_key(others)
    keepable = fresh and environments.can_be_kept(VENV)
    if not (keepable and lay_out_kept(environments_kept, key)):
        if fresh:
            run([venv_python(), "-m", "ensurepip", "--default-pip"], log=VENV / "pip.log")
        install_with_pip(others, lock)
        if keepable:
            environments.keep(environments_kept, key, VENV)
    write_stamp("root", str(ROOT))
    write_stamp(lock, stamp)


def lay_out_kept(environments_kept: kept.Kept, key: str) -> bool:
    """Whether a kept environment was there and now fills .venv."""
    entry = environments_kept.find(key)
    if entry is None:
        return False
    say(f"taking the packages from {entry}")
    try:
        environments.lay_out(entry, VENV)
    except OSError as error:
        say(f"that failed ({error}): installing them anew")
        run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(VENV)])
        return False
    return venv_works()


def install_with_pip(requirements: str, lock: str) -> None:
    """The lock is whole, so pip resolves nothing: with hashes it would take a package's newest
    release, and refuse it, where one package asks for another with extras
    (https://github.com/pypa/pip/issues/9644).

    pip compiles no byte code: of 15,000 modules, 75 s of processor time, the product and its tests
    import a tenth. What the product imports is compiled by importing it.
    """
    say(f"installing the packages of {lock}")
    total = len(re.findall(r"(?m)^[^\s#]+==", requirements))
    pip_install(requirements, ["--no-deps", "--no-compile"], VENV / "pip.log", of_pip(total))
    import_once()


def import_once() -> None:
    """Where the caller's Python writes no byte code, nothing else would ever write it."""
    command = [venv_python(), str(ROOT / "installers" / "first_imports.py")]
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, env=environment, capture_output=True, check=False)


# -- the engine -----------------------------------------------------------------------------------


def install_engine() -> None:
    """Put the engine of the lock in, compiled for this processor: by an earlier set-up of this user
    or now."""
    key = native_engine.build_key()
    python = venv_python()
    if read_stamp("engine") == key and native_engine.works(python):
        return
    engines = kept.Kept(kept.home(), "engine", KEPT_ENGINES, hashed=True)
    remove_engine_of_pip()
    if not take_kept_engine(engines, key):
        with tempfile.TemporaryDirectory(prefix=".engine-", dir=VENV) as temporary:
            source, libraries = compile_engine(python)
            engine.assemble(source, libraries, Path(temporary))
            engine.place(Path(temporary), engine.site_packages(python))
            if not native_engine.works(python):
                raise SetupFailed(f"the compiled engine does not work here; its log is {BUILD_LOG}")
            engines.put(key, lambda folder: shutil.copytree(temporary, folder, dirs_exist_ok=True))
        shutil.rmtree(VENV / "engine")
    write_stamp("engine", key)


def take_kept_engine(engines: kept.Kept, key: str) -> bool:
    """Whether a kept engine was there, is whole, and works here; one that does not is dropped."""
    entry = engines.find(key)
    if entry is None:
        return False
    say(f"taking the engine from {entry}")
    engine.place(entry, engine.site_packages(venv_python()))
    if native_engine.works(venv_python()):
        return True
    engines.discard(key)
    return False


def compile_engine(python: str) -> tuple[Path, Path]:
    say("compiling the llama.cpp engine (about 6 minutes of processor time, once per machine)")
    BUILD_LOG.unlink(missing_ok=True)
    progress = Progress("engine")
    try:
        return native_engine.compile_here(python, VENV / "engine", BUILD_LOG, of_ninja(progress))
    finally:
        progress.end()


def remove_engine_of_pip() -> None:
    """pip knows all that it once installed of the engine: headers and CMake's files too."""
    site = engine.site_packages(venv_python())
    for metadata in site.glob("llama_cpp_python-*.dist-info"):
        installer = metadata / "INSTALLER"
        if installer.is_file() and installer.read_text().strip() == "pip":
            command = [venv_python(), "-m", "pip", "uninstall", "-y", "-q", engine.ENGINE]
            run([*command, "--disable-pip-version-check", "--root-user-action=ignore"])


def install_ourselves() -> None:
    stamp = digest(
        (ROOT / "pyproject.toml").read_text() + (ROOT / "app" / "__init__.py").read_text()
    )
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
    ours = [part for part in parts if part.startswith(f"{engine.ENGINE}==")]
    others = [part for part in parts if not part.startswith(f"{engine.ENGINE}==")]
    return "\n".join(others) + "\n", "\n".join(ours) + "\n"


def pip_install(
    requirements: str, options: Sequence[str], log: Path, on_line: Callable[[str], None]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(requirements)
        command = [venv_python(), "-m", "pip", "install", "--disable-pip-version-check"]
        command += ["--progress-bar", "off", "--root-user-action=ignore", "--require-hashes"]
        run([*command, "-r", str(file), *options], log=log, on_line=on_line)


# -- small things ---------------------------------------------------------------------------------


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
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        sys.exit(f"usage: bootstrap.py {'|'.join(LOCKS)}")
    sys.exit(main(sys.argv[1]))

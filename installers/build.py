"""Builds the installers of this system: `python3 installers/build.py`.

Makes an environment with nothing but the locked packages, compiles the engine, freezes, tests the
frozen program, packages it and writes checksums and the bill of materials to build/installers/out.
Every step that takes long is kept and not repeated while its inputs are the same. Standard library
only until the environment exists; it then starts itself again with that environment's Python.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bootstrap
import engine
import packages
import sbom
import signing

ROOT = engine.ROOT
WORK = ROOT / "build" / "installers"
LOCK = ROOT / "requirements-installers.lock"
STARTER = "smollm2-135m-instruct"
# What carries symbols nobody needs: 45 MB of an interpreter built from source and of these.
UNSTRIPPED = (
    "libpython3*.so*",
    "llama_cpp/lib/*.so",
    "onnxruntime_genai/libonnxruntime-genai.so",
    "cryptography/hazmat/bindings/*.so",
    "yaml/*.so",
)
SYSTEM_TOOLS = {
    "dpkg-deb": "dpkg",
    "zstd": "zstd",
    "xz": "xz-utils",
    "strip": "binutils",
    "c++": "g++",
}


def main() -> int:
    options = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    python = environment()
    if Path(sys.executable) != python:
        return subprocess.call([str(python), __file__, *sys.argv[1:]])
    with timed("engine"):
        if options.engine is None:
            engine.build_engine(str(python), WORK / "engine")
        else:
            source = engine.fetch_source(str(python), WORK / "engine")
            engine.install_engine(str(python), source, options.engine)
    with timed("icons"):
        subprocess.run([python, ROOT / "installers/icons.py", WORK / "icons"], check=True)
    starter = starter_file(python)
    with timed("freeze"):
        folder = freeze(python, None if options.no_starter else starter)
    if not options.no_self_test:
        with timed("self-test"):
            self_test(folder, starter if options.no_starter else None)
    signing.sign_programs(folder)
    with timed("packages"):
        make_packages(folder, options)
    return 0


def arguments() -> argparse.Namespace:
    formats = packages.FORMATS[sys.platform]
    parser = argparse.ArgumentParser(description="Build the installers of this system.")
    parser.add_argument("--no-starter", action="store_true", help="leave the starter model out")
    parser.add_argument("--no-self-test", action="store_true", help="the frozen program is known")
    parser.add_argument("--engine", type=Path, metavar="FOLDER", help="libraries built before")
    parser.add_argument("--formats", nargs="*", choices=formats, default=list(formats))
    text = "runtime program of AppImages: make one too"
    parser.add_argument("--appimage-runtime", type=Path, metavar="FILE", help=text)
    return parser.parse_args()


@contextmanager
def timed(step: str) -> Iterator[None]:
    print(f"installers: {step}", file=sys.stderr, flush=True)
    started = time.monotonic()
    yield
    print(
        f"installers: {step} took {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True
    )


# -- environment ----------------------------------------------------------------------------------


def environment() -> Path:
    """The Python of an environment with the locked packages alone: what else happened to be
    installed would find its way into the bundle."""
    if sys.platform == "linux":
        missing = [package for tool, package in SYSTEM_TOOLS.items() if not shutil.which(tool)]
        bootstrap.install_missing(missing, needed=True)
    folder = WORK / "venv"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    others, _ = bootstrap.split_lock(LOCK.read_text())
    stamp = folder / "locked.sha256"
    wanted = hashlib.sha256(others.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    with timed("environment"):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        lock = folder / "locked.txt"
        lock.write_text(others)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*command, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
    stamp.write_text(wanted)
    return python


def starter_file(python: Path) -> Path:
    """The starter model's file, fetched and checked by the program itself."""
    command = [str(python), "-P", "-m", "app", "pull", STARTER, "--json"]
    result = subprocess.run(
        [*command, "--home", str(WORK / "starter")], check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return Path(json.loads(result.stdout)["path"])


# -- freezing -------------------------------------------------------------------------------------


def freeze(python: Path, starter: Path | None) -> Path:
    """The frozen folder."""
    variables = {**os.environ, "STILLROOM_STARTER": str(starter or ""), "PYTHONHASHSEED": "1"}
    command = [str(python), "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"]
    command += ["--distpath", str(WORK / "dist"), "--workpath", str(WORK / "freeze")]
    subprocess.run([*command, str(ROOT / "installers/app.spec")], check=True, env=variables)
    folder = WORK / "dist" / "stillroom"
    if sys.platform == "linux":
        (folder / "stillroom-gui").symlink_to("stillroom")  # one program: no console to hide
        for pattern in UNSTRIPPED:
            for library in (folder / "_internal").glob(pattern):
                subprocess.run(["strip", "--strip-unneeded", library], check=True)
    return folder


def self_test(folder: Path, model: Path | None) -> None:
    """The frozen program's own test; it finds what an import scan missed. model: for a program
    without a model of its own."""
    program = folder / ("stillroom.exe" if sys.platform == "win32" else "stillroom")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables.setdefault("QT_QPA_PLATFORM", "offscreen")
    subprocess.run([program, "--self-test", *([model] if model else [])], check=True, env=variables)


def make_packages(folder: Path, options: argparse.Namespace) -> None:
    output = WORK / "out"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    bundle = packages.Bundle(folder, WORK / "icons", version(), output, not signing.key())
    made = []
    for name in options.formats:
        with timed(name):
            made.append(packages.FORMATS[sys.platform][name](bundle))
    if options.appimage_runtime is not None:
        made.append(packages.app_image(bundle, options.appimage_runtime))
    made += signing.sign_packages(made)
    bill = output / f"stillroom-{version()}.cdx.json"
    bill.write_text(sbom.bill_of_materials(folder / "_internal", version(), made))
    packages.checksums([*made, bill], output)
    for file in [*made, bill]:
        print(f"{file.stat().st_size:>12,} bytes  {file.relative_to(ROOT)}")


def version() -> str:
    """The program's version, from its source."""
    found = re.search(
        r'^__version__ = "(.+)"', (ROOT / "app/__init__.py").read_text(), re.MULTILINE
    )
    assert found is not None
    return found[1]


if __name__ == "__main__":
    sys.exit(main())

"""The llama.cpp engine for other people's machines: one CPU library for each processor generation.

Knows CMake and the source archive that requirements.lock pins. Compiles into a folder that it finds
again, so that a second build, or one that was cut short, only does what is left. Standard library
only.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINE = "llama-cpp-python"
# Backends are modules to CMake, whose names end in .so on macOS too (ggml/src/CMakeLists.txt).
LIBRARIES = {"win32": ("*.dll",), "darwin": ("*.dylib", "*.so")}.get(sys.platform, ("*.so",))
MODULE_SUFFIX = ".dll" if sys.platform == "win32" else ".so"
ORIGIN = {"darwin": "@loader_path"}.get(sys.platform, "$ORIGIN")

# A library for each generation instead of one for this machine; the program picks one by a test at
# run time. Without version numbers in the names there is one file a library and no symbolic link,
# which neither a wheel nor an archive for Windows would keep.
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": ORIGIN,
    "CMAKE_PLATFORM_NO_VERSIONED_SONAME": "ON",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "OFF",
    "GGML_BACKEND_DL": "ON",
    "GGML_CPU_ALL_VARIANTS": "ON",
    "GGML_RPC": "ON",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
}


def locked_engine() -> str:
    """The lock's lines that pin the engine's version and hash."""
    parts = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().strip())
    (requirement,) = [part for part in parts if part.startswith(f"{ENGINE}==")]
    return requirement


def fetch_source(python: str, folder: Path) -> Path:
    """The engine's source, unpacked; pip checks the archive's hash."""
    source = folder / "source"
    stamp = folder / "source.txt"
    if stamp.is_file() and stamp.read_text() == locked_engine():
        return source
    shutil.rmtree(source, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        requirement = Path(temporary) / "engine.txt"
        requirement.write_text(locked_engine() + "\n")
        command = [python, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        command += ["--require-hashes", "--no-deps", "--no-build-isolation", "--no-binary", ENGINE]
        subprocess.run([*command, "-d", temporary, "-r", str(requirement)], check=True)
        (archive,) = Path(temporary).glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            opened.extractall(temporary, filter="data")
        (unpacked,) = [path for path in Path(temporary).iterdir() if path.is_dir()]
        shutil.move(unpacked, source)
    stamp.write_text(locked_engine())
    return source


def compile_engine(tools: Path, source: Path, folder: Path, extra: dict[str, str]) -> Path:
    """Compile into `folder`/objects and return the folder of the libraries.

    tools: where cmake and ninja are. extra: more CMake options, for the accelerated packs.
    """
    objects = folder / "objects"
    options = [f"-D{name}={value}" for name, value in {**OPTIONS, **extra}.items()]
    ninja = shutil.which("ninja", path=str(tools))
    cmake = shutil.which("cmake", path=str(tools))
    assert ninja, f"ninja is missing in {tools}"
    assert cmake, f"cmake is missing in {tools}"
    command = [cmake, "-S", str(source / "vendor" / "llama.cpp"), "-B", str(objects), "-G", "Ninja"]
    subprocess.run([*command, f"-DCMAKE_MAKE_PROGRAM={ninja}", *options], check=True)
    subprocess.run([cmake, "--build", str(objects), "--target", "llama"], check=True)
    return objects / "bin"


def install_engine(python: str, source: Path, libraries: Path) -> None:
    """Put the binding, its metadata and the libraries where `python` imports packages from."""
    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    site = Path(subprocess.check_output([python, "-c", code], text=True).strip())
    package = site / "llama_cpp"
    shutil.rmtree(package, ignore_errors=True)
    skipped = shutil.ignore_patterns("server", "lib", "*.pyc")
    shutil.copytree(source / "llama_cpp", package, ignore=skipped)
    (package / "lib").mkdir()
    for library in sorted(path for pattern in LIBRARIES for path in libraries.glob(pattern)):
        shutil.copy2(library, package / "lib")
    version = re.search(r"^Version: (\S+)", (source / "PKG-INFO").read_text(), re.MULTILINE)
    assert version
    metadata = site / f"llama_cpp_python-{version[1]}.dist-info"
    shutil.rmtree(metadata, ignore_errors=True)
    (metadata / "licenses").mkdir(parents=True)
    shutil.copy2(source / "PKG-INFO", metadata / "METADATA")
    shutil.copy2(source / "LICENSE.md", metadata / "licenses" / "LICENSE.md")
    shutil.copy2(source / "vendor/llama.cpp/LICENSE", metadata / "licenses" / "LICENSE.llama.cpp")
    files = [path for root in (package, metadata) for path in root.rglob("*") if path.is_file()]
    record = "".join(f"{path.relative_to(site).as_posix()},,\n" for path in sorted(files))
    (metadata / "RECORD").write_text(f"{record}{metadata.name}/RECORD,,\n")


def build_engine(python: str, folder: Path, extra: dict[str, str] | None = None) -> Path:
    """Fetch, compile and install the engine; returns the folder of its libraries."""
    folder.mkdir(parents=True, exist_ok=True)
    source = fetch_source(python, folder)
    tools = Path(python).parent
    libraries = compile_engine(tools, source, folder, extra or {})
    install_engine(python, source, libraries)
    return libraries

"""The llama.cpp engine: fetched, compiled and put where a Python imports from.

Knows CMake and the source archive that requirements.lock pins, and the options for other people's
machines, with one CPU library for each processor generation; `native_engine` has those for this
machine. Compiles into a folder that it finds again, so that a second build, or one that was cut
short, only does what is left. Standard library only.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from progress import run

ROOT = Path(__file__).resolve().parent.parent
ENGINE = "llama-cpp-python"
# Backends are modules to CMake, whose names end in .so on macOS too (ggml/src/CMakeLists.txt).
LIBRARIES = {"win32": ("*.dll",), "darwin": ("*.dylib", "*.so")}.get(sys.platform, ("*.so",))
MODULE_SUFFIX = ".dll" if sys.platform == "win32" else ".so"
ORIGIN = {"darwin": "@loader_path"}.get(sys.platform, "$ORIGIN")

# Only what the worker loads, of which llama.cpp's `common` and its programs are no part. Without
# version numbers in the names there is one file a library and no symbolic link, which neither a
# wheel nor an archive for Windows would keep. RPC without RDMA: its library would be taken from
# whatever this machine happens to have.
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
    "CMAKE_INSTALL_RPATH": ORIGIN,
    "CMAKE_PLATFORM_NO_VERSIONED_SONAME": "ON",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_RPC": "ON",
    "GGML_RPC_RDMA": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
}
# A library for each generation instead of one for this machine; the program picks one by a test at
# run time.
PORTABLE = {"GGML_NATIVE": "OFF", "GGML_BACKEND_DL": "ON", "GGML_CPU_ALL_VARIANTS": "ON"}
# What of the source archive is neither compiled nor installed: most of its files.
NEEDLESS = re.compile(
    r"^[^/]+/(docs|examples|tests|vendor/llama\.cpp/"
    r"(app|benches|ci|common|conversion|docs|examples|gguf-py|media|models|pocs|tests|tools))/"
)


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
        run([*command, "-d", temporary, "-r", str(requirement)])
        (archive,) = Path(temporary).glob("*.tar.gz")
        with tarfile.open(archive) as opened:
            needed = [member for member in opened if not NEEDLESS.match(member.name)]
            opened.extractall(temporary, needed, filter="data")
        (unpacked,) = [path for path in Path(temporary).iterdir() if path.is_dir()]
        shutil.move(unpacked, source)
    stamp.write_text(locked_engine())
    return source


def compile_engine(
    tools: Path,
    source: Path,
    folder: Path,
    options: Mapping[str, str],
    *,
    arguments: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Path:
    """Compile into `folder`/objects and return the folder of the libraries.

    tools: where cmake and ninja are. options: CMake's, besides OPTIONS; arguments: more of its
    command line. log and on_line: as of `progress.run`. Raises SetupFailed.
    """
    objects = folder / "objects"
    defined = [f"-D{name}={value}" for name, value in {**OPTIONS, **options}.items()]
    ninja = shutil.which("ninja", path=str(tools))
    cmake = shutil.which("cmake", path=str(tools))
    assert ninja, f"ninja is missing in {tools}"
    assert cmake, f"cmake is missing in {tools}"
    configure = [cmake, "-S", str(source / "vendor" / "llama.cpp"), "-B", str(objects)]
    configure += ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", *defined, *arguments]
    run(configure, environment, log)
    build = [cmake, "--build", str(objects), "--target", "llama"]
    run(build, environment, log, on_line)
    return objects / "bin"


def assemble(source: Path, libraries: Path, folder: Path) -> None:
    """Put the binding, its metadata and the libraries into `folder`, as site-packages has them."""
    package = folder / "llama_cpp"
    skipped = shutil.ignore_patterns("server", "lib", "*.pyc")
    shutil.copytree(source / "llama_cpp", package, ignore=skipped)
    (package / "lib").mkdir()
    for library in sorted(path for pattern in LIBRARIES for path in libraries.glob(pattern)):
        shutil.copy2(library, package / "lib")
    version = re.search(r"^Version: (\S+)", (source / "PKG-INFO").read_text(), re.MULTILINE)
    assert version
    metadata = folder / f"llama_cpp_python-{version[1]}.dist-info"
    (metadata / "licenses").mkdir(parents=True)
    shutil.copy2(source / "PKG-INFO", metadata / "METADATA")
    shutil.copy2(source / "LICENSE.md", metadata / "licenses" / "LICENSE.md")
    shutil.copy2(source / "vendor/llama.cpp/LICENSE", metadata / "licenses" / "LICENSE.llama.cpp")
    files = [path for root in (package, metadata) for path in root.rglob("*") if path.is_file()]
    record = "".join(f"{path.relative_to(folder).as_posix()},,\n" for path in sorted(files))
    (metadata / "RECORD").write_text(f"{record}{metadata.name}/RECORD,,\n")


def place(assembled: Path, site: Path) -> None:
    """Put copies of what was assembled into `site`, in the place of any engine that is there.

    Each folder is there whole or not at all. What pip once installed beside them (headers, CMake's
    files) it must have removed before.
    """
    with tempfile.TemporaryDirectory(prefix=".engine-", dir=site) as temporary:
        for old in (site / "llama_cpp", *site.glob("llama_cpp_python-*.dist-info")):
            if old.exists():
                old.rename(Path(temporary, f"old-{old.name}"))
        for folder in sorted(path for path in assembled.iterdir() if path.is_dir()):
            shutil.copytree(folder, Path(temporary, folder.name))
            Path(temporary, folder.name).rename(site / folder.name)


def site_packages(python: str) -> Path:
    """Where `python` imports installed packages from."""
    code = "import sysconfig; print(sysconfig.get_path('platlib'))"
    return Path(subprocess.check_output([python, "-c", code], text=True).strip())


def install_engine(python: str, source: Path, libraries: Path) -> None:
    """Put the binding, its metadata and the libraries where `python` imports packages from."""
    with tempfile.TemporaryDirectory() as temporary:
        assemble(source, libraries, Path(temporary))
        place(Path(temporary), site_packages(python))


def build_engine(python: str, folder: Path) -> Path:
    """Fetch, compile and install the engine for other people's machines; returns the folder of its
    libraries."""
    folder.mkdir(parents=True, exist_ok=True)
    source = fetch_source(python, folder)
    libraries = compile_engine(Path(python).parent, source, folder, PORTABLE)
    install_engine(python, source, libraries)
    return libraries

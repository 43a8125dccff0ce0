"""Add-on packs of llama.cpp for GPUs: `python3 installers/pack.py vulkan|cuda OUTPUT`.

A pack is a wheel with the one library that the engine loads beside those it was installed with; it
must be of the same engine version. Needs the accelerator's compiler on this machine.
"""

import base64
import hashlib
import platform
import re
import sys
import zipfile
from pathlib import Path

import build
import engine

# CUB_3DOT2 fetches the CUDA headers that have a top-k; with those of CUDA 13.0 itself the device
# sorts the whole vocabulary for every token: 0.93 instead of 0.99 of llama-bench at 1.5B.
OPTIONS = {
    "vulkan": {"GGML_VULKAN": "ON"},
    "cuda": {"GGML_CUDA": "ON", "GGML_CUDA_CUB_3DOT2": "ON"},
}
SYSTEMS = {"linux": "linux", "win32": "win", "darwin": "macosx_14_0"}


def main(name: str, output: Path) -> int:
    python = build.environment()
    source = engine.fetch_source(str(python), build.WORK / "engine")
    folder = build.WORK / f"engine-{name}"
    options = {**engine.PORTABLE, **OPTIONS[name]}
    libraries = engine.compile_engine(python.parent, source, folder, options)
    (library,) = libraries.glob(f"*ggml-{name}{engine.MODULE_SUFFIX}")
    output.mkdir(parents=True, exist_ok=True)
    print(wheel(name, library, output))
    return 0


def wheel(name: str, library: Path, output: Path) -> Path:
    """A wheel with the library, and its SHA-256 in a file beside it."""
    found = re.search(r"==(\S+)", engine.locked_engine())
    assert found is not None
    package, version = f"stillroom_llama_{name}", found[1]
    metadata = f"{package}-{version}.dist-info"
    tag = f"py3-none-{SYSTEMS[sys.platform]}_{platform.machine().lower()}"
    files = {
        f"{package}/__init__.py": f'"""llama.cpp {version} for {name}."""\n'.encode(),
        f"{package}/{library.name}": library.read_bytes(),
        f"{metadata}/METADATA": (
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nLicense: MIT\n"
        ).encode(),
        f"{metadata}/WHEEL": (
            f"Wheel-Version: 1.0\nGenerator: stillroom\nRoot-Is-Purelib: false\nTag: {tag}\n"
        ).encode(),
    }
    rows = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    record = f"{metadata}/RECORD"
    path = output / f"{package}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for inside, data in files.items():
            archive.writestr(inside, data)
        archive.writestr(record, "\n".join([*rows, f"{record},,", ""]))
    stated = hashlib.sha256(path.read_bytes()).hexdigest()
    Path(f"{path}.sha256").write_text(f"{stated}  {path.name}\n")
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in OPTIONS:
        sys.exit(f"usage: pack.py {'|'.join(OPTIONS)} OUTPUT")
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))

"""How the installers are put together: engine, packages, bill of materials. Freezes nothing."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from app.system.licences import notices
from app.system.packs import install, stated_hash
from runtime.machine.packs import device_libraries
from tests.packaging.installer_scripts import script

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bundle(tmp_path: Path) -> "object":
    """A small folder in place of the frozen one."""
    packages = script("packages")
    folder = tmp_path / "stillroom"
    (folder / "_internal" / "desktop").mkdir(parents=True)
    (folder / "stillroom").write_text("#!/bin/sh\necho started\n")
    (folder / "stillroom").chmod(0o755)
    icons = tmp_path / "icons"
    subprocess.run([sys.executable, ROOT / "installers/icons.py", icons], check=True)
    for name in ("stillroom.desktop", "stillroom-mime.xml"):
        text = (ROOT / "installers" / "linux" / name).read_text()
        (folder / "_internal" / "desktop" / name).write_text(text)
    (folder / "_internal" / "desktop" / "stillroom.svg").write_bytes(
        (icons / "stillroom.svg").read_bytes()
    )
    output = tmp_path / "out"
    output.mkdir()
    return packages.Bundle(folder, icons, "0.1.0", output)


def test_the_bill_of_materials_keeps_to_its_schema(tmp_path: Path) -> None:
    sbom = script("sbom")
    site = Path(importlib.util.find_spec("numpy").origin).parents[1]  # type: ignore[union-attr, arg-type]
    package = tmp_path / "stillroom.deb"
    package.write_bytes(b"package")
    text = sbom.bill_of_materials(site, "0.1.0", [package])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {each["name"]: each for each in json.loads(text)["components"]}
    assert {"numpy", "llama.cpp", "Qt", "stillroom.deb"} <= set(components)
    digest = hashlib.sha256(b"package").hexdigest()
    assert components["stillroom.deb"]["hashes"][0]["content"] == digest
    assert components["numpy"]["purl"].startswith("pkg:pypi/numpy@")


def test_no_part_of_a_bundle_is_without_its_licence(tmp_path: Path) -> None:
    """About and the bill of materials tell of what is no Python package, and of texts that wheels
    forget."""
    carried, sbom = script("carried"), script("sbom")
    folder = tmp_path / "licences"
    carried.write(folder, "0.1.2")
    found = {each.name: each for each in notices(folder)}
    wanted = ("CPython", "OpenSSL", "SmolLM2-135M-Instruct", "PySide6_Essentials", "shiboken6")
    for name in (*wanted, "flatbuffers", "latex2mathml"):
        assert sum(len(text) for _, text in found[name].texts) > 900, name
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in found["PySide6_Essentials"].texts[-2][1]
    assert found["PySide6_Essentials"].version  # of the package, not of what is carried
    components = json.loads(sbom.bill_of_materials(tmp_path, "0.1.0", []))["components"]
    assert {"CPython", "OpenSSL", "SQLite"} <= {each["name"] for each in components}
    text = sbom.bill_of_materials(tmp_path, "0.1.0", [])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_modules_of_the_engine_are_taken_along_on_every_system(tmp_path: Path) -> None:
    """CMake names a module .so on macOS too; a bundle without them has no processor and no GPU."""
    site = tmp_path / "site"
    code = (
        "import sys; sys.platform = 'darwin'; sys.path.insert(0, sys.argv[1]); import engine\n"
        "from pathlib import Path\n"
        "libraries = Path(sys.argv[2])\n"
        "print([path.name for one in engine.LIBRARIES for path in libraries.glob(one)])"
    )
    site.mkdir()
    for name in ("libllama.dylib", "libggml-cpu-apple_m1.so", "libggml-metal.so", "notes.txt"):
        (site / name).touch()
    command = [sys.executable, "-c", code, str(ROOT / "installers"), str(site)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "libllama.dylib" in said
    assert "libggml-cpu-apple_m1.so" in said
    assert "libggml-metal.so" in said
    assert "notes" not in said


def test_icons_are_what_their_systems_read(bundle: "object") -> None:
    folder = bundle.icons  # type: ignore[attr-defined]
    ico = (folder / "stillroom.ico").read_bytes()
    assert ico[:4] == b"\0\0\1\0"
    first = int.from_bytes(ico[18:22], "little")
    assert ico[first : first + 4] == b"\x89PNG"
    icns = (folder / "stillroom.icns").read_bytes()
    assert icns[:4] == b"icns"
    assert int.from_bytes(icns[4:8], "big") == len(icns)


@pytest.mark.skipif(sys.platform != "linux", reason="a package of Linux")
def test_the_run_file_installs_upgrades_and_removes(bundle: "object", tmp_path: Path) -> None:
    file = script("packages").self_extracting(bundle)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", file, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    installed = home / ".local/opt/stillroom"
    assert run().returncode == 0
    said = subprocess.check_output([home / ".local/bin/stillroom"], text=True)
    assert said == "started\n"
    entry = (home / ".local/share/applications/stillroom.desktop").read_text()
    assert f'Exec="{installed}/stillroom" %u' in entry
    (installed / "_internal" / "stale").touch()
    (installed / "notes.txt").write_text("the user's own")
    assert run().returncode == 0
    assert not (installed / "_internal" / "stale").exists()
    assert run("--remove").returncode == 0
    left = [path.name for path in home.rglob("*") if path.is_file() or path.is_symlink()]
    assert "notes.txt" in left
    assert not [name for name in left if "stillroom" in name]  # the caches of types are everyone's

    elsewhere = tmp_path / "a folder"
    assert run(str(elsewhere)).returncode == 0
    desktop = home / ".local/share/applications/stillroom.desktop"
    if validate := shutil.which("desktop-file-validate"):
        subprocess.run([validate, desktop], check=True)
    assert f'Exec="{elsewhere}/stillroom" %u' in desktop.read_text()
    assert run("--remove", str(elsewhere)).returncode == 0
    refused = run(str(tmp_path / "a|b"))
    assert refused.returncode == 1
    assert "Choose another" in refused.stderr
    assert not (tmp_path / "a|b").exists()

    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    damaged = run()
    assert damaged.returncode == 1
    assert "damaged" in damaged.stderr
    assert not (installed / "stillroom").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="a package of Linux")
def test_the_tree_of_a_package(bundle: "object", tmp_path: Path) -> None:
    root = tmp_path / "root"
    script("packages").stage(bundle, root)
    for name in (
        "usr/lib/stillroom/stillroom",
        "usr/share/applications/stillroom.desktop",
        "usr/share/mime/packages/stillroom.xml",
        "usr/share/icons/hicolor/scalable/apps/stillroom.svg",
        "usr/share/icons/hicolor/64x64/apps/stillroom.png",
        "usr/share/metainfo/app.stillroom.Stillroom.metainfo.xml",
        "usr/share/doc/stillroom/copyright",
    ):
        assert (root / name).is_file(), name
    assert not [path for path in root.rglob("*") if "autostart" in str(path)]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux signs with GnuPG")
@pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed")
def test_packages_are_signed_where_there_is_a_key(
    bundle: "object", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = script("signing")
    package = tmp_path / "stillroom.deb"
    package.write_bytes(b"package")
    assert signing.sign_packages([package]) == []
    assert bundle.file(".run").name.endswith("-unsigned.run")  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory(prefix="gpg") as home:  # its sockets need a short path
        monkeypatch.setenv("GNUPGHOME", home)
        made = ["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "test@stillroom.invalid"]
        subprocess.run(made, check=True, capture_output=True)
        monkeypatch.setenv("STILLROOM_SIGN_GPG", "test@stillroom.invalid")
        (signature,) = signing.sign_packages([package])
        verify = ["gpg", "--batch", "--verify", signature, package]
        assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
        package.write_bytes(b"another")
        assert subprocess.run(verify, capture_output=True, check=False).returncode != 0
        subprocess.run(["gpgconf", "--kill", "all"], check=False, capture_output=True)


@pytest.mark.skipif(not shutil.which("appstreamcli"), reason="appstreamcli is not installed")
@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="it is not installed")
def test_the_tree_of_an_app_image_passes_its_checkers(bundle: "object", tmp_path: Path) -> None:
    tree = script("packages").app_dir(bundle, tmp_path / "AppDir")
    assert subprocess.check_output([tree / "AppRun"], text=True) == "started\n"
    assert (tree / "stillroom.desktop").is_file()
    assert (tree / "stillroom.svg").is_file()


def test_a_pack_of_ours_is_one_the_program_installs(tmp_path: Path) -> None:
    library = tmp_path / "libggml-vulkan.so"
    library.write_bytes(b"stand-in")
    wheel = script("pack").wheel("vulkan", library, tmp_path)
    sha256 = stated_hash(wheel)
    assert sha256 is not None
    pack = install(wheel, sha256, tmp_path / "packs")
    assert pack.name == "stillroom_llama_vulkan"
    assert script("engine").locked_engine().startswith(f"llama-cpp-python=={pack.version}")
    assert device_libraries(pack.folder / pack.name)[0].read_bytes() == b"stand-in"


def test_the_engine_is_pinned_and_has_a_library_for_each_generation() -> None:
    engine = script("engine")
    assert engine.locked_engine().startswith("llama-cpp-python==")
    assert "--hash=sha256:" in engine.locked_engine()
    assert engine.PORTABLE["GGML_NATIVE"] == "OFF"
    assert engine.PORTABLE["GGML_CPU_ALL_VARIANTS"] == "ON"

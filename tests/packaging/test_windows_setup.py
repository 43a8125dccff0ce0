"""The Windows setup program, with a stand-in payload: it compiles without a warning, and under
wine it installs, upgrades and uninstalls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "installers" / "windows" / "stillroom.nsi"

needs_nsis = pytest.mark.skipif(
    shutil.which("makensis") is None, reason="makensis is not installed (Debian package nsis)"
)
WINE = shutil.which("wine64") or shutil.which("wine")


def payload(folder: Path, version: str, *names: str) -> Path:
    """A folder that looks like the frozen one."""
    for name in ("stillroom.exe", "stillroom-gui.exe", *(f"_internal/{each}" for each in names)):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{name} {version}")
    return folder


def setup_program(tmp_path: Path, version: str, *names: str) -> Path:
    """The compiled setup program of one version; every warning is an error."""
    icon = tmp_path / "stillroom.ico"
    picture = b"\x89PNG\r\n\x1a\n"
    head = b"\0\0\1\0\1\0" + bytes([16, 16, 0, 0, 1, 0, 32, 0])
    icon.write_bytes(head + len(picture).to_bytes(4, "little") + b"\x16\0\0\0" + picture)
    output = tmp_path / f"stillroom-{version}-install.exe"
    defined = {
        "PAYLOAD": payload(tmp_path / version, version, *names),
        "OUTPUT": output,
        "VERSION": version,
        "ICON": icon,
        "TARGET": "amd64-unicode",  # Debian's wine64 runs no 32-bit programs
    }
    options = [f"-D{name}={value}" for name, value in defined.items()]
    command = ["makensis", "-V2", "-WX", *options, str(SCRIPT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return output


@needs_nsis
def test_the_script_compiles_without_a_warning(tmp_path: Path) -> None:
    program = setup_program(tmp_path, "0.1.0", "base.dll")
    assert program.read_bytes()[:2] == b"MZ"


class Wine:
    """Windows programs in a prefix of their own."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "DISPLAY"},
            "WINEPREFIX": str(prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
        }

    def run(self, *command: str) -> str:
        assert WINE is not None
        result = subprocess.run(
            [WINE, *command],
            env=self._environment, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout

    def registry(self, key: str) -> str:
        return self.run("reg", "query", key, "/s")

    def local(self) -> Path:
        (users,) = self.prefix.glob("drive_c/users/*/AppData/Local")
        return users


@pytest.mark.slow
@pytest.mark.timeout(900)
@needs_nsis
@pytest.mark.skipif(WINE is None, reason="wine is not installed (Debian package wine64)")
def test_install_upgrade_and_uninstall(tmp_path: Path) -> None:
    first = setup_program(tmp_path, "0.1.0", "base.dll", "stale.dll")
    second = setup_program(tmp_path, "0.2.0", "base.dll")
    wine = Wine(tmp_path / "prefix")
    wine.run("wineboot", "--init")
    wine.run(str(first), "/S")
    installed = wine.local() / "Programs" / "Stillroom"
    assert (installed / "stillroom-gui.exe").read_text() == "stillroom-gui.exe 0.1.0"
    assert (installed / "_internal" / "stale.dll").is_file()
    link = wine.registry(r"HKCU\Software\Classes\stillroom")
    assert "URL Protocol" in link
    assert 'stillroom-gui.exe" "%1"' in link
    assert "Stillroom.gguf" in wine.registry(r"HKCU\Software\Classes\.gguf")
    (installed / "notes.txt").write_text("the user's own")

    wine.run(str(second), "/S")
    assert (installed / "stillroom-gui.exe").read_text() == "stillroom-gui.exe 0.2.0"
    assert not (installed / "_internal" / "stale.dll").exists()
    key = r"HKCU\Software\Microsoft\Windows\CurrentVersion\Uninstall\Stillroom"
    assert "0.2.0" in wine.registry(key)

    wine.run(str(installed / "uninstall.exe"), "/S", f"_?={_windows(installed)}")
    left = {path.name for path in installed.iterdir()} if installed.exists() else set()
    assert left <= {"notes.txt", "uninstall.exe"}  # run with _=? it cannot delete itself
    assert "notes.txt" in left
    assert not list(wine.prefix.rglob("Stillroom.lnk"))
    classes = wine.registry(r"HKCU\Software\Classes")
    assert "tillroom" not in classes


def _windows(path: Path) -> str:
    """A path of this machine as wine's programs name it."""
    return "C:" + str(path).partition("drive_c")[2].replace("/", "\\")

"""Packages of the frozen folder: .deb, .rpm, .tar.zst, .run, AppImage; NSIS and .zip; .dmg.

Each function takes the frozen folder and returns the file it made. Knows the packaging tools, not
how the folder was made. Standard library only.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LINUX = HERE / "linux"
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}
# Files of a package have one date, so that the same folder gives the same bytes.
EPOCH = "1700000000"


@dataclass(frozen=True)
class Bundle:
    """The frozen folder, the folder of its icons, its version, and where packages go.

    unsigned: no signing key was at hand; the names of the files say so.
    """

    folder: Path
    icons: Path
    version: str
    output: Path
    unsigned: bool = True

    def file(self, ending: str) -> Path:
        """A package's path: name, version, system, machine."""
        machine = platform.machine().lower()
        return self.output / f"stillroom-{self.version}-{_SYSTEM}-{machine}{self.mark}{ending}"

    @property
    def mark(self) -> str:
        """What stands at the end of a name of an unsigned file."""
        return "-unsigned" if self.unsigned else ""


_SYSTEM = {"win32": "windows", "darwin": "macos"}.get(sys.platform, sys.platform)


def run(command: Sequence[str | Path], **variables: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **variables}
    subprocess.run([str(part) for part in command], check=True, env=environment)


# -- Linux ----------------------------------------------------------------------------------------


def stage(bundle: Bundle, root: Path) -> None:
    """The tree that a package installs below `root`."""
    shutil.copytree(bundle.folder, root / "usr/lib/stillroom", symlinks=True)
    share = root / "usr/share"
    licence = HERE.parent / "LICENSE"
    for source, target in (
        (LINUX / "stillroom.desktop", share / "applications/stillroom.desktop"),
        (LINUX / "stillroom-mime.xml", share / "mime/packages/stillroom.xml"),
        (
            LINUX / "app.stillroom.Stillroom.metainfo.xml",
            share / "metainfo/app.stillroom.Stillroom.metainfo.xml",
        ),
        (bundle.icons / "stillroom.svg", share / "icons/hicolor/scalable/apps/stillroom.svg"),
        (licence, share / "doc/stillroom/copyright"),
        *(
            (file, share / f"icons/hicolor/{file.stem}x{file.stem}/apps/stillroom.png")
            for file in bundle.icons.glob("*.png")
        ),
    ):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def nfpm(bundle: Bundle, packager: str, output: Path) -> Path:
    """A .deb or .rpm."""
    with tempfile.TemporaryDirectory(dir=bundle.output) as folder:
        stage(bundle, Path(folder))
        variables = {"ARCH": DEBIAN[platform.machine()], "VERSION": bundle.version, "STAGE": folder}
        tool = Path(sys.executable).with_name("nfpm")
        command: list[str | Path] = [tool, "package", "--packager", packager, "--target", output]
        run([*command, "--config", LINUX / "nfpm.yaml"], **variables)
    return output


def deb(bundle: Bundle) -> Path:
    """nfpm's own compressor takes 5 minutes and leaves 201 MB; dpkg's takes one and leaves 182."""
    output = (
        bundle.output / f"stillroom_{bundle.version}_{DEBIAN[platform.machine()]}{bundle.mark}.deb"
    )
    with tempfile.TemporaryDirectory(dir=bundle.output) as folder:
        plain, tree = Path(folder) / "plain.deb", Path(folder) / "tree"
        run(["dpkg-deb", "--raw-extract", nfpm(bundle, "deb", plain), tree])
        run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z6", "--build", tree, output])
    return output


def rpm(bundle: Bundle) -> Path:
    name = f"stillroom-{bundle.version}-1.{platform.machine()}{bundle.mark}.rpm"
    return nfpm(bundle, "rpm", bundle.output / name)


def _tar(bundle: Bundle, output: Path, compressor: str) -> Path:
    command = [
        "tar",
        "--sort=name",
        f"--mtime=@{EPOCH}",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]
    run([*command, "-I", compressor, "-cf", output, "-C", bundle.folder.parent, bundle.folder.name])
    return output


def tar_zst(bundle: Bundle) -> Path:
    """The portable archive: unpack and start."""
    return _tar(bundle, bundle.file(".tar.zst"), "zstd -T0 -17")


def self_extracting(bundle: Bundle) -> Path:
    """A shell script with the archive behind it, for systems without a package of ours."""
    output = bundle.file(".run")
    archive = _tar(bundle, output.with_suffix(".tar.xz"), "xz -T0 -6")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    header = (LINUX / "run-header.sh").read_text().replace("@SHA256@", digest)
    output.write_bytes(header.encode() + archive.read_bytes())
    output.chmod(0o755)
    archive.unlink()
    return output


def app_dir(bundle: Bundle, folder: Path) -> Path:
    """The tree inside an AppImage, checked."""
    stage(bundle, folder)
    (folder / "AppRun").symlink_to("usr/lib/stillroom/stillroom")
    shutil.copyfile(LINUX / "stillroom.desktop", folder / "stillroom.desktop")
    shutil.copyfile(bundle.icons / "stillroom.svg", folder / "stillroom.svg")
    run(["desktop-file-validate", folder / "stillroom.desktop"])
    run(["appstreamcli", "validate", "--no-net", *folder.glob("usr/share/metainfo/*.xml")])
    return folder


def app_image(bundle: Bundle, runtime: Path) -> Path:
    """An AppImage: the runtime's program, then the tree as a file system."""
    output = bundle.file(".AppImage")
    with tempfile.TemporaryDirectory(dir=bundle.output) as folder:
        tree = app_dir(bundle, Path(folder) / "AppDir")
        squashed = Path(folder) / "tree.squashfs"
        run(["mksquashfs", tree, squashed, "-comp", "zstd", "-root-owned", "-noappend", "-quiet"])
        output.write_bytes(runtime.read_bytes() + squashed.read_bytes())
    output.chmod(0o755)
    return output


# -- Windows --------------------------------------------------------------------------------------


def nsis(bundle: Bundle) -> Path:
    """The per-user setup program; warnings of the compiler are errors."""
    output = bundle.file("-install.exe")
    defined = {
        "PAYLOAD": bundle.folder,
        "OUTPUT": output,
        "VERSION": bundle.version,
        "ICON": bundle.icons / "stillroom.ico",
    }
    options = [f"-D{name}={value}" for name, value in defined.items()]
    run(["makensis", "-V2", "-WX", *options, HERE / "windows/stillroom.nsi"])
    return output


def portable_zip(bundle: Bundle) -> Path:
    output = bundle.file("-portable.zip")
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(bundle.folder.rglob("*")):
            archive.write(file, file.relative_to(bundle.folder.parent))
    return output


# -- macOS ----------------------------------------------------------------------------------------


def dmg(bundle: Bundle) -> Path:
    """A disk image with the application and a link to where it belongs."""
    output = bundle.file(".dmg")
    with tempfile.TemporaryDirectory(dir=bundle.output) as folder:
        application = bundle.folder.with_name("Stillroom.app")
        shutil.copytree(application, Path(folder) / application.name, symlinks=True)
        (Path(folder) / "Applications").symlink_to("/Applications")
        command = ["hdiutil", "create", "-volname", "Stillroom", "-fs", "HFS+", "-format", "ULMO"]
        run([*command, "-ov", "-srcfolder", folder, output])
    return output


FORMATS: dict[str, dict[str, Callable[[Bundle], Path]]] = {
    "linux": {"deb": deb, "rpm": rpm, "tar.zst": tar_zst, "run": self_extracting},
    "win32": {"setup": nsis, "zip": portable_zip},
    "darwin": {"dmg": dmg},
}


def checksums(files: Sequence[Path], output: Path) -> Path:
    """SHA256SUMS beside the files, as `sha256sum -c` reads it."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (output / "SHA256SUMS").write_text("".join(sorted(lines)))
    return output / "SHA256SUMS"

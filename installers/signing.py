"""Signs what an installer is made of and what it becomes, where the environment names a key.

    STILLROOM_SIGN_GPG       Linux: key id in GnuPG's keyring; a detached signature beside each file
    STILLROOM_SIGN_PFX       Windows: a .pfx file; STILLROOM_SIGN_PASSWORD opens it (signtool)
    STILLROOM_SIGN_IDENTITY  macOS: an identity of the keychain; STILLROOM_NOTARY_PROFILE names the
                             notarytool profile (codesign, notarytool)

Without a key nothing is signed and the packages' names say so. Knows the systems' tools, not how
packages are made. Standard library only.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_KEYS = {"win32": "STILLROOM_SIGN_PFX", "darwin": "STILLROOM_SIGN_IDENTITY"}
TIMESTAMPS = "http://timestamp.digicert.com"  # a signature is to outlive its certificate


def key(environment: Mapping[str, str] = os.environ) -> str:
    """The key of this system, "" where there is none."""
    return environment.get(_KEYS.get(sys.platform, "STILLROOM_SIGN_GPG"), "")


def sign_programs(folder: Path) -> None:
    """Sign the frozen programs before they are packaged; Linux signs packages alone."""
    if not key():
        return
    if sys.platform == "win32":
        _signtool(sorted(folder.glob("*.exe")))
    elif sys.platform == "darwin":
        command = ["codesign", "--force", "--deep", "--timestamp", "--options", "runtime"]
        _run([*command, "--sign", key(), folder.with_name("Stillroom.app")])


def sign_packages(files: Sequence[Path]) -> list[Path]:
    """Sign finished packages; returns the signatures that lie beside them."""
    if not key():
        return []
    signatures: list[Path] = []
    if sys.platform == "win32":
        _signtool([file for file in files if file.suffix == ".exe"])
    elif sys.platform == "darwin":
        profile = os.environ["STILLROOM_NOTARY_PROFILE"]
        for file in files:
            _run(["codesign", "--force", "--timestamp", "--sign", key(), file])
            _run(["xcrun", "notarytool", "submit", file, "--keychain-profile", profile, "--wait"])
            _run(["xcrun", "stapler", "staple", file])
    else:
        signatures = [_detached(file) for file in files]
    return signatures


def _detached(file: Path) -> Path:
    signature = file.with_name(f"{file.name}.asc")
    command = ["gpg", "--batch", "--yes", "--local-user", key(), "--armor", "--detach-sign"]
    _run([*command, "--output", signature, file])
    return signature


def _signtool(files: Sequence[Path]) -> None:
    command = ["signtool", "sign", "/fd", "SHA256", "/tr", TIMESTAMPS, "/td", "SHA256"]
    command += ["/f", key(), "/p", os.environ.get("STILLROOM_SIGN_PASSWORD", "")]
    _run([*command, *files])


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run([str(part) for part in command], check=True)

"""Where the access token for a hub is kept: the system's keyring, or a private file without one.

Knows keyring and file permissions. Does not know what a token is for, and never logs one.
"""

import contextlib
import json
from pathlib import Path
from typing import Protocol

from app.errors import SettingsError
from quant.files import write_json_atomically

_SERVICE = "stillroom"


class Keyring(Protocol):
    """The part of a keyring backend that is used."""

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


def system_keyring() -> Keyring | None:
    """The system's keyring, or None where there is no usable one."""
    import keyring  # late: it looks for backends on import, and most sessions need no token

    backend = keyring.get_keyring()
    return backend if float(backend.priority) >= 1 else None


def _refusal() -> type[Exception]:
    """What a keyring raises."""
    from keyring.errors import KeyringError

    return KeyringError


class TokenStore:
    """One token per endpoint. Calls may block on the system's keyring: keep them off the window's
    thread."""

    def __init__(self, file: Path, backend: Keyring | None) -> None:
        self._file = file
        self._backend = backend

    def get(self, endpoint: str) -> str | None:
        """The token for `endpoint`, or None."""
        if self._backend is not None:
            with contextlib.suppress(_refusal()):
                token = self._backend.get_password(_SERVICE, endpoint)
                if token:
                    return token
        return self._read().get(endpoint)

    def set(self, endpoint: str, token: str) -> str:
        """Save `token`; returns where: "keyring" or "file". SettingsError for what is no token."""
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise SettingsError(key="token", reason="no_token")
        if self._backend is not None:
            try:
                self._backend.set_password(_SERVICE, endpoint, token)
            except _refusal():
                pass  # locked or unreachable: the file is next
            else:
                self._write({k: v for k, v in self._read().items() if k != endpoint})
                return "keyring"
        self._write(self._read() | {endpoint: token})
        return "file"

    def delete(self, endpoint: str) -> None:
        """Delete the token for `endpoint`, wherever it is."""
        if self._backend is not None:
            with contextlib.suppress(_refusal()):
                self._backend.delete_password(_SERVICE, endpoint)
        self._write({k: v for k, v in self._read().items() if k != endpoint})

    def _read(self) -> dict[str, str]:
        try:
            data = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(k): str(v) for k, v in data.items()} if isinstance(data, dict) else {}

    def _write(self, tokens: dict[str, str]) -> None:
        if not tokens:
            self._file.unlink(missing_ok=True)
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._file, tokens, mode=0o600)

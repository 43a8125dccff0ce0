"""The remote models a user has named: their addresses in a file, their keys in the token store.

Opens no connection. A key belongs to a name and an address together: another address under the
same name does not get it.
"""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from app.errors import SettingsError, UnknownModel, UnsafeEndpoint
from app.hub.endpoint import check_endpoint
from app.hub.tokens import TokenStore
from quant.files import write_json_atomically

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Endpoint:
    """One remote model. `url` is the API's base ("https://host/v1"), without a final slash.

    `model` is the server's name for it; empty means the only one it lists. `insecure` endpoints
    may be reached without https although they are not on this machine. `proxy` is the address of
    a proxy of its own; empty follows the environment.
    """

    name: str
    url: str
    model: str = ""
    insecure: bool = False
    proxy: str = ""

    @property
    def key_name(self) -> str:
        """What the token store knows its key by."""
        return f"remote {self.name} {self.url}"


class Endpoints:
    """All remote models of one user."""

    def __init__(self, file: Path, tokens: Callable[[], TokenStore]) -> None:
        self._file = file
        self._tokens = tokens

    def all(self) -> tuple[Endpoint, ...]:
        """Every remote model by name. Raises SettingsError for a file that cannot be understood."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return ()
        try:
            return tuple(sorted(msgspec.json.decode(data, type=list[Endpoint]), key=_by_name))
        except msgspec.MsgspecError as error:
            raise SettingsError(
                path=str(self._file), key="remotes", reason="bad_list", detail=str(error)
            ) from error

    def find(self, name: str) -> Endpoint | None:
        return next((each for each in self.all() if each.name == name), None)

    def key(self, endpoint: Endpoint) -> str | None:
        """Its key, or None. May block on the system's keyring."""
        return self._tokens().get(endpoint.key_name)

    def add(self, endpoint: Endpoint, key: str | None) -> str | None:
        """Save an endpoint, replacing one of the same name; returns where the key is saved.

        Raises SettingsError for an invalid name, UnsafeEndpoint for an invalid address, or one that
        leaves this machine without https although that was not allowed explicitly.
        """
        if not _NAME.fullmatch(endpoint.name):
            raise SettingsError(key="name", reason="bad_name", value=endpoint.name)
        if not check_endpoint(endpoint.url) and not endpoint.insecure:
            raise UnsafeEndpoint(endpoint=endpoint.url, reason="prompts_readable")
        if endpoint.proxy:
            check_endpoint(endpoint.proxy)
        before = self.find(endpoint.name)
        if before is not None and before.key_name != endpoint.key_name:
            self._tokens().delete(before.key_name)
        kept = self._tokens().set(endpoint.key_name, key) if key else None
        self._write([*(e for e in self.all() if e.name != endpoint.name), endpoint])
        return kept

    def remove(self, name: str) -> Endpoint:
        """Remove an endpoint and its key. Raises UnknownModel."""
        endpoint = self.find(name)
        if endpoint is None:
            raise UnknownModel(name=name, suggestions=[each.name for each in self.all()])
        self._tokens().delete(endpoint.key_name)
        self._write([each for each in self.all() if each.name != name])
        return endpoint

    def _write(self, endpoints: list[Endpoint]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._file, [asdict(each) for each in endpoints], mode=0o600)


def api_base(address: str) -> str:
    """The API's base at an address as people give it: without a path it is "/v1"."""
    url = address.rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def _by_name(endpoint: Endpoint) -> str:
    return endpoint.name

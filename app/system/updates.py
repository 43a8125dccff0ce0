"""Whether a newer version exists: asked only when the user asks, shown, never downloaded.

The address of a small JSON document ({"version", "notes", "page"}) is a setting; an installer of a
release brings its own (installers/app.spec). Knows that
document and the hub library's HTTP client with its time limits.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from app import __version__
from app.errors import HubUnavailable, NotAHubAnswer, Offline, SettingsError, UnsafeEndpoint
from app.hub.endpoint import check_endpoint, failure_kind
from app.hub.huggingface import load_library
from app.settings import Settings

BUILT_IN = Path(__file__).parents[1] / "updates-address.txt"
_LARGEST = 64 << 10  # bytes of the document
_NUMBERS = re.compile(r"\d+(\.\d+)*")


class Release(msgspec.Struct, frozen=True):
    """The newest version: release notes as plain text, and the page to get it from."""

    version: str
    notes: str = ""
    page: str = ""

    @property
    def is_newer(self) -> bool:
        return version_key(self.version) > version_key(__version__)


def version_key(version: str) -> tuple[int, ...]:
    """Numbers to compare versions by; what follows the numbers does not count."""
    found = _NUMBERS.match(version.removeprefix("v"))
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def newest_release(settings: Settings, cache: Path, built_in: Path = BUILT_IN) -> Release:
    """Ask the address in the settings, else the one in the file `built_in`. One request, no retry.

    Raises SettingsError without an address, UnsafeEndpoint, Offline, HubUnavailable, NotAHubAnswer.
    """
    address = settings.updates_address or _built_in_address(built_in)
    if not address:
        raise SettingsError(key="updates_address", reason="no_address")
    if not check_endpoint(address):
        raise UnsafeEndpoint(endpoint=address, reason="https_needed")
    if settings.offline:
        raise Offline(endpoint=address, kind="setting")
    library = load_library(cache)
    try:
        answer = library.session().get(address, headers={"Accept": "application/json"})
    except library.request_error as error:
        raise Offline(
            endpoint=address, kind=failure_kind(error), detail=str(error) or type(error).__name__
        ) from error
    if answer.status_code != 200:
        raise HubUnavailable(endpoint=address, status=answer.status_code)
    return _release(answer.content, address)


def _built_in_address(file: Path) -> str:
    """The address that this copy's installer brought, "" without one."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _release(content: bytes, address: str) -> Release:
    try:
        if len(content) > _LARGEST:
            raise msgspec.ValidationError("it is too large")
        release = msgspec.json.decode(content, type=Release)
        if not version_key(release.version):
            raise msgspec.ValidationError("it names no version")
    except msgspec.MsgspecError as error:
        raise NotAHubAnswer(endpoint=address, url=address, detail=str(error)) from error
    if urlsplit(release.page).scheme != "https":
        return msgspec.structs.replace(release, page="")
    return release

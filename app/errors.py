"""The errors of the application layer. They carry facts; `app.wording.explain` alone words them.

AppError
├── SystemRefused             an OSError that is kept and reported later
├── Unexpected                a fault of the program, its traceback is in the log
├── CatalogError
├── SettingsError
├── StoreError
├── UnknownModel
├── UnknownConversation
├── UnreadableFile            an attachment
├── LibraryError              the models folder
│   ├── LibraryRefused
│   ├── AlreadyInstalled
│   ├── DamagedModel
│   ├── LibraryBusy           other work on the folder as a whole is running
│   ├── ImportRefused
│   └── PackRefused           an add-on pack
├── HubError                  between here and the hub
│   ├── Offline
│   ├── NotAHubAnswer         a sign-in page or a proxy answered
│   ├── GatedModel
│   ├── RepoNotFound          missing, or private
│   ├── RevisionNotFound
│   ├── RemoteFileNotFound
│   ├── TokenRefused
│   ├── RateLimited
│   ├── HubUnavailable
│   ├── UnsafeEndpoint
│   └── BadRemoteHeader
└── DownloadError             what can stop a download
    ├── ChecksumMismatch
    ├── DiskFull
    ├── Interrupted           the part is kept
    ├── ServerMisbehaved      the part is kept
    ├── DownloadBusy          another process is downloading the same file
    └── PackageUnavailable
"""

from typing import Literal

from quant.error_base import LogOnly, StillroomError

OfflineKind = Literal["setting", "no network", "dns", "refused", "timeout", "tls", "broken"]


class AppError(StillroomError):
    """Base of all application errors."""


class SystemRefused(AppError):
    """The operating system refused something; `detail` is its own words."""

    detail: str


class Unexpected(AppError):
    """A fault of the program that ended some work; `name` is the exception's class."""

    name: str
    detail: str


class CatalogError(AppError):
    """`entry` is an id or an index, "" for the file as a whole."""

    path: str
    entry: str
    field: str
    reason: str


class SettingsError(AppError):
    """`path` is None when the setting does not come from a file."""

    key: str
    reason: str
    path: str | None = None
    value: str | int | float | None = None
    choices: list[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    expected: str | None = None
    detail: str | None = None


class StoreError(AppError):
    path: str
    reason: str


class UnknownModel(AppError):
    """`suggestions` are names that come close, best first."""

    name: str
    suggestions: list[str]


class UnknownConversation(AppError):
    """`name` is what a person called it: a number or words of its title."""

    name: str
    reason: Literal["missing", "several"]


class UnreadableFile(AppError):
    name: str
    reason: Literal["too_large", "binary", "damaged", "empty", "missing"]


class LibraryError(AppError):
    """Base of what can go wrong with the models folder; `path` is its own or a file's."""

    path: str


class LibraryRefused(LibraryError):
    """`name` is there where one model is to blame."""

    reason: str
    name: str | None = None


class AlreadyInstalled(LibraryError):
    name: str


class DamagedModel(LibraryError):
    """`expected` and `got` are SHA-256, or sizes in bytes."""

    name: str
    expected: LogOnly[str | int]
    got: LogOnly[str | int]


class LibraryBusy(LibraryError):
    """Other work on the models folder as a whole is running."""


class ImportRefused(LibraryError):
    reason: str


class PackRefused(LibraryError):
    """An add-on pack cannot be installed or removed."""

    reason: str


class HubError(AppError):
    """Base of what can go wrong between here and the hub. `endpoint` is "" where it is not
    known."""

    endpoint: str = ""


class Offline(HubError):
    """`detail` is the system's own words."""

    kind: OfflineKind
    detail: str = ""


class NotAHubAnswer(HubError):
    """Something between here and the hub answered in its place."""

    url: str
    content_type: str = ""
    detail: str = ""


class GatedModel(HubError):
    """`url` is the page where access is asked for."""

    repo: str
    url: str
    token_sent: bool


class RepoNotFound(HubError):
    """The hub does not tell missing from private."""

    repo: str
    url: str
    token_sent: bool


class RevisionNotFound(HubError):
    repo: str
    revision: str


class RemoteFileNotFound(HubError):
    repo: str
    path: str


class TokenRefused(HubError):
    pass


class RateLimited(HubError):
    """`retry_after` is in seconds, None when the hub did not say."""

    retry_after: float | None


class HubUnavailable(HubError):
    status: int
    retry_after: float | None = None


class UnsafeEndpoint(HubError):
    """A token goes over https or loopback only."""

    reason: str


class BadRemoteHeader(HubError):
    repo: str
    path: str
    reason: str


class DownloadError(AppError):
    """Base of what can stop a download; `path` is the final name, which was not touched."""

    path: str


class ChecksumMismatch(DownloadError):
    """`expected` and `got` are hex digests, `size` is in bytes."""

    expected: LogOnly[str]
    got: LogOnly[str]
    size: LogOnly[int | None] = None


class DiskFull(DownloadError):
    """Amounts in bytes; `reserve` is what is to stay free beside what is needed."""

    needed: int
    available: int
    reserve: int = 0


class Interrupted(DownloadError):
    """Amounts in bytes. `reason` is the JSON of the error that the last attempt ended with. The
    part is kept."""

    received: int
    total: int | None
    attempts: int
    reason: dict[str, object]


class ServerMisbehaved(DownloadError):
    """The part is kept."""

    url: str
    reason: str


class DownloadBusy(DownloadError):
    """Another process is downloading the same file."""


class PackageUnavailable(DownloadError):
    """A package of the index; `exit_code` is pip's, None where it was not run."""

    path: str = ""
    package: str
    version: str
    exit_code: int | None
    output_tail: LogOnly[str]

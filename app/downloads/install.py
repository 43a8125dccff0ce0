"""Download one model from the hub and install it: disk space checked, files verified, one step.

Knows the order of the steps and where unfinished downloads lie (ROOT/.downloads). Does not queue,
and does not know why a model is wanted.
"""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.downloads.download import RESERVE, Downloaded, Limits, Retry, download_all, reserve_all
from app.downloads.part_file import part_allocated, part_received
from app.errors import AlreadyInstalled, DiskFull, RemoteFileNotFound
from app.hub.client import Hub
from app.hub.values import RemoteFile, Variant, WeightFormat
from app.library.folder import InstalledModel, Library, safe_name
from runtime.progress import CancelToken, OnProgress, Progress, ignore_progress

CheckFile = Callable[[Path, CancelToken], None]


@dataclass(frozen=True)
class ModelRequest:
    """A model to download: which files, at which commit, and the name it gets in the library.

    source: what the library says it came from: a catalog id, else the repository.
    """

    name: str
    repo: str
    commit: str
    files: tuple[RemoteFile, ...]
    format: WeightFormat
    source: str
    licence: str | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all files; None when the hub hides one of the sizes."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def request_for(
    variant: Variant, *, name: str = "", source: str = "", licence: str | None = None
) -> ModelRequest:
    """The request for a variant of a repository; by default named after both."""
    first = variant.files[0]
    last = first.repo.split("/")[-1]
    label = "" if variant.label.lower() in last.lower() else f"-{variant.label}"
    return ModelRequest(
        name=name or safe_name(f"{last}{label}".lower()),
        repo=first.repo,
        commit=first.commit,
        files=variant.files,
        format=variant.format,
        source=source or first.repo,
        licence=licence,
    )


def download_folder(library: Library, request: ModelRequest) -> Path:
    """Where the parts of this request lie until it is complete: the same for every attempt.

    The commit is not part of it: a file that a newer commit left unchanged is resumed.
    """
    content = json.dumps([request.repo, sorted(f.path for f in request.files)])
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    return library.root / ".downloads" / f"{request.name}-{key}"


def received_bytes(library: Library, request: ModelRequest) -> int:
    """Bytes of this request that are on the disk already, finished files and parts."""
    folder = download_folder(library, request)
    total = 0
    for target in _targets(folder, request).values():
        total += target.stat().st_size if target.is_file() else part_received(target)
    return total


def discard(library: Library, request: ModelRequest) -> None:
    """Remove what an unfinished download of this request left."""
    shutil.rmtree(download_folder(library, request), ignore_errors=True)


def fetch_model(
    request: ModelRequest,
    hub: Hub,
    library: Library,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    *,
    limits: Limits | None = None,
    retry: Retry | None = None,
    check: CheckFile | None = None,
) -> InstalledModel:
    """Download, verify and install. An older version of the same model is replaced; another model
    of the same name stays, and the new one gets a name that is free.

    check: reads the header of the main file before it is installed (in a child process) and raises
    if no engine can use it. Raises what `app.downloads.download.download` raises, LibraryError,
    Cancelled and what `check` raises; what was downloaded stays for the next attempt.
    """
    cancel = cancel or CancelToken()
    limits = limits or Limits()
    folder = download_folder(library, request)
    targets = _targets(folder, request)
    sources = {path: hub.source(file, cancel) for path, file in _by_path(request).items()}
    _require_room(folder, {targets[p]: s.size for p, s in sources.items()}, limits.reserve)
    files = [(sources[path], targets[path]) for path in sources]
    reserve_all(files, limits)
    done = download_all(files, on_progress, cancel, limits=limits, retry=retry)
    main = _main_file(request)
    if check is not None and main is not None:
        on_progress(Progress("check", 0, None, "steps", main))
        check(folder / main, cancel)
    cancel.raise_if_cancelled()
    return _install(request, library, folder, done)


def _install(
    request: ModelRequest, library: Library, folder: Path, done: tuple[Downloaded, ...]
) -> InstalledModel:
    digests = {file.path.relative_to(folder).as_posix(): file.sha256 for file in done}
    while True:
        name, replace = _place_for(request, library)
        try:
            return library.add(
                folder,
                name=name,
                format=request.format,
                source=request.source,
                main=_main_file(request),
                revision=request.commit,
                licence=request.licence,
                digests=digests,
                replace=replace,
                verified=all(file.verified for file in done),
            )
        except AlreadyInstalled:
            continue  # another download has just taken the name


def _place_for(request: ModelRequest, library: Library) -> tuple[str, bool]:
    """The name to install under, and whether what is there is an older version to be replaced."""
    main = _main_file(request)
    for name in _names(request):
        there = library.find(name)
        if there is None:
            return name, False
        same_file = main is None or there.path.name == PurePosixPath(main).name
        if (there.source, there.format) == (request.source, request.format) and same_file:
            return there.name, True
    raise AssertionError("names do not end")


def _names(request: ModelRequest) -> Iterator[str]:
    """The names a request may get, best first: its own, with its owner, with a number."""
    yield request.name
    owned = safe_name(f"{request.repo.split('/')[0]}-{request.name}".lower())
    yield owned
    for number in itertools.count(2):
        yield f"{owned}-{number}"


def _by_path(request: ModelRequest) -> dict[str, RemoteFile]:
    """The files by the path they get: that in the repository, less the folder common to all."""
    if not request.files:
        raise RemoteFileNotFound(endpoint="", repo=request.repo, path="")
    parents = [PurePosixPath(file.path).parent.parts for file in request.files]
    shared = 0
    while all(len(p) > shared and p[shared] == parents[0][shared] for p in parents):
        shared += 1
    return {str(PurePosixPath(*PurePosixPath(f.path).parts[shared:])): f for f in request.files}


def _targets(folder: Path, request: ModelRequest) -> dict[str, Path]:
    return {path: folder / path for path in _by_path(request)}


def _main_file(request: ModelRequest) -> str | None:
    """What an engine is given: the first GGUF file; the folder itself (None) for other formats."""
    if request.format != "gguf":
        return None
    return min(path for path in _by_path(request) if path.lower().endswith(".gguf"))


def _require_room(folder: Path, sizes: dict[Path, int], reserve: int = RESERVE) -> None:
    """Raise DiskFull before the first byte if all files together do not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    needed = 0
    for target, size in sizes.items():
        held = size if target.is_file() else part_allocated(target)
        needed += max(size - held, 0)
    available = shutil.disk_usage(folder).free
    if needed and available < needed + reserve:
        raise DiskFull(path=str(folder), needed=needed, available=available, reserve=reserve)

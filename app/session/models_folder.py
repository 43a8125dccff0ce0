"""The models folder as a whole: import, clean up, move.

Combines the library's housekeeping with the download queue, whose unfinished parts are no
leftovers, and with the setting that names the folder. Contains no texts.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from app.downloads.install import download_folder
from app.library.folder import TrashedModel
from app.library.housekeeping import (
    Duplicate,
    Orphan,
    disk_use,
    duplicates,
    move_library,
    orphans,
    remove_orphans,
)
from app.library.importers import (
    FoundModel,
    default_folders,
    find_models,
    found_file,
    found_folder,
)
from app.session.session import Session
from app.settings import Settings, save
from runtime.progress import CancelToken, OnProgress, ignore_progress


@dataclass(frozen=True)
class FolderSurvey:
    """The state of the models folder. Sizes in bytes; `use` excludes linked files."""

    folder: Path
    use: int
    orphans: tuple[Orphan, ...]
    duplicates: tuple[Duplicate, ...]
    trash: tuple[TrashedModel, ...]

    @property
    def removable(self) -> int:
        """What `clean` would free."""
        return sum(o.size for o in self.orphans) + sum(t.size for t in self.trash)


def survey(session: Session) -> FolderSurvey:
    """What is in the models folder, and which files are left over."""
    library = session.library
    queued = [download_folder(library, item.request) for item in session.download_queue().items()]
    return FolderSurvey(
        library.root,
        disk_use(library),
        orphans(library, queued),
        duplicates(library),
        library.trash(),
    )


def clean(session: Session) -> int:
    """Delete the orphans that `survey` finds, and empty the trash; returns the bytes freed."""
    found = survey(session).orphans
    return remove_orphans(session.library, found) + session.library.empty_trash()


def importable(session: Session, path: Path | None = None) -> tuple[FoundModel, ...]:
    """Models that other programs have here, or those of a file or folder the user names; none that
    is in the library. Raises ImportRefused for a file that is no model."""
    if path is None:
        return find_models(default_folders(Path.home(), os.environ), session.library)
    if path.is_dir():
        whole = found_folder(path)
        return (whole,) if whole else find_models((("file", path),), session.library)
    return (found_file(path),)


def move_models(
    session: Session,
    folder: Path,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
) -> Settings:
    """Move all models and unfinished downloads to `folder`; returns the settings that name it.

    Raises DownloadBusy while downloads run, DiskFull, LibraryError, Cancelled.
    """
    with session.download_queue().paused():
        session.unload()
        moved = move_library(session.library, folder.expanduser(), on_progress, cancel)
        session.settings = session.settings.with_value("models_folder", str(moved.root))
        save(session.settings, session.paths.settings)
    return session.settings

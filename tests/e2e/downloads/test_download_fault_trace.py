"""A download that fails by a fault of the program says so, and the log has the traceback."""

from collections.abc import Callable
from pathlib import Path

from app.downloads.download import Limits
from app.downloads.install import ModelRequest
from app.downloads.queue import DownloadQueue, QueueItem
from app.gui.models.downloads import error_of
from app.hub.values import RemoteFile
from app.library.folder import InstalledModel, Library
from app.logs import start_logging
from app.unexpected import is_fault
from app.wording.explain import explain
from runtime.progress import CancelToken, OnProgress

SECRET = " ".join(("I", "love", "somebody"))


def failed(folder: Path, error: Exception) -> tuple[QueueItem, str]:
    """A download whose work raises `error`: how it stands in the list, and the log."""

    def fetch(
        _request: ModelRequest, _progress: OnProgress, _cancel: CancelToken, _limits: Limits
    ) -> InstalledModel:
        raise error

    start_logging(folder / "logs" / "stillroom.log")
    ended: list[QueueItem] = []
    queue = DownloadQueue(folder / "queue.json", Library(folder / "models"), fetch, ended.append)
    file = RemoteFile("o/a", "c" * 40, "a.gguf", 10, "0" * 64)
    queue.add(ModelRequest("a", "o/a", "c" * 40, (file,), "gguf", "o/a"))
    queue.start()
    wait = CancelToken()
    for _ in range(500):
        if any(item.state == "failed" for item in ended):
            break
        wait.wait(0.01)
    queue.close()
    again = DownloadQueue(folder / "queue.json", Library(folder / "models"), fetch)
    (item,) = again.items()
    return item, (folder / "logs" / "stillroom.log").read_text()


def test_a_fault_is_told_as_one_and_its_traceback_kept(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("a download failed")
    item, log = failed(tmp_path, ValueError(SECRET))
    error = error_of(item)
    assert error is not None
    assert is_fault(error)
    words = explain(error)
    assert "ValueError" in words.sentence
    assert SECRET in words.sentence
    assert "log has the details" in words.hint
    assert "a download failed\nTraceback (most recent call last):" in log
    assert 'File "app/downloads/queue.py"' in log
    assert "ValueError: (15 characters withheld)" in log
    assert SECRET not in log


def test_what_the_system_refuses_is_no_fault(tmp_path: Path) -> None:
    item, log = failed(tmp_path, PermissionError(13, "Permission denied", f"/a/{SECRET}"))
    error = error_of(item)
    assert error is not None
    assert not is_fault(error)
    assert "Permission denied" in explain(error).sentence
    assert "bug" not in explain(error).hint
    assert "PermissionError: [Errno 13] Permission denied" in log
    assert SECRET not in log

"""The queue over a real hub: order, pause, restart, a lost network, and what is installed."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub_server import Fault, HubFile, HubRepo, HubServer

from app.download import Limits, Retry
from app.errors import DownloadError
from app.fetch import ModelRequest, download_folder, fetch_model, request_for
from app.hub import Hub, Timeouts
from app.hub_values import variants
from app.library import InstalledModel, Library
from app.queue import DownloadQueue, QueueItem
from runtime.errors import CorruptFile
from runtime.jobs import CancelToken, OnProgress

DATA = {name: b"GGUF" + os.urandom(3_000_000) for name in ("a", "b", "c")}
FAST = Retry(tries=2, first=0.01, longest=0.02)


@pytest.fixture
def server() -> Iterator[HubServer]:
    repos = {
        f"o/{name}": HubRepo({f"{name}-Q4_0.gguf": HubFile(data)}, tags=["gguf", "license:mit"])
        for name, data in DATA.items()
    }
    with HubServer(repos) as server:
        yield server


class Desk:
    """A queue with its library, as the application puts them together."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.hub = Hub(folder / "cache", endpoint, timeouts=Timeouts(1, 1, 2))
        self.library = Library(folder / "models")
        self.changes: list[QueueItem] = []
        self.started: list[str] = []
        self.queue = DownloadQueue(
            folder / "downloads.json",
            self.library,
            self.fetch,
            self.changes.append,
            limits=Limits(unit=1 << 20, reserve=0),
            at_once=1,
            retry_first=0.2,
        )

    def fetch(
        self, request: ModelRequest, on_progress: OnProgress, cancel: CancelToken, limits: Limits
    ) -> InstalledModel:
        self.started.append(request.name)
        return fetch_model(
            request, self.hub, self.library, on_progress, cancel, limits=limits, retry=FAST
        )

    def request(self, name: str) -> ModelRequest:
        details = self.hub.details(f"o/{name}")
        return request_for(variants(details.files)[0], name=name, licence=details.licence)

    def state(self, item_id: str) -> str:
        return next(item.state for item in self.queue.items() if item.id == item_id)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_downloads_in_order_of_priority_and_installs(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)
    ids = [desk.queue.add(desk.request(name), priority).id for name, priority in
           (("a", 0), ("b", 0), ("c", 5))]  # fmt: skip
    assert desk.queue.start()
    wait_for(lambda: all(desk.state(item) == "done" for item in ids))
    desk.queue.close()
    assert desk.started == ["c", "a", "b"]
    installed = desk.library.find("a")
    assert installed is not None
    assert installed.path.read_bytes() == DATA["a"]
    assert (installed.licence, installed.source, installed.revision) == ("mit", "o/a", "c" * 40)
    desk.library.verify(installed)
    assert not list((tmp_path / "models" / ".downloads").iterdir())


def test_pause_restart_resume(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cdn", None, rate=1_000_000)]
    first = Desk(tmp_path, server.endpoint)
    running = first.queue.add(first.request("a")).id
    later = first.queue.add(first.request("b")).id
    assert first.queue.start()
    wait_for(lambda: any(item.received > 300_000 for item in first.queue.items()))
    first.queue.pause(running)
    assert first.state(running) == "paused"
    first.queue.close()

    server.faults = []
    second = Desk(tmp_path, server.endpoint)
    paused, queued = {item.id: item for item in second.queue.items()}[running], later
    assert paused.state == "paused"
    assert paused.received >= 300_000
    assert second.queue.start()
    wait_for(lambda: second.state(queued) == "done")
    assert second.state(running) == "paused"
    second.queue.resume(running)
    wait_for(lambda: second.state(running) == "done")
    second.queue.close()
    assert server.sent_bytes("cdn") < len(DATA["a"]) + len(DATA["b"]) + 1_500_000


def test_a_lost_network_is_waited_for(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cdn", 4, cut=0, how="rst")]
    desk = Desk(tmp_path, server.endpoint)
    item = desk.queue.add(desk.request("a")).id
    desk.queue.start()
    wait_for(lambda: desk.state(item) == "done")
    desk.queue.close()
    waiting = [change for change in desk.changes if change.state == "waiting"]
    assert waiting
    assert waiting[0].error is not None
    assert waiting[0].error["type"] == "Interrupted"


def test_cancel_removes_the_part(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cdn", None, rate=500_000)]
    desk = Desk(tmp_path, server.endpoint)
    request = desk.request("a")
    item = desk.queue.add(request).id
    desk.queue.start()
    wait_for(lambda: any(item.received > 50_000 for item in desk.queue.items()))
    desk.queue.cancel(item)
    assert desk.queue.items() == ()
    assert not download_folder(desk.library, request).exists()
    desk.queue.close()


def test_only_one_process_runs_the_queue(server: HubServer, tmp_path: Path) -> None:
    first, second = Desk(tmp_path, server.endpoint), Desk(tmp_path, server.endpoint)
    assert first.queue.start()
    assert not second.queue.start()
    first.queue.close()
    assert second.queue.start()
    second.queue.close()


def test_what_is_no_model_is_not_installed(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)

    def refuse(path: Path) -> None:
        assert path.read_bytes() == DATA["a"]
        raise CorruptFile(path=str(path), detail="the header is nonsense", tensor="")

    with pytest.raises(CorruptFile):
        fetch_model(desk.request("a"), desk.hub, desk.library, check=refuse)
    assert desk.library.installed() == ()


def test_a_new_version_replaces_the_old_one_only_when_right(
    server: HubServer, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, server.endpoint)
    limits = Limits(unit=1 << 20, reserve=0)
    old = fetch_model(desk.request("a"), desk.hub, desk.library, limits=limits)
    server.repos["o/a"] = HubRepo({"a-Q4_0.gguf": HubFile(DATA["b"])}, commit="d" * 40)
    server.faults = [Fault("cdn", None, flip=9)]
    with pytest.raises(DownloadError):
        fetch_model(desk.request("a"), desk.hub, desk.library, limits=limits, retry=FAST)
    desk.library.verify(old)
    server.faults = []
    new = fetch_model(desk.request("a"), desk.hub, desk.library, limits=limits)
    assert new.path.read_bytes() == DATA["b"]
    assert not old.path.exists()
    assert [model.name for model in desk.library.installed()] == ["a"]

"""The queue over a real hub: order, pause, restart, a lost network, and what is installed."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.downloads.acquisition import check_header
from app.downloads.download import Limits, Retry
from app.downloads.install import (
    ModelRequest,
    download_folder,
    fetch_model,
    received_bytes,
    request_for,
)
from app.downloads.queue import DownloadQueue, QueueItem
from app.errors import DownloadError
from app.hub.client import Hub, Timeouts
from app.hub.values import variants
from app.library.folder import InstalledModel, Library
from runtime.errors import CorruptFile
from runtime.progress import Cancelled, CancelToken, OnProgress
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

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

    def __init__(self, folder: Path, endpoint: str, retry_first: float = 0.2) -> None:
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
            retry_first=retry_first,
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


def test_the_order_can_be_changed_while_one_runs(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("cdn", None, rate=3_000_000)]
    desk = Desk(tmp_path, server.endpoint)
    ids = {name: desk.queue.add(desk.request(name)).id for name in ("a", "b", "c")}
    desk.queue.start()
    wait_for(lambda: desk.state(ids["a"]) == "running")
    desk.queue.prioritise(ids["c"], 1)
    assert desk.state(ids["a"]) == "running", "what runs is not interrupted"
    assert [item.request.name for item in desk.queue.items()] == ["a", "c", "b"]
    server.faults = []
    wait_for(lambda: all(desk.state(item) == "done" for item in ids.values()))
    desk.queue.close()
    assert desk.started == ["a", "c", "b"]


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

    def refuse(path: Path, _cancel: CancelToken) -> None:
        assert path.read_bytes() == DATA["a"]
        raise CorruptFile(path=str(path), reason="no_magic")

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


def test_models_of_two_owners_do_not_replace_each_other(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)
    limits = Limits(unit=1 << 20, reserve=0)
    installed: list[InstalledModel] = []
    for owner, content in (("bartowski", "a"), ("unsloth", "b"), ("unsloth", "c")):
        file = f"m{len(installed) // 2}-Q4_K_M.gguf"
        server.repos[f"{owner}/M-GGUF"] = HubRepo({file: HubFile(DATA[content])}, tags=["gguf"])
        (variant,) = variants(desk.hub.details(f"{owner}/M-GGUF").files)
        request = request_for(variant)
        assert request.name == "m-gguf-q4_k_m"
        installed.append(fetch_model(request, desk.hub, desk.library, limits=limits))
    names = ["m-gguf-q4_k_m", "unsloth-m-gguf-q4_k_m", "unsloth-m-gguf-q4_k_m-2"]
    assert [model.name for model in installed] == names
    assert [model.path.read_bytes() for model in installed] == [DATA[name] for name in "abc"]
    assert {model.name for model in desk.library.installed()} == set(names)
    again = fetch_model(request, desk.hub, desk.library, limits=limits)
    assert again.name == names[2], "its own older version is replaced"


def test_a_new_commit_keeps_the_part_of_an_unchanged_file(
    server: HubServer, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, server.endpoint)
    limits = Limits(unit=1 << 20, reserve=0)
    old = desk.request("a")
    server.faults = [Fault("cdn", cut=2_000_000), Fault("cdn", None, status=503)]
    with pytest.raises(DownloadError):
        fetch_model(old, desk.hub, desk.library, limits=limits, retry=FAST)
    server.faults = []
    server.repos["o/a"].commit = "d" * 40
    new = desk.request("a")
    assert new.commit != old.commit
    kept = received_bytes(desk.library, new)
    assert kept >= 1 << 20
    sent = server.sent_bytes("cdn")
    fetch_model(new, desk.hub, desk.library, limits=limits)
    assert server.sent_bytes("cdn") - sent == len(DATA["a"]) - kept
    again = desk.queue.add(old)
    assert desk.queue.add(new).id == again.id
    assert [item.request.commit for item in desk.queue.items()] == ["d" * 40]


def test_what_the_hub_names_no_checksum_of_is_marked(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)
    request = desk.request("a")
    assert fetch_model(request, desk.hub, desk.library).verified
    bare = tuple(replace(file, sha256=None, blob_id=None) for file in request.files)
    model = fetch_model(replace(request, name="bare", files=bare), desk.hub, desk.library)
    assert not model.verified
    found = desk.library.find("bare")
    assert found is not None
    assert not found.verified
    assert found.path.read_bytes() == DATA["a"]


def test_the_space_of_all_files_is_taken_before_the_first_byte(
    server: HubServer, tmp_path: Path
) -> None:
    shards = {f"m-Q4_0-0000{n}-of-00005.gguf": HubFile(os.urandom(2_000_000)) for n in range(1, 6)}
    server.repos["o/m"] = HubRepo(shards, tags=["gguf"])
    server.faults = [Fault("cdn", None, cut=0, how="rst")]
    desk = Desk(tmp_path, server.endpoint)
    request = desk.request("m")
    with pytest.raises(DownloadError):
        fetch_model(request, desk.hub, desk.library, retry=FAST)
    parts = list(download_folder(desk.library, request).glob("*.part"))
    assert len(parts) == 5
    assert all(part.stat().st_blocks * 512 >= 2_000_000 for part in parts)
    server.faults = []
    model = fetch_model(request, desk.hub, desk.library)
    assert model.path.name == "m-Q4_0-00001-of-00005.gguf"
    served = [shards[name].sha256 for name in sorted(shards)]
    assert sorted(file.sha256 for file in model.files) == sorted(served)


def test_without_a_checksum_a_part_is_of_one_commit_only(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)
    request = desk.request("a")
    bare = replace(request, files=tuple(replace(f, sha256=None) for f in request.files))
    server.faults = [Fault("cdn", cut=2_000_000), Fault("cdn", None, status=503)]
    with pytest.raises(DownloadError):
        fetch_model(bare, desk.hub, desk.library, retry=FAST)
    server.faults = []
    server.repos["o/a"] = HubRepo({"a-Q4_0.gguf": HubFile(DATA["b"])}, commit="d" * 40)
    files = tuple(replace(file, commit="d" * 40) for file in bare.files)
    model = fetch_model(replace(bare, commit="d" * 40, files=files), desk.hub, desk.library)
    assert model.path.read_bytes() == DATA["b"]


def test_waits_grow_only_while_nothing_comes(server: HubServer, tmp_path: Path) -> None:
    server.faults = [
        Fault("cdn", 4, cut=0, how="rst"),  # two tries of the queue, with two requests each
        Fault("cdn", 1, cut=500_000),
        Fault("cdn", 2, status=503),
    ]
    desk = Desk(tmp_path, server.endpoint, retry_first=0.5)
    waits: list[float] = []
    item = desk.queue.add(desk.request("a")).id
    desk.queue.start()
    while desk.state(item) != "done":
        wait_for(lambda: desk.state(item) in ("waiting", "done"))
        began = time.monotonic()
        wait_for(lambda: desk.state(item) != "waiting")
        waits.append(time.monotonic() - began)
        wait_for(lambda: desk.state(item) != "running")
    desk.queue.close()
    assert len(waits) == 3
    assert waits[1] >= 0.95, "twice the first"
    assert waits[2] < 1.5, "that of the start again; else four times the first"


def test_the_queue_answers_while_the_disk_is_slow(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, server.endpoint)
    desk.queue.add(desk.request("a"))
    writing, go_on = threading.Event(), threading.Event()

    def slow(descriptor: int) -> None:
        writing.set()
        assert go_on.wait(10)

    monkeypatch.setattr("app.library.folder.os.fsync", slow)
    item = desk.queue.items()[0]
    thread = threading.Thread(target=desk.queue.prioritise, args=(item.id, 7))
    thread.start()
    assert writing.wait(10)
    started = time.monotonic()
    assert desk.queue.items()[0].priority == 7
    assert time.monotonic() - started < 1
    go_on.set()
    thread.join(10)
    assert Desk(tmp_path, server.endpoint).queue.items()[0].priority == 7


def test_closing_ends_a_check_of_the_header_at_once(server: HubServer, tmp_path: Path) -> None:
    desk = Desk(tmp_path, server.endpoint)
    checking = threading.Event()

    def slow(_path: Path, cancel: CancelToken) -> None:
        checking.set()
        cancel.wait(30)
        cancel.raise_if_cancelled()

    cancel = CancelToken()

    def cancel_it() -> None:
        checking.wait(20)
        cancel.cancel()

    threading.Thread(target=cancel_it).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        fetch_model(desk.request("a"), desk.hub, desk.library, cancel=cancel, check=slow)
    assert time.monotonic() - started < 10
    with pytest.raises(Cancelled):  # and the child that reads the header is not waited for
        check_header(tmp_path / "none.gguf", cancel)

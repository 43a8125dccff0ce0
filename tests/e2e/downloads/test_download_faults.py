"""The downloader against everything a server and a network can do wrong, over real sockets."""

import errno
import hashlib
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

import app.downloads.part_file
from app.downloads.download import Downloaded, Limits, Retry, download, download_all
from app.downloads.part_file import PartFile, part_received
from app.downloads.rate_limit import RateLimit
from app.errors import (
    AppError,
    ChecksumMismatch,
    DiskFull,
    DownloadBusy,
    GatedModel,
    Interrupted,
    Offline,
    RemoteFileNotFound,
    RevisionNotFound,
)
from app.hub.client import Hub, HubSource, Timeouts
from app.hub.ranges import DIRECT_FROM
from app.hub.values import RemoteFile
from app.wording.explain import explain
from quant.error_base import StillroomError
from runtime.progress import Cancelled, CancelToken, Progress
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

REPO = "deepseek-ai/R1-GGUF"
NAME = "model-Q4_0.gguf"
DATA = os.urandom(9_000_000)
SMALL = b'{"a": 1}\n' * 50
OTHER = os.urandom(len(DATA))
FAST = Retry(tries=4, first=0.01, longest=0.05)
LIMITS = Limits(unit=2 << 20, reserve=0)


@pytest.fixture
def server() -> Iterator[HubServer]:
    files = {NAME: HubFile(DATA), "config.json": HubFile(SMALL), "empty.txt": HubFile(b"")}
    with HubServer({REPO: HubRepo(files, tags=["gguf"])}, token="hf_right") as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / NAME


def source(
    server: HubServer, tmp_path: Path, name: str = NAME, token: str | None = None
) -> HubSource:
    hub = Hub(tmp_path / "cache", server.endpoint, token, timeouts=Timeouts(1, 0.5, 2))
    return hub.source(next(f for f in hub.details(REPO).files if f.path == name))


def fetch(server: HubServer, tmp_path: Path, target: Path, **more: object) -> Downloaded:
    options: dict[str, object] = {"limits": LIMITS, "retry": FAST, **more}
    return download(source(server, tmp_path), target, **options)  # type: ignore[arg-type]


RIGHT = {
    "nothing wrong": [],
    "cut": [Fault("cdn", cut=700_000)],
    "reset": [Fault("cdn", cut=700_000, how="rst")],
    "stall": [Fault("cdn", cut=700_000, how="stall")],
    "cut every 500 kB": [Fault("cdn", None, cut=500_000)],
    "reset every 500 kB": [Fault("cdn", None, cut=500_000, how="rst")],
    "cut without length": [Fault("cdn", cut=700_000, no_length=True)],
    "never a length": [Fault("cdn", None, no_length=True)],
    "store 503": [Fault("cdn", status=503)],
    "store 500 twice": [Fault("cdn", 2, status=500)],
    "hub 503": [Fault("resolve", 2, status=503)],
    "hub 429": [Fault("resolve", status=429)],
    "signature expired": [Fault("cdn", status=403)],
    "one flipped byte": [Fault("cdn", flip=1_500_000)],
    "other content once": [Fault("cdn", content=OTHER)],
    "range ignored": [Fault("cdn", None, ignore_range=True)],
    "range ignored later": [Fault("cdn", None, ignore_range=True, offsets_from=1)],
    "range ignored, cut": [Fault("cdn", ignore_range=True, cut=3_000_000)],
    "shifted 206": [Fault("cdn", shift=10, offsets_from=1)],
    "206 from zero": [Fault("cdn", from_zero=True, offsets_from=1)],
    "sign-in page once": [Fault("cdn", html=True)],
    "too long once": [Fault("cdn", ignore_range=True, longer=9)],
    "encoded once": [Fault("cdn", gzip=True)],
    "silent once": [Fault("cdn", silent=True)],
}


@pytest.mark.parametrize("faults", RIGHT.values(), ids=RIGHT.keys())
def test_right_bytes_in_the_end(
    server: HubServer, tmp_path: Path, target: Path, faults: list[Fault]
) -> None:
    server.faults = list(faults)
    done = fetch(server, tmp_path, target)
    assert target.read_bytes() == DATA
    assert done.sha256 == hashlib.sha256(DATA).hexdigest()
    assert [path.name for path in target.parent.iterdir()] == [NAME]


HOPELESS = {
    "always reset": [Fault("cdn", None, cut=0, how="rst")],
    "always 403": [Fault("cdn", None, status=403)],
    "always 503": [Fault("resolve", None, status=503)],
    "always a page": [Fault("cdn", None, html=True)],
    "always too long": [Fault("cdn", None, ignore_range=True, longer=9)],
    "always shifted": [Fault("cdn", None, shift=10)],
    "always silent": [Fault("cdn", None, silent=True)],
    "a page from the hub": [Fault("resolve", None, html=True)],
}


@pytest.mark.parametrize("faults", HOPELESS.values(), ids=HOPELESS.keys())
def test_gives_up_and_keeps_the_part(
    server: HubServer, tmp_path: Path, target: Path, faults: list[Fault]
) -> None:
    server.faults = [Fault("cdn", cut=1_000_000), Fault("cdn", None, status=500)]
    connection = source(server, tmp_path)
    with pytest.raises(Interrupted):
        download(connection, target, limits=LIMITS, retry=FAST)
    kept = part_received(target)
    assert kept == 1_000_000
    server.faults = list(faults)
    with pytest.raises(Interrupted) as caught:
        download(connection, target, limits=LIMITS, retry=FAST)
    assert caught.value.received >= kept
    if faults[0].shift is not None or faults[0].longer:
        assert caught.value.reason["type"] == "ServerMisbehaved"
    if faults[0].html:
        assert caught.value.reason["type"] == "NotAHubAnswer"
    assert not target.exists()
    server.faults = []
    done = download(connection, target, limits=LIMITS, retry=FAST)
    assert done.resumed_from >= kept
    assert target.read_bytes() == DATA


@pytest.mark.parametrize(
    "fault", [Fault("cdn", None, flip=1_500_000), Fault("cdn", None, content=OTHER)]
)
def test_wrong_content_twice_is_refused(
    server: HubServer, tmp_path: Path, target: Path, fault: Fault
) -> None:
    server.faults = [fault]
    with pytest.raises(ChecksumMismatch) as caught:
        fetch(server, tmp_path, target)
    assert caught.value.facts["expected"] == hashlib.sha256(DATA).hexdigest()
    assert not target.exists()
    assert server.count("cdn") >= 2


def test_old_good_file_stays_until_the_new_one_is_right(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"the old version")
    server.faults = [Fault("cdn", None, flip=5)]
    with pytest.raises(ChecksumMismatch):
        fetch(server, tmp_path, target)
    assert target.read_bytes() == b"the old version"
    server.faults = []
    fetch(server, tmp_path, target)
    assert target.read_bytes() == DATA


def test_every_attempt_gets_a_fresh_signature(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    server.signature_uses = 1
    server.faults = [Fault("cdn", 3, cut=400_000)]
    fetch(server, tmp_path, target)
    assert target.read_bytes() == DATA
    assert server.count("resolve") == server.count("cdn") >= 4


def test_retry_after_is_waited_for(server: HubServer, tmp_path: Path, target: Path) -> None:
    server.faults = [Fault("resolve", status=429, headers={"Retry-After": "1"})]
    started = time.monotonic()
    fetch(server, tmp_path, target)
    assert 1.0 <= time.monotonic() - started < 5


def test_small_files_are_checked_by_their_git_id(server: HubServer, tmp_path: Path) -> None:
    small = source(server, tmp_path, "config.json")
    assert small.sha256 is None
    assert small.git_sha1
    server.faults = [Fault("resolve", 1, flip=3)]
    target = tmp_path / "config.json"
    done = download(small, target, limits=LIMITS, retry=FAST)
    assert target.read_bytes() == SMALL
    assert done.sha256 == hashlib.sha256(SMALL).hexdigest()
    server.faults = [Fault("resolve", None, flip=3)]
    with pytest.raises(ChecksumMismatch):
        download(small, tmp_path / "again.json", limits=LIMITS, retry=FAST)


def test_an_empty_file_is_a_file(server: HubServer, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    assert download(source(server, tmp_path, "empty.txt"), empty, limits=LIMITS).size == 0
    assert empty.read_bytes() == b""


def test_parts_come_in_parallel(server: HubServer, tmp_path: Path, target: Path) -> None:
    server.faults = [Fault("cdn", None, rate=4_000_000)]
    connections: set[int] = set()
    server.on_sent = lambda _: connections.add(threading.get_ident())
    started = time.monotonic()
    fetch(server, tmp_path, target, limits=Limits(unit=1 << 20, reserve=0, connections=4))
    assert len(connections) >= 4
    assert time.monotonic() - started < 2.0  # one connection alone needs 2.25 s
    assert target.read_bytes() == DATA


LONG = {
    "nothing wrong": (None, 1),
    "cut": (Fault("cdn", cut=DIRECT_FROM + 999), 2),
    "reset": (Fault("cdn", cut=DIRECT_FROM + 999, how="rst"), 2),
    "stall": (Fault("cdn", cut=DIRECT_FROM + 999, how="stall"), 2),
    "range ignored": (Fault("cdn", None, ignore_range=True), 1),
    "no length": (Fault("cdn", None, no_length=True), 1),
}


@pytest.fixture
def long_file(server: HubServer, tmp_path: Path) -> HubFile:
    """Long enough to be read from the socket itself; all zeros but for a few places."""
    path = tmp_path / "served"
    with path.open("wb") as stream:
        stream.truncate(2 * DIRECT_FROM + 12_345)
        for offset in (0, 64 << 10, (2 << 20) - 50, DIRECT_FROM - 50, 2 * DIRECT_FROM):
            stream.seek(offset)
            stream.write(os.urandom(100))
    with path.open("rb") as stream:
        file = HubFile(path, hashlib.file_digest(stream, "sha256").hexdigest())
    server.repos[REPO].files[NAME] = file
    return file


@pytest.mark.parametrize(("fault", "questions"), LONG.values(), ids=LONG.keys())
def test_a_long_answer_is_read_from_the_socket(
    server: HubServer,
    tmp_path: Path,
    target: Path,
    long_file: HubFile,
    fault: Fault | None,
    questions: int,
) -> None:
    server.faults = [fault] if fault else []
    limits = Limits(unit=8 << 20, reserve=0, parallel_below=0)
    done = fetch(server, tmp_path, target, limits=limits)
    with target.open("rb") as stream:
        assert hashlib.file_digest(stream, "sha256").hexdigest() == long_file.sha256 == done.sha256
    assert server.count("cdn") == questions


def test_a_long_answer_that_stalls_is_cancelled_at_once(
    server: HubServer, tmp_path: Path, target: Path, long_file: HubFile
) -> None:
    server.faults = [Fault("cdn", cut=DIRECT_FROM + 999, how="stall")]
    hub = Hub(tmp_path / "cache", server.endpoint, timeouts=Timeouts(1, 60, 2))
    connection = hub.source(next(f for f in hub.details(REPO).files if f.path == NAME))
    cancel = CancelToken()
    cancelled_at: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.done == DIRECT_FROM + 999 and not cancelled_at:
            cancelled_at.append(time.monotonic())
            cancel.cancel()

    limits = Limits(reserve=0, parallel_below=0)
    with pytest.raises(Cancelled):
        download(connection, target, watch, cancel, limits=limits)
    assert time.monotonic() - cancelled_at[0] < 0.5
    assert part_received(target) == DIRECT_FROM + 999


def test_an_answer_read_to_its_end_leaves_its_connection(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    server.faults = [Fault("cdn", None, rate=6_000_000)]
    connections: set[int] = set()
    server.on_sent = lambda _: connections.add(threading.get_ident())
    fetch(server, tmp_path, target, limits=Limits(unit=1 << 20, reserve=0, connections=2))
    assert server.count("cdn") >= 6
    assert len(connections) <= 4, "not one for each question"


def test_bandwidth_limit_holds(server: HubServer, tmp_path: Path, target: Path) -> None:
    limits = Limits(unit=1 << 20, reserve=0, rate=RateLimit(6_000_000))
    started = time.monotonic()
    fetch(server, tmp_path, target, limits=limits)
    assert 1.2 <= time.monotonic() - started < 3.5


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cdn", None, rate=200_000),
        Fault("cdn", None, cut=1000, how="stall"),
        Fault("resolve", None, silent=True),
    ],
    ids=["slow", "stalled", "silent"],
)
def test_cancel_within_200_ms(
    server: HubServer, tmp_path: Path, target: Path, fault: Fault
) -> None:
    connection = source(server, tmp_path)
    server.faults = [fault]
    cancel = CancelToken()
    cancelled_at: list[float] = []

    def later() -> None:
        time.sleep(0.3)
        cancelled_at.append(time.monotonic())
        cancel.cancel()

    threading.Thread(target=later).start()
    with pytest.raises(Cancelled):
        download(connection, target, cancel=cancel, limits=LIMITS, retry=Retry())
    assert time.monotonic() - cancelled_at[0] < 0.2
    assert not target.exists()
    if not fault.silent:  # before an answer there is nothing to break off
        time.sleep(0.2)
        assert [t for t in threading.enumerate() if t.name == "download"] == []


def test_progress_never_falls_and_ends_complete(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    server.faults = [Fault("cdn", 6, cut=600_000)]
    seen: list[Progress] = []
    fetch(server, tmp_path, target, on_progress=seen.append)
    for phase in {progress.phase for progress in seen}:
        amounts = [progress.done for progress in seen if progress.phase == phase]
        assert amounts == sorted(amounts)
    assert seen[-1].done == seen[-1].total == len(DATA)


def test_too_small_a_disk_is_refused_before_the_first_byte(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(DiskFull) as caught:
        fetch(server, tmp_path, target, limits=Limits(reserve=free))
    assert caught.value.facts["needed"] == len(DATA)
    assert server.count("cdn") == 0


def test_the_space_is_taken_before_the_first_byte(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    server.faults = [Fault("cdn", None, cut=0, how="rst")]
    with pytest.raises(Interrupted):
        fetch(server, tmp_path, target)
    part = target.with_name(NAME + ".part")
    assert part.stat().st_size == len(DATA)
    assert part.stat().st_blocks * 512 >= len(DATA)


def test_a_full_file_system_is_refused_though_it_seemed_to_have_room(
    server: HubServer, tmp_path: Path
) -> None:
    """As when another program was quicker between the question for free space and the taking."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", small]).returncode:
        pytest.skip("may not mount")
    try:
        part = PartFile(small / NAME, len(DATA), "x")
        part.open()
        try:
            with pytest.raises(OSError, match="no space") as caught:
                app.downloads.part_file._allocate(part._data, len(DATA))
            assert caught.value.errno == errno.ENOSPC
            with pytest.raises(DiskFull) as refused:
                part.reserve(-len(DATA))  # the question for free space is answered: enough
            assert refused.value.available <= 4 << 20
        finally:
            part.close()
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_full_disk_in_the_middle_keeps_the_part(
    server: HubServer, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = app.downloads.part_file._write_at

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > 3_000_000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data, offset)

    monkeypatch.setattr(app.downloads.part_file, "_write_at", full)
    with pytest.raises(DiskFull):
        fetch(server, tmp_path, target)
    monkeypatch.undo()
    assert fetch(server, tmp_path, target).resumed_from > 2_000_000
    assert target.read_bytes() == DATA


def test_a_changed_part_is_noticed(server: HubServer, tmp_path: Path, target: Path) -> None:
    server.faults = [Fault("cdn", 1, cut=1_500_000), Fault("cdn", None, status=500)]
    with pytest.raises(Interrupted):
        fetch(server, tmp_path, target)
    with target.with_name(NAME + ".part").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"something else")
    server.faults = []
    fetch(server, tmp_path, target)
    assert target.read_bytes() == DATA


def test_after_a_restart_of_the_machine_only_flushed_bytes_count(
    server: HubServer, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = [Fault("cdn", 1, cut=1_500_000), Fault("cdn", None, status=500)]
    with pytest.raises(Interrupted):
        fetch(server, tmp_path, target)
    server.faults = []
    monkeypatch.setattr(app.downloads.part_file, "_boot_marker", lambda: b"another boot 16b")
    assert fetch(server, tmp_path, target).resumed_from == 0
    assert target.read_bytes() == DATA


def test_two_processes_cannot_download_one_file(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    connection = source(server, tmp_path)
    server.faults = [Fault("cdn", None, rate=500_000)]
    cancel = CancelToken()
    errors: list[BaseException] = []
    started = threading.Event()

    def first() -> None:
        try:
            download(connection, target, lambda _: started.set(), cancel, limits=LIMITS)
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(5)
    with pytest.raises(DownloadBusy):
        download(connection, target, limits=LIMITS)
    cancel.cancel()
    thread.join(5)
    assert len(errors) == 1


def test_a_refused_connection_keeps_the_part_and_is_said(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    connection = source(server, tmp_path)
    server.faults = [Fault("cdn", cut=1_000_000), Fault("cdn", None, status=503)]
    with pytest.raises(Interrupted):
        download(connection, target, limits=LIMITS, retry=FAST)
    kept = part_received(target)
    endpoint = server.endpoint
    server.close()
    with pytest.raises(Interrupted) as caught:
        download(connection, target, limits=LIMITS, retry=FAST)
    offline = StillroomError.from_json(caught.value.reason)
    assert isinstance(offline, Offline)
    assert offline.kind == "refused"
    assert "refused the connection" in explain(caught.value).sentence
    assert part_received(target) == kept >= 1_000_000
    files = {NAME: HubFile(DATA)}
    port = int(endpoint.rpartition(":")[2])
    with HubServer({REPO: HubRepo(files)}, port=port) as again:
        assert again.endpoint == endpoint
        assert download(connection, target, limits=LIMITS, retry=FAST).resumed_from == kept
    assert target.read_bytes() == DATA


def test_a_name_that_is_not_found_keeps_the_part_and_is_said(
    server: HubServer, tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_name = server.endpoint.replace("127.0.0.1", "localhost")
    hub = Hub(tmp_path / "cache", by_name, timeouts=Timeouts(1, 0.5, 2))
    connection = hub.source(next(f for f in hub.details(REPO).files if f.path == NAME))
    server.faults = [Fault("cdn", cut=1_000_000), Fault("cdn", None, status=503)]
    with pytest.raises(Interrupted):
        download(connection, target, limits=LIMITS, retry=FAST)
    server.faults = []
    kept = part_received(target)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # the machine's resolver, not the network
    close_session()  # connections in use need no name
    with pytest.raises(Interrupted) as caught:
        download(connection, target, limits=LIMITS, retry=FAST)
    offline = StillroomError.from_json(caught.value.reason)
    assert isinstance(offline, Offline)
    assert offline.kind == "dns"
    assert "address was not found" in explain(caught.value).sentence
    monkeypatch.undo()
    assert part_received(target) == kept >= 1_000_000
    assert download(connection, target, limits=LIMITS, retry=FAST).resumed_from == kept
    assert target.read_bytes() == DATA


def _gone(server: HubServer) -> type[AppError]:
    del server.repos[REPO].files[NAME]
    return RemoteFileNotFound


def _gated(server: HubServer) -> type[AppError]:
    server.repos[REPO].gated = "manual"
    return GatedModel


def _other_commit(server: HubServer) -> type[AppError]:
    server.repos[REPO].commit = "d" * 40
    return RevisionNotFound


@pytest.mark.parametrize("change", [_gone, _gated, _other_commit])
def test_what_trying_again_cannot_mend_is_said_at_once(
    server: HubServer,
    tmp_path: Path,
    target: Path,
    change: Callable[[HubServer], type[AppError]],
) -> None:
    connection = source(server, tmp_path)
    expected = change(server)
    with pytest.raises(expected):
        download(connection, target, limits=LIMITS, retry=Retry())
    assert server.count("resolve") == 1


def test_the_token_never_goes_to_the_file_store(
    server: HubServer, tmp_path: Path, target: Path
) -> None:
    server.repos[REPO].gated = "auto"
    download(source(server, tmp_path, token="hf_right"), target, limits=LIMITS, retry=FAST)
    assert target.read_bytes() == DATA
    sent = {seen.origin: "Authorization" in seen.headers for seen in server.seen}
    assert sent == {"hub": True, "cdn": False}


def test_several_files_with_one_progress(server: HubServer, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "cache", server.endpoint)
    files = [hub.source(file) for file in hub.details(REPO).files]
    targets = [tmp_path / file.name for file in files]
    seen: list[Progress] = []
    done = download_all(
        list(zip(files, targets, strict=True)), seen.append, limits=LIMITS, retry=FAST
    )
    assert [file.path for file in done] == targets
    assert (tmp_path / NAME).read_bytes() == DATA
    assert seen[-1].done == seen[-1].total == len(DATA) + len(SMALL)
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_one_failing_file_stops_the_others(server: HubServer, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "cache", server.endpoint)
    good = hub.source(next(f for f in hub.details(REPO).files if f.path == NAME))
    missing = hub.source(RemoteFile(REPO, "c" * 40, "none.bin", 10, "0" * 64))
    with pytest.raises(RemoteFileNotFound):
        download_all(
            [(missing, tmp_path / "none.bin"), (good, tmp_path / NAME)],
            limits=Limits(unit=1 << 20, reserve=0, rate=RateLimit(2_000_000)),
            retry=FAST,
        )
    assert not (tmp_path / NAME).exists()

"""Models of the server come and go: loaded on demand, given up when idle or in the way, replaced
when their process dies, and never left behind."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from app.server.limits import Limits
from tests.helpers.serving import MODEL, Served, SmallMachine, children, serving

ONE, OTHER = "one", "other"


@pytest.fixture
def served(tmp_path: Path, starter_gguf: Path) -> Iterator[Served]:
    """Two models, of which the machine holds one at a time."""
    with serving(
        tmp_path, starter_gguf, Limits(waiting=2), names=(ONE, OTHER), kind=SmallMachine, parallel=2
    ) as made:
        yield made
    assert not children()


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def loaded(served: Served) -> list[str]:
    return [model.name for model in served.server.pool.served]


def test_one_is_loaded_when_asked_for_and_makes_room_for_the_next(served: Served) -> None:
    assert loaded(served) == []
    assert not children()
    assert served.chat(model=ONE).status_code == 200
    assert loaded(served) == [ONE]
    assert served.chat(model=OTHER).status_code == 200
    assert loaded(served) == [OTHER]
    assert eventually(lambda: len(children()) == 1)


def test_one_that_is_in_use_is_not_given_up(
    served: Served, expect_log: Callable[[str], None]
) -> None:
    expect_log("DoesNotFit")
    body = {"model": ONE, "messages": [{"role": "user", "content": "Count to 500."}]}
    content = json.dumps(body | {"stream": True}).encode()
    with served.raw() as raw:
        raw.sendall(served.head(len(content)) + content)
        assert b"200 OK" in raw.recv(1000)
        refused = served.chat(model=OTHER)
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "model_does_not_fit"
        assert refused.headers["retry-after"]
        assert loaded(served) == [ONE]


def test_one_whose_process_died_is_replaced(served: Served) -> None:
    assert served.chat(model=ONE).status_code == 200
    (worker,) = children()
    worker.kill()
    worker.wait()
    assert served.chat(model=ONE).status_code == 200
    (other,) = children()
    assert other.pid != worker.pid


def test_one_that_nobody_uses_gives_its_memory_back(tmp_path: Path, starter_gguf: Path) -> None:
    with serving(tmp_path, starter_gguf, parallel=2, idle_seconds=1.0) as served:
        assert served.chat().status_code == 200
        assert loaded(served) == [MODEL]
        assert eventually(lambda: not loaded(served) and not children())
        assert served.chat().status_code == 200


def test_clients_that_leave_while_it_loads_leave_one_worker(served: Served) -> None:
    body = json.dumps({"model": ONE, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    for _ in range(3):
        assert left_while_loading(served, body)
    for child in children():
        child.resume()
    assert eventually(lambda: loaded(served) == [ONE])
    assert eventually(lambda: len(children()) == 1)
    assert served.chat(model=ONE).status_code == 200
    (worker,) = children()
    assert worker.pid == served.server.pool.served[0].worker.pid
    assert served.comes_to_rest()


def held() -> bool:
    """Stop what the server has started; whether anything was."""
    for child in children():
        with suppress(psutil.NoSuchProcess):  # a child that inspects or probes is gone in a moment
            child.suspend()
    found = children()
    return bool(found) and all(child.status() == psutil.STATUS_STOPPED for child in found)


def left_while_loading(served: Served, body: bytes) -> bool:
    """Ask, stop what the server starts for that, and leave; whether it is still being loaded."""
    with served.raw() as raw:
        raw.sendall(served.head(len(body)) + body)
        assert eventually(held)
    time.sleep(0.2)  # it notices
    return not loaded(served)


def test_a_server_that_stops_while_it_loads_leaves_no_worker(
    tmp_path: Path, starter_gguf: Path
) -> None:
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    with serving(tmp_path, starter_gguf) as served:
        with served.raw() as raw:
            raw.sendall(served.head(len(body)) + body)
            assert eventually(lambda: bool(children()))
            served.server.stop()
        assert not served.server.running
        assert eventually(lambda: not children(), 5)


def test_those_who_wait_for_a_model_are_counted_too(served: Served) -> None:
    """A stopped process loads for ever: two wait, two more would have a place, a fifth may not."""
    body = json.dumps({"model": ONE, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    waiting = []
    for _ in range(4):
        waiting.append(served.raw())
        waiting[-1].sendall(served.head(len(body)) + body)
    assert eventually(held)
    try:
        reply = served.chat(model=ONE)
        assert reply.status_code == 429
        assert int(reply.headers["retry-after"]) >= 1
        unknown = served.chat(model="absent")  # is told at once, whatever loads
        assert unknown.status_code == 404
    finally:
        for child in children():
            child.resume()
    for raw in waiting:
        assert b"200 OK" in raw.recv(1000)
        raw.close()


def test_a_vector_nobody_waits_for_keeps_its_place_until_it_is_made(served: Served) -> None:
    assert served.chat(model=ONE).status_code == 200
    assert served.comes_to_rest()
    (worker,) = children()
    body = json.dumps({"model": ONE, "input": "The cat sat on the mat."}).encode()
    worker.suspend()
    with served.raw() as raw:
        raw.sendall(served.head(len(body), "/v1/embeddings") + body)
        assert eventually(lambda: served.running() == 1)
    time.sleep(0.5)
    assert served.running() == 1
    worker.resume()
    assert served.comes_to_rest()

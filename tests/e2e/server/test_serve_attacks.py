"""What a hostile page, neighbour or program tries against the server."""

import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.server.limits import Limits
from tests.helpers.serving import KEY, MODEL, Served, serving

LIMITS = Limits(head_seconds=1.0, body_seconds=1.5, unread_seconds=1.0, waiting=4)
MIB = 1024 * 1024
SECRET = "the-password-is-swordfish-9137"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, starter_gguf: Path) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("attacked"), starter_gguf, LIMITS, parallel=2) as made:
        yield made


@pytest.fixture(autouse=True)
def unharmed(served: Served) -> Iterator[None]:
    """After each attack the server still answers."""
    yield
    assert served.request("GET", "/v1/models").status_code == 200


# -- who may come in ------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1:1", "", "[::1"])
def test_a_name_that_was_made_to_point_here(served: Served, host: str) -> None:
    reply = served.request("GET", "/v1/models", host=host.format(port=served.port))
    assert reply.status_code in (400, 421)
    assert MODEL not in reply.text


def test_two_hosts(served: Served) -> None:
    with served.raw() as raw:
        host = f"host: 127.0.0.1:{served.port}\r\n"
        key = f"authorization: Bearer {KEY}\r\n"
        raw.sendall(f"GET /v1/models HTTP/1.1\r\n{host}host: evil.example\r\n{key}\r\n".encode())
        assert raw.recv(1000).split()[1] in (b"400", b"421")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:{port}", "host": "127.0.0.1:{port}"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
def test_a_post_from_another_site(served: Served, headers: dict[str, str]) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    sent = {name: value.format(port=served.port) for name, value in headers.items()}
    reply = served.request("POST", "/v1/chat/completions", body, **sent)
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers


def test_no_page_is_told_that_it_may(served: Served) -> None:
    asked = {"origin": "https://evil.example", "access_control_request_method": "POST"}
    reply = served.request("OPTIONS", "/v1/chat/completions", **asked)
    assert reply.status_code == 403
    own = {"origin": f"http://127.0.0.1:{served.port}"}
    assert not any("access-control" in name for name in reply.headers)
    assert served.request("GET", "/v1/models", **own).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_form_cannot_post(served: Served, kind: str | None) -> None:
    assert served.request("POST", "/v1/completions", {}, content_type=kind).status_code == 415


@pytest.mark.parametrize(
    "key", [None, "", "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}"]
)
def test_no_key(served: Served, key: str | None) -> None:
    for path in ("/v1/models", "/openapi.json", "/nothing"):
        assert served.request("GET", path, authorization=key).status_code == 401


# -- sizes and times ------------------------------------------------------------------------------


def test_a_body_of_a_gigabyte_that_says_so(served: Served) -> None:
    with served.raw() as raw:
        raw.sendall(served.head(10**9))
        assert b"413" in raw.recv(100)


def test_a_body_of_a_gigabyte_that_does_not(served: Served) -> None:
    before = psutil.Process().memory_info().rss
    piece = b"100000\r\n" + b"x" * MIB + b"\r\n"
    sent = 0
    with served.raw() as raw:
        raw.sendall(served.head("chunked"))
        try:
            while sent < 1000:
                raw.sendall(piece)
                sent += 1
        except OSError:  # the server has had enough
            pass
    assert sent < 100
    assert psutil.Process().memory_info().rss - before < 64 * MIB


def test_a_head_a_byte_at_a_time(served: Served) -> None:
    with served.raw() as raw:
        assert seconds_until_closed(raw, b"GET /v1/models HTTP/1.1\r\nx-padding: ") < 8


def test_a_second_head_a_byte_at_a_time(served: Served) -> None:
    with served.raw() as raw:
        host, key = f"host: 127.0.0.1:{served.port}", f"authorization: Bearer {KEY}"
        raw.sendall(f"GET /v1/models HTTP/1.1\r\n{host}\r\n{key}\r\n\r\n".encode())
        assert b"200 OK" in raw.recv(10_000)
        assert seconds_until_closed(raw, b"GET /v1/models HTTP/1.1\r\nx-padding: ") < 8


def test_answers_that_nobody_reads(served: Served) -> None:
    """So many requests on one connection that their answers fill every buffer on the way. What the
    buffers held can be read later, and then no more comes."""
    get = f"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\n"
    get += f"authorization: Bearer {KEY}\r\n\r\n"
    with served.raw() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(3.0)
        with suppress(OSError):  # the server ends it, or no more fits
            raw.sendall(get.encode() * 50_000)
        began = time.monotonic()
        with suppress(ConnectionError):
            while raw.recv(1 << 20):
                assert time.monotonic() - began < 5


def test_a_body_a_byte_at_a_time(served: Served) -> None:
    with served.raw() as raw:
        assert seconds_until_closed(raw, served.head(100_000)) < 8


def seconds_until_closed(raw: Any, start: bytes) -> float:
    began = time.monotonic()
    raw.sendall(start)
    raw.settimeout(0.1)
    while time.monotonic() - began < 10:
        try:
            raw.sendall(b"x")
            if not raw.recv(1000):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


# -- what a body may hold -------------------------------------------------------------------------


def test_deep_json(served: Served) -> None:
    for body in (b"[" * 10**6, b'{"a":' * 10**5 + b"1" + b"}" * 10**5):
        assert served.request("POST", "/v1/chat/completions", body).status_code == 400
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    assert served.chat(messages=deep).status_code == 400


def nested_body(depth: int, place: str) -> bytes:
    """A chat request with a list in a list and so on, too deep for Python's own encoder to send."""
    lists = "[" * depth + "]" * depth
    function = '{"name": "f", "parameters": {"default": LISTS}}'
    form = '{"type": "json_schema", "json_schema": {"name": "x", "schema": {"const": LISTS}}}'
    field = {
        "const": f'"response_format": {form}',
        "tool": f'"tools": [{{"type": "function", "function": {function}}}]',
    }[place].replace("LISTS", lists)
    message = '{"role": "user", "content": "Hello"}'
    return f'{{"model": "{MODEL}", "max_tokens": 1, "messages": [{message}], {field}}}'.encode()


@pytest.mark.parametrize("place", ["const", "tool"])
def test_values_nested_as_deep_as_can_be_read(served: Served, place: str) -> None:
    statuses = {}
    for depth in (20, 120, *range(960, 1010, 3)):
        body = nested_body(depth, place)
        statuses[depth] = served.request("POST", "/v1/chat/completions", body).status_code
    assert statuses.pop(20) == 200
    assert set(statuses.values()) == {400}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def wide(count: int) -> dict[str, Any]:
    properties = {f"p{i}": {"type": "string"} for i in range(count)}
    return {"type": "object", "properties": properties}


def doubling(times: int) -> dict[str, Any]:
    """Each definition names the one before twice."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for i in range(1, times):
        pair = [{"$ref": f"#/$defs/d{i - 1}"}, {"$ref": f"#/$defs/d{i - 1}"}]
        definitions[f"d{i}"] = {"anyOf": pair}
    return {"$defs": definitions, "$ref": f"#/$defs/d{times - 1}"}


BOMBS: dict[str, dict[str, Any]] = {
    "nested": nested(100),
    "wide": wide(5000),
    "many repeats": {"type": "string", "minLength": 10**9},
    "backwards": {"type": "array", "minItems": 3, "maxItems": 1},
    "negative": {"type": "string", "maxLength": -1},
    "long list": {"enum": [str(i) for i in range(5000)]},
    "long words": {"enum": ["x" * 300_000]},
    "pattern": {"type": "string", "pattern": "^(a+)+$"},
    "itself": {"$ref": "#"},
    "itself by turns": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
    "in a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
                    "$ref": "#/$defs/a"},
    "elsewhere": {"$ref": "https://evil.example/schema.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "nowhere": {"$ref": "#/$defs/none"},
    "no schema": {"type": "object", "properties": {"a": 5}},
    "no type": {"type": "root ::= [a-z]"},
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_schema_that_would_grow(served: Served, name: str) -> None:
    began = time.monotonic()
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": BOMBS[name]}}
    assert served.chat(response_format=form).status_code == 400
    tool = {"type": "function", "function": {"name": "f", "parameters": BOMBS[name]}}
    assert served.chat(tools=[tool], tool_choice="required").status_code == 400
    assert time.monotonic() - began < 15


def test_a_schema_that_only_looks_large(served: Served) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": doubling(12)}}
    assert served.chat(response_format=form).status_code == 200
    quoted = {"const": 'a" | root\n::= "b'}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": quoted}}
    reply = served.chat(response_format=form, max_tokens=40)
    assert json.loads(reply.json()["choices"][0]["message"]["content"]) == quoted["const"]


NAMES = [
    "../../../etc/passwd", "/etc/passwd", "..\\..\\windows", "starter/../starter", "./starter",
    "starter\x00.gguf", "hub:owner/name/file.gguf", "~/model.gguf", "C:\\model.gguf", "%2e%2e/x",
    "smollm2-135m-instruct", "starter.json", "STARTER ", "x" * 200,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_a_path(served: Served, name: str) -> None:
    reply = served.chat(model=name)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "model_not_found"
    assert [each.name for each in served.server.pool.served] in ([], [MODEL])


# -- queues, leaving, secrets ---------------------------------------------------------------------


def test_too_many_wait(served: Served) -> None:
    sockets = []
    body = json.dumps(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Count to 1000."}],
            "stream": True,
        }
    ).encode()
    served.chat(max_tokens=1)
    # Places, what the worker holds ahead, the queue; more, because some answers end meanwhile.
    for _ in range(2 + 2 + LIMITS.waiting + 8):
        raw = served.raw()
        raw.sendall(served.head(len(body)) + body)
        sockets.append(raw)
    time.sleep(0.2)
    reply = served.chat()
    assert reply.status_code == 429
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    for raw in sockets:
        raw.close()
    assert served.comes_to_rest()


def test_more_requests_than_can_be_open(tmp_path: Path, starter_gguf: Path) -> None:
    body = json.dumps(
        {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "Count."}]}
    ).encode()
    with serving(tmp_path, starter_gguf, Limits(requests=2), parallel=2) as served:
        sockets = [served.raw() for _ in range(3)]
        for raw in sockets[:2]:
            raw.sendall(served.head(len(body)) + body)
            assert b"200 OK" in raw.recv(1000)
        reply = served.request("GET", "/v1/models")
        assert reply.status_code == 429
        assert int(reply.headers["retry-after"]) >= 1
        assert served.request("GET", "/v1/models", authorization=None).status_code == 401
        sockets += [served.raw() for _ in range(2)]
        assert sockets[-1].recv(1) == b""  # the fifth connection of at most four
        for raw in sockets:
            raw.close()
        assert served.comes_to_rest()
        assert served.request("GET", "/v1/models").status_code == 200


def leave_at_random(served: Served, seed: int, times: int) -> None:
    drawn = random.Random(seed)
    for _ in range(times):
        stream = drawn.random() < 0.7
        content = "Tell me a long story. " * drawn.randint(1, 20)
        body = json.dumps(
            {"model": MODEL, "stream": stream, "messages": [{"role": "user", "content": content}]}
        ).encode()
        request = served.head(len(body)) + body
        with served.raw() as raw:
            raw.sendall(request[: drawn.choice([len(request), drawn.randint(1, len(request))])])
            raw.settimeout(drawn.random() * 0.2 + 0.001)
            with suppress(OSError):
                for _ in range(drawn.randint(0, 5)):
                    raw.recv(drawn.randint(1, 2000))


def test_500_clients_that_leave(served: Served) -> None:
    """Ten at a time, at moments drawn at random."""
    with ThreadPoolExecutor(10) as clients:
        leaving = [clients.submit(leave_at_random, served, seed, 50) for seed in range(10)]
    for each in leaving:
        each.result()
    assert served.server.running
    assert served.comes_to_rest(30)
    assert all(model.users == 0 for model in served.server.pool.served)


def test_what_is_said_is_written_nowhere(served: Served) -> None:
    assert served.chat(SECRET).status_code == 200
    assert served.chat(SECRET, stream=True).status_code == 200
    assert served.chat(SECRET, model="absent").status_code == 404
    assert served.chat(SECRET, temperature="hot").status_code == 400
    assert served.chat(SECRET * 1000).status_code == 400
    body = {"model": MODEL, "input": SECRET}
    assert served.request("POST", "/v1/embeddings", body).status_code == 200
    files = [path for path in served.home.rglob("*") if path.is_file()]
    assert any(path.name == "worker.log" for path in files)
    for path in files:
        if path.suffix != ".gguf":
            assert SECRET.encode() not in path.read_bytes(), path

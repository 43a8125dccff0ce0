"""Remote models over real connections: our own server as one, and a server full of faults."""

import json
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.errors import SettingsError, UnsafeEndpoint
from app.hub.tokens import TokenStore
from app.remote import errors
from app.remote.endpoints import Endpoint, Endpoints
from app.remote.model import RemoteModel
from app.remote.transport import RemoteTimeouts, Transport
from app.wording.explain import explain
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.process.protocol import Streamed
from runtime.progress import Cancelled, CancelToken
from tests.helpers import serving
from tests.helpers.command_line import json_of, stillroom
from tests.helpers.faulty_endpoint import KEY, faulty_endpoint


@pytest.fixture(scope="module")
def faulty() -> Iterator[Any]:
    with faulty_endpoint() as other, faulty_endpoint() as server:
        server.other = other.server_port
        server.elsewhere = other
        yield server


class Listener:
    """What an answer streamed."""

    def __init__(self) -> None:
        self.text = {True: "", False: ""}
        self.first = threading.Event()

    def __call__(self, streamed: Streamed) -> None:
        for chunk in streamed.chunks:
            self.text[chunk.is_reasoning] += chunk.text
        self.first.set()


def request(**fields: Any) -> GenerationRequest:
    return GenerationRequest("r", (Message("user", "Count."),), **fields)


def remote(url: str, model: str = "one", **fields: Any) -> RemoteModel:
    return RemoteModel(Transport(Endpoint("far", url, model), KEY, **fields))


def ask(url: str, listener: Listener | None = None, **fields: Any) -> GenerationStats:
    return remote(url, **fields).generate(request(), listener or Listener())


@pytest.mark.parametrize(
    ("kind", "error", "facts", "words"),
    [
        ("401", errors.RemoteKeyRefused, {"status": 401, "key_sent": True}, "Incorrect API key"),
        ("429", errors.RemoteBusy, {"retry_after": 7.0}, "7"),
        ("500", errors.RemoteRefused, {"status": 500}, "status 500"),
        ("cut", errors.RemoteCut, {"pieces": 2}, "after 2 chunks"),
        ("error", errors.RemoteRefused, {}, "out of memory"),
        ("huge", errors.RemoteNotUnderstood, {}, "a line of more than 1048576"),
        ("garbage", errors.RemoteNotUnderstood, {}, "is not a chunk of an answer"),
        ("number", errors.RemoteNotUnderstood, {}, "is not a chunk of an answer"),
        ("page", errors.RemoteNotUnderstood, {}, "text/html"),
    ],
)
def test_each_fault_has_its_name_and_words(
    faulty: Any, kind: str, error: type[Exception], facts: dict[str, Any], words: str
) -> None:
    with pytest.raises(error) as raised:
        ask(f"{faulty.url}/{kind}")
    assert facts.items() <= raised.value.facts.items()  # type: ignore[attr-defined]
    said = explain(raised.value)
    assert words in said.sentence
    assert "far" in said.sentence
    assert KEY not in said.sentence + said.hint


def test_a_redirect_is_named_and_not_followed(faulty: Any) -> None:
    with pytest.raises(errors.RemoteRedirects) as raised:
        ask(f"{faulty.url}/redirect")
    assert raised.value.facts["target"] == f"http://localhost:{faulty.other}"
    assert faulty.elsewhere.seen == []


@pytest.mark.parametrize(
    ("kind", "thought", "answer", "untagged"),
    [
        ("tags", "Hmm", "Yes", 0),
        ("untagged", "", "HmmYes", 3),
        ("fields", "Hmm", "Yes <think>", 0),
        ("vllm", "Hmm", "Yes", 0),
        ("empty", "", "", 0),
    ],
)
def test_thinking_comes_in_any_form(
    faulty: Any, kind: str, thought: str, answer: str, untagged: int
) -> None:
    heard = Listener()
    stats = ask(f"{faulty.url}/{kind}", heard)
    assert (heard.text[True], heard.text[False]) == (thought, answer)
    assert stats.untagged_reasoning_chars == untagged
    assert "tokens_not_counted" in stats.notices


def test_a_stop_is_immediate_and_the_server_is_told(faulty: Any) -> None:
    cancel, heard = CancelToken(), Listener()
    stopped: list[float] = []

    def stop() -> None:
        heard.first.wait(10)
        stopped.append(time.monotonic())
        cancel.cancel()

    threading.Thread(target=stop).start()
    stats = remote(f"{faulty.url}/silent").generate(request(), heard, cancel)
    assert time.monotonic() - stopped[0] < 0.2
    assert (stats.finish_reason, stats.generated_tokens) == ("cancelled", 1)
    assert faulty.hung_up.wait(5)
    with pytest.raises(Cancelled):
        remote(f"{faulty.url}/silent").generate(request(), heard, cancel)


def test_what_is_sent(faulty: Any) -> None:
    faulty.seen.clear()
    sampling = SamplingParams(temperature=0.5, top_p=0.9, seed=3)
    asked = request(sampling=sampling, max_tokens=9, stop=("END",))
    remote(f"{faulty.url}/empty", model="").generate(asked, Listener())
    (listed, *_), (path, headers, body) = faulty.seen
    assert (listed, path) == ("/empty/models", "/empty/chat/completions")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert json.loads(body) == {
        "model": "one",
        "messages": [{"role": "user", "content": "Count."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 9,
        "seed": 3,
        "stop": ["END"],
    }


def test_this_machine_is_not_asked_through_a_proxy(
    faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", faulty.elsewhere.url)
    ask(f"{faulty.url}/empty")
    assert faulty.elsewhere.seen == []
    with pytest.raises(errors.RemoteError):  # any other is; this proxy does not know how
        ask("http://far.invalid/500")
    assert [path for path, _, _ in faulty.elsewhere.seen] == [
        "http://far.invalid/500/chat/completions"
    ]
    faulty.elsewhere.seen.clear()


def test_nobody_there_and_offline(faulty: Any) -> None:
    with pytest.raises(errors.RemoteUnreachable) as refused:
        ask("http://127.0.0.1:9/v1")
    assert "it refused the connection" in explain(refused.value).sentence
    with pytest.raises(errors.RemoteUnreachable) as offline:
        ask("https://far.invalid/v1", offline=True)
    assert "Stay offline" in explain(offline.value).sentence
    ask(f"{faulty.url}/empty", offline=True)  # this machine itself is no network
    with pytest.raises(errors.RemoteUnreachable) as plain:  # no TLS where it was asked for
        ask(faulty.url.replace("http", "https"), timeouts=RemoteTimeouts(connect=2))
    assert plain.value.facts["kind"] == "tls"


def test_addresses_and_keys(tmp_path: Path) -> None:
    known = Endpoints(tmp_path / "remotes.json", lambda: TokenStore(tmp_path / "tokens.json", None))
    with pytest.raises(UnsafeEndpoint):
        known.add(Endpoint("far", "http://10.0.0.7/v1"), "sk-1")
    with pytest.raises(SettingsError):
        known.add(Endpoint("../far", "https://far.example/v1"), None)
    assert known.all() == ()
    first = Endpoint("far", "https://far.example/v1")
    assert known.add(first, "sk-1") == "file"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "tokens.json").stat().st_mode) == 0o600
    assert "sk-1" not in (tmp_path / "remotes.json").read_text()
    moved = Endpoint("far", "http://10.0.0.7/v1", insecure=True)
    known.add(moved, None)
    assert known.all() == (moved,)
    assert known.key(moved) is None
    assert known.key(first) is None
    known.remove("far")
    assert known.find("far") is None


def test_our_own_server_as_a_remote_model(tmp_path: Path, starter_gguf: Path, session: Any) -> None:
    """Added, listed, asked, compared and removed by the command line."""
    here = session.installed()[0].name
    with serving.serving(tmp_path / "served", starter_gguf) as served:
        added = stillroom("remote", "add", "far", served.base, "--json", text=serving.KEY + "\n")
        assert json_of(added)["models"] == [serving.MODEL]
        assert served.base in stillroom("list").stdout
        options = ("--prompt", "Name a colour.", "--seed", "1", "--max-tokens", "8", "--json")
        asked = stillroom("chat", "far", *options)
        assert f"sent to {served.base}" in asked.stderr
        answer = json_of(asked)
        assert answer["stats"]["generated_tokens"] <= 8
        assert answer["stats"]["decode_tps"] > 1
        assert answer["stats"]["prompt_tokens"] > 8
        assert "tokens_not_counted" not in answer["stats"]["notices"]
        both = stillroom("chat", here, "--against", "far", *options[:-1])
        assert "| far" in both.stdout
        assert both.stdout.count("tok/s") == 2
        assert json_of(stillroom("remote", "remove", "far", "--json"))["name"] == "far"
        assert stillroom("chat", "far", *options).returncode == 1


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[tuple[str, list[bytes], Path]]:
    """A TLS server whose certificate nobody vouches for: its address, what it was sent once a
    client had accepted that certificate, and the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    options += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", *options, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                    got.append(tls.recv(10_000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1", got, certificate
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made by openssl")
def test_a_certificate_nobody_vouches_for_is_not_accepted(
    untrusted: tuple[str, list[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, got, certificate = untrusted
    with pytest.raises(errors.RemoteUnreachable) as raised:
        ask(url)
    assert raised.value.facts["kind"] == "tls"
    assert "certificate was not accepted" in explain(raised.value).sentence
    assert got == []
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # somebody does: its own user
    with pytest.raises(errors.RemoteError):
        ask(url)
    assert KEY.encode() in got[0]


def test_a_proxy_of_its_own_is_asked_instead(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        got: list[bytes] = []

        def answer() -> None:
            connection, _ = proxy.accept()
            with connection:
                got.append(connection.recv(10_000))
                body = b'{"data": [{"id": "one"}]}'
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        far = Endpoint("far", "http://far.example/v1", insecure=True, proxy=address)
        assert RemoteModel(Transport(far, KEY)).models() == ("one",)
        thread.join()
    assert got[0].startswith(b"GET http://far.example/v1/models HTTP/1.1")
    endpoints = Endpoints(tmp_path / "remotes.json", lambda: TokenStore(tmp_path / "t.json", None))
    endpoints.add(far, None)
    assert endpoints.find("far") == far
    with pytest.raises(UnsafeEndpoint):
        endpoints.add(Endpoint("far", "https://far.example/v1", proxy="nowhere"), None)

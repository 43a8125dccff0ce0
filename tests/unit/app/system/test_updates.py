"""Asking for a newer version: one request to the address of the settings, nothing else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from app.errors import HubUnavailable, NotAHubAnswer, Offline, SettingsError, UnsafeEndpoint
from app.settings import Settings
from app.system.updates import newest_release, version_key


class Server(BaseHTTPRequestHandler):
    answer: ClassVar[tuple[int, bytes]] = (200, b"")
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Server.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/newest.json"
    server.shutdown()
    server.server_close()
    thread.join()


def settings(address: str) -> Settings:
    return Settings().with_value("updates_address", address)


def test_a_newer_version_and_its_notes(address: str, tmp_path: Path) -> None:
    body = {"version": "99.1", "notes": "Better.", "page": "https://example.org/new", "more": 1}
    Server.answer = (200, json.dumps(body).encode())
    release = newest_release(settings(address), tmp_path)
    assert release.is_newer
    assert (release.notes, release.page) == ("Better.", "https://example.org/new")
    assert Server.asked == ["/newest.json"]


def test_an_installer_brings_its_own_address(address: str, tmp_path: Path) -> None:
    Server.answer = (200, b'{"version": "99.1"}')
    built_in = tmp_path / "updates-address.txt"
    with pytest.raises(SettingsError):
        newest_release(settings(""), tmp_path, built_in)
    built_in.write_text(address + "\n")
    assert newest_release(settings(""), tmp_path, built_in).version == "99.1"
    with pytest.raises(UnsafeEndpoint):
        newest_release(settings("http://elsewhere.invalid/x"), tmp_path, built_in)
    assert Server.asked == ["/newest.json"]


def test_an_older_version_and_a_page_that_is_no_web_page(address: str, tmp_path: Path) -> None:
    Server.answer = (200, b'{"version": "0.0.9", "page": "file:///etc/passwd"}')
    release = newest_release(settings(address), tmp_path)
    assert not release.is_newer
    assert release.page == ""


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, b""), HubUnavailable),
        ((200, b"<html>sign in</html>"), NotAHubAnswer),
        ((200, b'{"version": "latest"}'), NotAHubAnswer),
        ((200, b'{"version": "1.0", "notes": "' + b"x" * 70_000 + b'"}'), NotAHubAnswer),
    ],
)
def test_other_answers(
    address: str, tmp_path: Path, answer: tuple[int, bytes], error: type[Exception]
) -> None:
    Server.answer = answer
    with pytest.raises(error):
        newest_release(settings(address), tmp_path)
    assert len(Server.asked) == 1


def test_nothing_is_asked_without_an_address_or_offline(address: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        newest_release(Settings(), tmp_path)
    with pytest.raises(UnsafeEndpoint):
        newest_release(settings("http://example.org/newest.json"), tmp_path)
    with pytest.raises(Offline):
        newest_release(settings(address).with_value("offline", True), tmp_path)
    assert Server.asked == []


def test_versions_compare_by_their_numbers() -> None:
    assert version_key("v0.10.0") > version_key("0.9.9") > version_key("0.9")
    assert version_key("nothing") == ()

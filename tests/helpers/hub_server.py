"""A model hub on loopback: real sockets, a second origin for file contents, and faults to order.

Speaks the part of the hub's API that huggingface_hub and mirrors use: search with pages, details,
tree, paths-info, resolve with redirect, ranges, gating. `HubServer.faults` says what goes wrong.
"""

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Kind = Literal["search", "info", "tree", "resolve", "cdn", "other"]
LFS_FROM = 1 << 20  # bytes: larger files are redirected to the second origin, as LFS files are


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with requests of `kind`, `times` times (None: always).

    status: answer with it (and `headers`). cut: end the body after so many bytes, `how` "fin",
    "rst" or "stall". flip: change the byte at this offset of the file. content: send this in the
    file's place. no_length: leave out Content-Length. longer: send so many bytes too many. html:
    a page with status 200. ignore_range: 200 and all of it. shift: a 206 from elsewhere. silent:
    accept and never answer. rate: bytes per second. gzip: claim a Content-Encoding.
    """

    kind: Kind
    times: int | None = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    how: Literal["fin", "rst", "stall"] = "fin"
    flip: int | None = None
    content: bytes | None = None
    no_length: bool = False
    longer: int = 0
    html: bool = False
    ignore_range: bool = False
    shift: int | None = None
    from_zero: bool = False
    silent: bool = False
    rate: int | None = None
    gzip: bool = False
    body: bytes | None = None
    offsets_from: int = 0  # only for ranges that begin at or after this offset


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that go away are what is tested here."""


@dataclass
class HubFile:
    """A served file: bytes in memory, or a path (may be sparse) with its SHA-256 given."""

    data: bytes | Path
    sha256: str = ""

    def __post_init__(self) -> None:
        if not self.sha256 and isinstance(self.data, bytes):
            self.sha256 = hashlib.sha256(self.data).hexdigest()

    @property
    def size(self) -> int:
        return len(self.data) if isinstance(self.data, bytes) else self.data.stat().st_size

    @property
    def blob_id(self) -> str:
        if isinstance(self.data, Path):
            return self.sha256[:40]
        return hashlib.sha1(b"blob %d\0" % self.size + self.data).hexdigest()

    @property
    def lfs(self) -> bool:
        return self.size >= LFS_FROM


@dataclass
class HubRepo:
    """A repository with one commit."""

    files: dict[str, HubFile]
    tags: list[str] = field(default_factory=list)
    gated: Any = False
    private: bool = False
    gguf: dict[str, Any] | None = None
    safetensors: dict[str, Any] | None = None
    downloads: int = 100
    likes: int = 5
    commit: str = "c" * 40


@dataclass
class Seen:
    """One request as it was served."""

    kind: Kind
    method: str
    target: str
    headers: dict[str, str]
    status: int = 0
    sent: int = 0
    origin: str = "hub"


class HubServer:
    """`with HubServer(repos) as hub: hub.endpoint`. The file store is at another port.

    port: of the hub; 0 takes a free one.
    """

    def __init__(
        self, repos: dict[str, HubRepo], *, token: str | None = None, port: int = 0
    ) -> None:
        self.repos = repos
        self.token = token
        self._ports = {"hub": port, "cdn": 0}
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.hide_sizes = False
        self.page_size: int | None = None
        self.signature_uses: int | None = None
        self.on_sent: Callable[[int], None] | None = None
        self._signatures: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._servers: list[ThreadingHTTPServer] = []

    def __enter__(self) -> "HubServer":
        for origin, port in self._ports.items():
            server = _QuietServer(("127.0.0.1", port), _handler(self, origin))
            self._servers.append(server)
            threading.Thread(
                target=server.serve_forever, args=(0.05,), name=f"hub-{origin}", daemon=True
            ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Refuse connections from now on; those that are open are broken at their next request."""
        self._closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def sent_bytes(self, kind: Kind = "cdn") -> int:
        """Body bytes sent in answers of this kind."""
        return sum(seen.sent for seen in self.seen if seen.kind == kind)

    def count(self, kind: Kind) -> int:
        return sum(seen.kind == kind for seen in self.seen)

    def take_fault(self, kind: Kind, start: int) -> Fault | None:
        with self._lock:
            for index, fault in enumerate(self.faults):
                if fault.kind != kind or start < fault.offsets_from:
                    continue
                if fault.times is not None:
                    left = fault.times - 1
                    changed = Fault(**{**fault.__dict__, "times": left})
                    self.faults[index : index + 1] = [changed] if left else []
                return fault
        return None

    def sign(self) -> str:
        with self._lock:
            signature = f"s{len(self._signatures)}"
            self._signatures[signature] = 0
            return signature

    def use_signature(self, signature: str) -> bool:
        with self._lock:
            if signature not in self._signatures:
                return False
            self._signatures[signature] += 1
            limit = self.signature_uses
            return limit is None or self._signatures[signature] <= limit

    def note(self, seen: Seen) -> None:
        with self._lock:
            self.seen.append(seen)

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def wait_closing(self, seconds: float) -> bool:
        return self._closing.wait(seconds)


def _handler(hub: HubServer, origin: str) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        pass

    Handler.hub = hub
    Handler.origin = origin
    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer
    origin: str
    seen: Seen
    fault: Fault | None = None  # what is to go wrong with the answer to this request

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        if self.hub.closing:
            self.close_connection = True
            return
        target = urlsplit(self.path)
        path = unquote(target.path)
        self.seen = Seen(
            self._kind(path), self.command, self.path, dict(self.headers), origin=self.origin
        )
        self.hub.note(self.seen)
        length = int(self.headers.get("Content-Length") or 0)
        posted = self.rfile.read(length) if length else b""
        fault = self.fault = self.hub.take_fault(self.seen.kind, self._asked_start())
        try:
            if fault is not None and self._refuse(fault):
                return
            self._route(path, parse_qs(target.query), posted, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _kind(self, path: str) -> Kind:
        if self.origin == "cdn":
            return "cdn"
        if path == "/api/models":
            return "search"
        if path.startswith("/api/models/"):
            return "tree" if "/tree/" in path else "info"
        return "resolve" if "/resolve/" in path else "other"

    def _asked_start(self) -> int:
        text = self.headers.get("Range", "")
        return int(text.removeprefix("bytes=").split("-")[0]) if text.startswith("bytes=") else 0

    def _refuse(self, fault: Fault) -> bool:
        """Whether the fault is an answer of its own."""
        if fault.silent:
            while not self.hub.wait_closing(0.1):
                pass
            self.close_connection = True
        elif fault.status is not None:
            self._answer(fault.status, fault.body or b"no", fault.headers)
        elif fault.html:
            page = b"<html><body>Please sign in to this network</body></html>"
            self._answer(200, page, {"Content-Type": "text/html; charset=utf-8"})
        else:
            return False
        return True

    def _route(
        self, path: str, query: dict[str, list[str]], posted: bytes, fault: Fault | None
    ) -> None:
        if self.origin == "cdn":
            self._send_store(path, query, fault)
        elif path == "/api/models":
            self._search(query)
        elif path == "/api/whoami-v2":
            known = self._authorized()
            self._json({"name": "tester"} if known else {"error": "bad"}, 200 if known else 401)
        elif path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"), query, posted)
        elif "/resolve/" in path:
            self._resolve(path, fault)
        else:
            self._answer(404, b"not found")

    # ---- API ----

    def _search(self, query: dict[str, list[str]]) -> None:
        wanted = query.get("search", [""])[0].lower().split()
        filters = set(query.get("filter", []))
        found = []
        for name, repo in self.hub.repos.items():
            formats = {Path(path).suffix.lstrip(".") for path in repo.files}
            if repo.private or not all(word in name.lower() for word in wanted):
                continue
            if not filters <= formats | set(repo.tags):
                continue
            if "gated" in query and (query["gated"][0] == "true") != bool(repo.gated):
                continue
            found.append((name, repo))
        found.sort(key=lambda item: -item[1].downloads)
        limit = self.hub.page_size or int(query.get("limit", ["20"])[0])
        skip = int(query.get("skip", ["0"])[0])
        rows = [_summary(name, repo) for name, repo in found[skip : skip + limit]]
        headers = {}
        if skip + limit < len(found):
            rest = urlsplit(self.path).query.split("&skip=")[0]
            link = f"{self.hub.endpoint}/api/models?{rest}&skip={skip + limit}"
            headers["Link"] = f'<{link}>; rel="next"'
        self._json(rows, 200, headers)

    def _api(self, rest: str, query: dict[str, list[str]], posted: bytes) -> None:
        name = "/".join(rest.split("/")[:2])
        action = rest.split("/")[2:]
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self._authorized()):
            self._json({"error": "x"}, 401, {"X-Error-Code": "RepoNotFound"})
            return
        if action[:1] in (["revision"], ["tree"]) and not _is_revision(repo, action[1]):
            self._json({"error": "x"}, 404, {"X-Error-Code": "RevisionNotFound"})
            return
        if action[:1] == ["tree"]:
            self._json([_tree_row(path, file) for path, file in repo.files.items()])
        elif action[:1] == ["paths-info"]:
            asked = _posted_paths(posted)
            self._json([_tree_row(path, repo.files[path]) for path in asked if path in repo.files])
        elif action[:1] == ["auth-check"]:
            self._json({})
        else:
            blobs = query.get("blobs") == ["true"] and not self.hub.hide_sizes
            self._json(_info(name, repo, blobs))

    def _authorized(self) -> bool:
        return self.hub.token is not None and (
            self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        )

    def _resolve(self, path: str, fault: Fault | None) -> None:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file_path = rest.partition("/")
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not self._authorized()):
            self._answer(401, b"x", {"X-Error-Code": "RepoNotFound"})
            return
        if repo.gated and not self._authorized():
            self._answer(401, b"x", {"X-Error-Code": "GatedRepo"})
            return
        if not _is_revision(repo, revision):
            self._answer(404, b"x", {"X-Error-Code": "RevisionNotFound"})
            return
        file = repo.files.get(file_path)
        if file is None:
            self._answer(404, b"x", {"X-Error-Code": "EntryNotFound"})
            return
        etag = file.sha256 if file.lfs else file.blob_id
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{etag}"'}
        if not file.lfs:
            self._send_file(file, fault, headers)
            return
        headers["X-Linked-Size"] = str(file.size)
        headers["X-Linked-Etag"] = f'"{etag}"'
        headers["Location"] = f"{self.hub.cdn}/{file.sha256}?sig={self.hub.sign()}"
        self._answer(302, b"", headers)

    def _send_store(self, path: str, query: dict[str, list[str]], fault: Fault | None) -> None:
        if not self.hub.use_signature(query.get("sig", [""])[0]):
            self._answer(403, b"<Error>expired</Error>")
            return
        digest = path.lstrip("/")
        for repo in self.hub.repos.values():
            for file in repo.files.values():
                if file.sha256 == digest:
                    self._send_file(file, fault, {"ETag": f'"{digest}"'})
                    return
        self._answer(404, b"not stored")

    # ---- bodies ----

    def _send_file(self, file: HubFile, fault: Fault | None, headers: dict[str, str]) -> None:
        fault = fault or Fault("other")
        size = file.size if fault.content is None else len(fault.content)
        start, stop, status = 0, size, 200
        text = self.headers.get("Range", "")
        if text.startswith("bytes=") and not fault.ignore_range:
            first, _, last = text.removeprefix("bytes=").partition("-")
            start, stop, status = int(first), int(last) + 1 if last else size, 206
            stop = min(stop, size)
            if start >= size:
                self._answer(416, b"", {"Content-Range": f"bytes */{size}"})
                return
        if fault.from_zero:
            start, stop = 0, stop - start
        if fault.shift is not None:
            start = min(start + fault.shift, size - 1)
        headers = dict(headers) | {"Accept-Ranges": "bytes"}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        if fault.gzip:
            headers["Content-Encoding"] = "gzip"
        self._begin(status, stop - start + fault.longer, headers, fault.no_length)
        if self.command != "HEAD":
            self._send_body(file, start, stop, fault)

    def _send_body(self, file: HubFile, start: int, stop: int, fault: Fault) -> None:
        end = stop if fault.cut is None else min(stop, start + fault.cut)
        plain = fault.content is None and fault.flip is None and fault.rate is None
        if plain and isinstance(file.data, Path):
            self._sendfile(file.data, start, end)
        else:
            self._send_pieces(file, start, end, fault)
        if fault.longer and end == stop:
            self.connection.sendall(b"x" * fault.longer)
        if end < stop:
            self._break_off(fault)

    def _sendfile(self, path: Path, start: int, end: int) -> None:
        with path.open("rb") as stream:
            while start < end:
                count = min(end - start, 8 << 20)
                self.connection.sendfile(stream, start, count)
                start += count
                self._count(count)

    def _send_pieces(self, file: HubFile, start: int, end: int, fault: Fault) -> None:
        step = 1 << 16 if fault.rate is None else max(fault.rate // 50, 1)
        while start < end:
            piece = bytearray(_read(fault.content or file.data, start, min(step, end - start)))
            if not piece:  # a file that is only listed
                self.close_connection = True
                return
            if fault.flip is not None and start <= fault.flip < start + len(piece):
                piece[fault.flip - start] ^= 0xFF
            self.connection.sendall(piece)
            start += len(piece)
            self._count(len(piece))
            if fault.rate is not None and self.hub.wait_closing(0.02):
                return

    def _count(self, count: int) -> None:
        self.seen.sent += count
        if self.hub.on_sent is not None:
            self.hub.on_sent(count)

    def _break_off(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.how == "stall":
            while not self.hub.wait_closing(0.1):
                pass
        elif fault.how == "rst":
            time.sleep(
                0.02
            )  # let what was sent arrive: a reset discards what the peer has not read
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _begin(
        self, status: int, length: int, headers: dict[str, str], no_length: bool = False
    ) -> None:
        self.seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if no_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._begin(status, len(body), headers or {})
        if self.command == "HEAD":
            return
        sent = body if self.fault is None else body[: self.fault.cut]
        self.wfile.write(sent)
        self.seen.sent += len(sent)
        if self.fault is not None and len(sent) < len(body):
            self.wfile.flush()
            self._break_off(self.fault)

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        everything = {"Content-Type": "application/json"} | (headers or {})
        self._answer(status, json.dumps(value).encode(), everything)


def _read(data: bytes | Path, start: int, count: int) -> bytes:
    if isinstance(data, bytes):
        return data[start : start + count]
    with data.open("rb") as stream:
        stream.seek(start)
        return stream.read(count)


def _posted_paths(posted: bytes) -> list[str]:
    try:
        return [str(path) for path in json.loads(posted)["paths"]]
    except ValueError:
        return parse_qs(posted.decode()).get("paths", [])


def _is_revision(repo: HubRepo, revision: str) -> bool:
    return revision in ("main", repo.commit)


def _summary(name: str, repo: HubRepo) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": name,
        "sha": repo.commit,
        "lastModified": "2025-01-20T12:00:00.000Z",
        "tags": repo.tags,
        "gated": repo.gated,
        "private": repo.private,
        "downloads": repo.downloads,
        "likes": repo.likes,
        "siblings": [{"rfilename": path} for path in repo.files],
    }
    if repo.gguf:
        row["gguf"] = repo.gguf
    if repo.safetensors:
        row["safetensors"] = repo.safetensors
    return row


def _info(name: str, repo: HubRepo, blobs: bool) -> dict[str, Any]:
    row = _summary(name, repo)
    if blobs:
        row["siblings"] = [
            {"rfilename": path, "size": file.size, "blobId": file.blob_id} | _lfs(file, "sha256")
            for path, file in repo.files.items()
        ]
    return row


def _tree_row(path: str, file: HubFile) -> dict[str, Any]:
    row = {"type": "file", "path": path, "size": file.size, "oid": file.blob_id}
    return row | _lfs(file, "oid")


def _lfs(file: HubFile, digest: str) -> dict[str, Any]:
    if not file.lfs:
        return {}
    return {"lfs": {"size": file.size, digest: file.sha256, "pointerSize": 134}}

"""The hub client over real sockets, with the real huggingface_hub: answers, refusals, silence."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import (
    GatedModel,
    HubError,
    HubUnavailable,
    NotAHubAnswer,
    Offline,
    RateLimited,
    RemoteFileNotFound,
    RepoNotFound,
    RevisionNotFound,
    TokenRefused,
)
from app.hub.client import Hub, Timeouts
from app.hub.values import RemoteFile, SearchQuery
from app.wording.explain import explain
from runtime.progress import Cancelled, CancelToken
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer, Kind

ROOT = Path(__file__).resolve().parents[3]
QWEN = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B-GGUF"
LLAMA = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B-GGUF"


def _repo(label: str, architecture: str, total: int, **more: object) -> HubRepo:
    tags = ["gguf", "license:mit", "base_model:quantized:deepseek-ai/DeepSeek-R1"]
    facts = {"total": total, "architecture": architecture, "context_length": 131072}
    files = {f"m-{label}.gguf": HubFile(b"GGUF" * 400_000), "README.md": HubFile(b"# Card")}
    return HubRepo(files, tags=tags, gguf=facts, **more)  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[HubServer]:
    repos = {
        QWEN: _repo("Q4_K_M", "qwen2", 7_600_000_000, downloads=900),
        LLAMA: _repo("Q8_0", "llama", 8_000_000_000, downloads=500, gated="manual"),
        "o/private": _repo("Q4_0", "llama", 1, private=True),
    }
    with HubServer(repos, token="hf_right") as server:
        yield server


def client(
    server: HubServer, tmp_path: Path, token: str | None = None, offline: bool = False
) -> Hub:
    timeouts = Timeouts(connect=1, read=0.5, answer=0.5)
    return Hub(tmp_path / "cache", server.endpoint, token, offline=offline, timeouts=timeouts)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SearchQuery("distill qwen 7b"), [QWEN]),
        (SearchQuery("distill"), [QWEN, LLAMA]),
        (SearchQuery(architecture="llama"), [LLAMA]),
        (SearchQuery(quantization="q4_k_m"), [QWEN]),
        (SearchQuery(gated=False), [QWEN]),
        (SearchQuery(gated=True), [LLAMA]),
        (SearchQuery(licence="mit"), [QWEN, LLAMA]),
        (SearchQuery(licence="gpl"), []),
        (SearchQuery(max_parameters=7_900_000_000), [QWEN]),
        (SearchQuery(min_parameters=7_900_000_000), [LLAMA]),
        (SearchQuery(distilled_from="DeepSeek-R1"), [QWEN, LLAMA]),
        (SearchQuery(distilled_from="gemma"), []),
        (SearchQuery(format="safetensors"), []),
    ],
)
def test_search(server: HubServer, tmp_path: Path, query: SearchQuery, expected: list[str]) -> None:
    assert [hit.repo for hit in client(server, tmp_path).search(query).hits] == expected


def test_search_pages(server: HubServer, tmp_path: Path) -> None:
    server.page_size = 1
    hub = client(server, tmp_path)
    first = hub.search(SearchQuery("distill"))
    assert first.next_page is not None
    second = hub.search(SearchQuery("distill"), first.next_page)
    assert [hit.repo for hit in (*first.hits, *second.hits)] == [QWEN, LLAMA]
    assert second.next_page is None
    with pytest.raises(NotAHubAnswer):
        hub.search(SearchQuery(), "https://elsewhere.example/api/models?page=2")


def test_details_files_and_card(server: HubServer, tmp_path: Path) -> None:
    hub = client(server, tmp_path)
    details = hub.details(QWEN)
    served = server.repos[QWEN].files["m-Q4_K_M.gguf"]
    file = next(file for file in details.files if file.path.endswith(".gguf"))
    assert (file.size, file.sha256, file.commit) == (served.size, served.sha256, "c" * 40)
    assert (details.licence, details.architecture) == ("mit", "qwen2")
    assert details.base_models == ("deepseek-ai/DeepSeek-R1",)
    assert hub.card(QWEN, details.commit) == "# Card"
    server.hide_sizes = True  # as some mirrors do
    assert hub.details(QWEN) == details


def test_nothing_is_sent_but_what_was_asked_for(server: HubServer, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from app.hub.client import Hub
from app.hub.values import SearchQuery
hub = Hub(Path(sys.argv[1]))
print(hub.endpoint)
print(len(hub.search(SearchQuery("distill")).hits), hub.details(sys.argv[2]).commit)
"""
    environment = os.environ | {"HF_ENDPOINT": server.endpoint, "HF_TOKEN": "hf_not_ours"}
    environment.pop("HF_HUB_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), QWEN],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [server.endpoint, "2", "c" * 40]
    assert [seen.kind for seen in server.seen] == ["search", "info"]
    assert not any("Authorization" in seen.headers for seen in server.seen)


REFUSALS = {
    "503": (Fault("search", None, status=503), HubUnavailable),
    "429": (Fault("search", None, status=429, headers={"Retry-After": "7"}), RateLimited),
    "a page": (Fault("search", None, html=True), NotAHubAnswer),
    "other JSON": (Fault("search", None, status=200, body=b'{"x": 1}'), NotAHubAnswer),
    "odd rows": (Fault("search", None, status=200, body=b'[{"id": 5}]'), NotAHubAnswer),
    "no JSON": (Fault("search", None, status=200, body=b"[1,"), NotAHubAnswer),
    "silence": (Fault("search", None, silent=True), Offline),
}


@pytest.mark.parametrize(("fault", "kind"), REFUSALS.values(), ids=REFUSALS.keys())
def test_search_fails_at_once_with_its_own_kind(
    server: HubServer, tmp_path: Path, fault: Fault, kind: type[HubError]
) -> None:
    server.faults = [fault]
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        client(server, tmp_path).search(SearchQuery("distill"))
    assert time.monotonic() - started < 3
    assert server.count("search") == 1
    if kind is RateLimited:
        assert caught.value.facts["retry_after"] == 7


BROKEN = {
    "silence": ({"silent": True}, Offline),
    "a page": ({"html": True}, NotAHubAnswer),
    "reset": ({"cut": 9, "how": "rst"}, Offline),
    "cut": ({"cut": 9}, Offline),
    "stall": ({"cut": 9, "how": "stall"}, Offline),
    "429": ({"status": 429, "headers": {"Retry-After": "7"}}, RateLimited),
    "429 without a time": ({"status": 429}, RateLimited),
    "503": ({"status": 503}, HubUnavailable),
    "500": ({"status": 500}, HubUnavailable),
}


@pytest.mark.parametrize("place", ["search", "info", "tree"])
@pytest.mark.parametrize(("what", "kind"), BROKEN.values(), ids=BROKEN.keys())
def test_each_question_fails_at_once_with_its_own_kind(
    server: HubServer, tmp_path: Path, place: Kind, what: dict[str, Any], kind: type[HubError]
) -> None:
    server.hide_sizes = True  # so that the tree is asked for too
    server.faults = [Fault(place, None, **what)]
    hub = client(server, tmp_path)
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        hub.search(SearchQuery()) if place == "search" else hub.details(QWEN)
    assert time.monotonic() - started < 3
    assert server.count(place) == 1
    sentence = explain(caught.value).sentence
    assert "unknown" not in sentence
    assert "None" not in sentence
    server.faults = []
    assert hub.search(SearchQuery("distill")).hits
    assert hub.details(QWEN).files


REFUSED = {
    "401 with a code": (401, "RepoNotFound", None, RepoNotFound),
    "401 bare": (401, "", None, RepoNotFound),
    "401 bare, with a token": (401, "", "hf_wrong", TokenRefused),
    "403 bare": (403, "", None, RepoNotFound),
    "403 bare, with a token": (403, "", "hf_wrong", TokenRefused),
    "403 gated, no token": (403, "GatedRepo", None, GatedModel),
    "403 gated, not on the list": (403, "GatedRepo", "hf_right", GatedModel),
    "404 with a code": (404, "RepoNotFound", None, RepoNotFound),
    "404 of a revision": (404, "RevisionNotFound", None, RevisionNotFound),
    "404 bare": (404, "", None, RepoNotFound),
}


@pytest.mark.parametrize(("status", "code", "token", "kind"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_is_named_by_its_status_and_code(
    server: HubServer,
    tmp_path: Path,
    status: int,
    code: str,
    token: str | None,
    kind: type[HubError],
) -> None:
    headers = {"X-Error-Code": code} if code else {}
    server.faults = [Fault("info", None, status=status, headers=headers)]
    with pytest.raises(kind) as caught:
        client(server, tmp_path, token).details(QWEN)
    assert server.count("info") == 1
    if kind is GatedModel:
        assert caught.value.facts["token_sent"] is (token is not None)
        assert caught.value.facts["url"] == f"{server.endpoint}/{QWEN}"
    server.faults = [Fault("resolve", None, status=status, headers=headers)]
    of_a_file = RemoteFileNotFound if (status, code) == (404, "") else kind
    with pytest.raises(of_a_file):
        client(server, tmp_path, token).read_range(RemoteFile(QWEN, "c" * 40, "x", 9), 0, 9)


def test_pages_without_a_match_are_passed_over(server: HubServer, tmp_path: Path) -> None:
    server.page_size = 1
    hub = client(server, tmp_path)
    page = hub.search(SearchQuery("distill", architecture="llama"))
    assert [hit.repo for hit in page.hits] == [LLAMA]
    assert server.count("search") == 2
    for number in range(20):
        server.repos[f"o/distill-{number}"] = _repo("Q4_0", "gemma3", 9, downloads=1)
    page = hub.search(SearchQuery("distill", architecture="none"))
    assert page.hits == ()
    assert page.next_page is not None
    assert server.count("search") == 2 + 11
    rest = hub.search(SearchQuery("distill", architecture="none"), page.next_page)
    assert (rest.hits, rest.next_page) == ((), None)


def test_gated_private_missing_and_tokens(server: HubServer, tmp_path: Path) -> None:
    plain, wrong = client(server, tmp_path), client(server, tmp_path, "hf_wrong")
    right = client(server, tmp_path, "hf_right")
    gated = RemoteFile(LLAMA, "c" * 40, "README.md", 6)
    with pytest.raises(GatedModel) as caught:
        plain.read_range(gated, 0, 6)
    assert caught.value.facts["url"] == f"{server.endpoint}/{LLAMA}"
    assert caught.value.facts["token_sent"] is False
    assert right.read_range(gated, 0, 6) == b"# Card"
    for repo in ("o/private", "o/none"):
        with pytest.raises(RepoNotFound):
            plain.details(repo)
    assert right.details("o/private").repo == "o/private"
    with pytest.raises(RevisionNotFound):
        plain.details(QWEN, "v9")
    assert right.whoami() == "tester"
    with pytest.raises(TokenRefused):
        wrong.whoami()
    requests = len(server.seen)
    for repo in ("../../x", "o/n?x=1", "o/../n"):
        with pytest.raises(RepoNotFound):
            plain.details(repo)
    assert len(server.seen) == requests


def test_offline_gives_cached_answers_at_once(server: HubServer, tmp_path: Path) -> None:
    hub = client(server, tmp_path)
    page, details = hub.search(SearchQuery("distill")), hub.details(QWEN)
    requests = len(server.seen)
    offline = client(server, tmp_path, offline=True)
    started = time.monotonic()
    with pytest.raises(Offline) as caught:
        offline.search(SearchQuery("distill"))
    assert caught.value.facts["kind"] == "setting"
    cached = offline.cached_search(SearchQuery("distill"))
    known = offline.cached_details(QWEN)
    assert time.monotonic() - started < 0.5
    assert cached is not None
    assert known is not None
    assert cached.hits == page.hits
    assert known.files == details.files
    assert cached.cached_at
    assert offline.cached_search(SearchQuery("other")) is None
    assert len(server.seen) == requests


def test_a_refused_connection_is_offline_at_once(tmp_path: Path) -> None:
    with HubServer({}) as server:
        endpoint = server.endpoint
    started = time.monotonic()
    with pytest.raises(Offline) as caught:
        Hub(tmp_path, endpoint).search(SearchQuery())
    assert caught.value.facts["kind"] == "refused"
    assert time.monotonic() - started < 2
    json.dumps(caught.value.to_json())


def test_cancel_within_200_ms_while_the_hub_is_silent(server: HubServer, tmp_path: Path) -> None:
    server.faults = [Fault("search", None, silent=True)]
    hub = Hub(tmp_path, server.endpoint)
    cancel = CancelToken()
    cancelled: list[float] = []

    def later() -> None:
        time.sleep(0.3)
        cancelled.append(time.monotonic())
        cancel.cancel()

    threading.Thread(target=later).start()
    with pytest.raises(Cancelled):
        hub.search(SearchQuery(), cancel=cancel)
    assert time.monotonic() - cancelled[0] < 0.2

"""What the hub says, read right; what it might say in malice, refused; tokens kept private."""

import stat
from pathlib import Path

import keyring.errors
import pytest

from app.errors import HubError, SettingsError, UnsafeEndpoint
from app.hub.endpoint import check_endpoint
from app.hub.faults import error_from_status, public_url, retry_after
from app.hub.tokens import TokenStore
from app.hub.values import (
    RemoteFile,
    SearchHit,
    SearchQuery,
    is_repo_name,
    is_safe_path,
    matches,
    quantization_of,
    variants,
)

HUB = "https://hub.example"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf", "Q4_K_M"),
        ("model.IQ2_XXS.gguf", "IQ2_XXS"),
        ("model-iq4_nl.gguf", "IQ4_NL"),
        ("Qwen3-8B-Q8_0.gguf", "Q8_0"),
        ("m-Q6_K-00001-of-00003.gguf", "Q6_K"),
        ("m-BF16.gguf", "BF16"),
        ("m-fp16.gguf", "F16"),
        ("m-MXFP4.gguf", "MXFP4"),
        ("m-TQ1_0.gguf", "TQ1_0"),
        ("llama-3.gguf", None),
    ],
)
def test_quantization_labels(name: str, label: str | None) -> None:
    assert quantization_of(name) == label


def _file(path: str, size: int = 100) -> RemoteFile:
    return RemoteFile("o/n", "c" * 40, path, size)


def test_variants_group_shards_and_leave_out_incomplete_sets() -> None:
    found = variants(
        (
            _file("m-Q8_0.gguf", 800),
            _file("m-Q4_0.gguf", 400),
            _file("mmproj-F16.gguf"),
            _file("big/m-BF16-00001-of-00002.gguf", 700),
            _file("big/m-BF16-00002-of-00002.gguf", 700),
            _file("m-Q6_K-00001-of-00002.gguf"),
            _file("model.safetensors", 1500),
            _file("config.json", 1),
            _file("cpu/model.onnx", 50),
            _file("cpu/model.onnx.data", 60),
        )
    )
    assert [(v.label, v.format, v.size, len(v.files)) for v in found] == [
        ("cpu", "onnx", 110, 2),
        ("Q4_0", "gguf", 400, 1),
        ("Q8_0", "gguf", 800, 1),
        ("BF16", "gguf", 1400, 2),
        ("safetensors", "safetensors", 1501, 2),
    ]
    assert found[1].bits_per_weight(800) == 4.0


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../x",
        "a/../../x",
        "/etc/passwd",
        "C:\\x",
        "c:x",
        "a\\b",
        "a/..",
        "x\0y",
        "a\nb",
        "nul. ",
    ],
)
def test_paths_that_leave_the_folder(path: str) -> None:
    assert not is_safe_path(path)


def test_names_and_addresses() -> None:
    assert is_repo_name("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B")
    assert not any(map(is_repo_name, ["../x", "a/b/c", "a//b", "a/..", "", "a b/c", "a/b?x=1"]))
    assert check_endpoint("https://hub.example")
    assert check_endpoint("http://127.0.0.1:80")
    assert check_endpoint("http://[::1]:80")
    assert not check_endpoint("http://mirror.example")
    for bad in (
        "ftp://x",
        "hub.example",
        "https://",
        "https://u:p@x",
        "https://x?y",
        "http://x:99999",
    ):
        with pytest.raises(UnsafeEndpoint):
            check_endpoint(bad)
    assert public_url("https://u:p@x.example/a?sig=secret#f") == "https://x.example/a"


@pytest.mark.parametrize(
    ("status", "headers", "url", "token", "kind"),
    [
        (401, {"X-Error-Code": "GatedRepo"}, HUB, False, "GatedModel"),
        (403, {"X-Error-Code": "GatedRepo"}, HUB, True, "GatedModel"),
        (401, {"X-Error-Code": "RepoNotFound"}, HUB, False, "RepoNotFound"),
        (401, {}, HUB, False, "RepoNotFound"),
        (401, {}, HUB, True, "TokenRefused"),
        (404, {"X-Error-Code": "RevisionNotFound"}, HUB, False, "RevisionNotFound"),
        (404, {"X-Error-Code": "EntryNotFound"}, HUB, False, "RemoteFileNotFound"),
        (429, {"Retry-After": "9"}, HUB, False, "RateLimited"),
        (503, {}, HUB, False, "HubUnavailable"),
        (403, {}, "https://store.example/x?sig=1", True, "HubUnavailable"),
        (511, {}, HUB, False, "NotAHubAnswer"),
    ],
)
def test_every_refusal_has_its_own_kind(
    status: int, headers: dict[str, str], url: str, token: bool, kind: str
) -> None:
    error = error_from_status(status, headers, endpoint=HUB, url=url, repo="o/n", token_sent=token)
    assert isinstance(error, HubError)
    assert type(error).__name__ == kind
    assert "sig=" not in str(error)


def test_waiting_times() -> None:
    assert retry_after({"Retry-After": "12"}) == 12
    assert retry_after({"RateLimit": '"api";r=0;t=55'}) == 55
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) is None
    assert retry_after({"Retry-After": "999999"}) == 3600
    assert retry_after({}) is None


class _Ring:
    def __init__(self, locked: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = locked

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[(service, username)] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError


def test_tokens_go_to_the_keyring_first(tmp_path: Path) -> None:
    file, ring = tmp_path / "tokens.json", _Ring()
    store = TokenStore(file, ring)
    assert store.set(HUB, " hf_secret\n") == "keyring"
    assert store.get(HUB) == "hf_secret"
    assert not file.exists()
    store.delete(HUB)
    assert store.get(HUB) is None


@pytest.mark.parametrize("ring", [None, _Ring(locked=True)], ids=["none", "locked"])
def test_without_a_keyring_a_private_file(tmp_path: Path, ring: _Ring | None) -> None:
    file = tmp_path / "config" / "tokens.json"
    store = TokenStore(file, ring)
    assert store.set(HUB, "hf_secret") == "file"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TokenStore(file, ring).get(HUB) == "hf_secret"
    assert store.get("https://other.example") is None
    store.delete(HUB)
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "  ", "two words", "é", "a\nb"])
def test_what_is_no_token_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        TokenStore(tmp_path / "t", None).set(HUB, text)


def test_filters_hold_even_where_a_mirror_ignores_them() -> None:
    hit = SearchHit(
        "o/n",
        1,
        1,
        True,
        "mit",
        7,
        "qwen2",
        8,
        None,
        None,
        ("deepseek-ai/DeepSeek-R1",),
        (),
        ("m-Q4_0.gguf",),
    )
    fitting = SearchQuery(
        gated=True, licence="mit", max_parameters=8, min_parameters=6, architecture="Qwen2",
        quantization="q4_0", distilled_from="deepseek-r1",
    )  # fmt: skip
    assert matches(hit, fitting)
    for wrong in (
        SearchQuery(gated=False), SearchQuery(licence="gpl"), SearchQuery(max_parameters=6),
        SearchQuery(min_parameters=8), SearchQuery(architecture="llama"),
        SearchQuery(quantization="Q8_0"), SearchQuery(distilled_from="gemma"),
    ):  # fmt: skip
        assert not matches(hit, wrong)

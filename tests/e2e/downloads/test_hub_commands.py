"""Search, look, plan and pull through the command line, against a hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.library.catalog import load_catalog
from quant.files import hash_file
from tests.helpers.command_line import files_below, json_of, stillroom
from tests.helpers.hub_server import HubFile, HubRepo, HubServer

ENTRY = next(entry for entry in load_catalog() if entry.id == "deepseek-r1-distill-qwen-7b")
REPO = str(ENTRY.repositories.gguf)


@pytest.fixture
def hub(starter_q4: Path) -> Iterator[HubServer]:
    """A hub that serves the starter's real weights under the name of an R1 distill."""
    sha256 = hash_file(starter_q4)
    files = {"model-Q4_0.gguf": HubFile(starter_q4, sha256), "README.md": HubFile(b"# R1")}
    with HubServer({REPO: HubRepo(files)}) as server:
        yield server


def test_a_hub_model_is_found_looked_at_planned_and_pulled(
    hub: HubServer, stillroom_home: Path
) -> None:
    found = stillroom("search", "--hub", "--json", "qwen", "7b", HF_ENDPOINT=hub.endpoint)
    assert [hit["repo"] for hit in json_of(found)["hub"]["hits"]] == [REPO]
    (hit,) = json_of(found)["hub_plans"]
    assert (hit["repo"], hit["fits"]) == (REPO, "fits")
    assert hit["memory"] > 10**9

    name = f"hub:{REPO}/model-Q4_0.gguf"
    looked = json_of(stillroom("inspect", name, "--json", HF_ENDPOINT=hub.endpoint))
    assert looked["shape"]["block_count"] == 30
    planned = json_of(stillroom("plan", name, "--json", HF_ENDPOINT=hub.endpoint))
    assert planned["fits"] == "fits"
    assert not json_of(stillroom("list", "--json"))

    pulled = stillroom("pull", ENTRY.id, HF_ENDPOINT=hub.endpoint)
    assert pulled.returncode == 0, pulled.stderr
    (model,) = json_of(stillroom("list", "--json"))
    assert (model["name"], model["source"]) == (ENTRY.id, ENTRY.id)
    assert stillroom("verify", ENTRY.id).returncode == 0


def test_what_the_hub_does_not_have_is_one_sentence(hub: HubServer, stillroom_home: Path) -> None:
    before = files_below(stillroom_home)
    for name in ("hub:nobody/nothing", f"hub:{REPO}/absent.gguf", "deepseek-r1-distill-qwen-14b"):
        refused = stillroom("pull", name, HF_ENDPOINT=hub.endpoint)
        assert refused.returncode == 1
        assert refused.stderr.startswith("stillroom: ")
    assert files_below(stillroom_home) == before


def test_no_network_is_said_at_once(stillroom_home: Path) -> None:
    refused = stillroom("search", "--hub", "x", HF_ENDPOINT="http://127.0.0.1:9", seconds=20)
    assert refused.returncode == 1
    assert "refused the connection" in refused.stderr

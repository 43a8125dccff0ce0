"""What is offered of a model on the hub: the plan is that of the file itself, once looked at."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.hub.values import SearchQuery
from app.planning.inspection import plan_model
from app.planning.offers import Described, Offer, describe, refine_offer
from app.quantizing.forecast import planned
from app.session.session import Session
from quant.recipe import RECIPES
from runtime.errors import CorruptFile
from runtime.model.info import inspect
from runtime.plan import Plan
from runtime.process.client import run_job
from runtime.process.job_table import INSPECT_CHECKPOINT
from runtime.process.job_values import CheckpointArgs
from tests.helpers.checkpoints import write_checkpoint
from tests.helpers.hub_server import HubFile, HubRepo, HubServer
from tests.helpers.shapes import SMOLLM2_135M, write_shape_gguf

REPO, OFFICIAL = "o/small-gguf", "o/small"
ENTRY = "deepseek-r1-distill-qwen-1.5b"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {}
    for format in ("Q4_0", "Q8_0"):
        path = tmp_path / f"small-{format}.gguf"
        roles = {"embedding": "F16"} if format == "Q8_0" else {}
        made[format] = write_shape_gguf(
            path, SMOLLM2_135M, format, role_formats=roles, weights="hole"
        )
    return made


@pytest.fixture
def hub(files: dict[str, Path], tmp_path: Path) -> Iterator[HubServer]:
    folder = tmp_path / "official"
    folder.mkdir()
    write_checkpoint("qwen2", folder, 2)
    weights = {path.name: HubFile(path.read_bytes()) for path in folder.iterdir()}
    listed = {path.name: HubFile(path, label[1] * 64) for label, path in files.items()}
    broken = {"b-Q4_0.gguf": HubFile(b"GGUF" + b"\xff" * 3_000_000)}
    repos = {
        REPO: HubRepo(listed, tags=["gguf"], gguf={"architecture": "llama"}),
        "o/broken": HubRepo(broken, tags=["gguf"]),
        OFFICIAL: HubRepo(weights, tags=["safetensors"]),
    }
    with HubServer(repos) as server:
        yield server


@pytest.fixture
def session(session: Session, hub: HubServer) -> Session:
    session.settings = session.settings.with_value("hub_endpoint", hub.endpoint)
    return session


def asked(session: Session, key: str) -> Described:
    return describe(key, session.acquisition, session.formats)


def closer(session: Session, offer: Offer) -> Offer:
    return refine_offer(offer, session.acquisition, session.formats)


def memory(plan: Plan | None) -> list[dict[str, int]]:
    """What the plan takes, less what is free at the moment."""
    assert plan is not None
    found = [dataclasses.asdict(device) for device in plan.memory.devices]
    return [{k: v for k, v in device.items() if k != "available"} for device in found]


def test_the_looked_at_variant_is_planned_as_its_file_would_be(
    session: Session, files: dict[str, Path]
) -> None:
    small, large = asked(session, f"hub:{REPO}").offers
    assert (small.label, small.exact) == ("Q4_0", True)
    assert (large.label, large.exact) == ("Q8_0", False)
    local = {k: session.plan_for(plan_model(inspect(path), None)) for k, path in files.items()}
    assert memory(small.plan) == memory(local["Q4_0"])
    assert memory(large.plan) != memory(local["Q8_0"]), "half of the file is the embeddings"
    looked = closer(session, large)
    assert looked.exact
    assert memory(looked.plan) == memory(local["Q8_0"])
    assert looked.bits_per_weight == pytest.approx(inspect(files["Q8_0"]).bits_per_weight)


def test_a_catalog_model_is_looked_at_too(
    session: Session, hub: HubServer, files: dict[str, Path]
) -> None:
    entry = next(entry for entry in session.catalog if entry.id == ENTRY)
    hub.repos[str(entry.repositories.gguf)] = hub.repos[REPO]
    offer = asked(session, ENTRY).offers[0]
    assert not offer.exact
    looked = closer(session, offer)
    expected = session.plan_for(plan_model(inspect(files["Q4_0"]), entry))
    assert memory(looked.plan) == memory(expected)
    assert memory(looked.plan) != memory(offer.plan)


def test_official_weights_are_found_looked_at_and_fetched_to_be_quantized_here(
    session: Session, tmp_path: Path
) -> None:
    page = session.acquisition.search(SearchQuery("small", format="safetensors"))
    assert [hit.repo for hit in page.hits] == [OFFICIAL]
    (offer,) = asked(session, f"hub:{OFFICIAL}").offers
    assert (offer.quantize_here, offer.exact, offer.label) == (True, True, "q4_k_m")
    shape = run_job(INSPECT_CHECKPOINT, CheckpointArgs(tmp_path / "official", "x")).shape
    assert offer.plan is not None
    made = planned(shape, RECIPES["q4_k_m"]).weights.total
    assert sum(d.weights for d in offer.plan.memory.devices) == made
    model = session.pull(f"hub:{OFFICIAL}")
    assert (model.format, model.source) == ("safetensors", OFFICIAL)
    assert {file.path.name for file in model.files} == {
        path.name for path in (tmp_path / "official").iterdir()
    }


def test_what_no_engine_can_use_says_so_before_the_download(session: Session) -> None:
    (offer,) = asked(session, "hub:o/broken").offers
    looked = closer(session, offer)
    assert looked.plan is None
    assert isinstance(looked.problem, CorruptFile)

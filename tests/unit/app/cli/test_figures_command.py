"""What `plan`, `memory` and `search --hub` print of a measured machine."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app.cli.commands.memory import COMPARED, MemoryTable, cache_text, memory_text
from app.cli.commands.models import plan_text, planned_hit
from app.hub.values import SearchHit
from app.library.catalog import load_catalog
from app.paths import Paths
from app.planning.inspection import catalog_model
from app.session.session import Session
from app.settings import Settings
from runtime.devices import Device
from runtime.plan import PlanRequest
from runtime.planning.bandwidth import BandwidthProfile, machine_fingerprint
from runtime.planning.memory import memory_table

PROFILE = Path(__file__).resolve().parents[3] / "data" / "profile.json"
HOST = Device("cpu", "CPU", "CPU", "a processor", 10**11, 10**11, cores=2, threads=2)
R1_7B = "deepseek-r1-distill-qwen-7b"
ENTRIES = {entry.id: entry for entry in load_catalog()}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A machine with a profile and one device."""
    made = Session(Paths.under(tmp_path_factory.mktemp("home")), Settings())
    profile = msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile)
    known = dataclasses.replace(profile, fingerprint=machine_fingerprint(), doubts=())
    made.learning.keep_profile(known)
    made.machine.devices = lambda *, refresh=False: (HOST,)  # type: ignore[method-assign]
    yield made
    made.close()


def test_a_plan_tells_depths_first_token_and_a_whole_answer(session: Session) -> None:
    plan = session.plan(R1_7B, n_ctx=32768)
    first = session.planning.first_token(R1_7B, plan, 2000)
    assert plan.speed is not None
    assert plan.speed.first_token is not None
    assert first is not None
    assert first.median > 5 * plan.speed.first_token.median  # 2000 tokens against 256
    text = plan_text(R1_7B, plan, 2000, first)
    assert text.index("at the start") < text.index("with 4096 tokens")
    assert text.index("with 4096 tokens") < text.index("with 32768 tokens")
    assert "to the first token, for a prompt of 2000 tokens" in text
    assert "for a typical R1 answer (3000 tokens)" in text
    assert "the memory bandwidth measured here" in text
    assert "of the mapped file, reclaimed when memory is short" in text
    short = plan_text(R1_7B, session.plan(R1_7B, n_ctx=2048))
    assert "R1 answer" not in short  # there is no room for one
    assert "the first token, for a prompt of 256 tokens" in short


def test_models_of_each_attention_stand_side_by_side() -> None:
    models = {name: catalog_model(ENTRIES[name]) for name in COMPARED}
    assert {model.shape.attention for model in models.values()} == {"MHA", "GQA", "MLA"}
    rows = cache_text(models, (2048, 4096)).splitlines()[1:]
    assert [row.split()[:2] for row in rows[-4:]] == [
        ["deepseek-llm-7b-chat", "MHA"],
        ["deepseek-llm-67b-chat", "GQA"],
        ["deepseek-v2-lite-chat", "MLA"],
        ["deepseek-v3", "MLA"],
    ]
    assert "2.01 GB" in rows[-4]  # 4096 tokens x 30 blocks x 32 heads x 128 x 2 x 2 bytes


def test_what_is_mapped_is_told_beside_what_must_be_free() -> None:
    model = catalog_model(ENTRIES["deepseek-llm-7b-chat"])
    (cell,) = memory_table(model, (1,), (2048,), ("f16",))
    assert cell.resident == cell.total + cell.mapped > 1.8 * model.weights.total
    text = memory_text(MemoryTable("a model", "MHA", 1, cell.mapped, (cell,)))
    assert "that must be free" in text
    assert "more per cell: pages of the mapped file" in text


def hit(repo: str, parameters: int | None = None, origin: str = "") -> SearchHit:
    return SearchHit(
        repo, downloads=1, likes=1, gated=False, licence=None, parameters=parameters,
        architecture=None, context_length=None, last_modified=None, commit=None,
        base_models=(origin,), tags=(), files=(),
    )  # fmt: skip


def test_a_hub_model_is_estimated_as_the_window_does(session: Session) -> None:
    known = hit("someone/r1-gguf", origin=str(ENTRIES[R1_7B].repositories.official))
    planned = planned_hit(session, known)
    expected = session.planning.plan_for(catalog_model(ENTRIES[R1_7B]), PlanRequest())
    assert planned.memory == expected.memory.total
    assert planned.fits == "fits"
    assert planned.speed_text.endswith("reading") or "reading speed" in planned.speed_text
    huge = planned_hit(session, hit("someone/huge", 10**12))
    assert (huge.fits, huge.speed_text) == ("does_not_fit", "–")
    assert planned_hit(session, hit("someone/unsaid")).fits == "–"

"""What is offered where memory does not hold a model: the next plan, and a smaller model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.library.catalog import entry_named, load_catalog
from app.paths import Paths
from app.planning.alternatives import Known, memory_ran_out, smaller_model
from app.planning.inspection import catalog_model
from app.planning.planner import Planning
from app.session.session import Session
from app.settings import Settings
from app.wording.explain import explain
from runtime.devices import Device
from runtime.errors import DoesNotFit, OutOfMemory, WorkerDied
from runtime.plan import PlanModel, PlanRequest

CATALOG = load_catalog()
GIB = 2**30
R1 = "deepseek-r1-distill-"


def known(name: str) -> Known:
    entry = entry_named(CATALOG, name)
    return Known(name, entry, catalog_model(entry))


def largest(refused: Known, room: int) -> str | None:
    def fits(model: PlanModel) -> bool:
        return model.weights.total < room

    return smaller_model(refused, (known(entry.id) for entry in CATALOG), fits)


@pytest.mark.parametrize(
    ("refused", "room", "offered"),
    [
        (f"{R1}qwen-32b", 10 * 10**9, f"{R1}qwen-14b"),
        (f"{R1}qwen-14b", 2 * 10**9, f"{R1}qwen-1.5b"),
        ("deepseek-r1", 6 * 10**9, f"{R1}llama-8b"),  # what it taught
        (f"{R1}llama-70b", 4_300_000_000, "deepseek-llm-7b-chat"),  # of the same architecture
        ("deepseek-v3", 11 * 10**9, "deepseek-v2-lite-chat"),
        (f"{R1}qwen-1.5b", 10**9, None),  # the demonstration is no companion
        (f"{R1}qwen-14b", 10**8, None),
    ],
)
def test_the_largest_smaller_model_of_the_family(
    refused: str, room: int, offered: str | None
) -> None:
    assert largest(known(refused), room) == offered


def test_a_file_without_an_entry_has_the_family_of_its_architecture() -> None:
    mine = replace(known(f"{R1}qwen-32b"), name="/mine.gguf", entry=None)
    assert largest(mine, 10 * 10**9) == f"{R1}qwen-14b"


def test_which_errors_say_that_memory_ran_out() -> None:
    killed = WorkerDied(kind="out_of_memory", exit_code=-9, cause="SIGKILL", stderr_tail="")
    crashed = WorkerDied(kind="crashed", exit_code=-11, cause="SIGSEGV", stderr_tail="")
    assert memory_ran_out(OutOfMemory(device="cuda0", needed=None)) == "cuda0"
    assert memory_ran_out(killed) == "cpu"
    assert memory_ran_out(crashed) is None


@pytest.fixture
def planning(tmp_path: Path) -> Iterator[Planning]:
    """Plans for a machine with 3 GiB free and a GPU with 8."""
    session = Session(Paths.under(tmp_path), Settings())
    cpu = Device("cpu", "CPU", "CPU", "host", 8 * GIB, 3 * GIB, cores=2, threads=2)
    gpu = Device("cuda0", "GPU", "CUDA", "gpu", 8 * GIB, 8 * GIB, engines=("llamacpp",))
    yield replace(session.planning, devices=lambda: (gpu, cpu))
    session.close()


def refused(planning: Planning, name: str, request: PlanRequest) -> DoesNotFit:
    with pytest.raises(DoesNotFit) as raised:
        planning.plan(name, request)
    return raised.value


def test_a_refusal_names_a_smaller_model_that_is_planned_here(planning: Planning) -> None:
    request = PlanRequest(device="cpu", n_ctx=4096)
    error = refused(planning, f"{R1}qwen-14b", request)
    assert error.facts["suggestion"] is None
    assert error.facts["smaller_model"] == f"{R1}qwen-1.5b"
    assert planning.plan(f"{R1}qwen-1.5b", request).fits == "fits"
    assert explain(error).hint == f"What would fit: the smaller model {R1}qwen-1.5b."


def test_a_full_policy_refused_says_how_many_blocks_would_fit(planning: Planning) -> None:
    error = refused(planning, f"{R1}qwen-14b", PlanRequest(policy="full", n_ctx=16384))
    assert error.suggestion is not None
    blocks = error.suggestion["blocks_off_cpu"]
    assert 0 < blocks < 48
    hint = explain(error).hint
    assert hint.startswith(f"What would fit: placement auto with {blocks} of 48 blocks on cuda0")
    assert f"or the smaller model {R1}" in hint
    assert "16384" not in hint  # what was asked for is not offered again
    assert "f16" not in hint


def test_nothing_known_to_fit_is_said_in_general(planning: Planning) -> None:
    none = replace(planning, devices=lambda: (Device("cpu", "CPU", "CPU", "host", GIB, GIB // 4),))
    error = refused(none, f"{R1}qwen-14b", PlanRequest())
    assert (error.facts["suggestion"], error.facts["smaller_model"]) == (None, None)
    assert explain(error).hint == "Choose a smaller model, or close other programs."


def test_memory_that_ran_out_is_offered_the_next_plan(planning: Planning) -> None:
    name = f"{R1}qwen-7b"
    plan = planning.plan(name, PlanRequest(n_ctx=16384))
    assert plan.placement.lm_head_device == "cuda0"
    error = planning.out_of_memory_error(
        name, plan, "cuda0", OutOfMemory(device="cuda0", needed=10**9)
    )
    assert error.facts["needed"] == 10**9
    hint = explain(error).hint
    assert "the LM head on the CPU" in hint or "blocks on cuda0" in hint
    assert "or the smaller model" in hint


def test_an_installed_model_is_offered_by_its_own_name() -> None:
    entry = entry_named(CATALOG, f"{R1}qwen-7b")
    mine = Known("my-own-7b", entry, catalog_model(entry))
    assert smaller_model(known(f"{R1}qwen-14b"), [mine], lambda _: True) == "my-own-7b"

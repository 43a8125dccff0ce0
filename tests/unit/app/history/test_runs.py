"""Runs as values: what a plan may count on while a model is loaded, and what is recorded."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from app.history.records import RunRecord
from app.history.runs import (
    LoadedModel,
    is_below_prediction,
    is_undisturbed,
    mean_depth,
    misplaced_share,
    predicted_tps,
    ran_on,
    run_record,
    why_slow,
    with_memory_returned,
)
from app.library.targets import Target
from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.generation import GenerationStats
from runtime.machine.conditions import Conditions
from runtime.plan import (
    DeviceMemory,
    Interval,
    LayerRange,
    MemoryEstimate,
    Placement,
    Plan,
    PlanModel,
    SpeedEstimate,
)
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.speed import SpeedModel
from runtime.shape import ModelShape, weight_bytes

PLACEMENT = Placement("llamacpp", (LayerRange("cuda0", 0, 3),), "cuda0", 4096)
MEMORY = MemoryEstimate((DeviceMemory("cuda0", 10, 2, 1), DeviceMemory("cpu", 5, 0, 1)))
LOADED = LoadedModel(
    Target("m", Path("m.gguf"), None),
    Plan(PLACEMENT, MEMORY, None, "fits", ()),
    LoadReport("llamacpp", "1", 4096, 0.1, {}),
    None,
)


SHAPE = ModelShape("llama", 4, 256, 1024, 4, 2, 64, 64, 1000, 4096)
MODEL = PlanModel(SHAPE, weight_bytes(SHAPE, "Q4_0"), block_format="Q4_0")


@pytest.fixture(scope="module")
def speed() -> SpeedModel:
    """Of another machine's profile, kept as data."""
    path = Path(__file__).resolve().parents[3] / "data" / "profile.json"
    return SpeedModel(msgspec.json.decode(path.read_bytes(), type=BandwidthProfile))


def device(name: str, total: int, free: int) -> Device:
    return Device(name, "GPU" if name != "cpu" else "CPU", "x", name, total, free)


def test_the_loaded_model_makes_room_for_the_next() -> None:
    devices = (device("cuda0", 24, 8), device("cuda1", 24, 24), device("cpu", 64, 40))
    freed = with_memory_returned(LOADED, devices)
    assert [d.memory_free for d in freed] == [21, 24, 46]


def test_no_device_has_more_free_than_it_has() -> None:
    (freed,) = with_memory_returned(LOADED, (device("cuda0", 24, 20),))
    assert freed.memory_free == 24


def test_a_run_misses_its_range_from_below_only() -> None:
    predicted = Interval(10.0, 12.0, 14.0)
    assert is_below_prediction(predicted, 9.9, 16)
    assert not is_below_prediction(predicted, 10.1, 16)
    assert not is_below_prediction(predicted, 30.0, 100)
    assert not is_below_prediction(predicted, 1.0, 15)
    assert not is_below_prediction(None, 1.0, 100)


def stats(**changes: object) -> GenerationStats:
    plain = GenerationStats(
        request_id="r", finish_reason="stop", prompt_tokens=2000, cached_tokens=0,
        generated_tokens=96, reasoning_tokens=0, time_to_first_token=0.1, prefill_seconds=0.1,
        decode_seconds=1.0, prefill_tps=640.0, decode_tps=7.0, peak_memory=31,
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


SPEED = SpeedEstimate(
    Interval(90.0, 100.0, 110.0),
    Interval(9.0, 10.0, 11.0),
    {0: Interval(9.0, 10.0, 11.0), 4096: Interval(4.5, 5.0, 5.5)},
    "bandwidth",
)
IDLE = Conditions(
    seconds=1.0, cores=2, shared_cores=2, other_load_cores=0.0, own_cores=2.0, major_faults=0,
    blocked_seconds=None, read_bytes=0, swap_in_bytes=0, memory_limit_share=None,
    throttled_share=None, clock_share=None, on_battery=None, free_memory=1,
)  # fmt: skip


def test_a_run_is_judged_at_its_own_depth() -> None:
    planned = replace(LOADED.plan, speed=SPEED)
    assert mean_depth(stats()) == 2048
    expected = predicted_tps(planned, stats())
    assert expected is not None
    assert expected.median == pytest.approx(1 / 0.15)  # half way from 0.1 s to 0.2 s a token
    assert not is_below_prediction(expected, 6.5, 96)
    assert is_below_prediction(SPEED.decode_tps, 6.5, 96)
    record = run_record(replace(LOADED, plan=planned), stats(), IDLE)
    assert record.predicted_decode_tps == expected
    assert predicted_tps(planned, stats(prompt_tokens=90_000)) == SPEED.decode_at_depth[4096]
    assert predicted_tps(LOADED.plan, stats()) is None


@pytest.mark.parametrize(
    "met",
    [
        {"other_load_cores": 0.5},
        {"throttled_share": 0.2},
        {"swap_in_bytes": 4096},
        {"read_bytes": 200_000_000},
        {"major_faults": 500},
    ],
)
def test_a_run_that_something_held_back_teaches_nothing(met: dict[str, float]) -> None:
    assert is_undisturbed(IDLE)
    assert not is_undisturbed(replace(IDLE, **met))  # type: ignore[arg-type]


def test_a_stored_run_is_explained(speed: SpeedModel) -> None:
    layers = (LayerRange("cpu", 0, 3),)
    placement = replace(PLACEMENT, layers=layers, lm_head_device="cpu", n_threads=2)
    planned = speed.predict(MODEL, placement)
    loaded = replace(LOADED, plan=replace(LOADED.plan, placement=placement, speed=planned))
    assert planned is not None
    met = replace(IDLE, other_load_cores=1.0)
    slow = stats(decode_tps=planned.decode_tps.median / 3, mean_threads=2.0, prompt_tokens=1)
    record = run_record(loaded, slow, met)
    kept = msgspec.convert(json.loads(msgspec.json.encode(record)), type=RunRecord)
    found = why_slow(kept, MODEL, speed)
    assert found is not None
    assert found.slowdown == pytest.approx(3.0)
    assert found.causes[0].code == "other_load"
    assert why_slow(replace(kept, stats={}), MODEL, speed) is None  # of an earlier version
    assert why_slow(replace(kept, measured_decode_tps=None), MODEL, speed) is None


def test_weights_that_are_not_where_they_were_planned() -> None:
    def share(**buffers: int) -> float:
        held = {name: {"weights": nbytes} for name, nbytes in buffers.items()}
        return misplaced_share(LoadReport("llamacpp", "1", 4096, 0.1, held), LOADED.plan)

    assert share(CUDA0=10, CPU=5) == 0.0
    assert share(CUDA0=4, CPU=11) == pytest.approx(0.6)
    assert share(CPU=15) == 1.0
    assert share() == 0.0


def test_host_memory_is_kept_beside_the_workers_own() -> None:
    host = DeviceMemory("cpu", 20, 4, 1, mapped=8)
    memory = MemoryEstimate((DeviceMemory("cuda0", 100, 2, 1), host))
    record = run_record(replace(LOADED, plan=replace(LOADED.plan, memory=memory)), stats(), IDLE)
    assert (record.predicted_memory, record.measured_memory) == (33, 31)
    assert record.stats["planned_on_devices"] == {"cuda0": 103}


def test_the_engine_tells_where_the_blocks_really_are() -> None:
    def report(**buffers: int) -> LoadReport:
        return LoadReport(
            "llamacpp", "1", 4096, 0.1, {n: {"weights": b} for n, b in buffers.items()}
        )

    assert ran_on(report(CUDA0=10, CPU_Mapped=5), PLACEMENT) == "cuda0"
    assert ran_on(report(CPU_Mapped=5, CPU_REPACK=9), PLACEMENT) == "cpu"
    assert ran_on(report(), PLACEMENT) == "cuda0"

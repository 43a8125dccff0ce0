"""Why a run was slow: the heaviest measured cause comes first."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.machine.conditions import (
    Conditions,
    ConditionsSampler,
    allowed_processors,
    memory_limit_share,
    read_counters,
)
from runtime.plan import LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import (
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
)
from runtime.planning.diagnosis import Run, diagnose, read_probe
from runtime.planning.speed import SpeedModel
from runtime.shape import weight_bytes
from tests.helpers import shapes


def cpu_profile(rates: dict[int, float]) -> DeviceProfile:
    points = {n: (CurvePoint(1 << 20, r), CurvePoint(1 << 30, r)) for n, r in rates.items()}
    curves = tuple(Curve(n, points[n]) for n in rates)
    costs = tuple(
        ThreadCosts(n, 2e-6, {"64": 8e-10 / n, "128": 1e-10 / n}, {"64": 4e-11, "128": 2e-11},
                    {"Q4_0": 1e11 * n})
        for n in rates
    )  # fmt: skip
    return DeviceProfile("cpu", curves, {"Q4_0": curves}, costs)


SPEED = SpeedModel(BandwidthProfile({}, "", "full", 0.02, (cpu_profile({1: 12e9, 2: 24e9}),)))
SHAPE = shapes.R1_QWEN_1_5B
MODEL = PlanModel(SHAPE, weight_bytes(SHAPE, "Q4_0"), block_format="Q4_0")
PLACED = Placement(
    "llamacpp", (LayerRange("cpu", 0, 27),), "cpu", n_ctx=32768, n_threads=2, n_threads_batch=2
)
PLANNED = SPEED.decode_tps(MODEL, PLACED).median
IDLE = Conditions(
    seconds=10.0,
    cores=2,
    shared_cores=2,
    other_load_cores=0.02,
    own_cores=2.0,
    major_faults=0,
    blocked_seconds=None,
    read_bytes=0,
    swap_in_bytes=0,
    memory_limit_share=None,
    throttled_share=0.0,
    clock_share=1.0,
    on_battery=None,
    free_memory=8 << 30,
)


Q8 = PlanModel(SHAPE, weight_bytes(SHAPE, "Q8_0"), block_format="Q8_0")  # used from the mapped file


def run(tps: float, model: PlanModel = MODEL, **more: Any) -> Run:
    fields = {"depth": 100.0, "n_threads": 2, **more}
    return Run(model, PLACED, planned_tps=PLANNED, measured_tps=tps, **fields)


STAGED = [
    ("other_load", run(PLANNED / 2.5), {"other_load_cores": 1.0}),
    ("few_threads", run(PLANNED / 2, n_threads=1), {}),
    ("long_context", run(PLANNED / 2.2, depth=30000.0), {}),
    ("cold_file", run(PLANNED / 3), {"major_faults": 55_000}),
    ("cold_file", run(PLANNED / 2), {"major_faults": 900, "blocked_seconds": 5.0}),
    ("cold_file", run(PLANNED / 2), {"read_bytes": 2 << 30, "blocked_seconds": 5.0}),
    (
        "memory_spill",
        run(PLANNED / 3, model=Q8),
        {"read_bytes": 3 << 30, "free_memory": 1 << 30, "blocked_seconds": 7.0},
    ),
    ("cold_file", run(PLANNED / 3, model=Q8), {"read_bytes": 3 << 30, "blocked_seconds": 7.0}),
    ("memory_limit", run(PLANNED / 5), {"major_faults": 66_000, "memory_limit_share": 0.99}),
    ("swapping", run(PLANNED / 5), {"major_faults": 66_000, "swap_in_bytes": 1 << 28}),
    ("cpu_quota", run(PLANNED / 2), {"throttled_share": 0.5}),
    ("low_clock", run(PLANNED / 1.6), {"clock_share": 0.6}),
    ("battery_clock", run(PLANNED / 1.6), {"clock_share": 0.6, "on_battery": True}),
    ("low_acceptance", run(PLANNED / 1.3, draft_tokens=400, accepted_tokens=20), {}),
    ("wrong_device", run(PLANNED / 4, device="npu0"), {}),
]


@pytest.mark.parametrize(
    ("code", "slow", "met"), STAGED, ids=[f"{i}-{entry[0]}" for i, entry in enumerate(STAGED)]
)
def test_the_cause_is_named_first(code: str, slow: Run, met: dict[str, Any]) -> None:
    found = diagnose(slow, replace(IDLE, **met), SPEED)
    assert found.causes[0].code == code
    assert found.causes[0].share > 0.4
    assert sum(cause.share for cause in found.causes) + found.unexplained == pytest.approx(1.0)


def test_weights_that_are_not_on_their_device_are_named() -> None:
    gpu = replace(cpu_profile({1: 400e9}), device="cuda0")
    both = SpeedModel(replace(SPEED.profile, devices=(*SPEED.profile.devices, gpu)))
    placed = replace(PLACED, layers=(LayerRange("cuda0", 0, 27),))
    planned = both.decode_tps(MODEL, placed).median
    slow = Run(MODEL, placed, planned, planned / 4, 0.0, 2, device="cuda0", misplaced_share=0.5)
    (cause,) = diagnose(slow, IDLE, both).causes
    assert cause.code == "device_spill"
    half = replace(placed, layers=(LayerRange("cpu", 0, 13), LayerRange("cuda0", 14, 27)))
    assert cause.factor == pytest.approx(planned / both.decode_tps(MODEL, half).median)


def test_nothing_is_named_for_a_run_as_fast_as_planned() -> None:
    found = diagnose(run(PLANNED), IDLE, SPEED)
    assert found.causes == ()
    assert found.unexplained == 0.0


@pytest.mark.parametrize(
    "met",
    [
        {"other_load_cores": 1.0},
        {"major_faults": 55_000},
        {"clock_share": 0.6},
        {"throttled_share": 0.3},
        {"cores": 2, "other_load_cores": 0.5},
    ],
)
def test_a_run_about_as_fast_as_planned_has_no_cause(met: dict[str, Any]) -> None:
    assert diagnose(run(PLANNED / 1.01, n_threads=1.9), replace(IDLE, **met), SPEED).causes == ()


def test_threads_given_up_for_other_load_belong_to_it() -> None:
    met = replace(IDLE, other_load_cores=1.0)
    (cause,) = diagnose(run(PLANNED / 1.8, n_threads=1.0), met, SPEED).causes
    assert cause.code == "other_load"
    assert 1.5 < cause.factor < 2.1  # the half of the threads, and no waiting at barriers


def test_threads_cut_without_load_are_named_with_their_mean() -> None:
    (cause,) = diagnose(run(PLANNED / 1.4, n_threads=1.3), IDLE, SPEED).causes
    assert cause.code == "few_threads"
    assert cause.facts == {"n_threads": 1.3, "best": 2}
    assert 1.3 < cause.factor < 1.7


def test_threads_that_were_fixed_below_the_best_are_named_though_the_plan_knew() -> None:
    one = replace(PLACED, n_threads=1)
    planned = SPEED.decode_tps(MODEL, one).median
    found = diagnose(Run(MODEL, one, planned, planned, 0.0, 1.0), IDLE, SPEED)
    assert found.slowdown == pytest.approx(1.0)
    assert [cause.code for cause in found.causes] == ["few_threads"]
    assert found.unexplained == pytest.approx(0.0)


def test_threads_left_idle_because_more_are_slower_are_no_cause() -> None:
    crowded = SpeedModel(replace(SPEED.profile, devices=(cpu_profile({1: 24e9, 2: 18e9}),)))
    one = replace(PLACED, n_threads=1)
    planned = crowded.decode_tps(MODEL, one).median
    slow = Run(MODEL, one, planned, planned / 2, 0.0, 1.0)
    assert "few_threads" not in [c.code for c in diagnose(slow, IDLE, crowded).causes]
    fast = Run(MODEL, one, planned, planned, 0.0, 1.0)
    assert diagnose(fast, IDLE, crowded).causes == ()


def test_cores_that_a_quota_withholds_are_not_missing_threads() -> None:
    met = replace(IDLE, shared_cores=16, other_load_cores=4.0)
    assert diagnose(run(PLANNED / 1.5), met, SPEED).causes == ()


def test_what_no_measurement_explains_is_said_to_be_unexplained() -> None:
    found = diagnose(run(PLANNED / 3), IDLE, SPEED)
    assert found.unexplained > 0.9


def test_two_causes_share_the_slowdown() -> None:
    met = replace(IDLE, other_load_cores=1.0, clock_share=0.7)
    found = diagnose(run(PLANNED / 3), met, SPEED)
    assert [cause.code for cause in found.causes] == ["other_load", "low_clock"]
    assert found.causes[0].share > found.causes[1].share > 0.1


def test_waiting_of_others_is_not_ours() -> None:
    others = replace(IDLE, blocked_seconds=9.0)
    assert diagnose(run(PLANNED), others, SPEED).causes == ()


def test_memory_slower_than_its_profile_is_named() -> None:
    assert read_probe(SPEED.profile) == (2, 1 << 20)
    large = (CurvePoint(1 << 29, 3e10), CurvePoint(1 << 32, 2e10))
    host = replace(SPEED.profile.devices[0], plain=(Curve(2, large),))
    assert read_probe(replace(SPEED.profile, devices=(host,))) == (2, 1 << 29)
    found = diagnose(run(PLANNED / 2), IDLE, SPEED, reading=12e9)
    assert [cause.code for cause in found.causes] == ["slower_memory"]
    assert found.causes[0].factor == pytest.approx(2.0)
    assert diagnose(run(PLANNED / 2), IDLE, SPEED, reading=22e9).causes == ()


def test_narrow_memory_is_suspected() -> None:
    narrow = SpeedModel(BandwidthProfile({}, "", "full", 0.0, (cpu_profile({1: 13e9, 2: 14e9}),)))
    codes = {cause.code for cause in diagnose(run(PLANNED / 2), IDLE, narrow).causes}
    assert "single_channel_suspected" in codes


def test_sampler_sees_this_process_work() -> None:
    sampler = ConditionsSampler(os.getpid())
    sampler.start()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        sum(range(1000))
    seen = sampler.stop()
    assert seen.seconds >= 0.3
    assert seen.own_cores * seen.seconds == pytest.approx(0.3, abs=0.12)
    assert seen.free_memory > 0
    assert not any(thread.name == "conditions" for thread in threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity")
def test_only_the_processors_a_process_may_use_count() -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    try:
        os.sched_setaffinity(0, {one})
        sampler = ConditionsSampler(os.getpid())
        assert allowed_processors(os.getpid()) == (one,)
        sampler.start()
        seen = sampler.stop()
        alone = read_counters(os.getpid()).busy
    finally:
        os.sched_setaffinity(0, before)
    assert (seen.cores, seen.shared_cores) == (1, 1)
    if len(before) > 1:
        assert alone < read_counters(os.getpid()).busy


def test_memory_limit_of_a_control_group(tmp_path: Path) -> None:
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory_limit_share(os.getpid(), tmp_path) == pytest.approx(0.9)
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit_share(os.getpid(), tmp_path) is None


def test_the_limit_of_the_own_group_counts(tmp_path: Path) -> None:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    line = next((each for each in lines if ":memory:" in each or each.startswith("0::")), None)
    if line is None:
        pytest.skip("no control groups here")
    number, _names, path = line.split(":", 2)
    top = tmp_path if number == "0" else tmp_path / "memory"
    own = top / path.lstrip("/") / "inner"
    own.mkdir(parents=True)
    inner = own.parent
    (inner / "memory.limit_in_bytes").write_text("1000000\n")
    (inner / "memory.usage_in_bytes").write_text("970000\n")
    assert memory_limit_share(os.getpid(), tmp_path) == pytest.approx(0.97)

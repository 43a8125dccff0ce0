"""A plan taken apart: bytes add up to the plan's, times to its prediction."""

import pytest

from runtime.devices import Device
from runtime.plan import LayerRange, Placement, Plan, PlanModel
from runtime.planning.bandwidth import (
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
)
from runtime.planning.memory import estimate
from runtime.planning.plan_parts import Part, parts
from runtime.planning.speed import SpeedModel
from runtime.shape import ModelShape, weight_bytes
from tests.helpers import shapes


def device(name: str, rate: float, threads: tuple[int, ...] = (0,)) -> DeviceProfile:
    first, last = (CurvePoint(size << 20, rate * 1e9) for size in (1, 1024))
    heads = {"64": 8e-10, "128": 1e-10}
    return DeviceProfile(
        name,
        (),
        {"Q4_0": tuple(Curve(n, (first, last)) for n in threads)},
        tuple(ThreadCosts(n, 2e-6, heads, heads, {"Q4_0": rate * 1e10}) for n in threads),
    )


DEVICES = (device("cpu", 10, (1, 2)), device("cuda0", 1500))
HERE = (
    Device("cpu", "CPU", "CPU", "host", 2**42, 2**42),
    Device("cuda0", "GPU", "CUDA", "gpu", 2**42, 2**42),
)
SPEED = SpeedModel(BandwidthProfile({}, "", "full", 0.02, DEVICES))


def planned(shape: ModelShape, where: tuple[LayerRange, ...], head: str) -> tuple[Plan, PlanModel]:
    model = PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0")
    placement = Placement("llamacpp", where, head, 8192, n_threads=2)
    memory = estimate(shape, model.weights, placement, HERE)
    return Plan(placement, memory, SPEED.predict(model, placement), "fits", ()), model


def taken_apart(plan: Plan, model: PlanModel) -> dict[tuple[str, str], Part]:
    terms = SPEED.decode_terms(model, plan.placement, 0)
    return {(part.device, part.kind): part for part in parts(plan, model, terms)}


@pytest.mark.parametrize("head", ["cpu", "cuda0"])
def test_bytes_and_times_add_up_on_two_devices(head: str) -> None:
    shape = shapes.R1_QWEN_7B
    where = (LayerRange("cuda0", 0, 19), LayerRange("cpu", 20, shape.block_count - 1))
    plan, model = planned(shape, where, head)
    found = taken_apart(plan, model)
    assert found["cuda0", "blocks"].blocks == 20
    assert found["cpu", "blocks"].blocks == shape.block_count - 20
    assert (head, "lm_head") in found
    for memory in plan.memory.devices:
        held = [part.nbytes for (name, _), part in found.items() if name == memory.device]
        assert sum(held) == memory.total
    told = [part.milliseconds for (_, kind), part in found.items() if kind != "kv_cache"]
    assert plan.speed is not None
    step = 1000 / plan.speed.decode_tps.median
    assert sum(each or 0.0 for each in told) == pytest.approx(step, rel=0.02)
    slow, fast = found["cpu", "blocks"], found["cuda0", "blocks"]
    assert (slow.milliseconds or 0) > 10 * (fast.milliseconds or 0)
    assert found["cpu", "embedding"].milliseconds == 0.0


def test_a_tied_head_takes_no_bytes_of_its_own_and_a_full_cache_takes_time() -> None:
    shape = shapes.SMOLLM2_135M
    plan, model = planned(shape, (LayerRange("cpu", 0, shape.block_count - 1),), "cpu")
    found = taken_apart(plan, model)
    head = found["cpu", "lm_head"]
    assert head.nbytes == 0
    assert (head.milliseconds or 0) > 0
    speed = plan.speed
    assert speed is not None
    full = 1000 / speed.decode_at_depth[8192].median - 1000 / speed.decode_tps.median
    assert found["cpu", "kv_cache"].milliseconds == pytest.approx(full)


def test_without_a_prediction_or_a_header_the_bytes_are_told() -> None:
    shape = shapes.SMOLLM2_135M
    plan, model = planned(shape, (LayerRange("cpu", 0, shape.block_count - 1),), "cpu")
    unknown = parts(Plan(plan.placement, plan.memory, None, "fits", ()), model, {})
    assert {part.milliseconds for part in unknown} == {None}
    sums = parts(plan, None, {})
    assert [part.kind for part in sums][:2] == ["weights", "kv_cache"]
    assert sum(part.nbytes for part in sums) == plan.memory.total

"""Speed predictions: what slows a step, and what calibration learns."""

import math
import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.backends.onnx.descriptor import REFERENCE_PRODUCT as ONNX_PRODUCT
from runtime.devices import Device
from runtime.engine import StepCosts
from runtime.plan import Interval, LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import (
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
)
from runtime.planning.calibration import (
    UNCALIBRATED,
    WIDEST,
    Calibration,
    Observation,
    fit,
    interval,
    parameters,
    track_record,
)
from runtime.planning.speed import SpeedModel
from runtime.shape import ModelShape, kv_bytes_per_token, weight_bytes
from tests.helpers import shapes


def device(
    name: str, rate: float, threads: tuple[int, ...] = (0,), operation: float = 2e-6
) -> DeviceProfile:
    points = tuple(CurvePoint(size << 20, rate * 1e9) for size in (1, 1024))
    return DeviceProfile(
        name,
        (),
        {"Q4_0": tuple(Curve(n, (points[0], points[1])) for n in threads)},
        tuple(
            ThreadCosts(
                n, operation, {"64": 8e-10, "128": 1e-10}, {"64": 4e-11, "128": 2e-11},
                {"Q4_0": rate * 1e10},
            )
            for n in threads
        ),
    )  # fmt: skip


PROFILE = BandwidthProfile({}, "", "full", 0.02, (device("cpu", 10, (1, 2)), device("cuda0", 1500)))
SPEED = SpeedModel(PROFILE)


def model(shape: ModelShape = shapes.R1_QWEN_7B) -> PlanModel:
    return PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0")


def placed(
    shape: ModelShape = shapes.R1_QWEN_7B, where: str = "cpu", head: str = "cpu", **more: Any
) -> Placement:
    layers = (LayerRange(where, 0, shape.block_count - 1),)
    return Placement("llamacpp", layers, head, **{"n_ctx": 32768, "n_threads": 2, **more})


def test_a_run_of_an_engine_that_is_gone_has_no_prediction() -> None:
    """As in the history of a machine that had another package's engine."""
    assert SPEED.can_predict(placed())
    gone = replace(placed(), engine="gone")
    assert not SPEED.can_predict(gone)
    assert SPEED.predict(model(), gone) is None


def test_a_step_is_mostly_weights_over_bandwidth() -> None:
    weights = model().weights
    seconds = 1 / SPEED.decode_tps(model(), placed()).median
    reading = (sum(weights.blocks) + weights.lm_head) / 10e9
    assert reading < seconds < 1.1 * reading


def test_full_beats_split_beats_cpu_on_a_fast_gpu() -> None:
    rates = [
        SPEED.decode_tps(model(), placed(where=where, head=head)).median
        for where, head in (("cuda0", "cuda0"), ("cuda0", "cpu"), ("cpu", "cpu"))
    ]
    assert rates == sorted(rates, reverse=True)


def test_depth_slows_down_and_short_heads_more_so() -> None:
    estimate = SPEED.predict(model(), placed())
    assert estimate is not None
    figures = [estimate.decode_at_depth[depth].median for depth in (0, 4096, 16384)]
    assert figures == sorted(figures, reverse=True)
    assert set(estimate.decode_at_depth) == {0, 4096, 16384, placed().n_ctx}


def test_between_measured_depths_a_step_takes_what_lies_between() -> None:
    estimate = SPEED.predict(model(), placed())
    assert estimate is not None
    ends = [1 / estimate.decode_at_depth[depth].median for depth in (4096, 16384)]
    assert 1 / estimate.at_depth(10240).median == pytest.approx(sum(ends) / 2)
    assert estimate.at_depth(0) == estimate.decode_tps
    assert estimate.at_depth(10**6) == estimate.decode_at_depth[placed().n_ctx]
    exact = SPEED.decode_tps(model(), placed(), 10240)
    assert estimate.at_depth(10240).median == pytest.approx(exact.median, rel=0.03)
    assert estimate.basis == "bandwidth"

    def attention(shape: ModelShape) -> float:
        terms = SPEED.decode_terms(model(shape), placed(shape), 4096)
        return sum(value for name, value in terms.items() if name.startswith("attention"))

    per_product = {
        shape.key_length: attention(shape) / (shape.block_count * shape.head_count)
        for shape in (shapes.LLAMA_1B, shapes.R1_QWEN_7B)
    }
    assert per_product[64] > 3 * per_product[128]


def test_padding_is_waited_for_with_several_threads() -> None:
    one = placed(n_threads=1)
    two = placed()
    name = "attention:whole@cpu"
    assert (
        SPEED.decode_terms(model(), two, 600)[name] == (SPEED.decode_terms(model(), two, 768)[name])
    )
    assert (
        SPEED.decode_terms(model(), one, 600)[name] < (SPEED.decode_terms(model(), one, 768)[name])
    )


def test_experts_count_by_what_is_active() -> None:
    shape = shapes.DEEPSEEK_V2_LITE
    whole = weight_bytes(shape, "Q4_0").total / 10e9
    assert 1 / SPEED.decode_tps(model(shape), placed(shape)).median < whole / 3


def test_unknown_device_has_no_prediction() -> None:
    assert SPEED.predict(model(), placed(where="npu0")) is None
    with pytest.raises(ValueError, match="npu0"):
        SPEED.decode_tps(model(), placed(where="npu0"))


def server(round_trip_us: float, bytes_per_second: float) -> Device:
    facts = {"round_trip_us": f"{round_trip_us}", "bytes_per_second": f"{bytes_per_second}"}
    return Device("rpc:a:1", "RPC", "RPC", "", 1 << 40, 1 << 40, facts=facts)


def test_a_servers_link_is_counted_and_the_rest_is_taken_to_be_like_here() -> None:
    here, there = model(), placed(where="rpc:a:1", head="rpc:a:1")
    near, far = (SPEED.linked([server(*link)]) for link in ((100, 1e9), (20_000, 1e7)))
    assert SPEED.predict(here, there) is None
    terms = far.decode_terms(here, there, 0)
    activations, logits = 2 * 4 * here.shape.embedding_length, 4 * here.shape.vocab_size
    assert terms["link@rpc:a:1"] == pytest.approx(2 * 0.02 + (activations + logits) / 1e7)
    local = SPEED.decode_tps(here, placed())
    close, distant = near.decode_tps(here, there), far.decode_tps(here, there)
    assert close.median == pytest.approx(local.median, rel=0.05)
    assert distant.median < close.median
    assert close.high / close.low > 5 * local.high / local.low
    assert [reason.code for reason in near.reasons(there)] == ["rpc_speed_assumed"]
    long, short = (far.prefill_terms(here, there, n)["link@rpc:a:1"] for n in (1024, 64))
    assert long > 5 * short


def test_first_token_grows_with_the_prompt_and_answers_take_long() -> None:
    first = [SPEED.time_to_first_token(model(), placed(), n).median for n in (64, 512, 4096)]
    assert first == sorted(first)
    answer = SPEED.answer_seconds(model(), placed(), 3000)
    assert answer.median > 3000 / SPEED.decode_tps(model(), placed()).median
    assert answer.low < answer.median < answer.high


@given(st.floats(1e-6, 1e3), st.floats(0, 3))
def test_intervals_hold_their_median_and_their_limit(median: float, deviation: float) -> None:
    found = interval(median, deviation)
    assert found.low <= found.median <= found.high <= median * (1 + WIDEST) * (1 + 1e-9)


def test_onnx_weights_are_read_with_their_own_product_where_it_was_timed() -> None:
    onnx = replace(placed(), engine="onnx")
    folder = replace(model(), block_format="", formats=("onnx",))
    host = PROFILE.devices[0]
    assert "weights:Q4_0@cpu" in SPEED.decode_terms(folder, onnx, 0)  # the nearest there is
    faster = tuple(
        Curve(c.threads, tuple(CurvePoint(p.working_set, 3 * p.bytes_per_second) for p in c.points))
        for c in host.products["Q4_0"]
    )
    costs = tuple(
        replace(cost, prefill_flops={**cost.prefill_flops, ONNX_PRODUCT: 5e11})
        for cost in host.costs
    )
    both = replace(host, products={**host.products, ONNX_PRODUCT: faster}, costs=costs)
    timed = SpeedModel(replace(PROFILE, devices=(both,)))
    terms = timed.decode_terms(folder, onnx, 0)
    assert f"weights:{ONNX_PRODUCT}@cpu" in terms
    assert not [term for term in terms if "Q4" in term]
    assert timed.decode_tps(folder, onnx).median > 2.5 * SPEED.decode_tps(folder, onnx).median
    assert timed.decode_tps(model(), placed()) == SPEED.decode_tps(model(), placed())
    first = timed.time_to_first_token(folder, onnx, 512).median
    assert first < 0.5 * SPEED.time_to_first_token(folder, onnx, 512).median


def test_each_onnx_block_format_has_its_own_speed() -> None:
    host = PROFILE.devices[0]
    slow, fast = host.products["Q4_0"], tuple(
        Curve(c.threads, tuple(CurvePoint(p.working_set, 2 * p.bytes_per_second) for p in c.points))
        for c in host.products["Q4_0"]
    )  # fmt: skip
    timed = replace(host, products={**host.products, ONNX_PRODUCT: slow, "onnx-q4-b128-asym": fast})
    speed = SpeedModel(replace(PROFILE, devices=(timed,)))
    placement = replace(placed(), engine="onnx")

    def terms(block_format: str) -> dict[str, float]:
        folder = replace(model(), block_format=block_format, formats=("onnx",))
        return speed.decode_terms(folder, placement, 0)

    assert {"weights:onnx-q4-b128-asym@cpu"} == {t for t in terms("onnx-q4-b128-asym") if "b1" in t}
    assert "weights:onnx-q4-b32@cpu" in terms("onnx-q4-b64")  # not timed
    assert "weights:onnx-q4-b32@cpu" in terms("Q4_0")  # a product of the other engine


def test_formats_share_what_they_learn() -> None:
    assert parameters("weights:Q4_0@cpu") == ("weights@cpu", "weights:Q4_0@cpu")
    assert parameters("operations@cpu") == ("operations@cpu",)
    runs = [Observation("llamacpp", {"weights:Q4_0@cpu": 0.1}, 0.13) for _ in range(6)]
    learnt = fit(runs)
    own = learnt.seconds("llamacpp", {"weights:Q4_0@cpu": 0.1}).median
    other = learnt.seconds("llamacpp", {"weights:Q8_0@cpu": 0.1}).median
    assert 0.12 < own < 0.131
    assert 0.1 < other < own
    assert learnt.seconds("onnx", {"weights:Q4_0@cpu": 0.1}).median == pytest.approx(0.1)


def test_what_is_wrong_at_one_thread_count_stays_there() -> None:
    assert parameters("prefill:Q4_0/2@cpu") == ("prefill@cpu", "prefill:Q4_0@cpu", "prefill/2@cpu")
    runs = []
    for name in ("Q4_0", "Q4_1"):  # the profile read both formats too slowly with two threads
        runs += [
            Observation("llamacpp", {f"prefill:{name}/2@cpu": 1.3}, 1.0),
            Observation("llamacpp", {f"prefill:{name}/8@cpu": 1.0}, 1.0),
        ]
    learnt = fit(runs * 2)

    def error(threads: int, formats: str, predicted: float) -> float:
        terms = {f"prefill:{formats}/{threads}@cpu": predicted}
        return abs(math.log(learnt.seconds("llamacpp", terms).median))

    assert error(2, "Q4_0", 1.3) < 0.15 < math.log(1.3)
    assert error(8, "Q4_0", 1.0) < 0.09
    assert error(2, "Q8_0", 1.3) < 0.2  # a format that taught nothing
    assert error(8, "Q8_0", 1.0) < 0.07


def test_learning_narrows_the_interval() -> None:
    terms = {"weights:Q4_0@cpu": 0.1, "operations@cpu": 0.01}
    before = UNCALIBRATED.seconds("llamacpp", terms)
    after = fit([Observation("llamacpp", terms, 0.11)] * 10).seconds("llamacpp", terms)
    assert after.high / after.low < before.high / before.low


def test_one_disturbed_run_teaches_little() -> None:
    calm = [Observation("llamacpp", {"weights:Q4_0@cpu": 0.1}, 0.1) for _ in range(10)]
    storm = Observation("llamacpp", {"weights:Q4_0@cpu": 0.1}, 1.0)
    learnt = fit([*calm, storm]).seconds("llamacpp", {"weights:Q4_0@cpu": 0.1}).median
    assert learnt == pytest.approx(0.1, rel=0.05)


def test_known_coefficients_are_recovered() -> None:
    rng = random.Random(1)
    runs = []
    for _ in range(60):
        terms = {
            "weights:Q4_0@cpu": rng.uniform(0.01, 0.2),
            "attention:whole@cpu": rng.uniform(0.001, 0.2),
        }
        true = 1.2 * terms["weights:Q4_0@cpu"] + 0.7 * terms["attention:whole@cpu"]
        runs.append(Observation("llamacpp", terms, true * rng.lognormvariate(0, 0.03)))
    learnt = fit(runs)
    assert learnt.seconds("llamacpp", {"weights:Q4_0@cpu": 1.0}).median == pytest.approx(
        1.2, rel=0.04
    )
    assert learnt.seconds("llamacpp", {"attention:whole@cpu": 1.0}).median == pytest.approx(
        0.7, rel=0.06
    )


def test_calibration_survives_json_and_improves_a_prediction() -> None:
    slow = SPEED.decode_tps(model(), placed()).median * 0.85
    observed = [SPEED.decode_observation(model(), placed(), 0, slow)] * 5
    learnt = msgspec.convert(msgspec.to_builtins(fit(observed)), Calibration)
    better = SpeedModel(PROFILE, learnt)
    assert better.decode_tps(model(), placed()).median == pytest.approx(slow, rel=0.04)
    estimate = better.predict(model(), placed())
    assert estimate is not None
    assert estimate.basis == "calibrated"
    prefill = SPEED.time_to_first_token(model(), placed(), 512).median * 1.3
    taught = fit([SPEED.prefill_observation(model(), placed(), 512, prefill)] * 5)
    after = SpeedModel(PROFILE, taught).time_to_first_token(model(), placed(), 512).median
    assert after == pytest.approx(prefill, rel=0.08)


def test_track_record() -> None:
    assert track_record([]) is None
    ten = Interval(8, 10, 12)
    record = track_record([(ten, 10.0), (ten, 11.0), (ten, 20.0)])
    assert record is not None
    assert record.runs == 3
    assert record.median_error == pytest.approx(0.1)
    assert record.coverage == pytest.approx(2 / 3)


def test_quantized_cache_is_read_at_its_own_cost() -> None:
    plain = SPEED.decode_tps(model(), placed(), 16384).median
    packed = replace(placed(), kv_type_k="q4_0", kv_type_v="q4_0")
    assert SPEED.decode_tps(model(), packed, 16384).median < plain


def test_a_gpu_lends_itself_to_the_processors_blocks_for_long_prompts_only() -> None:
    gpu = replace(device("cuda0", 1500), host_copy=8e9)
    speed = SpeedModel(replace(PROFILE, devices=(PROFILE.devices[0], gpu)))
    half = (LayerRange("cpu", 0, 13), LayerRange("cuda0", 14, 27))
    partial = replace(placed(), layers=half)
    long = speed.prefill_terms(model(), partial, 512)
    copied = sum(model().weights.blocks[:14])
    assert long["prefill_copy@cuda0"] == pytest.approx(copied / (8e9 * StepCosts().copied_share))
    assert not [term for term in long if term.startswith("prefill:") and term.endswith("@cpu")]
    assert "prefill:Q4_0/1@cpu" in speed.prefill_terms(model(), partial, 16)
    alone = speed.prefill_terms(model(), placed(), 512)
    assert "prefill_copy@cuda0" not in alone


def test_beside_a_gpu_the_processors_weights_are_not_repacked() -> None:
    half = (LayerRange("cpu", 0, 13), LayerRange("cuda0", 14, 27))
    terms = SPEED.decode_terms(model(), replace(placed(), layers=half), 0)
    assert terms["host_weights@cpu"] > 0
    assert "weights:Q4_0@cpu" not in terms


def test_depth_costs_a_gpu_the_reading_of_its_cache() -> None:
    on_gpu = placed(where="cuda0", head="cuda0")
    terms = SPEED.decode_terms(model(), on_gpu, 16384)
    cache = kv_bytes_per_token(model().shape) * 16384
    assert terms["attention:whole@cuda0"] == pytest.approx(cache / 1500e9)

"""Plans: which placement is chosen, why, and what is offered when nothing fits."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.devices import Device
from runtime.errors import (
    BackendUnavailable,
    ContextTooLong,
    DeviceUnavailable,
    DoesNotFit,
    InvalidRequest,
    Suggestion,
)
from runtime.machine.cores import available_cores, cgroup_cores
from runtime.plan import (
    Interval,
    KvCacheType,
    Placement,
    Plan,
    PlanModel,
    PlanRequest,
    Policy,
    SpeedEstimate,
)
from runtime.planning import candidates
from runtime.planning.nearest_fit import less_on, next_fit
from runtime.planning.placement import default_context, plan
from runtime.shape import ModelShape, weight_bytes
from tests.helpers import shapes

GIB = 2**30
HOST = Device("cpu", "CPU", "CPU", "host", 24 * GIB, 20 * GIB, cores=2, threads=2)
GPU = Device("cuda0", "GPU", "CUDA", "gpu", 24 * GIB, 20 * GIB, engines=("llamacpp",))
NPU = Device(
    "npu0", "NPU", "OpenVINO", "npu", 24 * GIB, 20 * GIB, integrated=True, engines=("onnx",)
)
ONNX: dict[str, Any] = {
    "formats": ("onnx",),
    "compiled_contexts": (1024, 2048),
    "context_limit": 32768,
}


def model(shape: ModelShape = shapes.R1_QWEN_7B, **more: Any) -> PlanModel:
    return PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0", **more)


class Speeds:
    """Predicts from a table: tokens per second by (device of the blocks, device of the head)."""

    def __init__(self, table: dict[tuple[str, str], float]) -> None:
        self.table = table

    def predict(self, model: PlanModel, placement: Placement) -> SpeedEstimate:
        tps = self.table[placement.layers[-1].device, placement.lm_head_device]
        figure = Interval(tps * 0.9, tps, tps * 1.1)
        return SpeedEstimate(figure, figure, {0: figure}, "bandwidth")


def codes(result: Plan) -> set[str]:
    return {reason.code for reason in result.reasons}


def test_cpu_alone() -> None:
    result = plan(model(), [HOST])
    assert result.fits == "fits"
    assert [(r.device, r.first, r.last) for r in result.placement.layers] == [("cpu", 0, 27)]
    assert result.placement.lm_head_device == "cpu"
    assert result.placement.n_ctx == 8192
    assert "context_default" in codes(result)


def test_reasoning_models_get_a_longer_context() -> None:
    assert plan(model(reasoning=True), [HOST]).placement.n_ctx == 16384


def test_context_never_beyond_the_models() -> None:
    assert plan(model(shapes.DEEPSEEK_LLM_7B), [HOST]).placement.n_ctx == 4096


def test_context_shrinks_to_what_fits() -> None:
    short = replace(HOST, memory_free=weight_bytes(shapes.R1_QWEN_7B, "Q4_0").total + 900_000_000)
    result = plan(model(reasoning=True), [short])
    assert result.placement.n_ctx < 16384
    assert "context_limited_by_memory" in codes(result)
    wanted = default_context(model(reasoning=True), [short], PlanRequest())
    assert result.placement.n_ctx == wanted


def test_free_memory_counts_not_total() -> None:
    with pytest.raises(DoesNotFit):
        plan(model(), [replace(HOST, memory_free=2 * GIB)])


def test_refusal_names_the_nearest_plan_that_fits() -> None:
    need = plan(model(), [HOST], PlanRequest(n_ctx=32768)).memory.total
    short = replace(HOST, memory_free=need - 600_000_000)
    with pytest.raises(DoesNotFit) as refused:
        plan(model(), [short], PlanRequest(n_ctx=32768))
    assert refused.value.needed == need
    assert refused.value.available == short.memory_free
    suggestion = refused.value.suggestion
    assert suggestion is not None
    assert suggestion["n_ctx"] == 32768
    assert suggestion["kv_type"] == "q8_0"
    taken = plan(model(), [short], PlanRequest(n_ctx=32768, kv_type="q8_0"))
    assert taken.memory.total == suggestion["needed"]


def test_nothing_fits_at_all() -> None:
    with pytest.raises(DoesNotFit) as refused:
        plan(model(shapes.DEEPSEEK_V3), [HOST, GPU])
    assert refused.value.facts["suggestion"] is None


def test_gpu_takes_everything_when_it_is_fastest() -> None:
    speeds = Speeds({("cpu", "cpu"): 10, ("cuda0", "cuda0"): 100, ("cuda0", "cpu"): 30})
    result = plan(model(), [HOST, GPU], speed=speeds)
    assert result.placement.lm_head_device == "cuda0"
    assert "fastest_predicted" in codes(result)
    figures = [a.decode_tps.median for a in result.alternatives if a.decode_tps]
    assert max(figures) < 100
    assert 10 in figures


def test_split_is_taken_when_it_is_faster() -> None:
    speeds = Speeds({("cpu", "cpu"): 10, ("cuda0", "cuda0"): 29, ("cuda0", "cpu"): 30})
    assert plan(model(), [HOST, GPU], speed=speeds).placement.lm_head_device == "cpu"


def test_split_policy_keeps_the_head_on_the_cpu() -> None:
    result = plan(model(), [HOST, GPU], PlanRequest(policy="split", device="cuda0"))
    assert result.placement.lm_head_device == "cpu"
    assert {part.device for part in result.placement.layers} == {"cuda0"}


def test_short_gpu_memory_means_partial_offload() -> None:
    small = replace(GPU, memory_free=3 * GIB)
    result = plan(model(), [HOST, small])
    devices = [part.device for part in result.placement.layers]
    assert devices == ["cpu", "cuda0"]
    assert "partial_offload" in codes(result)
    gpu = next(d for d in result.memory.devices if d.device == "cuda0")
    assert gpu.total <= small.memory_free
    assert any(a.reason.code == "does_not_fit" for a in result.alternatives)


def test_full_policy_that_does_not_fit_suggests_fewer_blocks() -> None:
    small = replace(GPU, memory_free=3 * GIB)
    with pytest.raises(DoesNotFit) as refused:
        plan(model(), [HOST, small], PlanRequest(policy="full", device="cuda0", n_ctx=4096))
    suggestion = refused.value.suggestion
    assert suggestion is not None
    assert suggestion["policy"] == "auto"
    assert 0 < suggestion["blocks_off_cpu"] < 28
    assert (suggestion["n_ctx"], suggestion["kv_type"]) == (4096, "f16")
    assert suggestion["gives_up"] == ["policy"]


def asked_for(suggestion: Suggestion) -> dict[str, Any]:
    """What a request says that takes the suggestion."""
    return {name: dict(suggestion)[name] for name in ("policy", "n_ctx", "kv_type")}


def suggested(
    request: PlanRequest, *devices: Device, shape: ModelShape = shapes.R1_QWEN_7B
) -> Suggestion:
    """The suggestion of a refusal, which is then planned as it says."""
    with pytest.raises(DoesNotFit) as refused:
        plan(model(shape), devices, request)
    suggestion = refused.value.suggestion
    assert suggestion is not None
    taken = plan(model(shape), devices, replace(request, **asked_for(suggestion)))
    assert taken.memory.total == suggestion["needed"]
    assert taken.placement.blocks_off_cpu == suggestion["blocks_off_cpu"]
    return suggestion


def needs(request: PlanRequest, device: str = "cpu") -> int:
    result = plan(model(), [HOST, GPU], request)
    return next(d.total for d in result.memory.devices if d.device == device)


def test_a_smaller_context_keeps_the_split_policy() -> None:
    request = PlanRequest(policy="split", device="cpu", n_ctx=32768, kv_type="q4_0")
    room = needs(replace(request, n_ctx=8192)) * 1.04
    suggestion = suggested(request, replace(HOST, memory_free=round(room)))
    assert (suggestion["policy"], suggestion["kv_type"]) == ("split", "q4_0")
    assert suggestion["n_ctx"] >= 8192
    assert suggestion["gives_up"] == ["n_ctx"]


def test_half_the_context_in_8_bits_is_nearer_than_a_quarter_in_16() -> None:
    request = PlanRequest(device="cpu", n_ctx=32768, n_ubatch=512)
    room = needs(replace(request, n_ctx=16384, kv_type="q8_0")) / 0.97 + 1000
    assert needs(replace(request, n_ctx=8192)) < 0.97 * room
    short = replace(HOST, memory_free=round(room))
    with pytest.raises(DoesNotFit):
        plan(model(), [short], replace(request, kv_type="q4_0"))
    suggestion = suggested(request, short)
    assert (suggestion["n_ctx"], suggestion["kv_type"]) == (16384, "q8_0")
    assert suggestion["gives_up"] == ["n_ctx", "kv_type"]


@pytest.mark.parametrize("kv_type", ["q8_0", "q4_0"])
def test_a_smaller_kv_cache_is_offered_before_a_smaller_context(kv_type: KvCacheType) -> None:
    request = PlanRequest(device="cpu", n_ctx=32768)
    room = needs(replace(request, kv_type=kv_type)) * 1.04
    suggestion = suggested(request, replace(HOST, memory_free=round(room)))
    assert (suggestion["n_ctx"], suggestion["kv_type"]) == (32768, kv_type)
    assert suggestion["gives_up"] == ["kv_type"]


def test_a_smaller_kv_cache_goes_with_fewer_blocks_before_a_smaller_context() -> None:
    """The policy alone does not help where the host is short too."""
    request = PlanRequest(policy="full", device="cuda0", n_ctx=32768)
    gpu = replace(GPU, memory_free=3 * GIB)
    partial = plan(model(), [HOST, gpu], replace(request, policy="auto", kv_type="q8_0"))
    host = next(d.total for d in partial.memory.devices if d.device == "cpu") * 1.04
    suggestion = suggested(request, replace(HOST, memory_free=round(host)), gpu)
    assert (suggestion["n_ctx"], suggestion["kv_type"]) == (32768, "q8_0")
    assert suggestion["gives_up"] == ["policy", "kv_type"]


def test_a_smaller_micro_batch_is_taken_where_only_scratch_memory_is_short() -> None:
    whole = plan(model(), [HOST], PlanRequest(n_ctx=8192))
    room = replace(HOST, memory_free=round((whole.memory.total - 50_000_000) / 0.97))
    result = plan(model(), [room], PlanRequest(n_ctx=8192))
    assert (whole.placement.n_ubatch, result.placement.n_ubatch) == (512, 128)
    assert result.placement.n_ctx == 8192
    assert "small_ubatch" in codes(result)
    assert "small_ubatch" not in codes(whole)
    with pytest.raises(DoesNotFit):
        plan(model(), [room], PlanRequest(n_ctx=8192, n_ubatch=512))


def test_memory_that_ran_out_on_a_gpu_is_planned_around_with_less_of_it() -> None:
    failed = plan(model(), [HOST, GPU], PlanRequest(n_ctx=4096))
    assert failed.placement.lm_head_device == "cuda0"
    offer = next_fit(model(), less_on("cuda0", failed, [HOST, GPU]), failed)
    assert offer is not None
    assert offer["n_ctx"] == 4096
    assert offer["gives_up"] == ["policy"]
    held = next(d.total for d in failed.memory.devices if d.device == "cuda0")
    placed = plan(
        model(), less_on("cuda0", failed, [HOST, GPU]), PlanRequest(n_ctx=4096)
    ).memory.devices
    assert next(d.total for d in placed if d.device == "cuda0") < 0.98 * held


def test_two_small_gpus_and_the_cpu_share_the_blocks() -> None:
    """14B in 4 bits on two GPUs of 3 GiB: both are used, and the rest stays on the CPU."""
    gpus = [replace(GPU, id=f"cuda{n}", memory_free=(3 + n) * GIB) for n in range(2)]
    result = plan(model(shapes.R1_QWEN_14B), [*gpus, HOST], PlanRequest(n_ctx=4096))
    parts = result.placement.layers
    assert [part.device for part in parts] == ["cpu", "cuda0", "cuda1"]
    assert [parts[0].first, parts[-1].last] == [0, 47]
    assert all(a.last + 1 == b.first for a, b in pairwise(parts))
    for device in result.memory.devices:
        assert device.total <= device.available
    one = plan(model(shapes.R1_QWEN_14B), [gpus[1], HOST], PlanRequest(n_ctx=4096)).placement
    assert result.placement.blocks_off_cpu > one.blocks_off_cpu
    assert parts[2].last - parts[2].first > parts[1].last - parts[1].first
    told = next(reason for reason in result.reasons if reason.code == "partial_offload")
    assert told.facts == {"device": "cuda0+cuda1", "blocks": result.placement.blocks_off_cpu}


def test_the_device_with_the_lm_head_takes_fewer_blocks() -> None:
    """14B in 4 bits on two equal GPUs that hold it only so."""
    gpus = [replace(GPU, id=f"cuda{n}", memory_free=48 * GIB // 10) for n in range(2)]
    request = PlanRequest(policy="full", n_ctx=2048)
    first, second = plan(model(shapes.R1_QWEN_14B), [*gpus, HOST], request).placement.layers
    assert first.last - first.first > second.last - second.first


def test_a_plan_knows_what_it_was_made_for() -> None:
    request = PlanRequest(policy="split", n_ctx=4096, n_threads=1)
    assert plan(model(), [HOST, GPU], request).request == request


def test_two_gpus_share_the_blocks() -> None:
    other = replace(GPU, id="cuda1", memory_free=3 * GIB)
    first = replace(GPU, memory_free=3 * GIB)
    labels = {
        tuple(part.device for part in a.placement.layers)
        for a in plan(model(), [HOST, first, other]).alternatives
    }
    chosen = tuple(p.device for p in plan(model(), [HOST, first, other]).placement.layers)
    assert ("cuda0", "cuda1") in labels | {chosen}


def test_integrated_gpu_shares_the_hosts_memory() -> None:
    shared = replace(GPU, integrated=True, memory_free=6 * GIB)
    host = replace(HOST, memory_free=6 * GIB)
    result = plan(model(), [host, shared], PlanRequest(device="cuda0", n_ctx=2048))
    assert result.memory.total <= host.memory_free


def test_unusable_devices_are_left_out_with_the_reason() -> None:
    broken = replace(GPU, unavailable_reason="driver_too_old")
    result = plan(model(), [HOST, broken])
    assert {part.device for part in result.placement.layers} == {"cpu"}
    left = next(reason for reason in result.reasons if reason.code == "device_left_out")
    assert left.facts == {"device": "cuda0", "why": "driver_too_old"}
    with pytest.raises(DeviceUnavailable):
        plan(model(), [HOST, broken], PlanRequest(device="cuda0"))


@pytest.mark.parametrize(
    "request_",
    [
        PlanRequest(n_ctx=200_000),
        PlanRequest(n_ctx=0),
        PlanRequest(kv_type="q3_0"),  # type: ignore[arg-type]
        PlanRequest(n_threads=0),
        PlanRequest(sequences=0),
        PlanRequest(policy="fastest"),  # type: ignore[arg-type]
    ],
)
def test_impossible_requests(request_: PlanRequest) -> None:
    with pytest.raises((InvalidRequest, ContextTooLong)):
        plan(model(), [HOST], request_)


HEADS_OF_80 = replace(shapes.R1_LLAMA_8B, key_length=80, value_length=80)


def test_a_kv_cache_type_must_divide_the_heads() -> None:
    with pytest.raises(InvalidRequest) as refused:
        plan(model(HEADS_OF_80), [HOST], PlanRequest(kv_type="q8_0"))
    assert refused.value.facts["field"] == "kv_type"
    assert (refused.value.reason, refused.value.value) == ("indivisible_heads", 80)
    assert plan(model(HEADS_OF_80), [HOST], PlanRequest(kv_type="f32")).fits == "fits"
    assert plan(model(), [HOST], PlanRequest(kv_type="q8_0")).fits == "fits"


def test_a_kv_cache_type_that_the_heads_do_not_allow_is_not_offered() -> None:
    need = plan(model(HEADS_OF_80), [HOST], PlanRequest(n_ctx=32768)).memory.total
    short = replace(HOST, memory_free=need - 200_000_000)
    suggestion = suggested(PlanRequest(n_ctx=32768), short, shape=HEADS_OF_80)
    assert (suggestion["n_ctx"], suggestion["kv_type"]) == (16384, "f16")


def test_engine_must_read_the_formats_at_hand() -> None:
    with pytest.raises(BackendUnavailable):
        plan(model(), [HOST], PlanRequest(engine="onnx"))
    assert plan(model(formats=("onnx",)), [HOST]).placement.engine in ("onnx", "genai")


@pytest.mark.parametrize("engines", [("genai",), ("llamacpp", "genai")])
def test_a_monolithic_folder_goes_to_cuda_where_genai_reaches_it(
    engines: tuple[str, ...],
) -> None:
    """Whole: stock genai has no placement of its own stages."""
    cuda = replace(GPU, engines=engines)
    result = plan(model(formats=("genai",)), [cuda, HOST])
    assert result.placement.engine == "genai"
    assert {part.device for part in result.placement.layers} == {"cuda0"}
    assert result.placement.lm_head_device == "cuda0"


def test_a_monolithic_folder_stays_on_the_cpu_without_genai_for_cuda() -> None:
    result = plan(model(formats=("genai",)), [GPU, HOST])
    assert (result.placement.engine, result.placement.layers[0].device) == ("genai", "cpu")


def test_gguf_files_stay_with_llamacpp_on_cuda() -> None:
    cuda = replace(GPU, engines=("llamacpp", "genai"))
    assert plan(model(), [cuda, HOST]).placement.engine == "llamacpp"
    only_genai = replace(GPU, engines=("genai",))
    assert plan(model(), [only_genai, HOST]).placement.layers[0].device == "cpu"


@settings(max_examples=40, deadline=None)
@given(free=st.integers(3, 30), gpu_free=st.integers(0, 30), n_ctx=st.sampled_from([None, 4096]))
def test_a_plan_never_exceeds_free_memory(free: int, gpu_free: int, n_ctx: int | None) -> None:
    host = replace(HOST, memory_free=free * GIB)
    gpu = replace(GPU, memory_free=gpu_free * GIB)
    try:
        result = plan(model(), [host, gpu], PlanRequest(n_ctx=n_ctx))
    except DoesNotFit:
        return
    assert all(d.total <= d.available for d in result.memory.devices)


@settings(max_examples=15, deadline=None)
@given(less=st.integers(1, 8), more=st.integers(0, 8))
def test_more_gpu_memory_never_means_fewer_blocks_on_it(less: int, more: int) -> None:
    def blocks(gib: int) -> int:
        gpu = replace(GPU, memory_free=gib * GIB)
        layers = plan(model(), [HOST, gpu], PlanRequest(n_ctx=4096)).placement.layers
        return sum(part.last - part.first + 1 for part in layers if part.device == "cuda0")

    assert blocks(less + more) >= blocks(less)


class ByThreads:
    """Predicts decode speed from a table by thread count."""

    def __init__(self, table: dict[int, float]) -> None:
        self.table = table

    def predict(self, model: PlanModel, placement: Placement) -> SpeedEstimate:
        figure = Interval(1, self.table[placement.n_threads], 100)
        return SpeedEstimate(figure, figure, {0: figure}, "bandwidth")


@pytest.mark.parametrize(
    ("table", "fixed", "chosen"),
    [
        ({1: 3, 2: 6, 4: 9, 8: 10}, None, 8),
        ({1: 3, 2: 6, 4: 10, 8: 8}, None, 4),  # memory is read no faster by more
        ({1: 3, 2: 6, 4: 10.2, 8: 10}, None, 8),  # too little to tell
        ({1: 3, 2: 6, 4: 10, 8: 8}, 8, 8),
    ],
)
def test_answers_start_with_the_thread_count_that_was_measured_fastest(
    table: dict[int, float], fixed: int | None, chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "available_cores", lambda *_: 8)  # on any machine
    result = plan(model(), [HOST], PlanRequest(n_threads=fixed), ByThreads(table))
    assert (result.placement.n_threads, result.placement.n_threads_batch) == (chosen, 8)
    assert ("threads_fastest_here" in codes(result)) == (chosen < 8)


def test_cores_respect_affinity_and_quota(tmp_path: Path) -> None:
    assert available_cores(8, 16, allowed=16, quota=0.0) == 8
    assert available_cores(8, 16, allowed=4, quota=0.0) == 2
    assert available_cores(8, 8, allowed=8, quota=2.5) == 2
    assert available_cores(4, 4, allowed=4, quota=0.5) == 1
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert cgroup_cores(tmp_path) == 1.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cgroup_cores(tmp_path) is None


def test_an_npu_takes_the_body_and_the_longest_context_it_was_made_for() -> None:
    result = plan(model(**ONNX), [NPU, HOST])
    assert result.placement.engine == "onnx"
    assert {part.device for part in result.placement.layers} == {"npu0"}
    assert result.placement.lm_head_device == "cpu"
    assert result.placement.n_ctx == 2048
    assert "context_compiled" in codes(result)


def test_a_context_beyond_the_body_s_goes_to_another_device_or_is_refused() -> None:
    result = plan(model(**ONNX), [NPU, HOST], PlanRequest(n_ctx=4096))
    assert result.placement.layers[0].device == "cpu"
    reasons = {each.reason.code: each.reason.facts for each in result.alternatives}
    assert reasons["context_not_compiled"] == {"longest": 2048}
    with pytest.raises(ContextTooLong) as refused:
        plan(model(**ONNX), [NPU, HOST], PlanRequest(n_ctx=4096, device="npu0"))
    assert refused.value.facts["longest"] == 2048
    assert refused.value.facts["why"] == "compiled"


def test_a_context_beyond_the_file_s_or_the_model_s_is_refused() -> None:
    with pytest.raises(ContextTooLong) as refused:
        plan(model(**ONNX), [HOST], PlanRequest(n_ctx=40000))
    assert (refused.value.facts["longest"], refused.value.facts["why"]) == (32768, "exported")
    with pytest.raises(ContextTooLong) as refused:
        plan(model(), [HOST], PlanRequest(n_ctx=10**6))
    assert refused.value.facts["why"] == "trained"


@pytest.mark.parametrize(
    ("fixed", "device", "policy", "reason"),
    [
        ({"formats": ("onnx",)}, NPU, "auto", "no_fixed_shape_body"),
        (ONNX, NPU, "full", "lm_head_runs_on_the_cpu"),
        (ONNX, GPU, "auto", "engine_does_not_reach_it"),
        ({}, NPU, "auto", "engine_does_not_reach_it"),
    ],
)
def test_a_device_no_engine_for_the_model_reaches_is_refused(
    fixed: dict[str, Any], device: Device, policy: Policy, reason: str
) -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        plan(model(**fixed), [device, HOST], PlanRequest(device=device.id, policy=policy))
    assert refused.value.facts["reason"] == reason


def test_a_stand_in_is_used_only_when_it_is_named() -> None:
    simulator = replace(NPU, id="qnn-simulator", on_request=True)
    assert plan(model(**ONNX), [simulator, HOST]).placement.layers[0].device == "cpu"
    named = plan(model(**ONNX), [simulator, HOST], PlanRequest(device="qnn-simulator"))
    assert named.placement.layers[0].device == "qnn-simulator"

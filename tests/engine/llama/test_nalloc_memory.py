"""The engine's simulated allocation, the formula and the real process agree about memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.session.session import Session
from runtime.backends.llama.memory_formula import kv_head_rest
from runtime.devices import Device
from runtime.errors import DoesNotFit, ModelFileError
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.plan import DeviceMemory, KvCacheType, LayerRange, MemoryEstimate, Placement, Plan
from runtime.planning.candidates import fits
from runtime.planning.exact_memory import MemoryReport, exact_memory
from runtime.planning.memory import estimate
from runtime.process.client import Worker, run_job
from runtime.process.job_table import SIMULATE_MEMORY
from runtime.process.job_values import MemoryArgs
from runtime.shape import ModelShape, weight_bytes
from tests.helpers.shapes import (
    DEEPSEEK_V2_LITE,
    QWEN2_0_5B,
    R1_LLAMA_8B,
    R1_QWEN_1_5B,
    R1_QWEN_7B,
    write_shape_gguf,
    write_small_gguf,
)

CPU = Device("cpu", "CPU", "CPU", "a processor", 1 << 37, 1 << 37)
TOLERANCE = 0.02
# The promise is 5 % or 200 MB; of models as small as these that would be more than their weights.
PROCESS_TOLERANCE = 60_000_000


def placement(shape: ModelShape, n_ctx: int) -> Placement:
    return Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, shape.block_count - 1),),
        lm_head_device="cpu",
        n_ctx=n_ctx,
        n_threads=2,
        n_threads_batch=2,
    )


def both(path: Path, shape: ModelShape, where: Placement) -> tuple[DeviceMemory, DeviceMemory]:
    """(formula, engine) of the CPU."""
    formula = estimate(shape, weight_bytes(shape, "Q4_0"), where, [CPU])
    exact = exact_memory(formula, run_job(SIMULATE_MEMORY, MemoryArgs(path, where)))
    assert exact.exact
    return formula.devices[0], exact.devices[0]


@pytest.mark.parametrize(
    ("shape", "n_ctx", "kv_type"),
    [
        (QWEN2_0_5B, 4096, "f16"),
        (R1_QWEN_1_5B, 16384, "f16"),
        (R1_QWEN_1_5B, 4096, "q8_0"),
        (R1_QWEN_7B, 8192, "f16"),
        (R1_LLAMA_8B, 8192, "q4_0"),
        (DEEPSEEK_V2_LITE, 4096, "f16"),
    ],
)
def test_formula_and_engine_agree(
    tmp_path: Path, shape: ModelShape, n_ctx: int, kv_type: KvCacheType
) -> None:
    path = write_shape_gguf(tmp_path / "shape.gguf", shape, weights="hole")
    where = replace(placement(shape, n_ctx), kv_type_k=kv_type, kv_type_v=kv_type)
    formula, engine = both(path, shape, where)
    assert formula.kv_cache == pytest.approx(engine.kv_cache, rel=TOLERANCE)
    whole = formula.weights + formula.kv_cache + formula.compute_buffer
    assert whole == pytest.approx(
        engine.weights + engine.kv_cache + engine.compute_buffer, rel=TOLERANCE
    )


@pytest.mark.parametrize("head", [64, 80])
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_the_engine_takes_the_kv_types_that_a_plan_may_name(
    tmp_path: Path, head: int, kv_type: KvCacheType
) -> None:
    base = replace(QWEN2_0_5B, block_count=2, embedding_length=4 * head, head_count=4)
    sizes = {"key_length": head, "value_length": head, "rope_dimension_count": head}
    shape = replace(base, vocab_size=320, **sizes)  # type: ignore[arg-type]
    path = write_shape_gguf(tmp_path / "heads.gguf", shape, "F16", weights="hole")
    where = replace(placement(shape, 512), kv_type_k=kv_type, kv_type_v=kv_type)
    args = MemoryArgs(path, where)
    if kv_head_rest(shape, kv_type) == 0:
        assert run_job(SIMULATE_MEMORY, args).kv_cache > 0
    else:
        with pytest.raises(ModelFileError):
            run_job(SIMULATE_MEMORY, args)


def test_the_report_is_what_loading_then_allocates(starter_gguf: Path) -> None:
    where = placement(replace(R1_QWEN_1_5B, block_count=30), 4096)
    told = run_job(SIMULATE_MEMORY, MemoryArgs(starter_gguf, where))
    worker = Worker.start()
    try:
        buffers = worker.load(str(starter_gguf), where).buffers
    finally:
        worker.close()
    parts: dict[str, int] = {}
    for device in buffers.values():
        for part, size in device.items():
            parts[part] = parts.get(part, 0) + size
    assert told.kv_cache == parts["kv_cache"]
    assert told.compute["cpu"] == parts["compute"] + parts["output"]


def test_devices_keep_their_shares_of_the_cache() -> None:
    halves = MemoryEstimate(
        (DeviceMemory("cuda0", 10, 100, 5), DeviceMemory("cpu", 20, 300, 7, overhead=1))
    )
    exact = exact_memory(halves, MemoryReport({"cuda0": 6}, 200))
    assert [device.kv_cache for device in exact.devices] == [50, 150]
    assert [device.compute_buffer for device in exact.devices] == [6, 7]
    assert exact.devices[1].overhead == 1


def test_a_session_makes_its_plan_exact(session: Session, starter_gguf: Path) -> None:
    plan = session.plan(str(starter_gguf), n_ctx=2048)
    exact = session.planning.exact(str(starter_gguf), plan)
    assert exact.memory.exact
    assert not plan.memory.exact
    assert exact.memory.total == pytest.approx(plan.memory.total, rel=TOLERANCE)
    assert exact.placement == plan.placement


def tight(plan: Plan, compute_share: float) -> Plan:
    """The plan as a formula would have made it that sees this share of the scratch memory, on a
    machine with just enough memory for that."""
    (host,) = plan.memory.devices
    host = replace(host, compute_buffer=round(compute_share * host.compute_buffer))
    memory = MemoryEstimate((replace(host, available=round(host.total / 0.969)),))
    assert fits(memory)
    return replace(plan, memory=memory, fits="tight")


def test_a_tight_plan_is_confirmed_by_the_engine_before_it_is_loaded(
    session: Session, starter_gguf: Path
) -> None:
    model = str(starter_gguf)
    plan = session.plan(model, n_ctx=2048)
    assert plan.fits == "fits"
    session.load(model, plan)
    assert session.loaded is not None
    assert not session.loaded.plan.memory.exact  # what fits anyway is not read twice
    session.load(model, tight(plan, 1.5))
    assert session.loaded is not None
    assert session.loaded.plan.memory.exact
    assert session.loaded.plan.fits == "tight"


def test_a_tight_plan_that_the_engine_refutes_is_refused(
    session: Session, starter_gguf: Path
) -> None:
    model = str(starter_gguf)
    plan = tight(session.plan(model, n_ctx=8192), 0.5)
    with pytest.raises(DoesNotFit):
        session.planning.exact(model, plan)
    with pytest.raises(DoesNotFit) as raised:
        session.load(model, plan)
    assert session.loaded is None
    refused = raised.value
    assert refused.needed > 0.97 * refused.available
    assert refused.suggestion is not None
    assert refused.suggestion["needed"] < refused.available
    assert refused.suggestion["gives_up"] == ["kv_type"]


def peak(pid: int) -> int:
    """Bytes that were resident at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
def small_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_gguf(tmp_path_factory.mktemp("small") / "small.gguf")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize(
    ("model", "n_ctx", "kv_type"),
    [
        ("starter_gguf", 8192, "f16"),
        ("starter_q4", 4096, "f16"),  # mapped and repacked
        ("small_gguf", 512, "f16"),
    ],
)
def test_the_process_takes_what_the_plan_promised(
    session: Session, request: pytest.FixtureRequest, model: str, n_ctx: int, kv_type: KvCacheType
) -> None:
    path = str(request.getfixturevalue(model))
    plan = session.plan(path, n_ctx=n_ctx, kv_type=kv_type)
    session.load(path, plan)
    greedy = SamplingParams(temperature=0)
    asked = GenerationRequest("q", (Message("user", "hello " * 30),), greedy, max_tokens=4)
    stats = session.generate(asked, lambda _: None)
    assert session._worker is not None
    taken = peak(session._worker.pid)
    assert stats.peak_memory == pytest.approx(taken, rel=0.01)
    assert plan.memory.host_resident == pytest.approx(taken, abs=PROCESS_TOLERANCE)

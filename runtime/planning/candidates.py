"""Every placement worth comparing for a model on some devices, with the memory each takes.

Knows the policies (split, full, auto), how blocks are shared over devices, the micro-batch, and
what counts as fitting. Knows no engine and no file; memory comes from `runtime.planning.memory`,
speed from the given predictor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runtime.backend import DESCRIPTORS
from runtime.devices import Device
from runtime.errors import BackendUnavailable
from runtime.machine import rpc
from runtime.machine.cores import available_cores, thread_counts
from runtime.plan import (
    DeviceMemory,
    EngineName,
    LayerRange,
    MemoryEstimate,
    Placement,
    PlanModel,
    PlanRequest,
    Reason,
    SpeedEstimate,
    SpeedPredictor,
)
from runtime.planning.memory import GPU_OVERHEAD, estimate

SMALLEST_CONTEXT = 512
UBATCH = 512
SMALL_UBATCH = 128  # a quarter of the scratch memory, where that is what does not fit
RESERVE_SHARE = 0.03  # of the free memory stays free: other programs change while a model loads
TIGHT_SHARE = 0.85
FEWER_THREADS_GAIN = 1.03  # less is within the error of a profile
ENGINES: tuple[EngineName, ...] = ("llamacpp", "onnx", "genai", "fake")


@dataclass(frozen=True)
class Candidate:
    """A placement under consideration."""

    placement: Placement
    memory: MemoryEstimate
    speed: SpeedEstimate | None
    label: str  # "cpu", "full", "split", "partial"

    @property
    def decode_tps(self) -> float | None:
        return self.speed.decode_tps.median if self.speed else None


def fits(memory: MemoryEstimate) -> bool:
    """Whether every device keeps its reserve free."""
    return all(map(_has_room, memory.devices))


def _has_room(device: DeviceMemory) -> bool:
    return device.total <= device.available * (1 - RESERVE_SHARE)


def tight(memory: MemoryEstimate) -> bool:
    """Whether it fits with little room left."""
    return any(d.total > d.available * TIGHT_SHARE for d in memory.devices)


def shortage(memory: MemoryEstimate) -> dict[str, Any]:
    """The device that lacks most, as facts of an error or a reason."""
    worst = max(memory.devices, key=lambda d: d.total - d.available * (1 - RESERVE_SHARE))
    return {"device": worst.device, "needed": worst.total, "available": worst.available}


def candidates(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest,
    speed: SpeedPredictor | None,
) -> Iterator[Candidate]:
    """Every placement worth comparing, fitting or not; `request.n_ctx` is set.

    llama.cpp's small micro-batch is included only where it fits and the default one does not.
    Raises BackendUnavailable when no engine runs the formats at hand.
    """
    cpu = next(device for device in devices if device.id == "cpu")
    for engine in _engines(model, request):
        base = _base(engine, cpu, request)
        for label, placement in _placements(model, base, devices, request):
            if speed and engine == "llamacpp" and request.n_threads is None:
                placement = _with_fastest_threads(model, placement, speed)
            candidate = _candidate(model, placement, devices, speed, label)
            yield candidate
            if engine == "llamacpp" and request.n_ubatch is None and not fits(candidate.memory):
                small = replace(placement, n_ubatch=SMALL_UBATCH)
                candidate = _candidate(model, small, devices, speed, label)
                if fits(candidate.memory):
                    yield candidate


def _with_fastest_threads(
    model: PlanModel, placement: Placement, speed: SpeedPredictor
) -> Placement:
    """The placement with the thread count that decodes fastest by what was measured here. Prompts
    are bound by arithmetic and keep all cores."""
    if placement.lm_head_device != "cpu" and placement.layers[0].device != "cpu":
        return placement
    best, best_tps = placement, 0.0
    for n_threads in reversed(thread_counts(placement.n_threads)):
        tried = replace(placement, n_threads=n_threads)
        predicted = speed.predict(model, tried)
        if predicted is not None and predicted.decode_tps.median > best_tps * FEWER_THREADS_GAIN:
            best, best_tps = tried, predicted.decode_tps.median
    return best


def _candidate(
    model: PlanModel,
    placement: Placement,
    devices: Sequence[Device],
    speed: SpeedPredictor | None,
    label: str,
) -> Candidate:
    predicted = speed.predict(model, placement) if speed else None
    return Candidate(placement, _estimate(model, placement, devices), predicted, label)


def _engines(model: PlanModel, request: PlanRequest) -> list[EngineName]:
    engines = [e for e in ENGINES if set(DESCRIPTORS[e].formats) & set(model.formats)]
    if request.engine is not None:
        if request.engine not in engines:
            raise BackendUnavailable(
                backend=request.engine, reason="cannot read the formats at hand: "
                + ", ".join(model.formats),
            )  # fmt: skip
        return [request.engine]
    if not engines:
        raise BackendUnavailable(backend="any", reason=f"no engine reads {model.formats}")
    # Stock genai reads our folders too, but cannot rewind: only when it is asked for.
    return [e for e in engines if e != "genai" or "onnx" not in engines]


def _base(engine: EngineName, cpu: Device, request: PlanRequest) -> Placement:
    threads = request.n_threads or available_cores(cpu.cores or None, cpu.threads or None)
    # The ONNX bodies keep their cache in the type they compute in.
    kv_type = "f32" if engine in ("onnx", "genai") else request.kv_type or "f16"
    return Placement(
        engine=engine,
        layers=(),
        lm_head_device="cpu",
        n_ctx=request.n_ctx or SMALLEST_CONTEXT,
        n_ubatch=request.n_ubatch or UBATCH,
        kv_type_k=kv_type,
        kv_type_v=kv_type,
        n_threads=threads,
        n_threads_batch=threads,
        sequences=request.sequences,
    )


def _placements(
    model: PlanModel, base: Placement, devices: Sequence[Device], request: PlanRequest
) -> Iterator[tuple[str, Placement]]:
    """(label, placement) for the CPU alone, and for each accelerator and all of them together,
    whole and in part."""
    group = [d for d in devices if d.id != "cpu" and base.engine in d.engines]
    together = base.engine == "llamacpp" and len(group) > 1
    if request.device == rpc.ALL and together:
        yield from _on(model, base, group, devices, request)
        return
    if request.device in (None, "cpu"):
        yield "cpu", replace(base, layers=(LayerRange("cpu", 0, model.shape.block_count - 1),))
    for device in group:
        yield from _on(model, base, [device], devices, request)
    if together and request.device is None:
        yield from _on(model, base, group, devices, request)


def _on(
    model: PlanModel,
    base: Placement,
    group: Sequence[Device],
    devices: Sequence[Device],
    request: PlanRequest,
) -> Iterator[tuple[str, Placement]]:
    """(label, placement) with blocks on every device of `group`."""
    whole = _share(group, 0, model.shape.block_count)
    if base.engine == "onnx":
        if model.compiled_contexts and request.policy != "full":
            n_ctx = min(base.n_ctx, max(model.compiled_contexts))
            yield "split", replace(base, layers=whole, n_ctx=n_ctx)
        return
    if request.policy in ("auto", "full"):
        head = model.weights.lm_head_read
        layers = _share(group, 0, model.shape.block_count, head)
        yield "full", replace(base, layers=layers, lm_head_device=layers[-1].device)
    if request.policy in ("auto", "split"):
        yield "split", replace(base, layers=whole)
    if base.engine == "llamacpp" and request.policy != "full":
        partial = _partial(model, base, group, devices)
        if partial is not None:
            yield "partial", partial


def _partial(
    model: PlanModel, base: Placement, group: Sequence[Device], devices: Sequence[Device]
) -> Placement | None:
    """As many of the last blocks on the devices of `group` as fit there; None when that is none,
    or all of them."""
    for first in range(1, model.shape.block_count):
        layers = _share(group, first, model.shape.block_count)
        placement = replace(base, layers=(LayerRange("cpu", 0, first - 1), *layers))
        memory = _estimate(model, placement, devices)
        if all(_has_room(d) for d in memory.devices if d.device != "cpu"):
            return placement
    return None


def _share(
    group: Sequence[Device], first: int, count: int, head: int = 0
) -> tuple[LayerRange, ...]:
    """Blocks first..count-1 over `group`, in proportion to the memory that each has for them; the
    last also takes an LM head of `head` bytes."""
    taken = [GPU_OVERHEAD] * (len(group) - 1) + [GPU_OVERHEAD + head]
    room = [max(1, d.memory_free - used) for d, used in zip(group, taken, strict=True)]
    layers: list[LayerRange] = []
    start = first
    for index, device in enumerate(group):
        end = first + round((count - first) * sum(room[: index + 1]) / sum(room))
        if end > start:
            layers.append(LayerRange(device.id, start, end - 1))
        start = end
    return tuple(layers)


def _estimate(model: PlanModel, placement: Placement, devices: Sequence[Device]) -> MemoryEstimate:
    memory = estimate(
        model.shape, model.weights, placement, devices, block_format=model.block_format
    )
    return _shared(memory, devices)


def _shared(memory: MemoryEstimate, devices: Sequence[Device]) -> MemoryEstimate:
    """Integrated accelerators use the host's memory: what they take is not free there."""
    integrated = {device.id for device in devices if device.integrated and device.id != "cpu"}
    taken = sum(d.total for d in memory.devices if d.device in integrated)
    if not taken:
        return memory
    return replace(
        memory,
        devices=tuple(
            replace(d, available=max(0, d.available - taken)) if d.device == "cpu" else d
            for d in memory.devices
        ),
    )


def choose(
    fitting: Sequence[Candidate], request: PlanRequest
) -> tuple[Candidate, tuple[Reason, ...]]:
    """The fastest by prediction; without one, by the order the engines' measurements support."""
    if all(candidate.decode_tps is not None for candidate in fitting) and len(fitting) > 1:
        best = max(fitting, key=lambda candidate: candidate.decode_tps or 0.0)
        return best, (Reason("fastest_predicted", {"decode_tps": best.decode_tps}),)
    order = {"full": 0, "split": 1, "partial": 2, "cpu": 3}
    best = min(fitting, key=lambda each: (order[each.label], -each.placement.blocks_off_cpu))
    if len(fitting) == 1:
        return best, (Reason("only_one_fits", {"kind": best.label}),)
    return best, (Reason("speed_unknown", {"kind": best.label}),)

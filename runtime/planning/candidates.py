"""Every placement worth comparing for a model on some devices, with the memory each takes.

Knows the policies (split, full, auto), how blocks are shared over devices, the micro-batch, and
what counts as fitting. Knows engines by their descriptors and no file; memory comes from
`runtime.planning.memory`, speed from the given predictor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from runtime import registry
from runtime.devices import Device
from runtime.engine import EngineDescriptor
from runtime.errors import BackendUnavailable
from runtime.machine import rpc
from runtime.machine.cores import available_cores, thread_counts
from runtime.plan import (
    DeviceMemory,
    LayerRange,
    MemoryEstimate,
    Placement,
    PlanModel,
    PlanRequest,
    Reason,
    SpeedEstimate,
    SpeedPredictor,
)
from runtime.planning.memory import estimate

SMALLEST_CONTEXT = 512
RESERVE_SHARE = 0.03  # of the free memory stays free: other programs change while a model loads
TIGHT_SHARE = 0.85
FEWER_THREADS_GAIN = 1.03  # less is within the error of a profile


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


@dataclass(frozen=True)
class Shortage:
    """Bytes that a device needs and has."""

    device: str
    needed: int
    available: int


def shortage(memory: MemoryEstimate) -> Shortage:
    """The device that lacks most."""
    worst = max(memory.devices, key=lambda d: d.total - d.available * (1 - RESERVE_SHARE))
    return Shortage(worst.device, worst.total, worst.available)


def candidates(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest,
    speed: SpeedPredictor | None,
) -> Iterator[Candidate]:
    """Every placement worth comparing, fitting or not; `request.n_ctx` is set.

    A smaller micro-batch is included only where it fits and the default one does not.
    Raises BackendUnavailable when no engine runs the formats at hand.
    """
    cpu = next(device for device in devices if device.id == "cpu")
    for engine in _engines(model, request):
        base = _base(engine, cpu, request)
        for label, placement in _placements(model, engine, base, devices, request):
            if speed and engine.tunes_threads and request.n_threads is None:
                placement = _with_fastest_threads(model, placement, speed)
            candidate = _candidate(model, placement, devices, speed, label)
            yield candidate
            smaller = iter(engine.micro_batches[1:] if request.n_ubatch is None else ())
            while not fits(candidate.memory) and (n_ubatch := next(smaller, None)):
                small = replace(placement, n_ubatch=n_ubatch)
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


def _engines(model: PlanModel, request: PlanRequest) -> list[EngineDescriptor]:
    engines = registry.reading(model.formats)
    if request.engine is not None:
        named = [each for each in engines if each.name == request.engine]
        if not named:
            raise BackendUnavailable(
                backend=request.engine, reason="reads_no_format", formats=list(model.formats)
            )
        return named
    if not engines:
        raise BackendUnavailable(
            backend="any", reason="reads_no_format", formats=list(model.formats)
        )
    names = {each.name for each in engines}
    return [each for each in engines if each.yields_to.isdisjoint(names)]


def kv_rest(model: PlanModel, request: PlanRequest) -> int:
    """Values of a head that whole blocks of the KV-cache type asked for leave over, in the engine
    that takes it worst; 0 where all that may run the model take it."""
    kv_type = request.kv_type
    able = [e for e in registry.reading(model.formats) if request.engine in (None, e.name)]
    return max((e.kv_rest(model.shape, kv_type) for e in able if kv_type), default=0)


def _base(engine: EngineDescriptor, cpu: Device, request: PlanRequest) -> Placement:
    threads = request.n_threads or available_cores(cpu.cores or None, cpu.threads or None)
    kv_type = engine.kv_type(request.kv_type)
    return Placement(
        engine=engine.name,
        layers=(),
        lm_head_device="cpu",
        n_ctx=request.n_ctx or SMALLEST_CONTEXT,
        n_ubatch=request.n_ubatch or engine.micro_batches[0],
        kv_type_k=kv_type,
        kv_type_v=kv_type,
        n_threads=threads,
        n_threads_batch=threads,
        sequences=request.sequences,
    )


def _placements(
    model: PlanModel,
    engine: EngineDescriptor,
    base: Placement,
    devices: Sequence[Device],
    request: PlanRequest,
) -> Iterator[tuple[str, Placement]]:
    """(label, placement) for the CPU alone, and for each accelerator and all of them together,
    whole and in part."""
    group = [d for d in devices if d.id != "cpu" and engine.name in d.engines]
    together = engine.offload == "blocks" and len(group) > 1
    if request.device == rpc.ALL and together:
        yield from _on(model, engine, base, group, devices, request)
        return
    if request.device in (None, "cpu"):
        yield "cpu", replace(base, layers=(LayerRange("cpu", 0, model.shape.block_count - 1),))
    for device in group:
        yield from _on(model, engine, base, [device], devices, request)
    if together and request.device is None:
        yield from _on(model, engine, base, group, devices, request)


def _on(
    model: PlanModel,
    engine: EngineDescriptor,
    base: Placement,
    group: Sequence[Device],
    devices: Sequence[Device],
    request: PlanRequest,
) -> Iterator[tuple[str, Placement]]:
    """(label, placement) with blocks on every device of `group`."""
    if engine.offload == "none":
        return
    count, taken = model.shape.block_count, engine.device_bytes
    whole = _share(group, 0, count, taken)
    if engine.offload == "compiled":
        if model.compiled_contexts and request.policy != "full":
            n_ctx = min(base.n_ctx, max(model.compiled_contexts))
            yield "split", replace(base, layers=whole, n_ctx=n_ctx)
        return
    if request.policy in ("auto", "full"):
        head = model.weights.lm_head_read
        layers = _share(group, 0, count, taken, head)
        yield "full", replace(base, layers=layers, lm_head_device=layers[-1].device)
    if request.policy in ("auto", "split"):
        yield "split", replace(base, layers=whole)
    if engine.offload == "blocks" and request.policy != "full":
        partial = _partial(model, base, group, devices, taken)
        if partial is not None:
            yield "partial", partial


def _partial(
    model: PlanModel,
    base: Placement,
    group: Sequence[Device],
    devices: Sequence[Device],
    taken: int,
) -> Placement | None:
    """As many of the last blocks on the devices of `group` as fit there; None when that is none,
    or all of them."""
    for first in range(1, model.shape.block_count):
        layers = _share(group, first, model.shape.block_count, taken)
        placement = replace(base, layers=(LayerRange("cpu", 0, first - 1), *layers))
        memory = _estimate(model, placement, devices)
        if all(_has_room(d) for d in memory.devices if d.device != "cpu"):
            return placement
    return None


def _share(
    group: Sequence[Device], first: int, count: int, taken: int, head: int = 0
) -> tuple[LayerRange, ...]:
    """Blocks first..count-1 over `group`, in proportion to the memory that each has for them beside
    the `taken` bytes of its driver; the last also takes an LM head of `head` bytes."""
    used = [taken] * (len(group) - 1) + [taken + head]
    room = [max(1, d.memory_free - less) for d, less in zip(group, used, strict=True)]
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

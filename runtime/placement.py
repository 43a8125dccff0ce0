"""plan(): where each part of a model goes, with reasons, alternatives and a promise of memory.

Knows the policies (split, full, auto), the context rule and what to suggest when nothing fits.
Knows no engine and no file; memory comes from `runtime.memory`, speed from the given predictor.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from runtime import rpc
from runtime.backend import DESCRIPTORS
from runtime.cores import available_cores
from runtime.devices import Device
from runtime.errors import (
    BackendUnavailable,
    ContextTooLong,
    DeviceUnavailable,
    DoesNotFit,
    InvalidRequest,
)
from runtime.memory import estimate
from runtime.plan import (
    Alternative,
    EngineName,
    KvCacheType,
    LayerRange,
    MemoryEstimate,
    Placement,
    Plan,
    PlanModel,
    PlanRequest,
    Policy,
    Reason,
    SpeedEstimate,
    SpeedPredictor,
)

DEFAULT_CONTEXT = 8192
REASONING_CONTEXT = 16384
SMALLEST_CONTEXT = 512
CONTEXT_STEPS = (131072, 65536, 32768, 16384, 8192, 4096, 2048, 1024, SMALLEST_CONTEXT)
RESERVE_SHARE = 0.03  # of what is free stays free: other programs move while a model loads
TIGHT_SHARE = 0.85
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


def plan(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest | None = None,
    speed: SpeedPredictor | None = None,
) -> Plan:
    """The best placement that fits, by predicted decode speed where it is known.

    Raises DoesNotFit (with the nearest request that fits as `suggestion`), DeviceUnavailable,
    BackendUnavailable when no engine runs the formats at hand, ContextTooLong for a context beyond
    the model's, the file's or that of its body for the device.
    """
    request = request or PlanRequest()
    _check(model, request)
    usable = _usable(devices, request)
    n_ctx = request.n_ctx or default_context(model, usable, request)
    fitting: list[Candidate] = []
    refused: list[Candidate] = []
    short: list[Candidate] = []
    for candidate in _candidates(model, usable, replace(request, n_ctx=n_ctx), speed):
        if candidate.placement.n_ctx < (request.n_ctx or 0):
            short.append(candidate)
        else:
            (fitting if fits(candidate.memory) else refused).append(candidate)
    if not fitting and not refused:
        raise _nothing_to_choose(model, request, short)
    if not fitting:
        raise _does_not_fit(model, usable, request, refused)
    chosen, why = _choose(fitting, request)
    reasons = (*why, *_reasons(model, request, chosen, devices))
    return Plan(
        placement=chosen.placement,
        memory=chosen.memory,
        speed=chosen.speed,
        fits="tight" if tight(chosen.memory) else "fits",
        reasons=reasons,
        alternatives=_alternatives(chosen, fitting, refused, short),
    )


def _nothing_to_choose(
    model: PlanModel, request: PlanRequest, short: Sequence[Candidate]
) -> ContextTooLong | DeviceUnavailable:
    """Why there is no placement at all on the device that was asked for."""
    if short:
        placement = short[0].placement
        return ContextTooLong(
            field="n_ctx",
            n_ctx=request.n_ctx,
            longest=placement.n_ctx,
            device=placement.layers[0].device,
            why="compiled",
        )
    device = request.device or "cpu"
    if request.policy == "full":
        return DeviceUnavailable(device=device, reason="lm_head_runs_on_the_cpu")
    reason = "engine_does_not_reach_it" if model.compiled_contexts else "no_fixed_shape_body"
    return DeviceUnavailable(
        device=device, reason=reason if "onnx" in model.formats else "engine_does_not_reach_it"
    )


def fits(memory: MemoryEstimate) -> bool:
    """Whether every device keeps its reserve free."""
    return all(d.total <= d.available * (1 - RESERVE_SHARE) for d in memory.devices)


def tight(memory: MemoryEstimate) -> bool:
    """Whether it fits with little room left."""
    return any(d.total > d.available * TIGHT_SHARE for d in memory.devices)


def default_context(model: PlanModel, devices: Sequence[Device], request: PlanRequest) -> int:
    """The largest step up to 8192 tokens (16384 for reasoning models) that fits; the smallest step
    if none does, so that the refusal can tell how much is missing."""
    wanted = REASONING_CONTEXT if model.reasoning else DEFAULT_CONTEXT
    limit = min(model.longest_context, wanted)
    for n_ctx in [limit, *(step for step in CONTEXT_STEPS if step < limit)]:
        if _any_fits(model, devices, replace(request, n_ctx=n_ctx)):
            return n_ctx
    return min(SMALLEST_CONTEXT, limit)


def _any_fits(model: PlanModel, devices: Sequence[Device], request: PlanRequest) -> bool:
    return any(fits(candidate.memory) for candidate in _candidates(model, devices, request, None))


def _check(model: PlanModel, request: PlanRequest) -> None:
    limit = model.longest_context
    if request.n_ctx is not None and request.n_ctx < 1:
        raise InvalidRequest(field="n_ctx", reason="must be at least 1")
    if request.n_ctx is not None and request.n_ctx > limit:
        why = "exported" if limit < model.shape.context_length else "trained"
        raise ContextTooLong(
            field="n_ctx", n_ctx=request.n_ctx, longest=limit, device="cpu", why=why
        )
    if request.kv_type is not None and request.kv_type not in get_args(KvCacheType):
        raise InvalidRequest(field="kv_type", reason=f"one of {', '.join(get_args(KvCacheType))}")
    if request.policy not in get_args(Policy):
        raise InvalidRequest(field="policy", reason=f"one of {', '.join(get_args(Policy))}")
    if request.sequences < 1:
        raise InvalidRequest(field="sequences", reason="must be at least 1")
    if request.n_threads is not None and request.n_threads < 1:
        raise InvalidRequest(field="n_threads", reason="must be at least 1")


def _usable(devices: Sequence[Device], request: PlanRequest) -> tuple[Device, ...]:
    """The CPU and what may be used beside it."""
    if request.device == rpc.ALL:
        servers = tuple(d for d in devices if d.kind == "RPC" and d.usable)
        if not servers:
            raise DeviceUnavailable(device=rpc.ALL, reason="rpc_none_answers")
        return (*servers, *(d for d in devices if d.id == "cpu"))
    if request.device is not None:
        wanted = next((d for d in devices if d.id == request.device), None)
        if wanted is None:
            known = [device.id for device in devices]
            raise DeviceUnavailable(device=request.device, reason="unknown device", known=known)
        if not wanted.usable:
            raise DeviceUnavailable(device=wanted.id, reason=wanted.unavailable_reason)
    usable = tuple(
        device
        for device in devices
        if device.usable
        and (device.id in ("cpu", request.device) or not (request.device or device.on_request))
    )
    if not any(device.id == "cpu" for device in usable):
        raise DeviceUnavailable(device="cpu", reason="not detected")
    return usable


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
    # Stock genai reads our folders too, but cannot rewind them: only when it is asked for.
    return [e for e in engines if e != "genai" or "onnx" not in engines]


def _candidates(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest,
    speed: SpeedPredictor | None,
) -> Iterator[Candidate]:
    """Every placement worth comparing, fitting or not; `request.n_ctx` is set."""
    cpu = next(device for device in devices if device.id == "cpu")
    for engine in _engines(model, request):
        base = _base(engine, cpu, request)
        for label, placement in _placements(model, base, devices, request):
            memory = _estimate(model, placement, devices)
            predicted = speed.predict(model, placement) if speed else None
            yield Candidate(placement, _shared(memory, devices), predicted, label)


def _base(engine: EngineName, cpu: Device, request: PlanRequest) -> Placement:
    threads = request.n_threads or available_cores(cpu.cores or None, cpu.threads or None)
    # The ONNX bodies keep their cache in the type they compute in.
    kv_type = "f32" if engine in ("onnx", "genai") else request.kv_type or "f16"
    return Placement(
        engine=engine,
        layers=(),
        lm_head_device="cpu",
        n_ctx=request.n_ctx or SMALLEST_CONTEXT,
        n_ubatch=request.n_ubatch,
        kv_type_k=kv_type,
        kv_type_v=kv_type,
        n_threads=threads,
        n_threads_batch=threads,
        sequences=request.sequences,
    )


def _placements(
    model: PlanModel, base: Placement, devices: Sequence[Device], request: PlanRequest
) -> Iterator[tuple[str, Placement]]:
    """(label, placement) for the CPU alone and for each accelerator, whole and in part."""
    if request.device == rpc.ALL and len(devices) > 2:
        yield from _several(model, base, devices, request)
        return
    last = model.shape.block_count - 1
    if request.device in (None, "cpu"):
        yield "cpu", replace(base, layers=(LayerRange("cpu", 0, last),))
    for device in devices:
        if device.id == "cpu" or base.engine not in device.engines:
            continue
        whole = (LayerRange(device.id, 0, last),)
        if base.engine == "onnx":
            if model.compiled_contexts and request.policy != "full":
                n_ctx = min(base.n_ctx, max(model.compiled_contexts))
                yield "split", replace(base, layers=whole, n_ctx=n_ctx)
            continue
        if request.policy in ("auto", "full"):
            yield "full", replace(base, layers=whole, lm_head_device=device.id)
        if request.policy in ("auto", "split"):
            yield "split", replace(base, layers=whole)
        if base.engine == "llamacpp" and request.policy != "full":
            partial = _partial(model, base, device, devices)
            if partial is not None:
                yield "partial", partial
    if base.engine == "llamacpp" and request.device is None:
        yield from _several(model, base, devices, request)


def _partial(
    model: PlanModel, base: Placement, device: Device, devices: Sequence[Device]
) -> Placement | None:
    """As many of the last blocks on `device` as fit; None when that is all of them or none."""
    count = model.shape.block_count
    for on_device in range(count - 1, 0, -1):
        first = count - on_device
        layers = (LayerRange("cpu", 0, first - 1), LayerRange(device.id, first, count - 1))
        placement = replace(base, layers=layers)
        memory = _shared(_estimate(model, placement, devices), devices)
        if all(d.total <= d.available * (1 - RESERVE_SHARE)
               for d in memory.devices if d.device == device.id):  # fmt: skip
            return placement if on_device < count else None
    return None


def _several(
    model: PlanModel, base: Placement, devices: Sequence[Device], request: PlanRequest
) -> Iterator[tuple[str, Placement]]:
    """Blocks shared out over all GPUs (and RPC hosts) in proportion to their free memory."""
    group = [d for d in devices if d.id != "cpu" and base.engine in d.engines]
    if len(group) < 2:
        return
    total = sum(device.memory_free for device in group) or 1
    count, start = model.shape.block_count, 0
    layers: list[LayerRange] = []
    for index, device in enumerate(group):
        share = round(count * device.memory_free / total)
        end = count if index == len(group) - 1 else min(count, start + share)
        if end > start:
            layers.append(LayerRange(device.id, start, end - 1))
        start = end
    if request.policy in ("auto", "full"):
        yield "full", replace(base, layers=tuple(layers), lm_head_device=layers[-1].device)
    if request.policy in ("auto", "split"):
        yield "split", replace(base, layers=tuple(layers))


def _estimate(model: PlanModel, placement: Placement, devices: Sequence[Device]) -> MemoryEstimate:
    return estimate(model.shape, model.weights, placement, devices, block_format=model.block_format)


def _shared(memory: MemoryEstimate, devices: Sequence[Device]) -> MemoryEstimate:
    """Integrated accelerators live in the host's memory: what they take is not free there."""
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


def _choose(
    fitting: Sequence[Candidate], request: PlanRequest
) -> tuple[Candidate, tuple[Reason, ...]]:
    """The fastest by prediction; without one, by the order the engines' measurements support."""
    if all(candidate.decode_tps is not None for candidate in fitting) and len(fitting) > 1:
        best = max(fitting, key=lambda candidate: candidate.decode_tps or 0.0)
        return best, (Reason("fastest_predicted", {"decode_tps": best.decode_tps}),)
    order = {"full": 0, "split": 1, "partial": 2, "cpu": 3}
    best = min(fitting, key=lambda candidate: order[candidate.label])
    if len(fitting) == 1:
        return best, (Reason("only_one_fits", {"kind": best.label}),)
    return best, (Reason("speed_unknown", {"kind": best.label}),)


def _reasons(
    model: PlanModel,
    request: PlanRequest,
    chosen: Candidate,
    devices: Sequence[Device],
) -> Iterator[Reason]:
    placement = chosen.placement
    n_ctx = placement.n_ctx
    if request.n_ctx is None:
        wanted = REASONING_CONTEXT if model.reasoning else DEFAULT_CONTEXT
        body = placement.layers[-1].device
        if n_ctx == model.shape.context_length:
            yield Reason("context_is_the_models", {"n_ctx": n_ctx})
        elif n_ctx == model.context_limit:
            yield Reason("context_is_the_files", {"n_ctx": n_ctx})
        elif placement.engine == "onnx" and body != "cpu" and n_ctx in model.compiled_contexts:
            yield Reason("context_compiled", {"n_ctx": n_ctx, "device": body})
        elif n_ctx < wanted:
            yield Reason("context_limited_by_memory", {"n_ctx": n_ctx, "wanted": wanted})
        else:
            code = "context_for_reasoning" if model.reasoning else "context_default"
            yield Reason(code, {"n_ctx": n_ctx})
    if request.n_threads is None:
        yield Reason("threads_are_physical_cores", {"n_threads": placement.n_threads})
    on_cpu = placement.lm_head_device == "cpu"
    yield Reason("lm_head_on_cpu" if on_cpu else "lm_head_with_body",
                 {"device": placement.lm_head_device, "policy": request.policy})  # fmt: skip
    if chosen.label == "partial":
        first = placement.layers[-1].first
        facts = {"device": placement.layers[-1].device, "blocks": model.shape.block_count - first}
        yield Reason("partial_offload", facts)
    if not model.exact_weights:
        yield Reason("weights_estimated", {"block_format": model.block_format})
    used = {layer.device for layer in placement.layers}
    for device in devices:
        if device.kind == "RPC" and device.id in used:
            yield _link(device, model)
        if not device.usable:
            yield Reason("device_left_out", {"device": device.id, "why": device.unavailable_reason})


def _link(device: Device, model: PlanModel) -> Reason:
    """What each token waits for an RPC server's link: its activations there and back, and the
    commands, each at least a round trip."""
    trip = float(device.facts["round_trip_us"]) * 1e-6
    rate = float(device.facts["bytes_per_second"])
    seconds = 2 * (trip + 4 * model.shape.embedding_length / rate)
    facts = {
        "device": device.id,
        "trip_us": f"{trip * 1e6:.0f}",
        "gb_per_second": f"{rate / 1e9:.1f}",
        "token_ms": f"{seconds * 1e3:.1f}",
    }
    return Reason("rpc_link", facts)


def _alternatives(
    chosen: Candidate,
    fitting: Sequence[Candidate],
    refused: Sequence[Candidate],
    short: Sequence[Candidate],
) -> tuple[Alternative, ...]:
    def entry(candidate: Candidate, reason: Reason) -> Alternative:
        tps = candidate.speed.decode_tps if candidate.speed else None
        return Alternative(candidate.placement, candidate.memory.total, tps, reason)

    slower = [
        entry(
            c, Reason("slower" if c.decode_tps is not None else "not_preferred", {"kind": c.label})
        )
        for c in fitting
        if c is not chosen
    ]
    too_big = [entry(c, Reason("does_not_fit", _shortage(c.memory))) for c in refused]
    too_short = [
        entry(c, Reason("context_not_compiled", {"longest": c.placement.n_ctx})) for c in short
    ]
    return (*slower, *too_big, *too_short)


def _shortage(memory: MemoryEstimate) -> dict[str, Any]:
    """The device that lacks most."""
    worst = max(memory.devices, key=lambda d: d.total - d.available * (1 - RESERVE_SHARE))
    return {"device": worst.device, "needed": worst.total, "available": worst.available}


def _does_not_fit(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest,
    refused: Sequence[Candidate],
) -> DoesNotFit:
    least = min(refused, key=lambda candidate: candidate.memory.total)
    return DoesNotFit(
        **_shortage(least.memory), suggestion=nearest_fit(model, devices, request, least)
    )


def nearest_fit(
    model: PlanModel, devices: Sequence[Device], request: PlanRequest, refused: Candidate
) -> dict[str, Any] | None:
    """The request closest to `request` that fits, as JSON; None when even the smallest does not.

    Order of what is given up: 16-bit KV cache, then the policy (fewer blocks on the GPU), then
    context, then context with an 8-bit and a 4-bit KV cache.
    """
    wanted = request.n_ctx or refused.placement.n_ctx
    for changed in _smaller(request, wanted):
        found = [c for c in _candidates(model, devices, changed, None) if fits(c.memory)]
        if found:
            best, _ = _choose(found, changed)
            on_gpu = sum(r.last - r.first + 1 for r in best.placement.layers if r.device != "cpu")
            return {
                "n_ctx": changed.n_ctx,
                "kv_type": best.placement.kv_type_k,
                "policy": changed.policy,
                "blocks_off_cpu": on_gpu,
                "needed": best.memory.total,
            }
    return None


def _smaller(request: PlanRequest, n_ctx: int) -> Iterator[PlanRequest]:
    first = replace(request, n_ctx=n_ctx)
    if request.kv_type in (None, "f16", "f32"):
        yield replace(first, kv_type="q8_0")
    if request.policy == "full":
        yield replace(first, policy="auto")
    kv_types: tuple[KvCacheType, ...] = ("f16", "q8_0", "q4_0")
    for kv_type in kv_types:
        for step in CONTEXT_STEPS:
            if step < n_ctx:
                yield replace(first, n_ctx=step, kv_type=kv_type, policy="auto")

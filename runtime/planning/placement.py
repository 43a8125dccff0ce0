"""plan(): where each part of a model goes, with reasons, alternatives and a memory estimate.

Knows the context rule, why a plan is as it is and why others are not. What could be chosen comes
from `candidates`, what to offer when nothing fits from `nearest_fit`. Knows engines by their
descriptors and no file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import get_args

from runtime import registry
from runtime.devices import Device
from runtime.errors import (
    ContextLimit,
    ContextTooLong,
    DeviceUnavailable,
    DoesNotFit,
    InvalidRequest,
)
from runtime.machine import rpc
from runtime.plan import (
    Alternative,
    KvCacheType,
    Placement,
    Plan,
    PlanModel,
    PlanRequest,
    Policy,
    Reason,
    SpeedPredictor,
)
from runtime.planning.candidates import (
    SMALLEST_CONTEXT,
    Candidate,
    candidates,
    choose,
    fits,
    kv_rest,
    shortage,
    tight,
)
from runtime.planning.nearest_fit import CONTEXT_STEPS, nearest_fit

DEFAULT_CONTEXT = 8192
REASONING_CONTEXT = 16384


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
    for candidate in candidates(model, usable, replace(request, n_ctx=n_ctx), speed):
        if candidate.placement.n_ctx < (request.n_ctx or 0):
            short.append(candidate)
        else:
            (fitting if fits(candidate.memory) else refused).append(candidate)
    if not fitting and not refused:
        raise _nothing_to_choose(model, request, short)
    if not fitting:
        raise _does_not_fit(model, usable, request, refused)
    chosen, why = choose(fitting, request)
    reasons = (*why, *_reasons(model, request, chosen, devices))
    return Plan(
        placement=chosen.placement,
        memory=chosen.memory,
        speed=chosen.speed,
        fits="tight" if tight(chosen.memory) else "fits",
        reasons=reasons,
        alternatives=_alternatives(chosen, fitting, refused, short),
        request=request,
    )


def _nothing_to_choose(
    model: PlanModel, request: PlanRequest, short: Sequence[Candidate]
) -> ContextTooLong | DeviceUnavailable:
    """Why there is no placement at all on the device that was asked for."""
    if short:
        placement = short[0].placement
        return ContextTooLong(
            n_ctx=request.n_ctx or 0,
            longest=placement.n_ctx,
            device=placement.layers[0].device,
            why="compiled",
        )
    device = request.device or "cpu"
    if request.policy == "full":
        return DeviceUnavailable(device=device, reason="lm_head_runs_on_the_cpu")
    compiles = any(each.offload == "compiled" for each in registry.reading(model.formats))
    lacks_body = compiles and not model.compiled_contexts
    reason = "no_fixed_shape_body" if lacks_body else "engine_does_not_reach_it"
    return DeviceUnavailable(device=device, reason=reason)


def default_context(model: PlanModel, devices: Sequence[Device], request: PlanRequest) -> int:
    """The largest step up to 8192 tokens (16384 for reasoning models) that fits; the smallest step
    if none does, so that the refusal can say how much is missing."""
    wanted = REASONING_CONTEXT if model.reasoning else DEFAULT_CONTEXT
    limit = min(model.longest_context, wanted)
    for n_ctx in [limit, *(step for step in CONTEXT_STEPS if step < limit)]:
        if _any_fits(model, devices, replace(request, n_ctx=n_ctx)):
            return n_ctx
    return min(SMALLEST_CONTEXT, limit)


def _any_fits(model: PlanModel, devices: Sequence[Device], request: PlanRequest) -> bool:
    return any(fits(candidate.memory) for candidate in candidates(model, devices, request, None))


def _check(model: PlanModel, request: PlanRequest) -> None:
    limit = model.longest_context
    if request.n_ctx is not None and request.n_ctx < 1:
        raise InvalidRequest(field="n_ctx", reason="at_least", value=request.n_ctx, minimum=1)
    if request.n_ctx is not None and request.n_ctx > limit:
        why: ContextLimit = "exported" if limit < model.shape.context_length else "trained"
        raise ContextTooLong(n_ctx=request.n_ctx, longest=limit, device="cpu", why=why)
    if request.kv_type is not None and request.kv_type not in get_args(KvCacheType):
        raise InvalidRequest(
            field="kv_type",
            reason="one_of",
            value=str(request.kv_type),
            choices=list(get_args(KvCacheType)),
        )
    if kv_rest(model, request):
        raise InvalidRequest(
            field="kv_type", reason="indivisible_heads", value=model.shape.key_length
        )
    if request.policy not in get_args(Policy):
        raise InvalidRequest(
            field="policy",
            reason="one_of",
            value=str(request.policy),
            choices=list(get_args(Policy)),
        )
    if request.sequences < 1:
        raise InvalidRequest(
            field="sequences", reason="at_least", value=request.sequences, minimum=1
        )
    if request.n_threads is not None and request.n_threads < 1:
        raise InvalidRequest(
            field="n_threads", reason="at_least", value=request.n_threads, minimum=1
        )


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
            raise DeviceUnavailable(device=request.device, reason="no_such_device", known=known)
        if not wanted.usable:
            raise DeviceUnavailable(device=wanted.id, reason=wanted.unavailable_reason)
    usable = tuple(
        device
        for device in devices
        if device.usable
        and (device.id in ("cpu", request.device) or not (request.device or device.on_request))
    )
    if not any(device.id == "cpu" for device in usable):
        raise DeviceUnavailable(device="cpu", reason="no_such_device")
    return usable


def _reasons(
    model: PlanModel,
    request: PlanRequest,
    chosen: Candidate,
    devices: Sequence[Device],
) -> Iterator[Reason]:
    placement = chosen.placement
    if request.n_ctx is None:
        yield _why_context(model, placement)
    if request.n_threads is None:
        counts = {"n_threads": placement.n_threads, "cores": placement.n_threads_batch}
        fewer = placement.n_threads < placement.n_threads_batch
        yield Reason("threads_fastest_here" if fewer else "threads_are_physical_cores", counts)
    on_cpu = placement.lm_head_device == "cpu"
    yield Reason("lm_head_on_cpu" if on_cpu else "lm_head_with_body",
                 {"device": placement.lm_head_device, "policy": request.policy})  # fmt: skip
    if chosen.label == "partial":
        facts = {"device": placement.accelerators, "blocks": placement.blocks_off_cpu}
        yield Reason("partial_offload", facts)
    usual = registry.engine(placement.engine).micro_batches[0]
    if request.n_ubatch is None and placement.n_ubatch < usual:
        yield Reason("small_ubatch", {"n_ubatch": placement.n_ubatch, "usual": usual})
    if not model.exact_weights:
        yield Reason("weights_estimated", {"block_format": model.block_format})
    used = {layer.device for layer in placement.layers}
    for device in devices:
        if device.kind == "RPC" and device.id in used:
            yield _link(device, model)
        if not device.usable:
            yield Reason("device_left_out", {"device": device.id, "why": device.unavailable_reason})


def _why_context(model: PlanModel, placement: Placement) -> Reason:
    n_ctx, body = placement.n_ctx, placement.layers[-1].device
    wanted = REASONING_CONTEXT if model.reasoning else DEFAULT_CONTEXT
    if n_ctx == model.shape.context_length:
        return Reason("context_is_the_models", {"n_ctx": n_ctx})
    if n_ctx == model.context_limit:
        return Reason("context_is_the_files", {"n_ctx": n_ctx})
    compiled = registry.engine(placement.engine).offload == "compiled" and body != "cpu"
    if compiled and n_ctx in model.compiled_contexts:
        return Reason("context_compiled", {"n_ctx": n_ctx, "device": body})
    if n_ctx < wanted:
        return Reason("context_limited_by_memory", {"n_ctx": n_ctx, "wanted": wanted})
    code = "context_for_reasoning" if model.reasoning else "context_default"
    return Reason(code, {"n_ctx": n_ctx})


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
    too_big = [entry(c, Reason("does_not_fit", asdict(shortage(c.memory)))) for c in refused]
    too_short = [
        entry(c, Reason("context_not_compiled", {"longest": c.placement.n_ctx})) for c in short
    ]
    return (*slower, *too_big, *too_short)


def _does_not_fit(
    model: PlanModel,
    devices: Sequence[Device],
    request: PlanRequest,
    refused: Sequence[Candidate],
) -> DoesNotFit:
    least = min(refused, key=lambda candidate: candidate.memory.total)
    suggestion = nearest_fit(model, devices, request, least.placement)
    return DoesNotFit(**asdict(shortage(least.memory)), suggestion=suggestion)

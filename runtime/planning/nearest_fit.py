"""What would fit where a request does not: the request closest to it, as JSON.

Knows the order in which wishes are given up. Makes no plan and knows no engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from runtime.devices import Device
from runtime.errors import Suggestion
from runtime.plan import KvCacheType, Placement, Plan, PlanModel, PlanRequest, Policy
from runtime.planning.candidates import (
    SMALLEST_CONTEXT,
    Candidate,
    candidates,
    choose,
    fits,
    kv_rest,
)

CONTEXT_STEPS = (131072, 65536, 32768, 16384, 8192, 4096, 2048, 1024, SMALLEST_CONTEXT)
_KV_TYPES: tuple[KvCacheType, ...] = ("f16", "q8_0", "q4_0")


def nearest_fit(
    model: PlanModel, devices: Sequence[Device], request: PlanRequest, refused: Placement
) -> Suggestion | None:
    """The request closest to `request` that fits; None when even the smallest does not.

    Order of what is given up: 16-bit KV cache, then the policy (fewer blocks off the CPU), then
    the 8-bit KV cache, then context, and both where nothing else fits. `gives_up` names what
    differs from what was `refused`.
    """
    wanted = replace(request, n_ctx=request.n_ctx or refused.n_ctx)
    return _first_fit(model, devices, _smaller(wanted), refused, request.policy)


def less_on(device: str, failed: Plan, devices: Sequence[Device]) -> tuple[Device, ...]:
    """The devices as they are to be planned with after memory ran out on one of them, whatever is
    reported free there: it holds less than the failed plan needed."""
    held = {part.device: part.total for part in failed.memory.devices}
    return tuple(
        replace(d, memory_free=min(d.memory_free, held.get(device, d.memory_free)))
        if d.id == device
        else d
        for d in devices
    )


def next_fit(model: PlanModel, devices: Sequence[Device], failed: Plan) -> Suggestion | None:
    """`nearest_fit` for a plan whose memory ran out; `devices` are those of `less_on`."""
    placement = failed.placement
    wanted = replace(failed.request, n_ctx=placement.n_ctx, n_ubatch=placement.n_ubatch)
    requests = (wanted, *_smaller(wanted))
    return _first_fit(model, devices, iter(requests), placement, wanted.policy)


def _first_fit(
    model: PlanModel,
    devices: Sequence[Device],
    requests: Iterator[PlanRequest],
    refused: Placement,
    policy: Policy,
) -> Suggestion | None:
    for changed in requests:
        if kv_rest(model, changed):
            continue
        found = [c for c in candidates(model, devices, changed, None) if fits(c.memory)]
        if found:
            return _as_json(choose(found, changed)[0], changed, refused, policy)
    return None


def _as_json(
    best: Candidate, changed: PlanRequest, refused: Placement, policy: Policy
) -> Suggestion:
    placement = best.placement
    moved = (placement.blocks_off_cpu, placement.lm_head_device != "cpu") < (
        refused.blocks_off_cpu,
        refused.lm_head_device != "cpu",
    )
    gives_up = {
        "policy": changed.policy != policy or moved,
        "n_ctx": placement.n_ctx < refused.n_ctx,
        "kv_type": placement.kv_type_k != refused.kv_type_k,
    }
    return {
        "n_ctx": placement.n_ctx,
        "kv_type": placement.kv_type_k,
        "policy": changed.policy,
        "blocks_off_cpu": placement.blocks_off_cpu,
        "blocks": placement.layers[-1].last + 1,
        "accelerators": placement.accelerators,
        "needed": best.memory.total,
        "gives_up": [name for name, given in gives_up.items() if given],
    }


def _smaller(request: PlanRequest) -> Iterator[PlanRequest]:
    """Ever smaller requests. The user's own policy is kept as long as anything fits with it at
    the same context and KV cache."""
    asked = request.kv_type or "f16"
    types = (asked, *_KV_TYPES[_KV_TYPES.index(asked) + 1 :]) if asked in _KV_TYPES else _KV_TYPES
    policies: tuple[Policy, ...] = tuple(dict.fromkeys((request.policy, "auto")))
    for few in (types[:2], types[2:]):
        for policy in policies:
            for kv_type in few:
                if (policy, kv_type) != (request.policy, asked):
                    yield replace(request, kv_type=kv_type, policy=policy)
    steps = [step for step in CONTEXT_STEPS if step < (request.n_ctx or 0)]
    for few in (types[:2], types[2:]):
        for step, kv_type, policy in product(steps, few, policies):
            yield replace(request, n_ctx=step, kv_type=kv_type, policy=policy)

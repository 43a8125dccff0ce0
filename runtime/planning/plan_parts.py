"""A plan in parts: what each part of the model takes on each device, in bytes and time.

Knows weights by role and a plan's own figures; makes no plan and measures nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from runtime.plan import DeviceMemory, Plan, PlanModel

PartKind = Literal["embedding", "blocks", "lm_head", "weights", "kv_cache", "compute", "program"]


@dataclass(frozen=True)
class Part:
    """One part on one device. `blocks` counts those in it. `milliseconds` is what a token takes
    there with an empty context, for the KV cache what a full one adds; None where unknown."""

    device: str
    kind: PartKind
    nbytes: int
    blocks: int = 0
    milliseconds: float | None = None


def parts(plan: Plan, model: PlanModel | None, terms: Mapping[str, float]) -> tuple[Part, ...]:
    """The parts of every device, in the order blocks run.

    model: None when only the devices' sums are known; weights are then one part. terms: seconds of
    a decode step by "kind[:variant]@device" (`SpeedModel.decode_terms`), empty when not predicted.
    """
    found: list[Part] = []
    scale = _scale(plan, terms)
    for memory in plan.memory.devices:
        found += _weights(plan, model, memory, terms, scale)
        cache = _cache_milliseconds(plan) if len(plan.memory.devices) == 1 else None
        others: list[Part] = [
            Part(memory.device, "kv_cache", memory.kv_cache, milliseconds=cache),
            Part(memory.device, "compute", memory.compute_buffer),
            Part(memory.device, "program", memory.overhead),
        ]
        found += [part for part in others if part.nbytes]
    return tuple(found)


def _weights(
    plan: Plan,
    model: PlanModel | None,
    memory: DeviceMemory,
    terms: Mapping[str, float],
    scale: float | None,
) -> list[Part]:
    device = memory.device
    indices = [
        index
        for layer in plan.placement.layers
        if layer.device == device
        for index in range(layer.first, layer.last + 1)
    ]
    if model is None or (indices and indices[-1] >= len(model.weights.blocks)):
        return [Part(device, "weights", memory.weights, len(indices))] if memory.weights else []
    weights = model.weights
    head_here = plan.placement.lm_head_device == device
    read = sum(weights.blocks_active[index] for index in indices)
    head_read = weights.lm_head_read if head_here else 0
    reading = _seconds(terms, device, "weights", "host_weights")
    head_seconds = _seconds(terms, device, "host_head", "sampling")
    if read + head_read:
        head_seconds += reading * head_read / (read + head_read)
        reading *= read / (read + head_read)
    block_seconds = reading + _seconds(terms, device, "operations", "attention")

    def timed(seconds: float) -> float | None:
        return None if scale is None else 1000 * seconds * scale

    found: list[Part] = []
    if device == "cpu" and weights.embedding:
        looked_up = None if scale is None else 0.0
        found.append(Part(device, "embedding", weights.embedding, milliseconds=looked_up))
    # What belongs to no block (norms) goes with the LM head; it is too little to be a part.
    other = weights.other if head_here else 0
    if indices:
        total = sum(weights.blocks[index] for index in indices) + other
        other = 0
        found.append(Part(device, "blocks", total, len(indices), timed(block_seconds)))
    if head_here:
        # Where it is tied and on the host, it is the embedding table itself.
        own = other + (weights.lm_head if device == "cpu" else weights.lm_head_read)
        found.append(Part(device, "lm_head", own, milliseconds=timed(head_seconds)))
    return found


def _seconds(terms: Mapping[str, float], device: str, *kinds: str) -> float:
    found = 0.0
    for key, seconds in terms.items():
        term, _, where = key.rpartition("@")
        if term.partition(":")[0] in kinds and where == device:
            found += seconds
    return found


def _scale(plan: Plan, terms: Mapping[str, float]) -> float | None:
    """From uncalibrated seconds to the plan's own prediction."""
    total = sum(terms.values())
    if plan.speed is None or total <= 0:
        return None
    return 1 / plan.speed.decode_tps.median / total


def _cache_milliseconds(plan: Plan) -> float | None:
    """What reading a full KV cache adds to a token."""
    if plan.speed is None or not plan.speed.decode_at_depth:
        return None
    full = plan.speed.decode_at_depth[max(plan.speed.decode_at_depth)]
    return 1000 * max(1 / full.median - 1 / plan.speed.decode_tps.median, 0.0)

"""Adds a draft model to a plan, or says why it cannot.

Drafted tokens are verified by the model, so they change its speed and never its answer; whether
they pay is decided during generation (`runtime.answer.speculation`). Knows plans and headers;
loads nothing.
"""

from dataclasses import replace

from app.downloads.acquisition import HUB_PREFIX
from app.planning.planner import Planning
from runtime import registry
from runtime.errors import DraftRefused
from runtime.plan import MemoryEstimate, Plan, PlanRequest, Reason
from runtime.planning.candidates import fits, tight


def with_draft(planning: Planning, model: str, plan: Plan, draft: str) -> Plan:
    """The plan with the draft model `draft` on the CPU.

    Raises DraftRefused, UnknownModel, EngineError.
    """
    placement = plan.placement
    engine = registry.engine(placement.engine)
    if not engine.drafts or not placement.flash_attention:
        raise DraftRefused(draft=draft, code="draft_engine", engine=placement.engine)
    elsewhere = [layer.device for layer in placement.layers if layer.device != "cpu"]
    if elsewhere:  # elsewhere, several tokens at once may give other logits than one at a time
        raise DraftRefused(draft=draft, code="draft_device", device=elsewhere[0])
    target, smaller = planning.build(model, plan), planning.find(draft)
    if smaller.local.is_dir() or target.local.stat().st_size <= smaller.local.stat().st_size:
        raise DraftRefused(draft=draft, code="draft_not_smaller")
    mismatch = planning.inspection.vocabulary_mismatch(target.local, smaller.local)
    if mismatch is not None:
        raise DraftRefused.of({"draft": draft, "code": mismatch.code, **mismatch.facts})
    request = PlanRequest("full", "cpu", placement.n_ctx, placement.kv_type_k, engine.name)
    alone = planning.plan_for(planning.model_of(smaller), request).memory
    extra = alone.total - engine.process_bytes  # the process is there already
    memory = _with_overhead(plan.memory, extra)
    if not fits(memory):
        raise DraftRefused(draft=draft, code="draft_does_not_fit", needed=extra)
    return replace(
        plan,
        placement=replace(placement, draft=str(smaller.local)),
        memory=memory,
        fits="tight" if tight(memory) else "fits",
        reasons=(*plan.reasons, Reason("draft_model", {"draft": smaller.name, "needed": extra})),
    )


def with_draft_or_reason(planning: Planning, model: str, plan: Plan, draft: str) -> Plan:
    """The plan with the draft model `draft`, or with the reason why that cannot be used; unchanged
    where `draft` is empty or the model is not on this machine. Raises UnknownModel, EngineError."""
    if not draft or model.startswith(HUB_PREFIX) or planning.build(model, plan).path is None:
        return plan
    try:
        return with_draft(planning, model, plan, draft)
    except DraftRefused as error:
        return replace(plan, reasons=(*plan.reasons, Reason(error.code, error.facts)))


def _with_overhead(memory: MemoryEstimate, extra: int) -> MemoryEstimate:
    """`extra` bytes more on the CPU."""
    devices = tuple(
        replace(part, overhead=part.overhead + extra) if part.device == "cpu" else part
        for part in memory.devices
    )
    return replace(memory, devices=devices)

"""Finished generations: the record that is stored, and why one was slow.

Knows what was predicted (the plan), what happened (the stats) and under which conditions. Measures
nothing itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec

from app.history.records import RunRecord
from app.history.saved_context import context_key
from app.library.targets import Target
from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.generation import GenerationStats
from runtime.machine.conditions import Conditions
from runtime.plan import Interval, Placement, Plan, PlanModel
from runtime.planning.diagnosis import (
    DISK_PAGE_SECONDS,
    FASTEST_DISK,
    Diagnosis,
    Run,
    diagnose,
    read_probe,
)
from runtime.planning.speed import SpeedModel
from runtime.prompt.chat_profile import ChatProfile

UNEXPLAINED = 0.4  # share of a slowdown from which memory is measured again
JUDGED_TOKENS = 16  # fewer are too short to judge the speed
HELD_BACK = 0.03  # share of its time that a run may wait and still be learnt from
UNDISTURBED_LOAD_CORES = (
    0.25  # what others may keep busy before a run teaches nothing about the machine
)


@dataclass(frozen=True)
class LoadedModel:
    """The model in the worker, and what was predicted and reported when it was loaded."""

    target: Target
    plan: Plan
    report: LoadReport
    profile: ChatProfile | None

    @property
    def replanned(self) -> bool:
        """Whether the plan is a second one, made because a device failed."""
        return any(reason.code == "device_failed" for reason in self.plan.reasons)

    @property
    def identity(self) -> str:
        """What its cached state depends on: the SHA-256, or path, size and time of a file."""
        installed, path = self.target.installed, self.target.local
        if installed is not None:
            return installed.sha256
        stamp = path.stat() if path.exists() else None
        return f"{path} {stamp.st_size} {stamp.st_mtime_ns}" if stamp else str(path)

    @property
    def context_key(self) -> str:
        """What a saved context of this model must have been made with."""
        return context_key(self.identity, self.plan.placement, self.report)


def is_undisturbed(conditions: Conditions) -> bool:
    """Whether no other program and no lack of memory slowed the run down, so that it says something
    about the machine."""
    waited = conditions.read_bytes / FASTEST_DISK + conditions.major_faults * DISK_PAGE_SECONDS
    held_back = (conditions.throttled_share or 0.0) > HELD_BACK
    return (
        conditions.other_load_cores < UNDISTURBED_LOAD_CORES
        and not held_back
        and not conditions.swap_in_bytes
        and waited < HELD_BACK * conditions.seconds
    )


def with_memory_returned(loaded: LoadedModel, devices: tuple[Device, ...]) -> tuple[Device, ...]:
    """The devices as they will be once the loaded model has returned its memory."""
    held = {part.device: part.total for part in loaded.plan.memory.devices}
    return tuple(
        replace(d, memory_free=min(d.memory_total, d.memory_free + held.get(d.id, 0)))
        for d in devices
    )


def run_record(loaded: LoadedModel, stats: GenerationStats, conditions: Conditions) -> RunRecord:
    """What the history keeps of a run."""
    placement, speed = loaded.plan.placement, loaded.plan.speed
    memory = loaded.plan.memory
    installed = loaded.target.installed
    devices = {layer.device for layer in placement.layers} | {placement.lm_head_device}
    return RunRecord(
        time=time.time(),
        model=loaded.target.name,
        model_sha256=installed.sha256 if installed else "",
        engine=loaded.report.engine,
        engine_version=loaded.report.engine_version,
        devices=tuple(sorted(devices)),
        placement=msgspec.to_builtins(placement),
        predicted_prefill_tps=speed.prefill_tps if speed else None,
        predicted_decode_tps=predicted_tps(loaded.plan, stats),
        measured_prefill_tps=stats.prefill_tps,
        measured_decode_tps=stats.decode_tps,
        predicted_memory=memory.host_resident,
        measured_memory=stats.peak_memory,
        stats={
            **msgspec.to_builtins(stats),
            "conditions": msgspec.to_builtins(conditions),
            "planned_on_devices": {d.device: d.total for d in memory.devices if d.device != "cpu"},
            "planned_tps": speed.decode_tps.median if speed else None,
            "ran_on": ran_on(loaded.report, placement),
            "elsewhere": misplaced_share(loaded.report, loaded.plan),
        },
    )


def mean_depth(stats: GenerationStats) -> float:
    """Cached tokens of a run's middle decode step."""
    return stats.prompt_tokens + stats.generated_tokens / 2


def predicted_tps(plan: Plan, stats: GenerationStats) -> Interval | None:
    """The decode speed that a plan predicts at a run's depth of context; None without one."""
    return plan.speed.at_depth(mean_depth(stats)) if plan.speed else None


def is_below_prediction(predicted: Interval | None, decode_tps: float | None, tokens: int) -> bool:
    """Whether a run long enough to judge was slower than its predicted range."""
    if predicted is None or decode_tps is None or tokens < JUDGED_TOKENS:
        return False
    return decode_tps < predicted.low


@dataclass(frozen=True)
class _Kept:
    """What of a record's stats explains its speed."""

    conditions: Conditions
    planned_tps: float | None
    ran_on: str
    elsewhere: float
    prompt_tokens: int
    generated_tokens: int
    mean_threads: float
    draft_tokens: int
    accepted_tokens: int


def why_slow(
    record: RunRecord,
    model: PlanModel,
    speed: SpeedModel,
    read_rate: Callable[[int, int], float] | None = None,
) -> Diagnosis | None:
    """The causes of a stored run's slowness by weight; None where nothing was planned or measured,
    or an earlier version kept too little of it.

    Where the run's own conditions leave much unexplained and no other load was there, memory is
    read again by `read_rate(threads, nbytes)`, in bytes per second, and compared with the profile.
    """
    try:
        kept = msgspec.convert(record.stats, _Kept)
        placement = msgspec.convert(record.placement, type=Placement)
    except msgspec.ValidationError:
        return None
    conditions = kept.conditions
    if not kept.planned_tps or not record.measured_decode_tps or not speed.can_predict(placement):
        return None
    run = Run(
        model=model,
        placement=placement,
        planned_tps=kept.planned_tps,
        measured_tps=record.measured_decode_tps,
        depth=kept.prompt_tokens + kept.generated_tokens / 2,
        n_threads=kept.mean_threads,
        device=kept.ran_on,
        misplaced_share=kept.elsewhere,
        draft_tokens=kept.draft_tokens,
        accepted_tokens=kept.accepted_tokens,
    )
    found = diagnose(run, conditions, speed)
    probe = read_probe(speed.profile)
    if found.unexplained < UNEXPLAINED or probe is None or read_rate is None:
        return found
    if conditions.other_load_cores >= UNDISTURBED_LOAD_CORES:
        return found
    return diagnose(run, conditions, speed, read_rate(*probe))


def misplaced_share(report: LoadReport, plan: Plan) -> float:
    """Share (0..1) of the weights planned on accelerators that the engine put elsewhere; 0 where it
    does not say."""
    planned = {d.device: d.weights for d in plan.memory.devices if d.device != "cpu"}
    held = {name.lower(): parts.get("weights", 0) for name, parts in report.buffers.items()}
    wanted = sum(planned.values())
    if not wanted or not any(held.values()):
        return 0.0
    there = sum(min(nbytes, held.get(device, 0)) for device, nbytes in planned.items())
    return 1 - there / wanted


def ran_on(report: LoadReport, placement: Placement) -> str:
    """Where the engine says the last blocks' weights are: the planned device, or another."""
    planned = placement.layers[-1].device
    held = {name.lower(): parts.get("weights", 0) for name, parts in report.buffers.items()}
    if planned == "cpu" or not any(held.values()) or held.get(planned):
        return planned
    return max(held, key=lambda name: held[name]).partition("_")[0]

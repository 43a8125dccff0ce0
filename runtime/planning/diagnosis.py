"""Why was a run slow? Causes found by measurement, each with the share of the slowdown it explains.

Compares the speed predicted under the planned conditions with the conditions of the run. Knows
what each condition costs; takes no samples and contains no texts.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from runtime import registry
from runtime.machine.conditions import Conditions
from runtime.plan import LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import BandwidthProfile, Curve, CurvePoint, between_threads
from runtime.planning.speed import SpeedModel

DISK_PAGE_SECONDS = 120e-6  # one page fault served from a solid-state disk
SLOWEST_PAGE_SECONDS = 0.02  # and from a busy hard disk
SLOWEST_DISK = 30e6  # bytes per second: longer waits were not for this process
FASTEST_DISK = 2e9  # no page of a mapped file is read faster than this
BUSY_FACTOR = 2.4  # loss per over-committed core and thread: barriers wait for the slowest
NOTICEABLE = 1.03  # factors below this are not reported
YIELDED_LOAD = 0.3  # cores of other load from which the engine gives up a thread for it
UNEXPLAINED_SHOWN = 0.05  # unexplained share of a slowdown from which it is shown
SLOWER = 1.05  # a smaller slowdown is within the variation of runs
SPILLED = 0.05  # share of an accelerator's weights elsewhere from which that is a cause
FULL_LIMIT = 0.93  # a memory limit this full is being reclaimed from
PROBE_BYTES = 512 << 20
SINGLE_CHANNEL = 22e9  # bytes per second that one channel of current memory can deliver
SLOWER_READING = 0.8  # a new reading below this share of the profile's shows a change


@dataclass(frozen=True)
class Cause:
    """One cause: a code, the factor it slows down by, its share of the whole slowdown (0..1)."""

    code: str
    factor: float
    share: float
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Diagnosis:
    """Causes by weight, and the share (0..1) they leave unexplained. `slowdown` is planned /
    measured."""

    slowdown: float
    causes: tuple[Cause, ...]
    unexplained: float


@dataclass(frozen=True)
class Run:
    """A finished run.

    `depth` is its mean number of cached tokens, `n_threads` what it really used on average (0 where
    the engine does not report it), `device` where its blocks really ran, `misplaced_share` the
    share of the weights planned on accelerators that is elsewhere, `planned_tps` the planned speed.
    """

    model: PlanModel
    placement: Placement
    planned_tps: float
    measured_tps: float
    depth: float
    n_threads: float
    device: str = ""
    misplaced_share: float = 0.0
    draft_tokens: int = 0
    accepted_tokens: int = 0


def diagnose(
    run: Run, conditions: Conditions, speed: SpeedModel, reading: float | None = None
) -> Diagnosis:
    """The causes of a run's slowness, heaviest first; none when it was as fast as planned.

    `reading` is what `read_probe` asks for, measured now, in bytes per second.
    """
    slowdown = run.planned_tps / run.measured_tps
    # Speed lost to the thread count the plan was given is a cause as well.
    best = _best_threads(run, conditions, speed)
    chosen = _at_threads(run, speed, best) / _at_threads(run, speed, run.placement.n_threads)
    whole = math.log(max(slowdown * max(chosen, 1.0), 1.0))  # fewer may be faster
    if whole < math.log(SLOWER):
        return Diagnosis(slowdown, (), 0.0)
    found = [*_factors(run, conditions, speed), *_slower_memory(speed.profile, reading)]
    factors = [each for each in found if each[1] > NOTICEABLE]
    factors.sort(key=lambda found: found[1], reverse=True)
    explained = sum(math.log(factor) for _, factor, _ in factors)
    # Estimates may add up to more than the slowdown: then they share it in proportion.
    scale = max(whole, explained)
    if scale <= 0:
        return Diagnosis(slowdown, (), 0.0)
    causes = tuple(
        Cause(code, factor, math.log(factor) / scale, facts) for code, factor, facts in factors
    )
    return Diagnosis(slowdown, causes, max(0.0, 1 - explained / scale))


_Factor = tuple[str, float, Mapping[str, object]]


def _factors(run: Run, conditions: Conditions, speed: SpeedModel) -> Iterator[_Factor]:
    yield from _wrong_device(run, speed)
    yield from _device_spill(run, speed)
    yield from _waiting_for_memory(run, conditions)
    yield from _load(run, conditions, speed)
    yield from _threads(run, conditions, speed)
    yield from _depth(run, speed)
    yield from _clock(conditions)
    yield from _speculation(run)
    yield from _channels(speed.profile)


def _load(run: Run, conditions: Conditions, speed: SpeedModel) -> Iterator[_Factor]:
    """CPU time lost to a quota and to other processes: threads given up for them, and waiting at
    barriers."""
    if conditions.throttled_share:
        factor = 1 / max(0.05, 1 - conditions.throttled_share)
        yield "cpu_quota", factor, {"throttled_share": conditions.throttled_share}
    cores, others, used = conditions.shared_cores, conditions.other_load_cores, _used(run)
    short = max(0.0, others + used - cores)
    given_up = others > YIELDED_LOAD and used < run.placement.n_threads
    if others > 0.1 and (short > 0.1 or given_up):
        factor = 1 + BUSY_FACTOR * short / used
        if given_up:
            planned = _at_threads(run, speed, run.placement.n_threads)
            factor *= planned / _at_threads(run, speed, used)
        yield "other_load", factor, {"other_load_cores": others, "cores": cores}


def _threads(run: Run, conditions: Conditions, speed: SpeedModel) -> Iterator[_Factor]:
    """Fewer threads than would be best here, unless other load is what held them back."""
    best, used = _best_threads(run, conditions, speed), _used(run)
    if conditions.other_load_cores > YIELDED_LOAD:
        used = run.placement.n_threads
    if used >= best:
        return
    factor = _at_threads(run, speed, best) / _at_threads(run, speed, used)
    yield "few_threads", factor, {"n_threads": used, "best": best}


def _best_threads(run: Run, conditions: Conditions, speed: SpeedModel) -> int:
    """The count that is fastest by the profile: the plan's, or another up to all cores."""
    counts = {run.placement.n_threads, *range(1, conditions.cores + 1)}
    best: int = max(counts, key=lambda count: (_at_threads(run, speed, count), -count))
    return best


def _used(run: Run) -> float:
    return run.n_threads or run.placement.n_threads


def _at_threads(run: Run, speed: SpeedModel, threads: float) -> float:
    """Tokens per second of the run's placement with so many threads, whole ones or a mean."""
    counts = {math.floor(threads), math.ceil(threads)}
    rates = {
        count: speed.decode_tps(
            run.model, replace(run.placement, n_threads=count), round(run.depth)
        ).median
        for count in counts
    }
    return between_threads(rates, threads)


def _depth(run: Run, speed: SpeedModel) -> Iterator[_Factor]:
    now = speed.decode_tps(run.model, run.placement, round(run.depth)).median
    empty = speed.decode_tps(run.model, run.placement, 0).median
    yield "long_context", empty / now, {"depth": round(run.depth)}


def _waiting_for_memory(run: Run, conditions: Conditions) -> Iterator[_Factor]:
    blocked = conditions.blocked_seconds
    if blocked is None:
        blocked = conditions.major_faults * DISK_PAGE_SECONDS
    # Read-ahead hides most pages from the fault count; bytes read show the others.
    by_pages = conditions.major_faults * SLOWEST_PAGE_SECONDS
    blocked = min(blocked, max(by_pages, conditions.read_bytes / SLOWEST_DISK))
    blocked = max(blocked, conditions.read_bytes / FASTEST_DISK)
    share = min(0.97, blocked / conditions.seconds)
    facts: dict[str, object] = {"major_faults": conditions.major_faults, "seconds": blocked}
    factor = 1 / (1 - share)
    if conditions.swap_in_bytes > 0:
        yield "swapping", factor, {**facts, "swap_in_bytes": conditions.swap_in_bytes}
    elif (conditions.memory_limit_share or 0.0) >= FULL_LIMIT:
        yield "memory_limit", factor, {**facts, "used_share": conditions.memory_limit_share}
    elif conditions.free_memory < _mapped_bytes(run):
        yield "memory_spill", factor, {**facts, "free_memory": conditions.free_memory}
    else:
        yield "cold_file", factor, facts


def _mapped_bytes(run: Run) -> int:
    """Bytes that every step reads from the mapped file; none where it reads a packed copy.

    What the system calls available counts its cached pages, so with less than this they cannot all
    stay in memory.
    """
    if not registry.engine(run.placement.engine).maps_weights(run.model.block_format):
        return 0
    blocks = [i for part in run.placement.layers if part.device == "cpu"
              for i in range(part.first, part.last + 1)]  # fmt: skip
    return sum(run.model.weights.blocks[index] for index in blocks)


def _clock(conditions: Conditions) -> Iterator[_Factor]:
    if conditions.clock_share is not None and conditions.clock_share < 0.85:
        code = "battery_clock" if conditions.on_battery else "low_clock"
        yield code, 1 / max(0.1, conditions.clock_share), {"clock_share": conditions.clock_share}


def _wrong_device(run: Run, speed: SpeedModel) -> Iterator[_Factor]:
    planned = run.placement.layers[-1].device
    if not run.device or run.device == planned:
        return
    layers = tuple(replace(part, device=run.device) for part in run.placement.layers)
    actual = replace(run.placement, layers=layers, lm_head_device=run.device)
    facts = {"planned": planned, "actual": run.device}
    factor = 4.0
    if speed.can_predict(actual) and speed.can_predict(run.placement):
        rates = [
            speed.decode_tps(run.model, placement, round(run.depth)).median
            for placement in (run.placement, actual)
        ]
        factor = rates[0] / rates[1]
    yield "wrong_device", factor, facts


def _device_spill(run: Run, speed: SpeedModel) -> Iterator[_Factor]:
    """Weights that were planned on an accelerator and are read by the processor instead."""
    if run.misplaced_share < SPILLED or run.device in ("", "cpu"):
        return
    last = run.placement.layers[-1]
    spilled = min(round(run.misplaced_share * (last.last + 1)), last.last)
    layers = (LayerRange("cpu", 0, spilled - 1), LayerRange(last.device, spilled, last.last))
    actual = replace(run.placement, layers=layers) if spilled else run.placement
    factor = 1 + 9 * run.misplaced_share
    if speed.can_predict(actual):
        rates = [
            speed.decode_tps(run.model, placement, round(run.depth)).median
            for placement in (run.placement, actual)
        ]
        factor = rates[0] / rates[1]
    yield "device_spill", factor, {"elsewhere": run.misplaced_share}


def _speculation(run: Run) -> Iterator[_Factor]:
    """Rejected drafts cost their evaluation: about a tenth of a step each, batched."""
    if run.draft_tokens < 20:
        return
    acceptance = run.accepted_tokens / run.draft_tokens
    if acceptance < 0.3:
        wasted = run.draft_tokens - run.accepted_tokens
        factor = 1 + 0.1 * wasted / max(1, run.accepted_tokens + wasted / 4)
        yield "low_acceptance", factor, {"acceptance": acceptance}


def read_probe(profile: BandwidthProfile) -> tuple[int, int] | None:
    """(threads, bytes) of the plain read whose rate shows whether the profile is still valid."""
    host = profile.device("cpu")
    if host is None or not host.plain:
        return None
    return host.plain[-1].threads, _probed(host.plain[-1]).working_set


def _probed(curve: Curve) -> CurvePoint:
    """The point that is read again: the largest whose memory can be asked for beside a model."""
    small = [point for point in curve.points if point.working_set <= PROBE_BYTES]
    return small[-1] if small else curve.points[0]


def _slower_memory(profile: BandwidthProfile, reading: float | None) -> Iterator[_Factor]:
    """Memory that is slower now than when it was profiled: an old profile, a lower clock, or load
    that the system does not show."""
    host = profile.device("cpu")
    if reading is None or host is None or not host.plain:
        return
    profiled = _probed(host.plain[-1]).bytes_per_second
    if reading < SLOWER_READING * profiled:
        yield "slower_memory", profiled / reading, {"profiled": profiled, "reading": reading}


def _channels(profile: BandwidthProfile) -> Iterator[_Factor]:
    """All threads together read little more than one: the memory itself is the limit."""
    host = profile.device("cpu")
    if host is None or len(host.plain) < 2:
        return
    one, most = (curve.points[-1].bytes_per_second for curve in (host.plain[0], host.plain[-1]))
    if most < SINGLE_CHANNEL and most < 1.25 * one:
        yield "single_channel_suspected", 1.04, {"bytes_per_second": most}

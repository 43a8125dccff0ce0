"""Which engine runs a model here: both are timed on this machine, and the faster one is used.

`runtime.tasks.measure_engines` times them, in a child process. The choice is a pure function of
what was measured; a small JSON file keeps it until the model, an engine or the processor changes.
`app.wording.explain` words the reasons.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from quant.files import write_json_atomically
from runtime import registry
from runtime.errors import NoEngineRan
from runtime.plan import Alternative, Plan, Reason

EQUAL_SHARE = 0.05  # a smaller difference counts as equally fast: the first candidate stays
_PART = "; "  # between what a choice holds for


@dataclass(frozen=True)
class EngineCandidate:
    """One way to run the model: an engine and the file or folder it reads."""

    engine: str
    path: str


@dataclass(frozen=True)
class EngineMeasurement:
    """What one candidate did: tokens per second, medians over the rounds; decode after `depth`
    cached tokens on average. `failed` is the type of the error it ended with, its speeds 0 then.
    """

    engine: str
    path: str
    prefill_tps: float = 0.0
    decode_tps: float = 0.0
    load_seconds: float = 0.0
    failed: str = ""
    depth: float = 0.0


@dataclass(frozen=True)
class EngineChoice:
    """The engine to use and why. reason.code: "engine_faster", "engines_equal", "engine_only"."""

    engine: str
    path: str
    reason: Reason
    measurements: tuple[EngineMeasurement, ...]


def choose_engine(measurements: Sequence[EngineMeasurement]) -> EngineChoice:
    """The fastest in decode; among equals the one listed first. The reason compares it with the
    best of the other engines.

    Raises NoEngineRan where no candidate could be measured.
    """
    working = [one for one in measurements if not one.failed and one.decode_tps > 0]
    if not working:
        failed = _failures(measurements)
        raise NoEngineRan(failed=failed)
    best = max(one.decode_tps for one in working)
    chosen = next(one for one in working if best <= one.decode_tps * (1 + EQUAL_SHARE))
    others = [one for one in working if one.engine != chosen.engine]
    if not others:
        facts = {"engine": chosen.engine, "failed": _failures(measurements)}
        reason = Reason("engine_only", facts)
        return EngineChoice(chosen.engine, chosen.path, reason, tuple(measurements))
    second = max(others, key=lambda one: one.decode_tps)
    figures = {
        "engine": chosen.engine,
        "decode_tps": chosen.decode_tps,
        "other": second.engine,
        "other_decode_tps": second.decode_tps,
        "ratio": chosen.decode_tps / second.decode_tps,
    }
    code = "engines_equal" if second.decode_tps > chosen.decode_tps else "engine_faster"
    return EngineChoice(chosen.engine, chosen.path, Reason(code, figures), tuple(measurements))


def _failures(measurements: Sequence[EngineMeasurement]) -> dict[str, str]:
    return {one.engine: one.failed for one in measurements if one.failed}


def choose_plan(plans: Sequence[Plan], choice: EngineChoice | None) -> Plan:
    """One plan of those of a model that is installed for several engines, the preferred one first.

    A plan that uses an accelerator comes before those that do not; among plans on the processor
    the measured choice decides, and without one the first. The others become alternatives.
    """
    first, *others = plans
    if not others:
        return first
    fast = [plan for plan in plans if _accelerated(plan)]
    if fast and len(fast) < len(plans):
        best = fast[0]
        facts = {"engine": best.placement.engine, "device": best.placement.layers[-1].device}
        reason = Reason("engine_reaches_device", facts)
    elif choice is not None and not fast:
        best = next((p for p in plans if p.placement.engine == choice.engine), first)
        reason = choice.reason
    else:
        best = first
        reason = Reason("engines_not_measured", {"engine": best.placement.engine})
    why = "slower" if choice is not None and reason is choice.reason else "not_preferred"
    passed = tuple(_alternative(plan, Reason(why)) for plan in plans if plan is not best)
    return replace(
        best, reasons=(reason, *best.reasons), alternatives=(*passed, *best.alternatives)
    )


def _accelerated(plan: Plan) -> bool:
    return any(part.device != "cpu" for part in plan.placement.layers)


def _alternative(plan: Plan, reason: Reason) -> Alternative:
    tps = plan.speed.decode_tps if plan.speed else None
    return Alternative(plan.placement, plan.memory.total, tps, reason)


def choice_key(
    candidates: Sequence[EngineCandidate], digests: Mapping[str, str], processor: str, threads: int
) -> str:
    """What a choice is valid for: these files (path -> digest), these engine versions, this
    processor and thread count. Anything else is measured again."""
    parts = [f"{processor} x{threads}"]
    for candidate in candidates:
        installed = _version(registry.engine(candidate.engine).distribution)
        parts.append(f"{candidate.engine} {installed} {digests.get(candidate.path, '')}")
    return _PART.join(parts)


def _version(distribution: str) -> str:
    from importlib import metadata  # brings email and csv: not for the start of the window

    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


class ChoiceFile:
    """Choices kept in one JSON file: key -> choice. A damaged file counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str, paths: Collection[str] = ()) -> EngineChoice | None:
        """The choice kept under `key`, or between the candidates at `paths` by what was measured of
        them among others; None where they were not measured together."""
        wanted = set(key.split(_PART))
        for kept, data in reversed(self._read().items()):
            if not wanted <= set(kept.split(_PART)):
                continue
            with suppress(ValueError, NoEngineRan):
                choice = _choice_from_json(data)
                if kept == key:
                    return choice
                return choose_engine([one for one in choice.measurements if one.path in paths])
        return None

    def latest(self) -> EngineChoice | None:
        """The choice made last, whatever it was for."""
        with suppress(IndexError, ValueError):
            return _choice_from_json(list(self._read().values())[-1])
        return None

    def put(self, key: str, choice: EngineChoice) -> None:
        """Store a choice atomically."""
        data: dict[str, object] = {**self._read()}
        data.pop(key, None)  # the latest is the last
        data[key] = asdict(choice)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._path, data, durable=False)

    def _read(self) -> dict[str, object]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, object])
        except (OSError, ValueError):
            return {}


def _choice_from_json(data: object) -> EngineChoice:
    choice = msgspec.convert(data, EngineChoice)
    if not registry.known(choice.engine):
        raise ValueError(choice.engine)
    return choice

"""What this machine has taught: its bandwidth profile, and the runs that calibrate predictions.

Keeps two JSON files and turns them into a SpeedModel. Measures nothing and predicts nothing itself.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from quant.files import write_json_atomically
from quant.json_types import Json
from runtime.generation import GenerationStats
from runtime.plan import Interval, Placement, Plan, PlanModel
from runtime.planning.bandwidth import BandwidthProfile, machine_fingerprint
from runtime.planning.calibration import Observation, TrackRecord, fit, track_record
from runtime.planning.speed import SpeedModel

KEPT = 400
MIN_DECODED = 16  # fewer tokens are too short to time
MIN_PREFILLED = 32
DRAFTED_SHARE = 0.02  # of an answer's tokens: fewer drafted tokens hardly change its speed


@dataclass(frozen=True)
class Learnt:
    """The profile of this machine, None before the first profiling, and its observations."""

    profile: BandwidthProfile | None
    observations: tuple[Observation, ...]

    @property
    def speed(self) -> SpeedModel | None:
        """A predictor, once the machine was profiled."""
        return SpeedModel(self.profile, fit(self.observations)) if self.profile else None


@dataclass(frozen=True)
class Observations:
    """What runs taught, and the identity of the profile that their terms were predicted from."""

    profile: str
    observations: tuple[Observation, ...]


class Learning:
    """The two files. Damaged or foreign ones count as absent: they can be measured again.

    Observations hold times predicted from one profile; with another, learning begins anew.
    """

    def __init__(self, folder: Path, fingerprint: Callable[[], dict[str, str]]) -> None:
        self._profile = folder / "profile.json"
        self._observations = folder / "observations.json"
        self._fingerprint = fingerprint

    def load(self) -> Learnt:
        """What is known of this very machine."""
        profile = self._load_profile()
        if profile is None:
            return Learnt(None, ())
        return Learnt(profile, self._load_observations(profile))

    def keep_profile(self, profile: BandwidthProfile) -> bool:
        """Store a profile and return whether it was stored: a doubtful one never replaces a trusted
        one."""
        known = self._load_profile()
        if known is not None and known.trusted and not profile.trusted:
            return False
        self._profile.parent.mkdir(parents=True, exist_ok=True)
        write_json_atomically(self._profile, msgspec.to_builtins(profile))
        return True

    def learn(self, model: PlanModel, plan: Plan, stats: GenerationStats) -> None:
        """Keep what a finished generation teaches about this machine."""
        speed = self._speed_of(plan.placement)
        if speed is not None:
            self._add(observations_of(speed, model, plan, stats))

    def learn_decode(
        self, model: PlanModel, placement: Placement, depth: float, decode_tps: float
    ) -> None:
        """Keep what a measurement teaches: tokens per second after `depth` cached ones."""
        speed = self._speed_of(placement)
        if speed is not None:
            self._add((speed.decode_observation(model, placement, depth, decode_tps),))

    def learn_prefill(
        self, model: PlanModel, placement: Placement, tokens: int, prefill_tps: float
    ) -> None:
        """Keep what a measurement teaches of a prompt of so many tokens."""
        speed = self._speed_of(placement)
        if speed is not None:
            seconds = tokens / prefill_tps
            self._add((speed.prefill_observation(model, placement, tokens, seconds),))

    def _speed_of(self, placement: Placement) -> SpeedModel | None:
        speed = self.load().speed
        return speed if speed is not None and speed.can_predict(placement) else None

    def _add(self, new: tuple[Observation, ...]) -> None:
        learnt = self.load()
        if new and learnt.profile is not None:
            kept = Observations(learnt.profile.identity, (*learnt.observations, *new)[-KEPT:])
            self._observations.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomically(self._observations, msgspec.to_builtins(kept))

    def _load_profile(self) -> BandwidthProfile | None:
        try:
            profile = msgspec.json.decode(self._profile.read_bytes(), type=BandwidthProfile)
        except (OSError, ValueError):
            return None
        here = self._fingerprint()
        same = all(profile.fingerprint.get(key) == here[key] for key in here if key != "engine")
        return profile if same else None

    def _load_observations(self, profile: BandwidthProfile) -> tuple[Observation, ...]:
        try:
            kept = msgspec.json.decode(self._observations.read_bytes(), type=Observations)
        except (OSError, ValueError):
            return ()
        return kept.observations if kept.profile == profile.identity else ()


def observations_of(
    speed: SpeedModel, model: PlanModel, plan: Plan, stats: GenerationStats
) -> tuple[Observation, ...]:
    """The decode and the prefill of a run, where they were long enough to mean something."""
    found: list[Observation] = []
    alone = _one_by_one(stats.draft_tokens, stats.generated_tokens)
    if stats.decode_tps and stats.generated_tokens >= MIN_DECODED and alone:
        depth = stats.prompt_tokens + stats.generated_tokens / 2  # of the middle step
        found.append(speed.decode_observation(model, plan.placement, depth, stats.decode_tps))
    evaluated = stats.prompt_tokens - stats.cached_tokens
    if evaluated >= MIN_PREFILLED and stats.cached_tokens == 0:
        found.append(
            speed.prefill_observation(model, plan.placement, evaluated, stats.prefill_seconds)
        )
    return tuple(found)


def default_learning(folder: Path) -> Learning:
    """Learning of the machine this process runs on."""
    return Learning(folder, machine_fingerprint)


class StoredRun(Protocol):
    """What the history must tell of a run."""

    @property
    def predicted_decode_tps(self) -> Interval | None: ...
    @property
    def measured_decode_tps(self) -> float | None: ...
    @property
    def stats(self) -> Mapping[str, Json]: ...


def history(runs: Iterable[StoredRun]) -> TrackRecord | None:
    """How accurate the decode predictions of stored `runs` were. Predictions are of
    tokens made one by one: runs with drafts say nothing about them."""
    return track_record(
        (run.predicted_decode_tps, run.measured_decode_tps)
        for run in runs
        if run.predicted_decode_tps is not None
        and run.measured_decode_tps
        and _one_by_one(_count(run.stats, "draft_tokens"), _count(run.stats, "generated_tokens"))
    )


def _count(stats: Mapping[str, Json], name: str) -> int:
    value = stats.get(name)
    return value if isinstance(value, int) else 0


def _one_by_one(drafted: int, generated: int) -> bool:
    """Whether drafts, accepted or not, hardly changed an answer's speed."""
    return drafted <= DRAFTED_SHARE * generated

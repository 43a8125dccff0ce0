"""What the Speed page shows, as values: the profile, models with their predictions, finished runs.

Gathers them through the session; knows no widget and no unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import AppError
from app.history.records import RunRecord
from app.planning.learning import history
from app.planning.machine import measurable
from app.session.session import Session
from quant.errors import QuantError
from runtime.errors import EngineError
from runtime.plan import Interval, PlanModel
from runtime.planning.bandwidth import BandwidthProfile, Curve
from runtime.planning.calibration import TrackRecord

RUNS_SHOWN = 100
NEAR = 1.3  # working sets within this factor share a label


@dataclass(frozen=True)
class SpeedModelPoint:
    """A model as the plots mark it. `working_set` is what a decode step reads, in bytes;
    `predicted` is None where it does not fit or nothing is measured; `measured` are tok/s."""

    name: str
    model: PlanModel
    working_set: int
    predicted: Interval | None
    measured: tuple[float, ...]
    installed: bool


@dataclass(frozen=True)
class SpeedReport:
    """Everything at once. `runs` are the newest first; `unmeasured` are devices that could be
    profiled and were not, when there is a profile."""

    profile: BandwidthProfile | None
    models: tuple[SpeedModelPoint, ...]
    runs: tuple[RunRecord, ...]
    record: TrackRecord | None
    unmeasured: tuple[str, ...] = ()

    @property
    def marked(self) -> tuple[SpeedModelPoint, ...]:
        """The models that plots mark: installed ones, and those that would fit."""
        return tuple(each for each in self.models if each.installed or each.predicted)


def speed_report(session: Session) -> SpeedReport:
    """Gather what is known now; headers of installed models are read, so not on a window's thread.

    A model that cannot be read is left out. Raises StoreError.
    """
    runs = tuple(session.store.runs(RUNS_SHOWN))
    installed = [model.name for model in session.installed()]
    names = [*installed, *(e.id for e in session.catalog if e.id not in installed)]
    points = []
    for name in names:
        try:
            model = session.planning.model(name)
        except (AppError, EngineError, QuantError, OSError):
            continue
        measured = tuple(
            run.measured_decode_tps for run in runs if run.model == name and run.measured_decode_tps
        )
        points.append(
            SpeedModelPoint(
                name,
                model,
                working_set(model),
                _predicted(session, model),
                measured,
                name in installed,
            )
        )
    profile = session.learning.load().profile
    return SpeedReport(profile, tuple(points), runs, history(runs), _unmeasured(session, profile))


def working_set(model: PlanModel) -> int:
    """Bytes that a decode step at an empty context reads."""
    return sum(model.weights.blocks_active) + model.weights.lm_head_read


def _unmeasured(session: Session, profile: BandwidthProfile | None) -> tuple[str, ...]:
    try:
        return profile.missing(measurable(session.devices())) if profile else ()
    except EngineError:  # what is here cannot be told now, and the rest can be shown
        return ()


def _predicted(session: Session, model: PlanModel) -> Interval | None:
    try:
        plan = session.planning.plan_for(model)
    except EngineError:
        return None
    return plan.speed.decode_tps if plan.speed else None


def fastest_read(profile: BandwidthProfile) -> Curve | None:
    """The highest plain read rate at each working set, over all thread counts of the host."""
    host = profile.device("cpu")
    if host is None or not host.plain:
        return None
    best = max(host.plain, key=lambda curve: curve.points[-1].bytes_per_second)
    points = tuple(
        max((curve.points[i] for curve in host.plain), key=lambda point: point.bytes_per_second)
        for i in range(len(best.points))
    )
    return Curve(best.threads, points)


def short_name(point: SpeedModelPoint) -> str:
    """A model's name without what all of its family begin with, for plots."""
    return point.name.removeprefix("deepseek-").replace("-distill-", "-")


def marks(points: Sequence[SpeedModelPoint]) -> list[tuple[SpeedModelPoint, str]]:
    """Models by working set with the label a plot gives each: of those too near one another to be
    told apart, the first has the label for all ("r1-qwen-7b +3"), the others none."""
    groups: list[list[SpeedModelPoint]] = []
    for point in sorted(points, key=lambda each: each.working_set):
        if groups and point.working_set < NEAR * groups[-1][0].working_set:
            groups[-1].append(point)
        else:
            groups.append([point])
    found = []
    for group in groups:
        more = f" +{len(group) - 1}" if len(group) > 1 else ""
        found.append((group[0], short_name(group[0]) + more))
        found.extend((point, "") for point in group[1:])
    return found

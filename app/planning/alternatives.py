"""What could be loaded instead where memory does not hold a model.

Knows which models are a family: those of one architecture, and a teacher with what was distilled
from it. Plans nothing itself and words nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from app.library.catalog import CatalogEntry
from runtime.errors import EngineError, OutOfMemory, WorkerDied
from runtime.plan import PlanModel


@dataclass(frozen=True)
class Known:
    """A model by its name, with its catalog entry where it has one."""

    name: str
    entry: CatalogEntry | None
    model: PlanModel


def smaller_model(
    refused: Known, others: Iterable[Known], fits: Callable[[PlanModel], bool]
) -> str | None:
    """The name of the largest smaller model of the same family that fits; None where none does."""
    size = refused.model.weights.total
    family = [
        other for other in others if other.model.weights.total < size and _related(refused, other)
    ]
    family.sort(key=lambda other: other.model.weights.total, reverse=True)
    return next((other.name for other in family if fits(other.model)), None)


def _related(one: Known, other: Known) -> bool:
    if other.entry is not None and other.entry.demonstration:
        return False
    if one.model.shape.architecture == other.model.shape.architecture:
        return True
    origins = [_origin(known.entry) for known in (one, other)]
    return origins[0] == origins[1] != ""


def _origin(entry: CatalogEntry | None) -> str:
    """The teacher a model was distilled from, or itself, which may be one."""
    if entry is None:
        return ""
    return entry.teacher or entry.repositories.official or ""


def memory_ran_out(error: EngineError) -> str | None:
    """The device whose memory an error says ran out; None for other errors."""
    if isinstance(error, OutOfMemory):
        return error.device
    if isinstance(error, WorkerDied) and error.kind == "out_of_memory":
        return "cpu"
    return None

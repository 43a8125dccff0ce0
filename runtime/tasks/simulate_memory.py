"""The job that asks an engine what a placement takes, without allocating it.

Knows how to find the engine's own simulator; imports an engine, so job processes only.
"""

from collections.abc import Callable

from runtime import registry
from runtime.errors import BackendUnavailable
from runtime.plan import Placement
from runtime.planning.exact_memory import MemoryReport
from runtime.process.job_values import MemoryArgs
from runtime.progress import OnProgress


def simulate_memory_job(args: MemoryArgs, _on_progress: OnProgress) -> MemoryReport:
    """What the placement's engine tells. Raises BackendUnavailable for one that cannot, and what
    the engine raises."""
    engine = registry.engine(args.placement.engine)
    if not engine.simulator:
        raise BackendUnavailable(backend=engine.name, reason="simulates_no_memory")
    simulate: Callable[[str, Placement], MemoryReport] = registry.function(engine.simulator)
    return simulate(str(args.path), args.placement)

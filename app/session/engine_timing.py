"""Times the engines on all installed models, for `stillroom profile` and the window.

Knows which models to time; `app.planning.planner` times one model,
`app.planning.engine_timings` keeps the result.
"""

from contextlib import suppress

from app.library.catalog import starter
from app.session.session import Session
from runtime.errors import EngineError
from runtime.progress import CancelToken, OnProgress


def time_engines(session: Session, on_progress: OnProgress, cancel: CancelToken) -> None:
    """Time every model that is installed for several engines and was not timed yet.

    Where nothing was timed before, the starter model is converted and timed: what was predicted for
    each engine is corrected by it. Raises Cancelled.
    """
    for name in session.planning.untimed():
        with suppress(EngineError):  # a broken model is reported when it is used
            session.planning.time_engines(name, on_progress, cancel)
    entry = starter(session.catalog)
    model = session.library.find(entry.id) if entry else None
    if model is not None and session.engines.latest() is None:
        recipes = session.formats.for_each_family(session.inspect(model.name).shape)
        with session.library.staging() as folder:
            builds = session.conversion.for_each_engine(model, folder, recipes, on_progress, cancel)
            session.planning.measure(builds, on_progress, cancel)

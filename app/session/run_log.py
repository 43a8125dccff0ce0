"""The finished runs of a session: stored, learnt from, and explained.

Knows what the last one was; what a record holds and why one was slow is `app.history.runs`'s.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from app.errors import AppError
from app.history.records import RunRecord
from app.history.runs import LoadedModel, is_undisturbed, run_record, why_slow
from app.history.store import Store
from app.planning.planner import Planning
from runtime.errors import EngineError
from runtime.generation import GenerationStats
from runtime.machine.conditions import Conditions
from runtime.plan import PlanModel
from runtime.planning.diagnosis import Diagnosis
from runtime.process.client import run_job
from runtime.process.job_table import READ_RATE
from runtime.process.job_values import ReadRateArgs
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)


class RunLog:
    """Records runs in the history. `store` and `planning` give what is used now, `worker_log` the
    log of a child that measures."""

    def __init__(
        self,
        store: Callable[[], Store],
        planning: Callable[[], Planning],
        worker_log: Callable[[], Path],
    ) -> None:
        self._store = store
        self._planning = planning
        self._worker_log = worker_log
        self._last: tuple[RunRecord, PlanModel] | None = None

    def add(self, loaded: LoadedModel, stats: GenerationStats, conditions: Conditions) -> None:
        """Store a run and learn from it. Where the history cannot be written, or the model's file
        is gone by now, nothing is learnt; the answer is not affected."""
        try:
            record = run_record(loaded, stats, conditions)
            self._store().add_run(record)
            planning = self._planning()
            model = planning.model_of(loaded.target)
            self._last = record, model
            if is_undisturbed(conditions):
                planning.learning.learn(model, loaded.plan, stats)
        except (AppError, EngineError, OSError) as error:
            logger.info("this run was not recorded: %s", summary_of(error))

    def why_slow(self) -> Diagnosis | None:
        """The causes of the last run's slowness by weight; None before a planned run.

        Without a run in this session, of the last one in the history. Raises UnknownModel where its
        model is gone.
        """
        planning = self._planning()
        speed = planning.learning.load().speed
        if speed is None:
            return None
        if self._last is not None:
            return why_slow(*self._last, speed, self._read_rate)
        record = next(iter(self._store().runs(1)), None)
        if record is None:
            return None
        return why_slow(record, planning.model(record.model), speed)

    def _read_rate(self, threads: int, nbytes: int) -> float:
        args = ReadRateArgs(threads, nbytes)
        return run_job(READ_RATE, args, log=self._worker_log()).bytes_per_second

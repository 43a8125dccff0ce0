"""The models being served: loaded on demand, unloaded when idle.

Knows sessions, workers and the clock; knows no HTTP. Each model has a worker of its own, so that
one that dies takes no other with it.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from app.errors import UnknownModel
from app.history.runs import LoadedModel
from app.library.folder import InstalledModel
from app.server.faults import Busy
from app.server.limits import ServeOptions
from app.server.mailbox import Mailbox
from app.server.turns import Turns
from app.session.session import Session
from runtime import registry
from runtime.engine import EngineDescriptor
from runtime.errors import DoesNotFit, OutOfMemory
from runtime.generation import SamplingParams
from runtime.plan import Plan, PlanRequest
from runtime.process.client import Worker
from runtime.progress import CancelToken

logger = logging.getLogger(__name__)

_SWEEP_SECONDS = 5.0
_WATCH_SECONDS = 0.5
_LOAD_SECONDS = 5.0  # Retry-After for a model that too many requests wait for
_AHEAD = 2  # requests the worker may hold beyond its places, so that no place is idle


@dataclass
class ServedModel:
    """A loaded model and who uses it. `parallel` answers at a time."""

    name: str
    worker: Worker
    loaded: LoadedModel
    sampling: SamplingParams
    turns: Turns
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)

    @property
    def idle_seconds(self) -> float:
        """Seconds since its last use; 0 while it is used."""
        return 0.0 if self.users else time.monotonic() - self.used_at


@dataclass
class _Load:
    """A model being loaded, and how many requests wait for it."""

    task: "asyncio.Task[ServedModel]"
    waiting: int = 0


class ModelPool:
    """Every method but `close` belongs to the server's event loop."""

    def __init__(self, session: Session, options: ServeOptions) -> None:
        self._session = session
        self._options = options
        self._served: dict[str, ServedModel] = {}
        self._loads: dict[str, _Load] = {}
        self._loading = asyncio.Lock()  # one at a time: each load changes what fits beside it
        self._stopping = CancelToken()
        self.mailbox = Mailbox()
        threads = 8 * (options.parallel + _AHEAD)
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="answers")

    @property
    def served(self) -> tuple[ServedModel, ...]:
        """What is loaded now."""
        return tuple(self._served.values())

    def available(self) -> list[InstalledModel]:
        """The installed models that an engine here can run."""
        return [m for m in self._session.installed() if registry.reading((m.format,))]

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[ServedModel]:
        """A model, loaded if need be, that stays for as long as it is used.

        Raises UnknownModel for anything but the name of an installed model, EngineError.
        """
        served = await self._loaded(name)
        served.users += 1
        try:
            yield served
        finally:
            served.users -= 1
            served.used_at = time.monotonic()

    async def _loaded(self, name: str) -> ServedModel:
        """The model's load goes on when those who wait for it leave: a worker that is starting can
        be closed, or kept for the next request, but not forgotten."""
        served = self._served.get(name)
        if served is not None and served.worker.alive:
            return served
        loading = self._loads.get(name)
        if loading is None:
            loading = self._loads[name] = _Load(asyncio.create_task(self._load(name)))
            loading.task.add_done_callback(lambda _: self._loads.pop(name))
        if loading.waiting >= self._options.limits.waiting + self._options.parallel:
            raise Busy(retry_after=_LOAD_SECONDS)
        loading.waiting += 1
        try:
            return await asyncio.shield(loading.task)
        finally:
            loading.waiting -= 1

    async def _load(self, name: str) -> ServedModel:
        known = {model.name: model for model in await asyncio.to_thread(self.available)}
        if name not in known:
            raise UnknownModel(name=name[:200], suggestions=sorted(known)[:3])
        async with self._loading:
            self._served.pop(name, None)
            while True:
                try:
                    served = await asyncio.to_thread(self._open, known[name])
                    break
                except (DoesNotFit, OutOfMemory):
                    if not await self._make_room():
                        raise
            self._served[name] = served
            return served

    def _open(self, model: InstalledModel) -> ServedModel:
        """Plan and load; blocks."""
        started = time.monotonic()
        plan = self._plan(model)
        target = self._session.planning.build(model.name, plan)
        shared = registry.engine(plan.placement.engine).parallel
        self._session.paths.logs.mkdir(parents=True, exist_ok=True)
        worker = Worker.start(self._session.paths.worker_log)
        try:
            path, cancel = str(target.local), self._stopping
            report = worker.load(path, plan.placement, cancel=cancel, shared=shared)
        except BaseException:
            worker.close()
            raise
        profile = target.entry.chat if target.entry else None
        places = plan.placement.sequences + (_AHEAD if shared else 0)
        logger.info("%s loaded in %.1f s", model.name, time.monotonic() - started)
        return ServedModel(
            model.name,
            worker,
            LoadedModel(target, plan, report, profile),
            self._session.sampling(model.name),
            Turns(places, self._options.limits.waiting),
        )

    def _plan(self, model: InstalledModel) -> Plan:
        """A plan for the memory that is free now, with the engine of the settings, else one that
        answers several at a time, else the one that is faster here."""
        planning = replace(self._session.planning, devices=self._session.devices)
        threads = self._session.settings.threads or None
        request = PlanRequest(n_ctx=self._options.n_ctx, n_threads=threads)
        engine = self._engine(model)
        if engine is not None:
            sequences = self._options.parallel if engine.parallel else 1
            request = replace(request, engine=engine.name, sequences=sequences)
        return planning.plan(model.name, request)

    def _engine(self, model: InstalledModel) -> EngineDescriptor | None:
        able, wanted = registry.reading((model.format,)), self._session.settings.engine
        named = (each for each in able if each.name == wanted)
        return next(named, next((each for each in able if each.parallel), None))

    async def _make_room(self) -> bool:
        """Unload the model unused for longest; whether there was one."""
        idle = [served for served in self.served if not served.users]
        if not idle:
            return False
        await self._unload(max(idle, key=lambda served: served.idle_seconds))
        await asyncio.to_thread(self._session.devices, refresh=True)
        return True

    async def _unload(self, served: ServedModel) -> None:
        self._served.pop(served.name, None)
        logger.info("%s unloaded", served.name)
        await asyncio.to_thread(served.worker.close)

    async def sweep(self) -> None:
        """Unload models that have been idle long enough; runs until cancelled."""
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self._options.idle_seconds / 2))
            for served in self.served:
                if served.idle_seconds > self._options.idle_seconds:
                    await self._unload(served)

    async def watch(self) -> None:
        """Stop answers whose clients have disconnected and check silent workers; runs until
        cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for served in self.served:
                if served.turns.running:
                    await loop.run_in_executor(self.threads, served.worker.watch)

    async def stop(self) -> None:
        """Load nothing more, and wait for loads in progress to be closed."""
        self._stopping.cancel()
        loads = [loading.task for loading in self._loads.values()]
        await asyncio.gather(*loads, return_exceptions=True)

    def close(self) -> None:
        """End every worker at once; after `stop`."""
        for served in self.served:
            served.worker.end("clean")
            served.worker.close()
        self._served.clear()
        self.threads.shutdown(wait=False, cancel_futures=True)

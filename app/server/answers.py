"""Answers of served models as asynchronous streams, one or several at a time.

Knows turns and worker threads; knows no HTTP. A stream that is closed, for whatever reason, stops
its generation.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from app.server.faults import log_fault
from app.server.mailbox import Delivered
from app.server.pool import ModelPool, ServedModel
from runtime.generation import GenerationRequest, GenerationStats, TokenChunk
from runtime.process.protocol import Streamed
from runtime.progress import CancelToken


@dataclass(frozen=True)
class Part:
    """A part of answer number `index`: chunks, or at its end the stats."""

    index: int
    chunks: tuple[TokenChunk, ...] = ()
    stats: GenerationStats | None = None
    queue_seconds: float = 0.0


async def answers(
    pool: ModelPool, served: ServedModel, requests: Sequence[GenerationRequest], client: str
) -> AsyncGenerator[Part, None]:
    """The parts of all answers as they come. Raises Busy, EngineError."""
    served.turns.check(len(requests))
    if len(requests) == 1:
        async with aclosing(_answer(pool, served, requests[0], client, 0)) as parts:
            async for part in parts:
                yield part
        return
    box: asyncio.Queue[Part | Exception] = asyncio.Queue()

    async def pump(index: int, request: GenerationRequest) -> None:
        try:
            async with aclosing(_answer(pool, served, request, client, index)) as parts:
                async for part in parts:
                    box.put_nowait(part)
        except Exception as error:
            box.put_nowait(error)

    tasks = [asyncio.create_task(pump(*each)) for each in enumerate(requests)]
    try:
        left = len(tasks)
        while left:
            item = await box.get()
            if isinstance(item, Exception):
                raise item
            left -= item.stats is not None
            yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def embedding(
    pool: ModelPool, served: ServedModel, text: str, client: str
) -> tuple[list[float], int]:
    """A text as a vector of length 1, and its tokens. Raises Busy, EngineError."""
    await served.turns.enter(client)
    cancel, started = CancelToken(), time.monotonic()
    loop = asyncio.get_running_loop()
    working = loop.run_in_executor(pool.threads, served.worker.embed, text, cancel)

    def ended(done: asyncio.Future[tuple[list[float], int]]) -> None:
        served.turns.leave(time.monotonic() - started)
        error = None if done.cancelled() else done.exception()
        if cancel.cancelled and isinstance(error, Exception):  # its client has left: nobody awaits
            log_fault(error)

    working.add_done_callback(ended)
    try:
        return await asyncio.shield(working)  # its place is free once it has really ended
    finally:
        cancel.cancel()


async def _answer(
    pool: ModelPool, served: ServedModel, request: GenerationRequest, client: str, index: int
) -> AsyncGenerator[Part, None]:
    waited = await served.turns.enter(client)
    loop, cancel = asyncio.get_running_loop(), CancelToken()
    box: asyncio.Queue[Delivered] = asyncio.Queue()
    started = time.monotonic()

    def take(item: Delivered) -> None:
        if not isinstance(item, Streamed):
            served.turns.leave(time.monotonic() - started)
        box.put_nowait(item)

    def put(item: Delivered) -> None:
        pool.mailbox.put(take, item)

    def ask() -> None:
        try:
            served.worker.begin(request, put, cancel, served.loaded.profile)
        except Exception as error:
            put(error)

    loop.run_in_executor(pool.threads, ask)  # a long prompt may fill the pipe
    try:
        while True:
            item = await box.get()
            if isinstance(item, Exception):
                raise item
            if isinstance(item, GenerationStats):
                yield Part(index, stats=item, queue_seconds=waited)
                return
            yield Part(index, item.chunks)
    finally:
        cancel.cancel()
        loop.run_in_executor(pool.threads, served.worker.watch)

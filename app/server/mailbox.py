"""Passes what workers deliver on reader threads to the event loop, in batches.

Knows threads and the loop; knows no request.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from runtime.generation import GenerationStats
from runtime.process.protocol import Streamed

Delivered = Streamed | GenerationStats | Exception
"""Text of an answer, or at its end the stats or the error."""

Take = Callable[[Delivered], None]


class Mailbox:
    """`put` comes from any thread; each item's `take` is called in the loop, in order."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._items: deque[tuple[Take, Delivered]] = deque()
        self._called = False

    def open(self) -> None:
        """Deliver to the running loop from now on."""
        self._loop = asyncio.get_running_loop()

    def put(self, take: Take, item: Delivered) -> None:
        """Have `take` called with the item. Waking the loop costs more than an item: it is woken
        once for all items that arrive before it runs."""
        self._items.append((take, item))
        if self._called or self._loop is None:
            return
        self._called = True
        with suppress(RuntimeError):  # the loop is closed: nobody receives it
            self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._called = False  # first: later items may miss this round
        while self._items:
            take, item = self._items.popleft()
            take(item)

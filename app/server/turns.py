"""Whose request is next: a bounded queue in which clients take turns.

Knows asyncio and counts; knows no model and no HTTP.
"""

import asyncio
import time
from collections import deque

from app.server.faults import Busy

_FIRST_GUESS_SECONDS = 5.0
_NEWEST = 0.2  # weight of the last answer in the mean duration
_LONGEST_RETRY_SECONDS = 60.0


class Turns:
    """At most `running` at once and `waiting` more. A free place goes to the client whose turn it
    is, however many requests the others have waiting."""

    def __init__(self, running: int, waiting: int) -> None:
        self._places = running
        self._limit = waiting
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._mean_seconds = _FIRST_GUESS_SECONDS
        self.running = 0

    @property
    def waiting(self) -> int:
        """Requests that have no place yet."""
        return sum(map(len, self._queues.values()))

    def check(self, count: int) -> None:
        """Raise Busy when `count` more requests would be too many."""
        free = self._places - self.running
        if self.waiting + count > self._limit + max(free, 0):
            rounds = (self.waiting + count) / self._places
            wait = min(max(1.0, rounds * self._mean_seconds), _LONGEST_RETRY_SECONDS)
            raise Busy(retry_after=wait)

    async def enter(self, client: str) -> float:
        """Wait for a place; returns the seconds it took. `leave` gives the place back."""
        self.check(1)
        if self.running < self._places:
            self.running += 1
            return 0.0
        started = time.monotonic()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(client, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()  # it was granted just as the client left
            else:
                self._forget(client, place)
            raise
        return time.monotonic() - started

    def leave(self, seconds: float) -> None:
        """Give a place back after an answer of so many seconds."""
        self._mean_seconds += _NEWEST * (seconds - self._mean_seconds)
        self._pass_on()

    def _pass_on(self) -> None:
        for client in list(self._queues):
            queue = self._queues.pop(client)
            place = queue.popleft()
            if queue:
                self._queues[client] = queue  # at the end: the others come first
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1

    def _forget(self, client: str, place: "asyncio.Future[None]") -> None:
        queue = self._queues.get(client)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._queues[client]

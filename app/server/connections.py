"""Connections: how many at most, and how long a request and its response may take.

uvicorn closes idle connections only: one that sends its request's head a byte at a time would stay
for ever (encode/uvicorn, h11_impl.py: the keep-alive timer stops at the first byte).
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class TimedConnection(H11Protocol):
    """uvicorn's HTTP/1.1 with limits on their number, on the time a request's head may take, and
    on the time a response may stay unread."""

    head_seconds = 10.0
    unread_seconds = 30.0
    most = 512
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()  # requests are refused with an error message long before
            return
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._between_requests:
            self._stop_timer()
        elif self._head_timer is None:
            self._start_timer()
        self._if_closing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._if_closing()

    def pause_writing(self) -> None:
        """What was sent fills the buffers. A client that does not read is dropped: its answer
        keeps costing, and a graceful close would wait for it to read."""
        super().pause_writing()
        self._start_unread_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_unread_timer()
        super().connection_lost(exc)

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._abandon)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_unread_timer(self) -> None:
        self._stop_unread_timer()
        self._unread_timer = self.loop.call_later(self.unread_seconds, self.transport.abort)

    def _if_closing(self) -> None:
        """Closing waits for what was sent to be read, and for that there is a limit too."""
        if self.transport.is_closing():
            self._start_unread_timer()

    def _stop_unread_timer(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _abandon(self) -> None:
        self._head_timer = None
        if self._between_requests and not self.transport.is_closing():
            self.transport.close()
            self._if_closing()

"""Starts and stops the server, in the foreground or beside a window.

Knows uvicorn, sockets and threads; knows no request.
"""

import asyncio
import contextlib
import os
import socket
import threading

import uvicorn

from app.server.address import LOOPBACK, Address
from app.server.application import application
from app.server.connections import TimedConnection
from app.server.faults import PortTaken, log_loop_fault
from app.server.guards import AccessPolicy
from app.server.limits import ServeOptions
from app.server.pool import ModelPool
from app.session.session import Session

_OWN_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_STOP_SECONDS = 1  # for answers under way


class RunningServer:
    """A server in a thread of its own. `pool` belongs to that thread's event loop."""

    def __init__(self, session: Session, options: ServeOptions, key: str) -> None:
        self._options = options
        self._socket = _listen(options.host, options.port)
        port = self._socket.getsockname()[1]
        self.address = Address(options.host, port)
        open_to_network = options.host not in LOOPBACK
        names = _OWN_NAMES | {name.lower() for name in options.names}
        policy = AccessPolicy(key, port, frozenset(names), any_address=open_to_network)
        self.pool = ModelPool(session, options)
        self._server = _Server(_config(application(self.pool, policy, options), options))
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> "RunningServer":
        """Answer requests from now on."""
        self._thread.start()
        return self

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Stop answering, cancel running generations and end every worker."""
        self._server.should_exit = True
        self._thread.join(10 * _STOP_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self.pool.close()
            self._socket.close()

    async def _serve(self) -> None:
        asyncio.get_running_loop().set_exception_handler(log_loop_fault)
        await self._server.serve([self._socket])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Signals belong to whoever started this server."""
        yield


def _config(app: object, options: ServeOptions) -> uvicorn.Config:
    class Connection(TimedConnection):
        head_seconds = options.limits.head_seconds
        unread_seconds = options.limits.unread_seconds
        most = 2 * options.limits.requests

    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,  # paths and addresses are private, too
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it would let another program share the port
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortTaken(host=host, port=port, detail=error.strerror or str(error)) from error
    made.listen(128)
    return made


def start(session: Session, options: ServeOptions, key: str) -> RunningServer:
    """A server that answers. Raises PortTaken."""
    return RunningServer(session, options, key).start()

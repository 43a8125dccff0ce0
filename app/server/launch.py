"""Starts the server, importing the web stack only then: most sessions serve nothing, and it would
slow every start."""

import importlib
from dataclasses import dataclass
from typing import Protocol

from app.server.address import Address
from app.server.keys import server_key
from app.server.limits import ServeOptions
from app.session.session import Session


class Server(Protocol):
    """A server in a thread of its own."""

    address: Address

    @property
    def running(self) -> bool: ...

    def stop(self) -> None:
        """Stop answering, end what is generated and every worker."""
        ...


@dataclass(frozen=True)
class Started:
    """A running server and its key; `new_key`: the key was made just now."""

    server: Server
    key: str
    new_key: bool


def start_server(session: Session, options: ServeOptions) -> Started:
    """Answer requests from now on. Raises PortTaken. May block on the system's keyring."""
    key, made = server_key(session.acquisition.tokens)
    server: Server = importlib.import_module("app.server.running").start(session, options, key)
    return Started(server, key, made)

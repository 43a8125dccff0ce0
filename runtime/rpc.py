"""llama.cpp RPC servers by address: which part of a device's name it is, and whether one answers.

Knows addresses and TCP; the protocol itself is the engine's. RPC has neither keys nor encryption,
and a server does what it is told: for networks that are trusted as a whole.
"""

import socket
from collections.abc import Iterable

from runtime.errors import InvalidRequest

PREFIX = "rpc:"
ALL = "rpc"  # as a device: every RPC server
LOST = "rpc_lost"  # why a device failed: its server stopped answering
CONNECT_SECONDS = 2.0


def addresses(text: str) -> tuple[str, ...]:
    """HOST:PORT of each server in a list with commas. Raises InvalidRequest."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in found:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidRequest(field="rpc_servers", reason=f"{address!r} is not HOST:PORT")
    return found


def address_of(device: str) -> str:
    """The server's address in a device id, "" where the device is none of a server's."""
    return device.removeprefix(PREFIX).partition("/")[0] if device.startswith(PREFIX) else ""


def answers(address: str) -> bool:
    """Whether something takes connections at an address."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def lost(devices: Iterable[str]) -> str | None:
    """The first device whose server does not answer any more."""
    return next((d for d in devices if address_of(d) and not answers(address_of(d))), None)

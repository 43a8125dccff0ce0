"""llama.cpp RPC servers by address: which part of a device's name it is, and whether one responds.

Knows addresses and TCP; the protocol itself is the engine's. RPC has neither keys nor encryption,
and a server does whatever it is asked: for networks that are trusted as a whole.
"""

import socket
from collections.abc import Iterable

from runtime.errors import InvalidRequest

PREFIX = "rpc:"
ALL = "rpc"  # as a device: every RPC server
LOST = "rpc_lost"  # why a device failed: its server stopped responding
CONNECT_SECONDS = 2.0
HANG_SECONDS = 5.0  # for a server to release a client
STALL_SECONDS = 60.0  # without output from a model that servers compute: one of them hangs


def addresses(text: str) -> tuple[str, ...]:
    """HOST:PORT of each server in a list with commas. Raises InvalidRequest."""
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for address in found:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidRequest(field="rpc_servers", reason="not_host_port", value=address)
    return found


def address_of(device: str) -> str:
    """The server's address in a device id, "" where the device is none of a server's."""
    return device.removeprefix(PREFIX).partition("/")[0] if device.startswith(PREFIX) else ""


def is_responding(address: str, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether a server at an address is idle: then it closes at once when the client does. The
    system accepts connections also for one that hangs or is kept busy by another program."""
    try:
        with _connected(address, seconds) as connection:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    except ConnectionResetError:
        return True
    except OSError:
        return False
    return True


def lost_server(devices: Iterable[str]) -> str | None:
    """The first device whose server no longer responds: unreachable ones first, then those that may
    only be finishing a computation."""
    servers = {device: address_of(device) for device in devices if address_of(device)}
    gone = (device for device, address in servers.items() if not _is_there(address))
    hung = (
        device for device, address in servers.items() if not is_responding(address, HANG_SECONDS)
    )
    return next(gone, None) or next(hung, None)


def _is_there(address: str) -> bool:
    try:
        with _connected(address, CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _connected(address: str, seconds: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)

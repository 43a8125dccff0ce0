"""`stillroom rpc` on free ports here, for tests that need another device than the CPU; in a network
of its own where the system lets us."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from runtime.machine import rpc
from tests.helpers.command_line import SCRIPT, without_display


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def may_make_networks() -> bool:
    """Whether this process may make network namespaces."""
    return shutil.which("ip") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


@contextmanager
def network(number: int) -> Iterator[tuple[str, str]]:
    """(name, address inside) of a network namespace with a cable to this one."""
    name, here, there = (f"{kind}{os.getpid()}-{number}" for kind in ("still", "h", "t"))
    inside, outside = f"10.213.{number}.2", f"10.213.{number}.1"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        _ip("addr", "add", f"{outside}/24", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "addr", "add", f"{inside}/24", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        yield name, inside
    finally:
        _ip("netns", "del", name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def rpc_server(
    home: Path, host: str = "127.0.0.1", namespace: str = ""
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """`stillroom rpc` on a free port, in a network namespace where one is named."""
    address = f"{host}:{free_port()}"
    command = [str(SCRIPT), "rpc", "--port", address.rpartition(":")[2], "--threads", "1"]
    if namespace:
        command = ["ip", "netns", "exec", namespace, *command, "--host", host, "--open-to-network"]
    environment = without_display() | {"STILLROOM_HOME": str(home)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not rpc.is_responding(address):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield address, process
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill a server with its child."""
    if process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        process.kill()
        process.wait()

"""`stillroom rpc` on free ports here, for tests that need another device than the CPU."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from command_line import SCRIPT, without_display

from runtime import rpc
from runtime.cpuchoice import engine_folder

FOLDER = engine_folder()
needs_rpc = pytest.mark.skipif(
    FOLDER is None or not list(FOLDER.glob("*ggml-rpc*")), reason="the engine has no RPC part"
)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def rpc_server(home: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """`stillroom rpc` on a free port."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(SCRIPT), "rpc", "--port", address.rpartition(":")[2], "--threads", "1"]
    environment = without_display() | {"STILLROOM_HOME": str(home)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not rpc.answers(address):
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

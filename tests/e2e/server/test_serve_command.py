"""`stillroom serve`: opening to the network is confirmed, keys are shown once, SIGTERM ends all."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.helpers.command_line import SCRIPT, stillroom, without_display

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals of POSIX")
CONFIRM = "open to the network"
ELSEWHERE = "127.0.0.2"  # not the loopback address everyone means, and still on this machine


@dataclass
class Command:
    """`stillroom serve` under way, and what it has said so far."""

    process: "subprocess.Popen[str]"
    port: int
    said: str = ""

    def until(self, word: str) -> str:
        """The first line that holds a word."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if word in line:
                return line
        pytest.fail(f"ended without {word!r}: {self.said}")

    def status(self, key: str) -> int:
        url = f"http://127.0.0.1:{self.port}/v1/models"
        return httpx2.get(url, headers={"authorization": f"Bearer {key}"}).status_code


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def serve(*arguments: str, terminal: int | None = None) -> Iterator[Command]:
    port = free_port()
    process = subprocess.Popen(
        [str(SCRIPT), "serve", "--port", str(port), *arguments],
        stdin=subprocess.DEVNULL if terminal is None else terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=without_display(),
    )
    try:
        yield Command(process, port)
    finally:
        process.kill()
        process.wait()


def test_the_network_is_not_opened_without_a_terminal(stillroom_home: Path) -> None:
    for host in ("0.0.0.0", "::", ELSEWHERE):
        refused = stillroom("serve", "--host", host, "--port", "0", text=f"{CONFIRM}\n")
        assert refused.returncode == 1
        assert "unencrypted" in refused.stderr
        assert "Serving" not in refused.stderr


@pytest.mark.parametrize(("typed", "opens"), [("yes", False), ("", False), (CONFIRM, True)])
def test_the_network_is_opened_by_typing_so(stillroom_home: Path, typed: str, opens: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        with serve("--host", ELSEWHERE, terminal=theirs) as command:
            command.until(CONFIRM)
            os.write(ours, f"{typed}\n".encode())
            if opens:
                assert ELSEWHERE in command.until("Serving at")
                with socket.create_connection((ELSEWHERE, command.port), timeout=5):
                    pass
            else:
                assert command.process.wait(20) == 1
                with pytest.raises(OSError, match="refused"):
                    socket.create_connection((ELSEWHERE, command.port), timeout=5)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_key_is_shown_once_and_replaced_by_another(stillroom_home: Path) -> None:
    with serve() as command:
        first = command.until("Key: ").removeprefix("Key: ").strip()
        assert command.status(first) == 200
    with serve() as command:
        command.until("--show-key")
        assert first not in command.said
        assert command.status(first) == 200
    with serve("--new-key") as command:
        second = command.until("Key: ").removeprefix("Key: ").strip()
        assert second != first
        assert command.status(second) == 200
        assert command.status(first) == 401
    with serve("--show-key") as command:
        assert command.until("Key: ").removeprefix("Key: ").strip() == second


def test_sigterm_ends_server_and_workers(stillroom_home: Path, starter_model: object) -> None:
    assert stillroom("pull", "smollm2-135m-instruct").returncode == 0
    with serve("--context", "512") as command:
        key = command.until("Key: ").removeprefix("Key: ").strip()
        message = {"role": "user", "content": "Count to 1000."}
        body = {"model": "smollm2-135m-instruct", "messages": [message], "stream": True}
        url = f"http://127.0.0.1:{command.port}/v1/chat/completions"
        headers = {"authorization": f"Bearer {key}"}
        with httpx2.stream("POST", url, json=body, headers=headers, timeout=60) as reply:
            assert reply.status_code == 200
            workers = psutil.Process(command.process.pid).children(recursive=True)
            assert workers
            command.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert command.process.wait(20) == 0
            assert time.monotonic() - began < 10
        assert psutil.wait_procs(workers, timeout=5)[1] == []

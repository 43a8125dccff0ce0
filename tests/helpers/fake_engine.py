"""Scripts, placements and plans for the engine without weights (`runtime.backends.fake`)."""

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from runtime.backends.fake import Fault, Script
from runtime.generation import GenerationRequest, Message
from runtime.plan import DeviceMemory, LayerRange, MemoryEstimate, Placement, Plan
from runtime.process.protocol import Streamed

WORDS = tuple(f"word{number} " for number in range(400))


def write_script(path: Path, fault: Fault | None = None, **script: Any) -> Path:
    """Write a model file for the fake engine; `script` are the fields of `Script`."""
    path.write_bytes(msgspec.json.encode(Script(fault=fault, **script)))
    return path


def fake_placement(n_ctx: int = 4096) -> Placement:
    return Placement("fake", (LayerRange("cpu", 0, 0),), "cpu", n_ctx)


def fake_plan(n_ctx: int = 4096) -> Plan:
    memory = MemoryEstimate((DeviceMemory("cpu", 0, 0, 0),))
    return Plan(fake_placement(n_ctx), memory, None, "fits", ())


def ask(text: str = "Hello", request_id: str = "request", **fields: Any) -> GenerationRequest:
    """A request with one user message."""
    return GenerationRequest(request_id, (Message("user", text),), **fields)


class Collector:
    """An OnStream that keeps what came, and when the first of it came."""

    def __init__(self) -> None:
        self.events: list[Streamed] = []
        self.first_at: float | None = None

    def __call__(self, event: Streamed) -> None:
        if self.first_at is None:
            self.first_at = time.monotonic()
        self.events.append(event)

    @property
    def text(self) -> str:
        return "".join(chunk.text for event in self.events for chunk in event.chunks)

    @property
    def tokens(self) -> int:
        return sum(chunk.tokens for event in self.events for chunk in event.chunks)


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def wait_until_gone(pid: int, seconds: float) -> bool:
    """Wait for a process to end; returns whether it did."""
    deadline = time.monotonic() + seconds
    while is_running(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def children_of(pid: int) -> list[int]:
    """Process ids of the direct children of a process."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found.append(int(entry))
    return found

"""Why a worker process ended, as a value.

Knows exit codes, signals, the kernel's out-of-memory counter and the phrases engines use when
memory runs out. Knows neither pipes nor threads.
"""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.errors import ExitKind, WorkerDied

EndedByUs = Literal["clean", "cancelled", "stalled", "lost_protocol"]

VMSTAT = Path("/proc/vmstat")
OUT_OF_MEMORY_PHRASES = (
    "out of memory",
    "failed to allocate",
    "unable to allocate",
    "cudamalloc failed",
    "erroroutofdevicememory",
    "bad_alloc",
    "memoryerror",
    "insufficient memory",
    "cannot allocate memory",
    "memory allocation still failed",
    "mem_buffer != null",  # ggml_init got nothing from malloc
)
_NTSTATUS = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000094: "integer divide by zero",
    0xC00000FD: "stack overflow",
    0xC0000017: "out of memory",
    0xC0000409: "fatal program error",
}


@dataclass(frozen=True)
class WorkerExit:
    """How a worker ended. `cause` names the signal or the Windows status, "" for a plain code."""

    kind: ExitKind
    exit_code: int
    cause: str = ""
    stderr_tail: str = ""

    def as_error(self) -> WorkerDied:
        return WorkerDied(
            kind=self.kind,
            exit_code=self.exit_code,
            cause=self.cause,
            stderr_tail=self.stderr_tail,
        )


def oom_kills(vmstat: Path = VMSTAT) -> int:
    """How many processes the kernel has killed for memory since boot; 0 where it does not say."""
    try:
        lines = vmstat.read_text().splitlines()
    except OSError:
        return 0
    counts = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
    return counts[0] if counts else 0


def mentions_out_of_memory(text: str) -> bool:
    """Whether an engine's output says that memory ran out."""
    words = text.lower()
    return any(phrase in words for phrase in OUT_OF_MEMORY_PHRASES)


def classify(
    exit_code: int, ended_by_us: EndedByUs | None, memory_kills: int, stderr_tail: str
) -> WorkerExit:
    """Name the cause of an exit.

    `exit_code` is subprocess's: minus the signal on POSIX. `memory_kills` is how many processes the
    kernel killed for memory while this one lived.
    """
    cause = _cause(exit_code)
    if ended_by_us is not None:
        return WorkerExit(ended_by_us, exit_code, cause, stderr_tail)
    by_phrase = exit_code != 0 and mentions_out_of_memory(stderr_tail)
    killed = cause in ("SIGKILL", "SIGTERM")
    if (cause == "SIGKILL" and memory_kills > 0) or (by_phrase and not killed):
        return WorkerExit("out_of_memory", exit_code, cause, stderr_tail)
    if killed:
        return WorkerExit("killed", exit_code, cause, stderr_tail)
    return WorkerExit("clean" if exit_code == 0 else "crashed", exit_code, cause, stderr_tail)


def _cause(exit_code: int) -> str:
    if exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            return f"signal {-exit_code}"
    return _NTSTATUS.get(exit_code & 0xFFFFFFFF, "")

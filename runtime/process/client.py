"""The parent's handle on one worker process: spawn, ask, stream, cancel, and why it ended.

Knows pipes, threads and the steps of a cancel. Callbacks run on the calling thread. Knows no window
and no engine.
"""

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol
from uuid import uuid4

from quant.error_base import StillroomError
from runtime.backend import LoadReport
from runtime.errors import (
    ProtocolMismatch,
    UnrecognizedEngineError,
    WorkerStalled,
    WorkerStartFailed,
)
from runtime.generation import GenerationRequest, GenerationStats
from runtime.machine import rpc
from runtime.plan import Placement
from runtime.process.exit import EndedByUs, WorkerExit, classify, oom_kills
from runtime.process.job import Answer, Args, Job
from runtime.process.protocol import (
    PROTOCOL_VERSION,
    Cancel,
    Command,
    Counted,
    CountTokens,
    Embed,
    Embedded,
    Event,
    Exit,
    Failed,
    Finished,
    Generate,
    Hello,
    JobDone,
    Load,
    Loaded,
    Progressed,
    ProtocolError,
    Request,
    RestoreState,
    RunJob,
    SaveState,
    StateRestored,
    StateSaved,
    Stopped,
    Streamed,
    decode_event,
    encode,
)
from runtime.progress import Cancelled, CancelToken, OnProgress, ignore_progress
from runtime.prompt.chat_profile import ChatProfile

__all__ = ["Worker", "WorkerExit", "run_job", "worker_command"]

START_SECONDS = 30.0
GRACE_SECONDS = 2.0  # between pending, terminating and killing
LOAD_STALL_SECONDS = 60.0  # without an event or a log line
GENERATE_STALL_SECONDS = 600.0  # a slow CPU may need minutes for one batch of a long prompt
STDERR_TAIL_BYTES = 8192
_TERMINAL = (
    Loaded,
    Finished,
    Counted,
    Embedded,
    StateSaved,
    StateRestored,
    JobDone,
    Stopped,
    Failed,
)

OnStream = Callable[[Streamed], None]


def worker_command() -> list[str]:
    """The only place that knows how a worker is started, frozen or not."""
    if getattr(sys, "frozen", False):
        return [str(_console_executable()), "--worker"]
    return [sys.executable, "-P", "-m", "runtime.process.worker"]


def _console_executable() -> Path:
    """The console program beside the windowed one: only it has working pipes on Windows."""
    here = Path(sys.executable)
    return here.with_name("stillroom" + here.suffix)


@dataclass(frozen=True)
class _Died:
    exit: WorkerExit


class _Box(Protocol):
    """Where the events of one command go, on the reader's thread."""

    def put(self, item: Event | _Died, /) -> None: ...


@dataclass(frozen=True)
class _Put:
    """A function as a box."""

    put: Callable[[Event | _Died], None]


class Worker:
    """One worker process. Methods block the calling thread; `close` may come from any thread."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path | None) -> None:
        self._process = process
        self._log = log
        self._kills_before = oom_kills()
        self._ended_by_us: EndedByUs | None = None
        self._stall_seconds = GENERATE_STALL_SECONDS
        self._shared = False  # whether killing it for one answer would end others
        self._tail: deque[bytes] = deque()
        self._last_event_at = time.monotonic()
        self._boxes: dict[str, _Box] = {}
        self._begun: dict[str, _PendingCommand] = {}
        self._lock = threading.Lock()
        self._hello: queue.SimpleQueue[Event | _Died] = queue.SimpleQueue()
        self._stderr = threading.Thread(target=self._read_stderr, name="worker-log", daemon=True)
        self._reader = threading.Thread(target=self._read_events, name="worker-events", daemon=True)
        self.exit: WorkerExit | None = None

    @classmethod
    def start(cls, log: Path | None = None, environment: dict[str, str] | None = None) -> "Worker":
        """Spawn a worker and wait for its hello. Raises WorkerStartFailed, ProtocolMismatch."""
        command = worker_command()
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl+C in a terminal is for us, not for the worker
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise WorkerStartFailed(
                command=command, reason="refused", cause=str(error), stderr_tail=""
            ) from error
        worker = cls(process, log)
        worker._stderr.start()
        worker._reader.start()
        worker._expect_hello(command)
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self.exit is None and self._process.poll() is None

    def load(
        self,
        path: str,
        placement: Placement,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        *,
        shared: bool = False,
    ) -> LoadReport:
        """Load a model, `shared` for several answers at a time. Raises EngineError, WorkerDied,
        WorkerStalled, Cancelled."""
        load = Load(uuid4().hex, path, placement, shared)
        event = self._ask(load, on_progress, None, cancel, LOAD_STALL_SECONDS)
        assert isinstance(event, Loaded)
        self._shared = shared
        if any(rpc.address_of(part.device) for part in placement.layers):
            self._stall_seconds = rpc.STALL_SECONDS  # a server that hangs sends no reset
        return event.report

    def generate(
        self,
        request: GenerationRequest,
        on_stream: OnStream,
        cancel: CancelToken | None = None,
        on_progress: OnProgress = ignore_progress,
        profile: ChatProfile | None = None,
    ) -> GenerationStats:
        """Generate an answer; a cancel during decode returns stats, during prefill it raises."""
        event = self._ask(
            Generate(request.id, request, profile),
            on_progress,
            on_stream,
            cancel,
            self._stall_seconds,
        )
        assert isinstance(event, Finished)
        return event.stats

    def begin(
        self,
        request: GenerationRequest,
        deliver: Callable[[Streamed | GenerationStats | Exception], None],
        cancel: CancelToken,
        profile: ChatProfile | None = None,
    ) -> None:
        """`generate` without waiting: what comes is delivered on the reader's thread, the stats or
        an error last. The caller has to call `watch` now and then, and after a cancel. Raises
        WorkerDied."""
        pending = _PendingCommand(self, request.id, cancel, self._stall_seconds)

        def put(event: Event | _Died) -> None:
            if isinstance(event, Streamed):
                deliver(event)
            elif not isinstance(event, Progressed):
                with self._lock:
                    self._boxes.pop(request.id, None)
                    self._begun.pop(request.id, None)
                deliver(pending.outcome(event))

        self._register(request.id, _Put(put))
        with self._lock:
            self._begun[request.id] = pending
        with contextlib.suppress(OSError, ValueError):  # its last event has been delivered
            self._send(Generate(request.id, request, profile))

    def watch(self) -> None:
        """Pass on cancels of running commands, and end a worker that does not respond."""
        with self._lock:
            begun = list(self._begun.values())
        for pending in begun:
            pending.watch()

    def count_tokens(self, request: GenerationRequest, profile: ChatProfile | None = None) -> int:
        """Prompt tokens of a request with the loaded model's template and tokenizer."""
        event = self._ask(
            CountTokens(uuid4().hex, request, profile),
            ignore_progress,
            None,
            None,
            GENERATE_STALL_SECONDS,
        )
        assert isinstance(event, Counted)
        return event.tokens

    def embed(self, text: str, cancel: CancelToken | None = None) -> tuple[list[float], int]:
        """A text as a vector of length 1, and its tokens. Raises ContextOverflow, InvalidRequest
        where the engine has no vectors, Cancelled."""
        command = Embed(uuid4().hex, text)
        event = self._ask(command, ignore_progress, None, cancel, GENERATE_STALL_SECONDS)
        assert isinstance(event, Embedded)
        return event.vector, event.tokens

    def save_state(self, folder: Path, name: str, key: str, limit: int) -> StateSaved:
        """Save the cache as `name`."""
        command = SaveState(uuid4().hex, str(folder), name, key, limit)
        event = self._ask(command, ignore_progress, None, None, GENERATE_STALL_SECONDS)
        assert isinstance(event, StateSaved)
        return event

    def restore_state(self, folder: Path, name: str, key: str) -> int:
        """Replace the cache by the one saved as `name`; its tokens, 0 when none fits."""
        command = RestoreState(uuid4().hex, str(folder), name, key)
        event = self._ask(command, ignore_progress, None, None, GENERATE_STALL_SECONDS)
        assert isinstance(event, StateRestored)
        return event.tokens

    def run_job(
        self,
        job: Job[Args, Answer],
        args: Args,
        on_progress: OnProgress = ignore_progress,
        cancel: CancelToken | None = None,
        stall_seconds: float | None = None,
    ) -> Answer:
        """Run a job of `runtime.process.job_table`. A cancel kills the process: jobs leave no
        trace. Raises what the job raises, JobMismatch, WorkerDied, WorkerStalled, Cancelled."""
        command = RunJob(uuid4().hex, job.name, job.write_args(args))
        with (cancel or CancelToken()).calling(lambda: self.end("cancelled")):
            event = self._ask(command, on_progress, None, cancel, stall_seconds)
        assert isinstance(event, JobDone)
        return job.read_answer(event.answer)

    def end(self, reason: EndedByUs) -> None:
        """Kill the process at once and remember why."""
        if self._ended_by_us is None:
            self._ended_by_us = reason
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> WorkerExit:
        """End the worker: ask, then terminate, then kill. Returns how it ended."""
        if self._ended_by_us is None and self.alive:
            self._ended_by_us = "clean"
        with contextlib.suppress(OSError, ValueError):
            self._send(Exit())
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError):  # the rest cannot be written any more
            stdin.close()
        for step in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(GRACE_SECONDS)
                break
            except subprocess.TimeoutExpired:
                step()
        self._reader.join()
        assert self.exit is not None
        return self.exit

    def _ask(
        self,
        command: Request,
        on_progress: OnProgress,
        on_stream: OnStream | None,
        cancel: CancelToken | None,
        stall_seconds: float | None,
    ) -> Event:
        box: queue.SimpleQueue[Event | _Died] = queue.SimpleQueue()
        self._register(command.id, box)
        pending = _PendingCommand(self, command.id, cancel, stall_seconds)
        try:
            with contextlib.suppress(OSError, ValueError):  # its last event arrives through the box
                self._send(command)
            while True:
                event = pending.next_event(box)
                if isinstance(event, Progressed):
                    on_progress(event.progress)
                elif isinstance(event, Streamed):
                    if on_stream is not None:
                        on_stream(event)
                elif isinstance(event, _TERMINAL):
                    return self._answer(event)
        finally:
            with self._lock:
                self._boxes.pop(command.id, None)

    def _register(self, command_id: str, box: "_Box") -> None:
        """Have the events of a command put into a box. Raises WorkerDied."""
        with self._lock:
            if self.exit is not None:
                raise self.exit.as_error()
            self._boxes[command_id] = box
        self._last_event_at = time.monotonic()

    def _answer(self, event: Event) -> Event:
        if isinstance(event, Stopped):
            raise Cancelled
        if isinstance(event, Failed):
            raise StillroomError.from_json(event.error, UnrecognizedEngineError)
        return event

    def _send(self, command: Command) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with self._lock:
            stdin.write(encode(command))
            stdin.flush()

    def _expect_hello(self, command: list[str]) -> None:
        try:
            first = self._hello.get(timeout=START_SECONDS)
        except queue.Empty:
            self.end("stalled")
            self._reader.join()
            raise WorkerStartFailed(
                command=command, reason="silent", stderr_tail=self._tail_text()
            ) from None
        if isinstance(first, _Died) and first.exit.kind == "lost_protocol":
            raise ProtocolMismatch(expected=PROTOCOL_VERSION, got=None)
        if isinstance(first, _Died):
            raise WorkerStartFailed(
                command=command,
                reason="ended",
                cause=first.exit.cause or str(first.exit.exit_code),
                stderr_tail=first.exit.stderr_tail,
            )
        if not isinstance(first, Hello) or first.protocol != PROTOCOL_VERSION:
            self.end("lost_protocol")
            got = first.protocol if isinstance(first, Hello) else None
            raise ProtocolMismatch(expected=PROTOCOL_VERSION, got=got)

    def _read_events(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        for line in stdout:
            self._last_event_at = time.monotonic()
            try:
                event = decode_event(line)
            except ProtocolError:
                self.end("lost_protocol")
                break
            if isinstance(event, Hello):
                self._hello.put(event)
                continue
            with self._lock:
                box = self._boxes.get(event.id)
            if box is not None:
                box.put(event)
        self._ended()

    def _ended(self) -> None:
        """Runs once, on the reader thread, when the worker's output ends."""
        code = self._process.wait()
        self._stderr.join(GRACE_SECONDS)
        killed_for_memory = oom_kills() - self._kills_before
        died = _Died(classify(code, self._ended_by_us, killed_for_memory, self._tail_text()))
        with self._lock:
            self.exit = died.exit
            boxes = list(self._boxes.values())
        for box in (self._hello, *boxes):
            box.put(died)
        pipes = [self._process.stdout]
        if not self._stderr.is_alive():  # else a child of the worker still holds the other end
            pipes.append(self._process.stderr)
        for pipe in pipes:
            if pipe is not None:
                pipe.close()

    def _read_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log.open("ab")) if self._log else None
            for line in stderr:
                self._last_event_at = time.monotonic()
                self._tail.append(line)
                while sum(map(len, self._tail)) > STDERR_TAIL_BYTES and len(self._tail) > 1:
                    self._tail.popleft()
                if log is not None:
                    log.write(line)
                    log.flush()

    def _tail_text(self) -> str:
        return b"".join(list(self._tail)).decode("utf-8", "replace")[-STDERR_TAIL_BYTES:]


class _PendingCommand:
    """Waits for the events of one command: cancel steps and stall timeout."""

    POLL_SECONDS = 0.05

    def __init__(
        self, worker: Worker, command_id: str, cancel: CancelToken | None, stall: float | None
    ) -> None:
        self._worker = worker
        self._id = command_id
        self._cancel = cancel
        self._stall = stall
        self._asked_at: float | None = None
        self._terminated = False

    def next_event(self, box: "queue.SimpleQueue[Event | _Died]") -> Event:
        while True:
            try:
                event = box.get(timeout=self.POLL_SECONDS)
            except queue.Empty:
                event = None
            if isinstance(event, _TERMINAL):
                return event  # too late for a cancel, which would meet the next command
            self._escalate()
            if isinstance(event, _Died):
                self._raise_for(event.exit)
            elif event is not None:
                return event
            self._check_stall()

    def watch(self) -> None:
        """What `next_event` sees to while it waits."""
        self._escalate()
        self._check_stall()

    def outcome(self, event: Event | _Died) -> GenerationStats | Exception:
        """How an answer ended, from its last event."""
        try:
            if isinstance(event, _Died):
                self._raise_for(event.exit)
            finished = self._worker._answer(event)
        except Exception as error:
            return error
        assert isinstance(finished, Finished)
        return finished.stats

    def _escalate(self) -> None:
        """Ask, then terminate, then kill, with a grace period between. A shared worker is only
        asked; the stall timeout ends it when it does not respond."""
        if self._cancel is None or not self._cancel.cancelled:
            return
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            with contextlib.suppress(OSError, ValueError):
                self._worker._send(Cancel(self._id))
        elif self._worker._shared:
            return
        elif now - self._asked_at > 2 * GRACE_SECONDS:
            self._worker.end("cancelled")
        elif now - self._asked_at > GRACE_SECONDS and not self._terminated:
            self._terminated = True
            self._worker._ended_by_us = "cancelled"
            self._worker._process.terminate()

    def _check_stall(self) -> None:
        silent = time.monotonic() - self._worker._last_event_at
        if self._stall is not None and silent > self._stall:
            self._worker.end("stalled")

    def _raise_for(self, exit_: WorkerExit) -> NoReturn:
        if exit_.kind == "cancelled":
            raise Cancelled
        if exit_.kind == "stalled":
            raise WorkerStalled(seconds=self._stall or 0.0, stderr_tail=exit_.stderr_tail)
        raise exit_.as_error()


def run_job(
    job: Job[Args, Answer],
    args: Args,
    on_progress: OnProgress = ignore_progress,
    cancel: CancelToken | None = None,
    log: Path | None = None,
    stall_seconds: float | None = None,
) -> Answer:
    """Run one job in a process of its own and end it. See `Worker.run_job`."""
    if cancel is not None:
        cancel.raise_if_cancelled()
    worker = Worker.start(log)
    try:
        return worker.run_job(job, args, on_progress, cancel, stall_seconds)
    finally:
        worker.close()

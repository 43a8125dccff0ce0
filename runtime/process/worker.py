"""The worker process: reads commands, runs them in order, writes events.

Holds at most one loaded model. Knows the protocol and the order of start-up; engines come in
through `runtime.backend`, jobs through `runtime.process.job_table`. A command imports what only it
needs: most workers do one job, and the rest took three quarters of their start. Run as `python -P
-m runtime.process.worker`.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from quant.errors import QuantError
from runtime.backend import Backend, EmbeddingBackend, SharedBackend
from runtime.errors import EngineError, InternalError, InvalidRequest, OutOfMemory
from runtime.generation import GenerationStats, TokenChunk
from runtime.machine.packs import adopt_packs
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
    decode_command,
    encode,
)
from runtime.progress import Cancelled, CancelToken, Progress
from runtime.tracebacks import LogFormatter, log_uncaught

if TYPE_CHECKING:
    from runtime.answer.answering import Answerer
    from runtime.answer.batching import BatchAnswerer

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
ENVIRONMENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # the onnxruntime wheels ship an uploader that is on by default
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    # An engine that aborts would start a debugger, whose output pushes its own last output out of
    # what is kept for the diagnosis.
    "GGML_NO_BACKTRACE": "1",
}


def take_over_stdout() -> BinaryIO:
    """Keep descriptor 1 for events and point 1 at 2, so that stray native prints reach the log."""
    events = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(events, "wb", buffering=0)


class EventWriter:
    """Writes events whole, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._held: list[bytes] | None = None

    def write(self, event: Event) -> None:
        with self._lock:
            if self._held is None:
                self._stream.write(encode(event))
            else:
                self._held.append(encode(event))

    @contextlib.contextmanager
    def batched(self) -> Iterator[None]:
        """Write all events of the block together at its end: the parent wakes once for all of
        them."""
        self._held = []
        try:
            yield
        finally:
            with self._lock:
                held, self._held = self._held, None
                if held:
                    self._stream.write(b"".join(held))


class CommandReader(threading.Thread):
    """Reads commands; acts on Cancel at once and queues the rest. End of input ends the process:
    no worker outlives its parent, even one that is stuck in native code."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(name="commands", daemon=True)
        self._stream = stream
        self._tokens: dict[str, CancelToken] = {}
        self._lock = threading.Lock()
        self.queue: queue.SimpleQueue[Command | ProtocolError] = queue.SimpleQueue()

    def token(self, command_id: str) -> CancelToken:
        """The cancel token of a command, whether it came first or its Cancel did."""
        with self._lock:
            return self._tokens.setdefault(command_id, CancelToken())

    def cancel(self, command_id: str) -> None:
        """Cancel a command. Holds the lock, so that once `forget` has returned nothing that was
        meant for an ended command can reach the engine, which may be at the next one."""
        with self._lock:
            self._tokens.setdefault(command_id, CancelToken()).cancel()

    def forget(self, command_id: str) -> None:
        """A command has ended; waits for a cancel in progress."""
        with self._lock:
            self._tokens.pop(command_id, None)

    def run(self) -> None:
        for line in self._stream:
            try:
                command = decode_command(line)
            except ProtocolError as error:
                self.queue.put(error)
                continue
            if isinstance(command, Cancel):
                self.cancel(command.id)
            else:
                self.queue.put(command)
        os._exit(0)


class Worker:
    """The main loop's state: the loaded backend and the answerer around it."""

    def __init__(self, reader: CommandReader, writer: EventWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._write = writer.write
        self._backend: Backend | None = None
        self._answerer: Answerer | None = None
        self._batch: BatchAnswerer | None = None

    def serve(self) -> None:
        """Run commands until Exit."""
        while True:
            command = self._next()
            if isinstance(command, ProtocolError):
                raise command
            if isinstance(command, Exit):
                return
            if isinstance(command, Cancel):
                continue
            self._end(command.id, self._outcome(command, self._reader.token(command.id)))

    def _next(self) -> Command | ProtocolError:
        """The next command; running answers continue until one comes."""
        while self._batch is not None and self._batch.busy:
            with contextlib.suppress(queue.Empty):
                return self._reader.queue.get_nowait()
            with self._writer.batched():
                self._batch.step()
        return self._reader.queue.get()

    def _end(self, command_id: str, event: Event | None) -> None:
        """Write a command's final event; None where it continues beside others."""
        if event is not None:
            self._reader.forget(command_id)
            self._write(event)

    def _outcome(self, command: Request, cancel: CancelToken) -> Event | None:
        try:
            return self._run(command, cancel)
        except Exception as error:
            return _failure(command.id, error)

    def _run(self, command: Request, cancel: CancelToken) -> Event | None:
        match command:
            case Load():
                return self._load(command, cancel)
            case Generate():
                return self._generate(command, cancel)
            case CountTokens():
                return self._count(command)
            case Embed():
                return self._embed(command, cancel)
            case SaveState():
                return self._save_state(command)
            case RestoreState():
                return self._restore_state(command)
            case RunJob():
                return self._run_job(command)

    def _progress(self, command_id: str) -> Callable[[Progress], None]:
        return lambda progress: self._write(Progressed(command_id, progress))

    def _load(self, command: Load, cancel: CancelToken) -> Event:
        if self._backend is not None:
            raise InvalidRequest(field="load", reason="already_loaded")
        from runtime.registry import open_backend

        backend = open_backend(command.placement.engine)
        report = backend.load(command.path, command.placement, self._progress(command.id), cancel)
        # Not before: a cancel of the load would wait for them.
        from runtime.answer.answering import Answerer
        from runtime.answer.batching import BatchAnswerer

        self._backend = backend
        if command.shared and isinstance(backend, SharedBackend):
            self._batch = BatchAnswerer(backend.shared(), report.n_ctx)
        else:
            self._answerer = Answerer(backend, report.n_ctx)
        return Loaded(command.id, report)

    def _loaded(self) -> "Answerer":
        if self._answerer is None:
            raise InvalidRequest(field="model", reason="no_model_loaded")
        return self._answerer

    def _generate(self, command: Generate, cancel: CancelToken) -> Event | None:
        def on_chunks(chunks: tuple[TokenChunk, ...], tps: float | None) -> None:
            self._write(Streamed(command.id, chunks, tps))

        def ended(how: GenerationStats | Exception) -> None:
            if isinstance(how, Exception):
                self._end(command.id, _failure(command.id, how))
            else:
                self._end(command.id, Finished(command.id, how))

        if self._batch is not None:
            from runtime.answer.batching import Listener

            listener = Listener(on_chunks, self._progress(command.id), ended)
            self._batch.join(command.request, command.profile, listener, cancel)
            return None
        stats = self._loaded().answer(
            command.request, command.profile, on_chunks, self._progress(command.id), cancel
        )
        return Finished(command.id, stats)

    def _count(self, command: CountTokens) -> Event:
        answerer = self._batch or self._loaded()
        return Counted(command.id, answerer.count(command.request, command.profile))

    def _embed(self, command: Embed, cancel: CancelToken) -> Event:
        backend = self._backend
        if backend is None or not isinstance(backend, EmbeddingBackend):
            raise InvalidRequest(field="embeddings", reason="not_offered")
        return Embedded(command.id, *backend.embed(command.text, cancel))

    def _save_state(self, command: SaveState) -> Event:
        from runtime.answer.kv_state import StateFolder

        folder = StateFolder(Path(command.folder), command.limit)
        state = self._loaded().save_state(folder, command.name, command.key)
        kept = (state.tokens, state.bytes) if state else (0, 0)
        return StateSaved(command.id, *kept)

    def _restore_state(self, command: RestoreState) -> Event:
        from runtime.answer.kv_state import StateFolder

        folder = StateFolder(Path(command.folder), 0)
        tokens = self._loaded().restore_state(folder, command.name, command.key)
        return StateRestored(command.id, tokens)

    def _run_job(self, command: RunJob) -> Event:
        from runtime.process.job_table import find_job

        answer = find_job(command.name).run(command.args, self._progress(command.id))
        return JobDone(command.id, answer)


def _failure(command_id: str, error: Exception) -> Event:
    """The final event of a command that raised."""
    if isinstance(error, Cancelled):
        return Stopped(command_id)
    if isinstance(error, EngineError | QuantError):
        return Failed(command_id, error.to_json())
    if isinstance(error, MemoryError):
        return Failed(command_id, OutOfMemory(device="cpu", needed=None).to_json())
    logger.error("a command failed", exc_info=error)  # a bug
    return Failed(command_id, InternalError(detail=repr(error)).to_json())


def main() -> int:
    """Entry of the worker process. Nothing imported above it loads an engine."""
    os.environ.update(ENVIRONMENT)
    adopt_packs()
    log = logging.StreamHandler()
    log.setFormatter(LogFormatter(LOG_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[log])
    log_uncaught(logger)
    writer = EventWriter(take_over_stdout())
    reader = CommandReader(sys.stdin.buffer)
    writer.write(Hello(PROTOCOL_VERSION, os.getpid()))
    reader.start()
    code = 0
    try:
        Worker(reader, writer).serve()
    except BaseException:  # not our parent, or already gone
        logger.exception("the worker ends")
        code = 1
    sys.stderr.flush()
    os._exit(code)  # skip native destructors: some engines hang or crash in them


if __name__ == "__main__":
    sys.exit(main())

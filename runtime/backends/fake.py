"""An engine without weights that plays a script: for tests, and for timing everything around one.

Its "model file" is a small JSON document (see `Script`). It keeps positions like a real engine, and
crashes, hangs or runs out of memory at the token the script says. Knows no model.
"""

import os
import signal
import stat
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.engine import EngineDescriptor
from runtime.errors import CorruptFile
from runtime.generation import SamplingParams
from runtime.plan import DeviceMemory, MemoryEstimate, Placement
from runtime.progress import Cancelled, CancelToken, OnProgress, Progress
from runtime.shape import ModelShape, WeightBytes

END = 256  # ids below are single bytes of a prompt, ids above are the script's pieces
PREFILL_STEP = 64
HANG_SECONDS = 3600.0
_MEMORY_MESSAGE = "ggml_aligned_malloc: failed to allocate 68719476736 bytes: out of memory\n"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scripted failure.

    `at` is when: while loading, in the prompt, or before the token of that number is drawn.
    `signal` names one, such as "SIGSEGV"; `deaf` hangs ignore SIGTERM too; "garbage" writes `text`
    into the worker's own event stream, "raise" is a fault of the program.
    """

    do: Literal["signal", "exit", "hang", "out_of_memory", "garbage", "raise"]
    at: Literal["load", "prefill"] | int = 0
    signal: str = "SIGSEGV"
    exit_code: int = 3
    deaf: bool = False
    text: str = "this is no event\n"


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine plays. `pieces` are the answer's tokens as text, or as {"hex": ...} for bytes
    that are no whole character; after the last one the turn ends.

    Seconds are slept per loaded model, prompt token and drawn token. `noise` is written to
    descriptor 1 and to sys.stdout at every token, as native libraries and debug prints do.
    """

    pieces: tuple[str | dict[str, str], ...] = ()
    load_seconds: float = 0.0
    prefill_seconds_per_token: float = 0.0
    decode_seconds_per_token: float = 0.0
    noise: str = ""
    chat_template: str | None = None
    fault: Fault | None = None


class FakeTokenizer:
    """Bytes as prompt tokens, the script's pieces as answer tokens."""

    bos_text = ""
    eos_text = ""

    def __init__(self, script: Script) -> None:
        self.chat_template = script.chat_template
        self._pieces = [
            bytes.fromhex(piece["hex"]) if isinstance(piece, dict) else piece.encode()
            for piece in script.pieces
        ]
        self.n_vocab = END + 1 + len(self._pieces)

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        if token < END:
            return bytes([token])
        return b"" if token == END else self._pieces[token - END - 1]

    def is_end(self, token: int) -> bool:
        return token == END


class FakeBackend:
    """Plays one script; keeps the tokens it was given, as a KV cache would."""

    def __init__(self) -> None:
        self._script = Script()
        self._cache: list[int] = []
        self._drawn = 0
        self._cancel = CancelToken()
        self.tokenizer = FakeTokenizer(self._script)

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        """Read the script. Raises CorruptFile, Cancelled."""
        started = time.perf_counter()
        try:
            self._script = msgspec.json.decode(Path(path).read_bytes(), type=Script)
        except (OSError, msgspec.MsgspecError) as error:
            raise CorruptFile(path=path, reason="unreadable", detail=str(error)) from error
        on_progress(Progress("load", 0, 1000, "fraction"))
        self._fail_at("load")
        if cancel.wait(self._script.load_seconds):
            raise Cancelled
        on_progress(Progress("load", 1000, 1000, "fraction"))
        self.tokenizer = FakeTokenizer(self._script)
        seconds = time.perf_counter() - started
        return LoadReport("fake", "1", placement.n_ctx, seconds, {"cpu": {"weights": 0}})

    def unload(self) -> None:
        self._cache = []

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        self._drawn = 0

    def truncate(self, n_tokens: int) -> int:
        del self._cache[n_tokens:]
        return len(self._cache)

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        self._cancel = cancel
        self._fail_at("prefill")
        for start in range(0, len(tokens), PREFILL_STEP):
            step = tokens[start : start + PREFILL_STEP]
            if cancel.wait(self._script.prefill_seconds_per_token * len(step)):
                raise Cancelled
            self._cache.extend(step)
            done = start + len(step)
            on_progress(Progress("prefill", done, len(tokens), "tokens"))

    def sample(self) -> int:
        self._fail_at(self._drawn)
        if self._script.noise:
            os.write(1, self._script.noise.encode())
            print(self._script.noise, end="", flush=True)
        self._drawn += 1
        return END + self._drawn if self._drawn <= len(self._script.pieces) else END

    def decode(self, token: int) -> None:
        if self._cancel.wait(self._script.decode_seconds_per_token):
            raise Cancelled
        self._cache.append(token)

    def stage_seconds(self) -> dict[str, float]:
        return {}

    def _fail_at(self, moment: str | int) -> None:
        fault = self._script.fault
        if fault is None or fault.at != moment:
            return
        if fault.do == "raise":
            raise ZeroDivisionError("a scripted fault")
        _fail(fault)
        time.sleep(HANG_SECONDS)


def _fail(fault: Fault) -> None:
    if fault.do == "signal":
        os.kill(os.getpid(), signal.Signals[fault.signal])
    elif fault.do == "exit":
        os._exit(fault.exit_code)
    elif fault.do == "out_of_memory":
        sys.stderr.write(_MEMORY_MESSAGE)
        sys.stderr.flush()
        os.abort()
    elif fault.do == "garbage":
        _write_to_events(fault.text.encode())
    elif fault.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _write_to_events(text: bytes) -> None:
    """Write into the pipe that the worker kept for its events: the only one above descriptor 2
    that can be written to."""
    for descriptor in range(3, 64):
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.write(descriptor, text)
                return
        except OSError:  # not open, or open for reading only
            continue


def open_engine() -> FakeBackend:
    """A backend without a script."""
    return FakeBackend()


def no_memory(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    devices: Sequence[Device],
    *,
    n_outputs: int | None = None,
    block_format: str = "",
) -> MemoryEstimate:
    """A script takes none to speak of."""
    free = next(device.memory_free for device in devices if device.id == "cpu")
    return MemoryEstimate((DeviceMemory("cpu", 0, 0, 0, available=free),))


ENGINE = EngineDescriptor(
    name="fake",
    title="script",
    module="runtime.backends.fake",
    formats=("fake",),
    memory=no_memory,
    offered=False,
)

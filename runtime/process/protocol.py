"""The worker protocol: commands and events, one JSON object a line.

Knows how each is written and read; knows no process and no engine. `docs/protocol.md` shows an
example of every line.
"""

from collections.abc import Mapping
from typing import TypeVar, get_args

import msgspec
from msgspec import Struct

from runtime.backend import LoadReport
from runtime.generation import GenerationRequest, GenerationStats, TokenChunk
from runtime.plan import Placement
from runtime.progress import Progress
from runtime.prompt.chat_profile import ChatProfile

PROTOCOL_VERSION = 3


class ProtocolError(ValueError):
    """A line that is not of this protocol."""


class Load(Struct, frozen=True):
    """Load a model; answered by Progressed events, then Loaded or Failed.

    A `shared` model answers as many Generate commands at a time as its placement has sequences,
    where its engine can; the events of several commands then come in turns.
    """

    id: str
    path: str
    placement: Placement
    shared: bool = False


class Generate(Struct, frozen=True):
    """Generate an answer; answered by Streamed events, then Finished, Stopped or Failed."""

    id: str
    request: GenerationRequest
    profile: ChatProfile | None = None


class CountTokens(Struct, frozen=True):
    """Count the prompt tokens of messages with the loaded model; answered by Counted."""

    id: str
    request: GenerationRequest
    profile: ChatProfile | None = None


class Embed(Struct, frozen=True):
    """A text as a vector of length 1, by the loaded model; answered by Embedded."""

    id: str
    text: str


class SaveState(Struct, frozen=True):
    """Save the loaded model's cache in `folder`; answered by StateSaved. `limit`: bytes of all
    states in the folder. See `runtime.answer.kv_state`."""

    id: str
    folder: str
    name: str
    key: str
    limit: int


class RestoreState(Struct, frozen=True):
    """Replace the cache by a saved one; answered by StateRestored."""

    id: str
    folder: str
    name: str
    key: str


class RunJob(Struct, frozen=True):
    """Run one named job of `runtime.process.job_table`; answered by Progressed, then JobDone or
    Failed. The job knows what its `args` must be."""

    id: str
    name: str
    args: msgspec.Raw


class Cancel(Struct, frozen=True):
    """Stop the command `id`; it answers Stopped, or Finished with what it has."""

    id: str


class Exit(Struct, frozen=True):
    """End the process after the current command."""


class Hello(Struct, frozen=True):
    """The first line a worker writes."""

    protocol: int
    pid: int


class Progressed(Struct, frozen=True):
    id: str
    progress: Progress


class Loaded(Struct, frozen=True):
    id: str
    report: LoadReport


class Streamed(Struct, frozen=True):
    id: str
    chunks: tuple[TokenChunk, ...]
    decode_tps: float | None = None  # so far, for the live display


class Finished(Struct, frozen=True):
    id: str
    stats: GenerationStats


class Counted(Struct, frozen=True):
    id: str
    tokens: int


class Embedded(Struct, frozen=True):
    id: str
    vector: list[float]
    tokens: int


class StateSaved(Struct, frozen=True):
    """Zeros where nothing was saved."""

    id: str
    tokens: int
    bytes: int


class StateRestored(Struct, frozen=True):
    """`tokens` is 0 where no state fits."""

    id: str
    tokens: int


class JobDone(Struct, frozen=True):
    """The job knows what its `answer` must be."""

    id: str
    answer: msgspec.Raw


class Stopped(Struct, frozen=True):
    """The command ended because it was cancelled."""

    id: str


class Failed(Struct, frozen=True):
    """The command failed; `error` is {"type": .., "facts": ..} (see runtime.errors)."""

    id: str
    error: dict[str, object] = msgspec.field(default_factory=dict)


# Commands that are answered by exactly one final event.
Request = Load | Generate | CountTokens | Embed | SaveState | RestoreState | RunJob
Command = Request | Cancel | Exit
Outcome = Counted | Embedded | StateSaved | StateRestored | JobDone
Event = Hello | Progressed | Loaded | Streamed | Finished | Outcome | Stopped | Failed

_COMMANDS: tuple[type[Command], ...] = get_args(Command)
_EVENTS: tuple[type[Event], ...] = get_args(Event)


def encode(value: Command | Event) -> bytes:
    """One line, newline included."""
    return msgspec.json.encode({"type": type(value).__name__, "data": value}) + b"\n"


class _Line(Struct):
    type: str
    data: msgspec.Raw


_T = TypeVar("_T")
_LINES = msgspec.json.Decoder(_Line)
_COMMAND_DECODERS = {kind.__name__: msgspec.json.Decoder(kind) for kind in _COMMANDS}
_EVENT_DECODERS = {kind.__name__: msgspec.json.Decoder(kind) for kind in _EVENTS}


def decode_command(line: bytes) -> Command:
    """Raises ProtocolError."""
    return _decode(line, _COMMAND_DECODERS)


def decode_event(line: bytes) -> Event:
    """Raises ProtocolError."""
    return _decode(line, _EVENT_DECODERS)


def _decode(line: bytes, decoders: Mapping[str, msgspec.json.Decoder[_T]]) -> _T:
    try:
        read = _LINES.decode(line)
        return decoders[read.type].decode(read.data)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{error}: {line[:200]!r}") from error

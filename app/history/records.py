"""What the store holds, as values: conversations, messages, attachments and runs.

Plain data; knows no SQL and no widget.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from quant.json_types import Json
from runtime.generation import FinishReason, Role
from runtime.plan import Interval

MessageState = Literal["streaming", "finished", "cut"]


@dataclass(frozen=True)
class Attachment:
    """A file whose text goes into the prompt. `tokens` is 0 while it has not been counted."""

    name: str
    text: str
    tokens: int = 0


@dataclass(frozen=True)
class Conversation:
    """One conversation. Times are seconds since the epoch; `head_id` is the leaf being shown.

    `options` holds what is set for this conversation alone: model, n_ctx, kv_type, sampling, system
    text.
    """

    id: int
    title: str
    created: float
    updated: float
    head_id: int | None = None
    pinned: bool = False
    folder: str = ""
    title_set: bool = False
    deleted: float | None = None
    options: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class AnswerFigures:
    """What is shown of how an answer was made; None or empty where it was not kept. The fields are
    those of GenerationStats, and the decode speed that was predicted at this depth of context."""

    finish_reason: FinishReason | None = None
    prompt_tokens: int | None = None
    generated_tokens: int = 0
    reasoning_tokens: int = 0
    reasoning_seconds: float = 0.0
    time_to_first_token: float | None = None
    decode_tps: float | None = None
    predicted_decode_tps: Interval | None = None
    peak_memory: int = 0
    engine_share: float = 0.0
    sampling_share: float = 0.0
    other_share: float = 0.0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredMessage:
    """One message. Messages with the same parent are branches of one another.

    state: "streaming" while chunks arrive, "finished", or "cut" (stopped, crashed or out of room).
    `stats` is the JSON of GenerationStats plus what the window adds (predicted speed, device).
    """

    id: int
    conversation_id: int
    parent_id: int | None
    role: Role
    content: str
    reasoning: str
    state: MessageState
    created: float
    model: str = ""
    stats: Mapping[str, Json] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()

    @property
    def figures(self) -> AnswerFigures:
        """What `stats` tells; nothing where a figure is not of its type, as an imported or older
        message may have it."""
        try:
            return msgspec.convert(self.stats, AnswerFigures)
        except msgspec.ValidationError:
            return AnswerFigures()


@dataclass(frozen=True)
class SearchHit:
    """One message found, with an excerpt in which matches stand between \\x02 and \\x03."""

    conversation_id: int
    message_id: int
    title: str
    excerpt: str
    updated: float


@dataclass(frozen=True)
class RunRecord:
    """One generation as it was predicted and as it went: the material predictions learn from.

    Speeds are tokens per second, memory is bytes, time is seconds since the epoch. The decode speed
    is predicted for the run's own depth of context. Memory is that of the worker on the host, with
    mapped pages; what was planned on other devices is in `stats` ("planned_on_devices").
    `placement` and `stats` are the JSON forms of Placement and GenerationStats.
    """

    time: float
    model: str
    model_sha256: str
    engine: str
    engine_version: str
    devices: tuple[str, ...]
    placement: dict[str, Json]
    predicted_prefill_tps: Interval | None
    predicted_decode_tps: Interval | None
    measured_prefill_tps: float | None
    measured_decode_tps: float | None
    predicted_memory: int
    measured_memory: int
    stats: dict[str, Json] = field(default_factory=dict)

"""A remote model: requests become chat completions, and their stream becomes ours.

Measured by the same clock and in the same values as a local answer, but from here: the time to the
first token holds the network and the server's queue. Knows OpenAI's chat format; reasoning comes in
fields of its own or between tags, and both become reasoning. Keeps no history.
"""

import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from app.remote.errors import (
    NotUnderstoodCode,
    RemoteCut,
    RemoteNotUnderstood,
    RemoteRefused,
    RemoteUnreachable,
)
from app.remote.transport import Transport, hang_up, message_of
from quant.json_types import Json
from runtime.errors import InvalidRequest
from runtime.generation import FinishReason, GenerationRequest, GenerationStats, TokenChunk
from runtime.process.protocol import Streamed
from runtime.progress import Cancelled, CancelToken
from runtime.prompt.reasoning import Piece, ReasoningParser

if TYPE_CHECKING:
    import httpx2

_REASONING_FIELDS = (
    "reasoning_content",
    "reasoning",
)  # the second: vLLM
_FINISHES: dict[str, FinishReason] = {"length": "length"}  # all others end an answer by themselves


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The answer to /models."""

    data: list[_Model]


@dataclass(frozen=True)
class RemoteModel:
    """One remote model. Methods block; `cancel` makes them return within a moment."""

    transport: Transport

    def models(self) -> tuple[str, ...]:
        """The names the server offers. Raises RemoteError."""
        with self.transport.client() as client:
            return self._models(client)

    def _models(self, client: "httpx2.Client") -> tuple[str, ...]:
        try:
            listed = msgspec.convert(self.transport.get_json(client, "/models"), _Models)
            return tuple(model.id for model in listed.data)
        except msgspec.ValidationError as error:
            raise self._not_understood("no_model_list") from error

    def _not_understood(self, reason: NotUnderstoodCode) -> RemoteNotUnderstood:
        return RemoteNotUnderstood(name=self.transport.name, url=self.transport.url, reason=reason)

    def model(self, client: "httpx2.Client") -> str:
        """The server's name for the model: the one chosen, else the only one it offers."""
        if self.transport.endpoint.model:
            return self.transport.endpoint.model
        names = self._models(client)
        if len(names) != 1:
            raise InvalidRequest(field="model", reason="name_one", choices=list(names[:8]))
        return names[0]

    def generate(
        self,
        request: GenerationRequest,
        on_stream: Callable[[Streamed], None],
        cancel: CancelToken | None = None,
    ) -> GenerationStats:
        """One answer. Sampling is passed on as far as the common format has fields for it:
        temperature, top_p, seed, stop and max_tokens.

        Raises RemoteError (what came before stays with the caller), InvalidRequest, Cancelled when
        stopped before the first piece.
        """
        cancel = cancel or CancelToken()
        cancel.raise_if_cancelled()
        answer = _Answer(request, on_stream)
        reader = _Reader(self, request)
        cancel.on_cancel(reader.stop)
        reader.start()
        while (event := reader.events.get()) is not None and not cancel.cancelled:
            if isinstance(event, RemoteUnreachable) and answer.pieces:
                break
            if isinstance(event, Exception):
                raise event
            if isinstance(event, float):
                answer.started = event
                continue
            if event == "[DONE]":
                answer.done = True
                break
            self._take(answer, event)
        reader.stop()
        if cancel.cancelled:
            return answer.finish("cancelled")
        if not answer.done and answer.finished is None:
            raise RemoteCut(name=self.transport.name, url=self.transport.url, pieces=answer.pieces)
        return answer.finish(answer.finished or "stop")

    def _take(self, answer: "_Answer", event: str) -> None:
        try:
            data = json.loads(event)
            if "error" in data:
                message = message_of(event)
                raise RemoteRefused(
                    name=self.transport.name, url=self.transport.url, status=200, detail=message
                )
            answer.take(data)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise self._not_understood("no_chunk") from error


class _Reader(threading.Thread):
    """Reads the stream on a thread of its own, so that a silent server cannot delay a cancel.

    `events` begins with the time at which the request is sent and ends with an error or None.
    """

    def __init__(self, remote: RemoteModel, request: GenerationRequest) -> None:
        super().__init__(name="remote", daemon=True)
        self._remote = remote
        self._request = request
        self._stopped = threading.Event()
        self._response: httpx2.Response | None = None
        self.events: queue.SimpleQueue[float | str | Exception | None] = queue.SimpleQueue()

    def stop(self) -> None:
        """Wake the waiting thread, and close the connection so that the server stops."""
        self._stopped.set()
        self.events.put(None)
        if self._response is not None:
            hang_up(self._response)

    def run(self) -> None:
        transport = self._remote.transport
        try:
            with transport.client() as client:
                body = _body(self._request, self._remote.model(client))
                if self._stopped.is_set():
                    return
                self.events.put(time.perf_counter())
                with transport.ask(client, "POST", "/chat/completions", body) as response:
                    self._response = response
                    for event in transport.events(response):
                        if self._stopped.is_set():
                            return
                        self.events.put(event)
        except Exception as error:
            self.events.put(error)
        self.events.put(None)


def _body(request: GenerationRequest, model: str) -> dict[str, Json]:
    if request.continue_last:
        raise InvalidRequest(field="request", reason="cannot_continue")
    sampling = request.sampling
    optional: dict[str, Json] = {
        "max_tokens": request.max_tokens,
        "seed": sampling.seed,
        "stop": list(request.stop) or None,
    }
    return {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **{name: value for name, value in optional.items() if value is not None},
    }


@dataclass
class _Answer:
    """One answer so far, with its times on the monotonic clock."""

    request: GenerationRequest
    on_stream: Callable[[Streamed], None]
    done: bool = False
    finished: FinishReason | None = None
    pieces: int = 0
    usage: dict[str, Any] = field(default_factory=dict)
    started: float = 0.0

    def __post_init__(self) -> None:
        self._first = self._last = 0.0
        self._thought = self._untagged = 0
        self._parser = ReasoningParser(False)
        self._own_field = False  # the server separates reasoning itself: tags are text then

    def take(self, event: dict[str, Any]) -> None:
        """One event of the stream. Raises TypeError or a related error for what is none."""
        self.usage = event.get("usage") or self.usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            thought = next((delta[name] for name in _REASONING_FIELDS if delta.get(name)), "")
            if thought:
                self._own_field = True
                self._emit([(thought, True)], 1)
            content = delta.get("content")
            if content:
                piece = [(content, False)]
                self._emit(piece if self._own_field else self._parser.feed(content), 1)
            reason = choice.get("finish_reason")
            if reason:
                self.finished = _FINISHES.get(reason, "stop")

    def _emit(self, pieces: list[Piece], tokens: int) -> None:
        now = time.perf_counter()
        self._first = self._first or now
        if tokens:
            self._last = now
            self.pieces += tokens
            inside = pieces[-1][1] if pieces else self._parser.inside
            self._thought += tokens * inside
        tps = (self.pieces - 1) / (now - self._first) if self.pieces > 1 else None
        *before, (text, inside) = pieces or [("", self._parser.inside)]
        chunks = [TokenChunk(self.request.id, *piece, 0) for piece in before]
        known, self._untagged = self._untagged, self._parser.untagged_chars
        found = self._untagged if self._untagged != known else 0
        chunks.append(
            TokenChunk(self.request.id, text, inside, tokens, untagged_reasoning_chars=found)
        )
        self.on_stream(Streamed(self.request.id, tuple(chunks), tps))

    def finish(self, reason: FinishReason) -> GenerationStats:
        """The measurements. Tokens are the server's count where it sent one, else the pieces."""
        if not self.pieces and reason == "cancelled":
            raise Cancelled
        rest = self._parser.finish()
        if rest:
            self._emit(rest, 0)
        notices = [] if self.usage else ["tokens_not_counted"]
        if self._parser.inside:
            notices.append("thinking_cut")
        if self._parser.missing_opening:
            notices.append("missing_opening_tag")
        prompt = int(self.usage.get("prompt_tokens") or 0)
        cached = int((self.usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
        tokens = int(self.usage.get("completion_tokens") or self.pieces)
        details = self.usage.get("completion_tokens_details") or {}
        waited = (self._first or time.perf_counter()) - self.started
        decode = self._last - self._first if self._first else 0.0
        return GenerationStats(
            request_id=self.request.id,
            finish_reason=reason,
            prompt_tokens=prompt,
            cached_tokens=cached,
            generated_tokens=tokens,
            reasoning_tokens=int(details.get("reasoning_tokens") or self._thought),
            time_to_first_token=waited,
            prefill_seconds=waited,
            decode_seconds=decode,
            prefill_tps=(prompt - cached) / waited if prompt > cached and waited else None,
            decode_tps=(tokens - 1) / decode if tokens > 1 and decode > 0 else None,
            peak_memory=0,
            notices=tuple(notices),
            untagged_reasoning_chars=self._parser.untagged_chars,
        )

"""Answers in OpenAI's format: whole, or as the chunks of a stream, with usage and timings.

Values in, JSON values out; knows no model and no HTTP.
"""

import codecs
import struct
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from app.server.answers import Part
from app.tools.functions import FunctionCall, OfferedFunctions, parse_call
from quant.json_types import Json
from runtime.answer.answer_text import AnswerText
from runtime.generation import GenerationStats, TokenChunk, TokenLogprob
from runtime.prompt.reasoning import CLOSE_TAG

_FINISH = {"stop": "stop", "loop": "stop", "length": "length", "context": "length"}


@dataclass
class Reply:
    """The common head of all parts of one reply, and its content so far."""

    model: str
    kind: str  # "chat.completion" or "text_completion"
    offer: OfferedFunctions | None = None
    logprobs: int | None = None
    per_prompt: int = 1  # answers to each prompt
    id: str = field(default_factory=lambda: uuid4().hex[:24])
    created: int = field(default_factory=lambda: int(time.time()))
    stats: dict[int, tuple[GenerationStats, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._choices: dict[int, _Choice] = {}

    def take(self, part: Part) -> list[dict[str, Json]]:
        """Take in a part; returns the choices of the stream chunk it results in."""
        choice = self._choices.setdefault(part.index, _Choice(part.index, self))
        made = []
        for chunk in part.chunks:
            delta = choice.add(chunk)
            if delta is not None:
                made.append(delta)
        if part.stats is not None:
            self.stats[part.index] = part.stats, part.queue_seconds
            made.append(choice.end(part.stats))
        return made

    def chunk(self, choices: list[dict[str, Json]], *, usage: bool = False) -> dict[str, Json]:
        """One event of a stream."""
        kind = self.kind + (".chunk" if self.kind == "chat.completion" else "")
        return self._head(kind) | {"choices": choices, "usage": self.usage() if usage else None}

    def whole(self) -> dict[str, Json]:
        """The reply that is not streamed."""
        choices = [self._choices[index].whole() for index in sorted(self._choices)]
        return self._head(self.kind) | {"choices": choices, "usage": self.usage()}

    def usage(self) -> dict[str, Json]:
        """Tokens, and how long they took. A prompt counts once, whatever its answers."""
        told = [self.stats[index] for index in sorted(self.stats)]
        answers = [stats for stats, _waited in told]
        prompts = answers[:: self.per_prompt]
        prompt = sum(stats.prompt_tokens for stats in prompts)
        completion = sum(stats.generated_tokens for stats in answers)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": sum(stats.cached_tokens for stats in prompts)
            },
            "completion_tokens_details": {
                "reasoning_tokens": sum(stats.reasoning_tokens for stats in answers)
            },
            "timings": [_timings(stats, waited) for stats, waited in told],
        }

    def _head(self, kind: str) -> dict[str, Json]:
        prefix = "chatcmpl-" if self.kind == "chat.completion" else "cmpl-"
        return {
            "id": prefix + self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


@dataclass
class _Choice:
    index: int
    reply: Reply
    text: AnswerText = field(default_factory=AnswerText)
    shown: AnswerText = field(default_factory=AnswerText)  # what the stream's client has
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str | None = None
    call: dict[str, Json] | None = None
    opened: bool = False
    characters: int = 0  # whose offsets were sent
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def add(self, chunk: TokenChunk) -> dict[str, Json] | None:
        """Note text; what a stream shows of it. A possible call is shown at its end only."""
        if not chunk.text and not chunk.logprobs:
            return None
        self.text = self.text.extended((chunk,))
        self.logprobs.extend(chunk.logprobs)
        if chunk.is_reasoning:
            self.shown = replace(self.shown, reasoning=self.text.reasoning)
            return self._event({"reasoning_content": chunk.text}, chunk.logprobs)
        if self._may_be_call:
            return None
        delta = self._unseen(chunk.text)
        self.shown = self.text
        return self._event(delta, chunk.logprobs)

    def _unseen(self, last: str) -> dict[str, Json]:
        """What the client lacks; `last` is the end of what was streamed.

        Where a client has text as answer that turns out to have been reasoning, it gets the closing
        tag, as the model wrote it: what is sent cannot be taken back, but with the tag the client
        can tell, and this server too, when the turn comes back in the next request.
        """
        new = self.text.since(self.shown)
        if new is not None:
            return {"content": new[0]}
        if self.shown.answer:
            at = self.text.moved - self.shown.streamed
            return {"content": f"{last[:at]}\n{CLOSE_TAG}\n\n{last[at:]}"}
        return {"content": self.text.answer, "reasoning_content": self._unseen_reasoning}

    @property
    def _unseen_reasoning(self) -> str:
        return self.text.reasoning[len(self.shown.reasoning) :]

    def end(self, stats: GenerationStats) -> dict[str, Json]:
        """The last delta of a stream."""
        self.text = self.text.ended(stats)
        self.finish = _FINISH.get(stats.finish_reason, "stop")
        call = parse_call(self.text.answer, self.reply.offer)
        self.call = _tool_call(call) if call is not None else None
        delta: dict[str, Json] = {"content": self.text.answer if self._may_be_call else ""}
        if self.call is not None:
            self.finish = "tool_calls"
            delta = {"tool_calls": [{"index": 0, **self.call}]}
        if self._may_be_call and self._unseen_reasoning:
            delta["reasoning_content"] = self._unseen_reasoning
        return self._event(delta, ()) | {"finish_reason": self.finish}

    @property
    def _may_be_call(self) -> bool:
        """Whether all of the answer may be a call, and the client has nothing of it yet."""
        if self.reply.offer is None or self.shown.answer:
            return False
        start = self.text.answer.lstrip()
        return not start or start.startswith("{")

    def _event(self, delta: dict[str, Json], logprobs: Sequence[TokenLogprob]) -> dict[str, Json]:
        event: dict[str, Json] = {"index": self.index, "finish_reason": None}
        event["logprobs"] = self._logprobs_json(logprobs)
        if self.reply.kind == "text_completion":
            return event | {"text": delta["content"]}
        if not self.opened:
            self.opened = True
            delta = {"role": "assistant", **delta}
        return event | {"delta": delta}

    def whole(self) -> dict[str, Json]:
        choice: dict[str, Json] = {"index": self.index, "finish_reason": self.finish}
        self.characters = 0
        self.decoder.reset()
        choice["logprobs"] = self._logprobs_json(self.logprobs)
        if self.reply.kind == "text_completion":
            return choice | {"text": self.text.answer}
        message: dict[str, Json] = {
            "role": "assistant",
            "content": self.text.answer,
            "refusal": None,
        }
        if self.text.reasoning:
            message["reasoning_content"] = self.text.reasoning
        if self.call is not None:
            message |= {"content": None, "tool_calls": [self.call]}
        return choice | {"message": message}

    def _logprobs_json(self, logprobs: Sequence[TokenLogprob]) -> dict[str, Json] | None:
        if self.reply.logprobs is None:
            return None
        if self.reply.kind == "chat.completion":
            return {"content": [_chat_logprob(each) for each in logprobs], "refusal": None}
        return {
            "tokens": [_text(each.token) for each in logprobs],
            "token_logprobs": [each.logprob for each in logprobs],
            "top_logprobs": [
                {_text(token): value for token, value in each.top} for each in logprobs
            ],
            "text_offset": [self._offset(each.token) for each in logprobs],
        }

    def _offset(self, token: bytes) -> int:
        """Where a token begins in the text, in characters; one that goes on with a character
        begins where that does."""
        at = self.characters
        self.characters += len(self.decoder.decode(token))
        return at


def embedding_reply(
    model: str, found: Sequence[tuple[list[float], int]], *, base64: bool
) -> dict[str, Json]:
    """Vectors in the order of their texts; as base64 they are little-endian 32-bit floats."""
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(v) if base64 else v}
        for index, (v, _tokens) in enumerate(found)
    ]
    tokens = sum(count for _vector, count in found)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _tool_call(call: FunctionCall) -> dict[str, Json]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}


def _packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _chat_logprob(logprob: TokenLogprob) -> dict[str, Json]:
    top = [_token(token, value) for token, value in logprob.top]
    return _token(logprob.token, logprob.logprob) | {"top_logprobs": top}


def _token(token: bytes, logprob: float) -> dict[str, Json]:
    return {"token": _text(token), "logprob": logprob, "bytes": list(token)}


def _text(token: bytes) -> str:
    return token.decode("utf-8", "replace")


def _timings(stats: GenerationStats, waited: float) -> dict[str, Json]:
    return {
        "queue_seconds": waited,
        "time_to_first_token": waited + stats.time_to_first_token,
        "prefill_seconds": stats.prefill_seconds,
        "prefill_tokens_per_second": stats.prefill_tps,
        "decode_seconds": stats.decode_seconds,
        "decode_tokens_per_second": stats.decode_tps,
    }

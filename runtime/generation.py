"""The values of one generation: what is asked, what streams back, what was measured.

Plain data that crosses the worker's pipe as JSON; knows no engine and no template.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length", "context", "loop", "cancelled"]


@dataclass(frozen=True)
class Message:
    """One turn. `reasoning` is what the assistant thought; templates never see it again."""

    role: Role
    content: str
    reasoning: str = ""


@dataclass(frozen=True)
class SamplingParams:
    """Sampling of the next token. temperature 0 is greedy; top_k 0 and top_p 1 switch a filter off.

    seed None takes a new one per request.
    """

    temperature: float = 0.6
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int | None = None

    def with_seed(self, seed: int) -> "SamplingParams":
        """The same sampling, drawing from a known seed."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class GenerationRequest:
    """What to generate. `max_tokens` None means until the context is full.

    `prompt` is a text to continue as it is, in place of messages and template. `grammar`
    (GBNF, rule `root`) binds the answer, not the reasoning before it. `logprobs` asks for the
    probability of each token and of that many others. Only a shared engine knows these three.

    `draft` allows speculative decoding where it pays. `full_length` is for measuring: the answer
    has `max_tokens` tokens whatever they are; no end of turn, stop text or loop ends it sooner.
    """

    id: str
    messages: tuple[Message, ...]
    sampling: SamplingParams = field(default_factory=SamplingParams)
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    continue_last: bool = False  # continue an assistant message that was cut off
    prompt: str | None = None
    grammar: str = ""
    logprobs: int | None = None
    draft: bool = True
    full_length: bool = False


@dataclass(frozen=True)
class TokenLogprob:
    """A sampled token's bytes, the natural logarithm of its probability before sampling, and the
    likeliest tokens at that place."""

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class TokenChunk:
    """A piece of the answer: text of one or more tokens. `tokens` counts the tokens in it.

    `untagged_reasoning_chars`, where not 0, is found with this piece: so many characters at the
    start of the answer, all pieces counted, were reasoning without an opening tag.
    """

    request_id: str
    text: str
    is_reasoning: bool
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    untagged_reasoning_chars: int = 0


@dataclass(frozen=True)
class GenerationStats:
    """What one generation did and cost. Seconds are wall time on the worker's monotonic clock.

    decode_tps excludes the first token, whose time belongs to prefill. Shares sum to about 1.
    """

    request_id: str
    finish_reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    reasoning_tokens: int
    time_to_first_token: float
    prefill_seconds: float
    decode_seconds: float
    prefill_tps: float | None
    decode_tps: float | None
    peak_memory: int  # bytes, resident set of the worker at its highest since its start
    engine_share: float = 1.0
    sampling_share: float = 0.0
    other_share: float = 0.0
    draft_tokens: int = 0
    accepted_tokens: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    mean_threads: float = 0.0  # mean over the decode steps; 0: not reported
    notices: tuple[str, ...] = ()  # codes worded by app.wording.explain, e.g. "thinking_cut"
    # Characters at the start of the answer that turned out to be reasoning (no opening tag).
    untagged_reasoning_chars: int = 0

"""What a loaded engine must provide to the token loop, and what it may provide in addition.

Knows the contract; `runtime.engine` describes engines as data, `runtime.registry` opens
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from runtime.generation import SamplingParams, TokenLogprob
from runtime.plan import Placement
from runtime.progress import CancelToken, OnProgress


class Tokenizer(Protocol):
    """Text to token ids and back, with what a chat template needs to know."""

    n_vocab: int
    bos_text: str
    eos_text: str
    chat_template: str | None

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        """Token ids of `text`, without adding BOS; special tokens are recognised on request."""
        ...

    def piece(self, token: int) -> bytes:
        """The bytes of one token; may be part of a UTF-8 character; empty for control tokens
        other than reasoning tags, which are kept as text."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether the token ends a turn."""
        ...


@dataclass(frozen=True)
class LoadReport:
    """What loading did, read from the engine itself. Bytes by device and part."""

    engine: str
    engine_version: str
    n_ctx: int
    load_seconds: float
    buffers: dict[str, dict[str, int]]  # device -> {"weights": .., "kv_cache": .., "compute": ..}
    notices: tuple[str, ...] = ()
    engine_build: dict[str, str] = field(default_factory=dict)  # versions, commit, CPU library


class Backend(Protocol):
    """One loaded model with one sequence of cached tokens.

    The token loop (`runtime.answer.decoding`) is the only caller of the last five methods:
    truncate, then prefill, then sample / decode in turn.
    """

    @property
    def tokenizer(self) -> Tokenizer: ...

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport: ...

    def unload(self) -> None: ...

    def set_sampling(self, params: SamplingParams, history: Sequence[int]) -> None:
        """Prepare the sampler for a new generation; `history` feeds the repeat penalty."""
        ...

    def truncate(self, n_tokens: int) -> int:
        """Keep the first `n_tokens` cached positions; returns how many remain (an engine
        that cannot rewind that far may keep fewer)."""
        ...

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        """Evaluate tokens after the cached ones; logits of the last one become current.

        Raises Cancelled within 200 ms of a cancel; the caller truncates afterwards.
        """
        ...

    def sample(self) -> int:
        """Sample a token from the current logits."""
        ...

    def decode(self, token: int) -> None:
        """Evaluate one token after the cached ones; its logits become current."""
        ...

    def stage_seconds(self) -> dict[str, float]:
        """Wall seconds per stage since `set_sampling` (empty where stages are not separate)."""
        ...


@dataclass(frozen=True)
class Verified:
    """A verified draft: the target's own tokens after the given one, the last of them not yet
    evaluated. All before it agreed with the draft. `sampling_seconds` were spent on sampling."""

    tokens: tuple[int, ...]
    sampling_seconds: float


@runtime_checkable
class VerifyingBackend(Protocol):
    """A Backend that can verify several drafted tokens in one evaluation."""

    @property
    def draft_lengths(self) -> Sequence[int]:
        """Lengths of the drafts that `verify` takes, ascending; none where it takes no draft."""
        ...

    @property
    def drafter(self) -> Backend | None:
        """The loaded draft model, with the same vocabulary; None without one."""
        ...

    def verify(self, token: int, draft: Sequence[int]) -> Verified:
        """Evaluate `token` and `draft` after the cached tokens, sample at each position until a
        sample differs from the draft, and keep in the cache what was accepted."""
        ...


@runtime_checkable
class CompanyBackend(Protocol):
    """A VerifyingBackend that gives a lone token slightly other logits than one in company.

    In company its logits are the same bits, whatever the other tokens are and however many.
    """

    def decode_in_company(self, token: int) -> None:
        """`decode` with the logits that the token has in a draft that is verified."""
        ...


@runtime_checkable
class AsynchronousBackend(Protocol):
    """A Backend whose `decode` may return while its device still works."""

    @property
    def asynchronous(self) -> bool:
        """Whether it does, with the model that is loaded."""
        ...

    def wait(self) -> None:
        """Return when what `decode` began has ended."""
        ...


@runtime_checkable
class ThreadedBackend(Protocol):
    """A Backend whose thread count follows the machine's load."""

    def mean_threads(self) -> float:
        """Mean over the decode steps since the last prompt; 0 before one."""
        ...


class SequenceBackend(Protocol):
    """A loaded model with several sequences. Rows of logits live until the next evaluation."""

    n_sequences: int
    chunk: int  # most tokens of a prompt evaluated at once
    text_prefix: tuple[int, ...]  # tokens every text begins with that no template wrote

    @property
    def tokenizer(self) -> Tokenizer: ...

    def begin(
        self, sequence: int, sampling: SamplingParams, history: Sequence[int], grammar: str
    ) -> None:
        """Prepare sampling for a new answer. Raises InvalidRequest for an unusable grammar."""
        ...

    def truncate(self, sequence: int, n_tokens: int) -> int:
        """Keep the first cached tokens of a sequence; how many really remain."""
        ...

    def prefill(self, sequence: int, tokens: Sequence[int], cancel: CancelToken) -> None:
        """Evaluate up to `chunk` tokens after the cached ones. Raises Cancelled."""
        ...

    def decode(self, tokens: Sequence[tuple[int, int]]) -> None:
        """Evaluate one (sequence, token) each, in one batch."""
        ...

    def sample(self, sequence: int, *, bound: bool) -> int:
        """Sample from a sequence's logits; within the grammar where `bound`."""
        ...

    def logprob(self, sequence: int, token: int, top: int) -> TokenLogprob:
        """How likely `token` was, and the likeliest `top` tokens."""
        ...


@runtime_checkable
class EmbeddingBackend(Protocol):
    """A Backend that can turn a text into a vector."""

    def embed(self, text: str, cancel: CancelToken) -> tuple[list[float], int]:
        """A vector of length 1, and the tokens of the text. Raises ContextOverflow."""
        ...


@runtime_checkable
class SharedBackend(Protocol):
    """A Backend that can answer several requests at a time."""

    def shared(self) -> "SequenceBackend":
        """The loaded model with `Placement.sequences` sequences, in place of the one."""
        ...

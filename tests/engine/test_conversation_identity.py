"""A conversation with regenerations, edits and returns from disk, against evaluation from scratch.

What is checked: at the same batch boundaries the cache that was reused, rewound, saved and restored
gives the same logits, bit for bit, and so the same greedy tokens; and against one evaluation of the
whole prompt it differs by no more than the bare engine does between two batch sizes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as native
import numpy as np
import numpy.typing as npt
import pytest

from runtime.answer.decoding import LoopLimits, TokenLoop
from runtime.backends.llama.backend import LlamaBackend
from runtime.generation import Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.progress import CancelToken, OnProgress, ignore_progress
from runtime.prompt.chat import detect_profile, prepare

N_CTX = 4096
GREEDY = SamplingParams(temperature=0.0)
QUESTIONS = (
    "Name three rivers.", "Which of them is the longest?", "What grows on its banks?",
    "Tell me about a mill.", "Who worked there?", "What did they eat?", "Write one line of verse.",
)  # fmt: skip


def open_model(path: Path) -> LlamaBackend:
    engine = LlamaBackend()
    placement = Placement(
        engine="llamacpp", layers=(LayerRange("cpu", 0, 29),), lm_head_device="cpu", n_ctx=N_CTX,
        n_threads=2, n_threads_batch=2,
    )  # fmt: skip
    engine.load(str(path), placement, ignore_progress, CancelToken())
    return engine


@pytest.fixture
def scratch(starter_gguf: Path) -> Iterator[LlamaBackend]:
    engine = open_model(starter_gguf)
    yield engine
    engine.unload()


def logits(engine: LlamaBackend) -> npt.NDArray[np.float32]:
    row = native.llama_get_logits_ith(engine._context, -1)
    return np.ctypeslib.as_array(row, (engine.tokenizer.n_vocab,)).copy()


def evaluate(engine: LlamaBackend, pieces: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
    """Logits after `pieces`, each evaluated at once, from an empty cache."""
    engine.truncate(0)
    engine.set_sampling(GREEDY, ())
    for piece in pieces:
        engine.prefill(piece, ignore_progress, CancelToken())
    return logits(engine)


@dataclass
class Journal:
    """A backend that remembers in which pieces its cache was evaluated, and its first logits."""

    engine: LlamaBackend
    pieces: list[list[int]] = field(default_factory=list)
    at_prompt: list[list[int]] = field(default_factory=list)
    first: npt.NDArray[np.float32] | None = None

    def __getattr__(self, name: str) -> Any:
        if name in ("verify", "draft_lengths", "asynchronous", "wait"):
            raise AttributeError(name)  # one token at a time
        return getattr(self.engine, name)

    def truncate(self, n_tokens: int) -> int:
        kept = self.engine.truncate(n_tokens)
        left: list[list[int]] = []
        for piece in self.pieces:
            room = kept - sum(map(len, left))
            if room > 0:
                left.append(piece[:room])
        self.pieces = left
        return kept

    def prefill(self, tokens: Sequence[int], on_progress: OnProgress, cancel: CancelToken) -> None:
        self.engine.prefill(tokens, on_progress, cancel)
        self.pieces.append(list(tokens))
        self.at_prompt = [list(piece) for piece in self.pieces]
        self.first = logits(self.engine)

    def decode(self, token: int) -> None:
        self.engine.decode(token)
        self.pieces.append([token])


@dataclass
class Conversation:
    """One conversation in one loop, and what every answer is compared with."""

    journal: Journal
    scratch: LlamaBackend
    tokens: int
    loop: TokenLoop = field(init=False)
    messages: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = TokenLoop(self.journal)

    def answer(self) -> str:
        """Answer the last message, compare, and return the text."""
        prompt = self._prompt()
        said: list[str] = []

        def take(text: str, _tokens: int) -> bool:
            said.append(text)
            return True

        limits = LoopLimits(N_CTX, self.tokens, draft=False)
        outcome = self.loop.generate(prompt, GREEDY, limits, take, ignore_progress, CancelToken())
        self._compare(prompt, outcome.generated)
        return "".join(said)

    def _prompt(self) -> list[int]:
        tokenizer = self.scratch.tokenizer
        profile = detect_profile(tokenizer.chat_template)
        segments = prepare(self.messages, profile, tokenizer).segments
        encoded = [tokenizer.encode(part.text, parse_special=part.special) for part in segments]
        return [token for tokens in encoded for token in tokens]

    def _compare(self, prompt: list[int], generated: tuple[int, ...]) -> None:
        pieces, first = self.journal.at_prompt, self.journal.first
        assert first is not None
        assert [token for piece in pieces for token in piece] == prompt
        whole = evaluate(self.scratch, [prompt])
        small = evaluate(self.scratch, [prompt[at : at + 8] for at in range(0, len(prompt), 8)])
        assert np.abs(first - whole).max() <= np.abs(small - whole).max()
        np.testing.assert_array_equal(evaluate(self.scratch, pieces), first)
        repeated = [self.scratch.sample()]
        for token in generated[:-1]:
            self.scratch.decode(token)
            repeated.append(self.scratch.sample())
        assert tuple(repeated) == generated

    def turn(self, text: str) -> str:
        self.messages.append(Message("user", text))
        return self.accept(self.answer())

    def accept(self, text: str) -> str:
        self.messages.append(Message("assistant", text))
        return text

    def regenerate(self) -> str:
        self.messages.pop()
        return self.accept(self.answer())

    def edit(self, back: int, text: str) -> str:
        """Ask something else `back` turns ago; what followed is dropped."""
        del self.messages[len(self.messages) - 2 * back :]
        return self.turn(text)

    def leave_and_return(self, file: Path, starter: Path) -> None:
        """Keep the cache on disk, end the engine, and come back to it in a fresh one."""
        assert self.journal.engine.save_state(file, self.loop.cached)
        self.journal.engine.unload()
        self.journal.engine = open_model(starter)
        self.loop.cached = self.journal.engine.load_state(file)
        assert sum(map(len, self.journal.pieces)) == len(self.loop.cached)


def converse(turns: int, tokens: int, scratch: LlamaBackend, starter: Path, file: Path) -> None:
    talk = Conversation(Journal(open_model(starter)), scratch, tokens)
    for number in range(turns):
        text = talk.turn(QUESTIONS[number % len(QUESTIONS)])
        if number % 4 == 1:
            assert talk.regenerate() == text
        if number % 5 == 2:
            talk.edit(2, f"Something else, number {number}.")
        if number % 6 == 3:
            talk.leave_and_return(file, starter)
    assert len(talk.messages) > turns
    talk.journal.engine.unload()


def test_a_short_conversation_is_as_from_scratch(
    scratch: LlamaBackend, starter_gguf: Path, tmp_path: Path
) -> None:
    converse(5, 4, scratch, starter_gguf, tmp_path / "state")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_turns_with_regenerations_edits_and_returns_are_as_from_scratch(
    scratch: LlamaBackend, starter_gguf: Path, tmp_path: Path
) -> None:
    converse(20, 32, scratch, starter_gguf, tmp_path / "state")

"""Saved context with the real engine: the same answer, sooner, and never from a damaged file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker
from runtime.process.protocol import Streamed

NAME, KEY, LIMIT = "conversation", "key", 1 << 30
LONG = "Remember this: " + "the keeper counted the ships and wrote their names; " * 20
PLACEMENT = Placement(
    engine="llamacpp",
    layers=(LayerRange("cpu", 0, 29),),
    lm_head_device="cpu",
    n_ctx=1024,
    n_threads=2,
    n_threads_batch=2,
)


class Answering:
    """A worker with the starter and the text of its last answer."""

    def __init__(self, model: Path, n_ctx: int = 1024) -> None:
        self.worker = Worker.start()
        self.worker.load(str(model), Placement(**{**PLACEMENT.__dict__, "n_ctx": n_ctx}))

    def ask(self, *texts: str, tokens: int = 12) -> tuple[str, GenerationStats]:
        roles = ("user", "assistant")
        messages = tuple(Message(roles[at % 2], text) for at, text in enumerate(texts))  # type: ignore[arg-type]
        pieces: list[str] = []

        def take(streamed: Streamed) -> None:
            pieces.extend(chunk.text for chunk in streamed.chunks)

        greedy = SamplingParams(temperature=0)
        stats = self.worker.generate(
            GenerationRequest("r", messages, greedy, max_tokens=tokens), take
        )
        return "".join(pieces), stats


@pytest.fixture
def answering(starter_q4: Path) -> Iterator[Callable[..., Answering]]:
    opened: list[Answering] = []

    def open_one(n_ctx: int = 1024) -> Answering:
        opened.append(Answering(starter_q4, n_ctx))
        return opened[-1]

    yield open_one
    for one in opened:
        one.worker.close()


def test_a_conversation_goes_on_in_another_worker(
    answering: Callable[..., Answering], tmp_path: Path
) -> None:
    first = answering()
    reply, before = first.ask(LONG)
    kept = first.worker.save_state(tmp_path, NAME, KEY, LIMIT)
    assert kept.tokens >= before.prompt_tokens
    went_on, _ = first.ask(LONG, reply, "Go on.")

    second = answering()
    assert second.worker.restore_state(tmp_path, NAME, KEY) == kept.tokens
    restored, stats = second.ask(LONG, reply, "Go on.")
    assert restored == went_on
    assert stats.cached_tokens >= before.prompt_tokens
    assert stats.prefill_seconds < before.prefill_seconds


def test_another_conversation_in_between_does_not_leak(
    answering: Callable[..., Answering], tmp_path: Path
) -> None:
    one = answering()
    reply, _ = one.ask(LONG)
    one.worker.save_state(tmp_path, NAME, KEY, LIMIT)
    went_on, _ = one.ask(LONG, reply, "Go on.")
    one.ask("Something else entirely.")
    one.worker.restore_state(tmp_path, NAME, KEY)
    assert one.ask(LONG, reply, "Go on.")[0] == went_on


def test_a_damaged_state_is_ignored(answering: Callable[..., Answering], tmp_path: Path) -> None:
    one = answering()
    reply, _ = one.ask(LONG)
    one.worker.save_state(tmp_path, NAME, KEY, LIMIT)
    path = tmp_path / f"{NAME}.kv"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert one.worker.restore_state(tmp_path, NAME, KEY) == 0
    assert one.ask(LONG, tokens=12)[0] == reply


def test_a_state_longer_than_the_context_is_refused_by_the_engine(
    answering: Callable[..., Answering], tmp_path: Path
) -> None:
    one = answering()
    one.ask(LONG)
    kept = one.worker.save_state(tmp_path, NAME, KEY, LIMIT)
    small = answering(n_ctx=200)
    assert kept.tokens > 200
    assert small.worker.restore_state(tmp_path, NAME, KEY) == 0
    text, stats = small.ask("Hello")
    assert text
    assert stats.cached_tokens == 0


def test_nothing_to_save_is_no_error(answering: Callable[..., Answering], tmp_path: Path) -> None:
    one = answering()
    kept = one.worker.save_state(tmp_path, NAME, KEY, LIMIT)
    assert (kept.tokens, kept.bytes) == (0, 0)
    assert one.worker.restore_state(tmp_path, NAME, KEY) == 0

"""Several answers at a time from the real engine: what each says, who may leave, what binds."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.llama.backend import LlamaBackend
from runtime.errors import ContextOverflow, InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker
from runtime.process.protocol import Streamed
from runtime.progress import Cancelled, CancelToken

PLACEMENT = Placement(
    engine="llamacpp", layers=(LayerRange("cpu", 0, 29),), lm_head_device="cpu", n_ctx=1024,
    n_threads=2, n_threads_batch=2, sequences=3,
)  # fmt: skip
GREEDY = SamplingParams(temperature=0)
ANIMALS = ("a dog", "two cats", "an old horse", "a bee", "seven geese")


@dataclass
class Asked:
    """One answer, in a thread of its own."""

    worker: Worker
    request: GenerationRequest
    cancel: CancelToken = field(default_factory=CancelToken)
    text: str = ""
    chunks: list[Any] = field(default_factory=list)
    outcome: GenerationStats | Exception | None = None

    def take(self, streamed: Streamed) -> None:
        self.chunks.extend(streamed.chunks)
        self.text += "".join(chunk.text for chunk in streamed.chunks)

    def run(self) -> "Asked":
        try:
            self.outcome = self.worker.generate(self.request, self.take, self.cancel)
        except (Exception, Cancelled) as error:
            self.outcome = error
        return self

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.run)
        thread.start()
        return thread


def about(what: str, tokens: int = 16, **fields: Any) -> GenerationRequest:
    message = Message("user", f"Write one sentence about {what}.")
    return GenerationRequest(f"{what} {time.time_ns()}", (message,), GREEDY, tokens, **fields)


@pytest.fixture(scope="module")
def worker(starter_gguf: Path) -> Iterator[Worker]:
    made = Worker.start()
    made.load(str(starter_gguf), PLACEMENT, shared=True)
    yield made
    made.close()


def test_more_than_there_are_seats_each_as_if_alone(worker: Worker) -> None:
    alone = [Asked(worker, about(what)).run().text for what in ANIMALS]
    together = [Asked(worker, about(what)) for what in ANIMALS]
    threads = [asked.start() for asked in together]
    for thread in threads:
        thread.join()
    assert [asked.text for asked in together] == alone
    assert len(set(alone)) == len(ANIMALS)


def test_a_single_engine_says_the_same(worker: Worker, starter_gguf: Path) -> None:
    single = Worker.start()
    try:
        single.load(str(starter_gguf), replace(PLACEMENT, sequences=1))
        for what in ANIMALS[:2]:
            assert Asked(single, about(what)).run().text == Asked(worker, about(what)).run().text
    finally:
        single.close()


def test_one_leaves_and_the_others_go_on(worker: Worker) -> None:
    expected = Asked(worker, about("a dog", 40)).run().text
    stays, leaves = Asked(worker, about("a dog", 40)), Asked(worker, about("the sea", 900))
    threads = [stays.start(), leaves.start()]
    while not leaves.text:
        time.sleep(0.01)
    leaves.cancel.cancel()
    for thread in threads:
        thread.join()
    assert isinstance(leaves.outcome, GenerationStats)
    assert leaves.outcome.finish_reason == "cancelled"
    assert stays.text == expected


def test_a_long_prompt_is_left_in_its_middle(worker: Worker) -> None:
    asked = Asked(worker, about("the words " + "stone river cloud " * 280))
    thread = asked.start()
    time.sleep(0.1)
    asked.cancel.cancel()
    thread.join()
    assert isinstance(asked.outcome, Cancelled)
    assert Asked(worker, about("a bee", 4)).run().text


def test_one_who_waits_can_leave(worker: Worker) -> None:
    running = [Asked(worker, about(what, 300)) for what in ANIMALS[:3]]
    threads = [asked.start() for asked in running]
    while not all(asked.text for asked in running):
        time.sleep(0.01)
    waits = Asked(worker, about("a bee"))
    thread = waits.start()
    waits.cancel.cancel()
    thread.join()  # while all seats are taken: each cancel goes its own way, so none is first
    assert [asked.outcome for asked in running] == [None, None, None]
    assert isinstance(waits.outcome, Cancelled)
    assert not waits.text
    for asked in running:
        asked.cancel.cancel()
    for thread in threads:
        thread.join()


def test_one_who_leaves_as_its_prompt_begins_ends_no_other(worker: Worker) -> None:
    expected = Asked(worker, about("a bee", 4)).run().text
    for _ in range(8):
        leaves = [Asked(worker, about(f"{what} " * 30)) for what in ANIMALS[:3]]
        threads = [asked.start() for asked in leaves]
        time.sleep(0.01)
        for asked in leaves:
            asked.cancel.cancel()
        assert Asked(worker, about("a bee", 4)).run().text == expected
        for thread in threads:
            thread.join()


def test_a_prompt_begun_alike_is_reused(worker: Worker) -> None:
    first = Asked(worker, about("a very particular lighthouse", 4)).run()
    assert isinstance(first.outcome, GenerationStats), first.outcome
    for _ in range(5):  # an answer's place is given back a moment after its last word
        again = Asked(worker, about("a very particular lighthouse", 4)).run()
        assert isinstance(again.outcome, GenerationStats)
        assert again.text == first.text
        if again.outcome.cached_tokens == again.outcome.prompt_tokens - 1:
            return
    pytest.fail("no beginning was reused")


def test_a_grammar_binds(worker: Worker) -> None:
    grammar = 'root ::= "[" digit ("," digit){2,4} "]"\ndigit ::= [0-9]'
    asked = Asked(worker, about("numbers", 40, grammar=grammar)).run()
    numbers = asked.text.strip("[]").split(",")
    assert 3 <= len(numbers) <= 5
    assert all(number in "0123456789" for number in numbers)
    assert isinstance(asked.outcome, GenerationStats)
    assert asked.outcome.finish_reason == "stop"


def test_what_cannot_be_answered_is_said_at_once(worker: Worker) -> None:
    assert isinstance(Asked(worker, about("x", grammar="root ::= (")).run().outcome, InvalidRequest)
    assert isinstance(Asked(worker, about("word " * 1100)).run().outcome, ContextOverflow)
    assert isinstance(Asked(worker, about("x", 0)).run().outcome, InvalidRequest)


def test_every_token_is_weighed(worker: Worker) -> None:
    asked = Asked(worker, about("a dog", 6, logprobs=2)).run()
    weighed = [each for chunk in asked.chunks for each in chunk.logprobs]
    assert b"".join(each.token for each in weighed).decode() == asked.text
    assert [each.logprob for each in weighed] == [each.top[0][1] for each in weighed]
    assert all(each.top[0][1] >= each.top[1][1] for each in weighed)


def test_a_raw_text_is_gone_on_with(worker: Worker) -> None:
    request = replace(about("x", 4), messages=(), prompt="The capital of France is")
    asked = Asked(worker, request).run()
    assert asked.text
    assert isinstance(asked.outcome, GenerationStats)
    assert asked.outcome.prompt_tokens == 5


def test_vectors_between_answers(worker: Worker) -> None:
    asked = Asked(worker, about("a dog", 60))
    thread = asked.start()
    vector, tokens = worker.embed("The cat sat on the mat.")
    thread.join()
    assert sum(x * x for x in vector) == pytest.approx(1)
    assert tokens == 7
    assert asked.text == Asked(worker, about("a dog", 60)).run().text
    with pytest.raises(ContextOverflow):
        worker.embed("word " * 2000)


def test_a_text_without_tokens(worker: Worker) -> None:
    nothing = ""
    with pytest.raises(InvalidRequest):
        worker.embed(nothing)
    request = replace(about("x"), messages=(), prompt=nothing)
    assert isinstance(Asked(worker, request).run().outcome, InvalidRequest)


def test_a_long_text_is_weighed_alike_alone_and_in_company(starter_gguf: Path) -> None:
    """Beyond 256 tokens the engine's own way would differ."""
    engine = LlamaBackend()
    engine.load(str(starter_gguf), PLACEMENT, lambda _progress: None, CancelToken())
    assert engine._threads is not None
    engine._threads.stop()  # two threads, whatever else this machine does
    engine._threads.n_threads = 2
    shared = engine.shared()
    for sequence in (0, 1):
        shared.begin(sequence, GREEDY, (), "")
    text = [1000 + 37 * place for place in range(300)]
    for start in range(0, len(text), shared.chunk):
        shared.prefill(0, text[start : start + shared.chunk], CancelToken())
    shared.decode([(0, 777)])
    alone = shared.logprob(0, 777, 50)
    shared.truncate(0, len(text))
    shared.prefill(1, text[:9], CancelToken())
    shared.decode([(0, 777), (1, 42)])
    assert shared.logprob(0, 777, 50) == alone
    engine.unload()

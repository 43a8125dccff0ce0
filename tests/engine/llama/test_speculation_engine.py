"""Guessing ahead on the real engine and the starter: the same tokens, fewer evaluations."""

import lzma
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import llama_cpp.llama_cpp as native
import numpy as np
import numpy.typing as npt
import pytest

from runtime.answer.answering import Answerer
from runtime.answer.decoding import LoopLimits, LoopOutcome, TokenLoop
from runtime.answer.speculation import DraftModel
from runtime.backends.llama.backend import LlamaBackend
from runtime.backends.llama.vocabulary import read_vocabulary
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import run_job
from runtime.process.job_table import COMPARE_VOCABULARIES
from runtime.process.job_values import VocabulariesArgs
from runtime.progress import CancelToken, ignore_progress
from tests.helpers.shapes import (
    HEADER,
    R1_QWEN_1_5B,
    R1_QWEN_7B,
    byte_level_tokens,
    write_shape_gguf,
)

TEXT = (
    "The old mill at the bend was built in 1782 and ground corn until the railway came. "
    "Today it is a small museum where visitors can see the wheel turn every Sunday. "
)
COPY = (
    "<|im_start|>user\nRepeat the following text word for word.\n\n"
    f"{TEXT}<|im_end|>\n<|im_start|>assistant\n"
)
STORY = "<|im_start|>user\nWrite a story about a dog.<|im_end|>\n<|im_start|>assistant\n"
GREEDY = SamplingParams(temperature=0.0)
R1_TOKENS = 151_665  # of the R1 distills of Qwen


def placement(*, flash_attention: bool = True) -> Placement:
    return Placement(
        engine="llamacpp",
        layers=(LayerRange("cpu", 0, 29),),
        lm_head_device="cpu",
        n_ctx=1024,
        n_threads=2,
        n_threads_batch=2,
        flash_attention=flash_attention,
    )


@pytest.fixture(scope="module")
def backend(starter_gguf: Path) -> Iterator[LlamaBackend]:
    engine = LlamaBackend()
    engine.load(str(starter_gguf), placement(), ignore_progress, CancelToken())
    yield engine
    engine.unload()


def answer(
    backend: LlamaBackend,
    text: str,
    sampling: SamplingParams,
    *,
    draft: bool,
    tokens: int = 96,
    full_length: bool = False,
) -> LoopOutcome:
    loop = TokenLoop(backend)
    loop.forget()
    prompt = backend.tokenizer.encode(text, parse_special=True)
    limits = LoopLimits(1024, tokens, detect_loops=False, draft=draft, full_length=full_length)
    return loop.generate(
        prompt, sampling, limits, lambda _text, _tokens: True, ignore_progress, CancelToken()
    )


@pytest.mark.parametrize("text", [COPY, STORY])
@pytest.mark.parametrize(
    "sampling",
    [GREEDY, SamplingParams(temperature=0.7, top_p=0.9, seed=7, repeat_penalty=1.1)],
    ids=["greedy", "sampled"],
)
def test_output_is_the_same_with_and_without(
    backend: LlamaBackend, text: str, sampling: SamplingParams
) -> None:
    plain = answer(backend, text, sampling, draft=False)
    guessing = answer(backend, text, sampling, draft=True)
    assert guessing.generated == plain.generated
    assert guessing.finish_reason == plain.finish_reason
    assert plain.drafted == plain.accepted == 0


def test_copying_is_guessed(backend: LlamaBackend) -> None:
    outcome = answer(backend, COPY, GREEDY, draft=True)
    assert outcome.accepted > 0
    assert outcome.accepted <= outcome.drafted


def test_verify_keeps_what_agrees_and_the_cache_stays_whole(backend: LlamaBackend) -> None:
    prompt = backend.tokenizer.encode(STORY, parse_special=True)
    backend.set_sampling(GREEDY, ())
    backend.truncate(0)
    backend.prefill(prompt, ignore_progress, CancelToken())
    plain = [backend.sample()]
    for _ in range(8):
        backend.decode(plain[-1])
        plain.append(backend.sample())

    backend.truncate(0)
    backend.prefill(prompt, ignore_progress, CancelToken())
    first = backend.sample()
    assert first == plain[0]
    wrong = [*plain[1:4], plain[4] + 1, 5, 6]
    verified = backend.verify(first, wrong)
    assert verified.tokens == tuple(plain[1:5])
    follow = backend.verify(verified.tokens[-1], plain[5:8])
    assert follow.tokens == tuple(plain[5:9])
    assert verified.sampling_seconds >= 0


def test_the_budget_holds_with_guesses(backend: LlamaBackend) -> None:
    for tokens in (1, 2, 3, 17):
        outcome = answer(backend, COPY, GREEDY, draft=True, tokens=tokens)
        assert len(outcome.generated) <= tokens


def test_no_guesses_where_batches_change_the_logits(starter_gguf: Path) -> None:
    engine = LlamaBackend()
    engine.load(str(starter_gguf), placement(flash_attention=False), ignore_progress, CancelToken())
    engine.set_sampling(GREEDY, ())
    assert not engine.draft_lengths
    engine.unload()


def test_a_draft_model_guesses_its_own_output(starter_gguf: Path, backend: LlamaBackend) -> None:
    plain = answer(backend, STORY, GREEDY, draft=False, tokens=24).generated
    small = LlamaBackend()
    small.load(str(starter_gguf), placement(), ignore_progress, CancelToken())
    drafter = DraftModel(small, backend.tokenizer.n_vocab)
    prompt = backend.tokenizer.encode(STORY, parse_special=True)
    drafter.begin(prompt, CancelToken())
    drafter.extend([plain[0]])
    assert drafted(drafter, 6) == plain[1:7]
    drafter.extend([*plain[1:3], 1000])  # the target went another way
    drafter.propose(2)
    drafter.begin(prompt, CancelToken())
    drafter.extend(plain[:4])
    assert drafted(drafter, 2) == plain[4:6]
    small.unload()


def drafted(model: DraftModel, limit: int) -> tuple[int, ...]:
    draft = model.propose(limit)
    assert draft is not None
    return draft.tokens


@pytest.mark.parametrize("sampling", [GREEDY, SamplingParams(temperature=0.7, seed=7)])
def test_a_loaded_draft_model_changes_no_token(
    starter_gguf: Path, backend: LlamaBackend, sampling: SamplingParams
) -> None:
    helped = LlamaBackend()
    with_draft = replace(placement(), draft=str(starter_gguf))
    helped.load(str(starter_gguf), with_draft, ignore_progress, CancelToken())
    plain = answer(backend, STORY, sampling, draft=False, tokens=48)
    guessing = answer(helped, STORY, sampling, draft=True, tokens=48)
    assert guessing.generated == plain.generated
    assert guessing.drafted > 0  # the same model guesses: a trial is made, whether it pays or not
    helped.unload()


def test_vocabularies_are_compared_token_by_token(starter_gguf: Path, tmp_path: Path) -> None:
    same = run_job(COMPARE_VOCABULARIES, VocabulariesArgs(starter_gguf, starter_gguf))
    assert same.mismatch is None
    other = tmp_path / "other.gguf"
    text = starter_gguf.read_bytes()
    assert text.count(b"\xc4\xa0the\x00") or b"\xc4\xa0the" in text
    other.write_bytes(
        text.replace(b"\x05\0\0\0\0\0\0\0\xc4\xa0the", b"\x05\0\0\0\0\0\0\0\xc4\xa0thX", 1)
    )
    mismatch = run_job(COMPARE_VOCABULARIES, VocabulariesArgs(starter_gguf, other)).mismatch
    assert mismatch is not None
    assert mismatch.code == "draft_token_differs"
    assert mismatch.facts["target"] != mismatch.facts["theirs"]


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two tiny models of as many tokens as the R1 distills of Qwen, in tables of 151,936 rows as
    the 1.5B has it and of 152,064 as 7B and 14B have it."""
    tiny = replace(
        R1_QWEN_1_5B,
        block_count=2,
        embedding_length=64,
        feed_forward_length=64,
        head_count=2,
        head_count_kv=2,
        key_length=32,
        value_length=32,
        rope_dimension_count=32,
    )
    folder = tmp_path_factory.mktemp("padded")
    small, large = (
        write_shape_gguf(
            folder / f"{rows}.gguf",
            replace(tiny, vocab_size=rows),
            vocab_tokens=byte_level_tokens(R1_TOKENS, rows - R1_TOKENS),
        )
        for rows in (R1_QWEN_1_5B.vocab_size, R1_QWEN_7B.vocab_size)
    )
    return small, large


def test_padding_is_no_part_of_a_vocabulary(padded: tuple[Path, Path]) -> None:
    small, large = (read_vocabulary(str(path)) for path in padded)
    assert small.size == len(small.tokens) == R1_TOKENS
    assert small == large
    target, draft = padded[1], padded[0]
    assert run_job(COMPARE_VOCABULARIES, VocabulariesArgs(target, draft)).mismatch is None


def test_the_real_header_has_that_many_tokens(tmp_path: Path) -> None:
    header = tmp_path / "7b.gguf"
    header.write_bytes(lzma.decompress(HEADER.read_bytes()))
    with header.open("r+b") as file:  # the engine wants room for the weights, though it reads none
        file.truncate(8 << 30)
    vocabulary = read_vocabulary(str(header))
    assert (vocabulary.size, vocabulary.kind) == (R1_TOKENS, "gpt2/deepseek-r1-qwen")


@pytest.mark.parametrize("larger_target", [True, False])
def test_a_draft_model_padded_otherwise_changes_no_token(
    padded: tuple[Path, Path], larger_target: bool
) -> None:
    target, draft = padded[::-1] if larger_target else padded
    engine = LlamaBackend()
    placed = replace(placement(), layers=(LayerRange("cpu", 0, 1),), draft=str(draft))
    engine.load(str(target), placed, ignore_progress, CancelToken())
    assert engine.drafter is not None
    sizes = {engine.tokenizer.n_vocab, engine.drafter.tokenizer.n_vocab}
    assert sizes == {151_936, 152_064}
    plain, drafting = (
        answer(engine, STORY, GREEDY, draft=drafts, tokens=64, full_length=True)
        for drafts in (False, True)
    )
    assert drafting.generated == plain.generated
    assert drafting.drafted > 0
    engine.unload()


def fixed_threads(starter_gguf: Path, threads: int) -> LlamaBackend:
    engine = LlamaBackend()
    fixed = replace(placement(), n_threads=threads, n_threads_batch=threads)
    engine.load(str(starter_gguf), fixed, ignore_progress, CancelToken())
    assert engine._threads is not None
    engine._threads.stop()
    engine._threads.n_threads = threads
    engine._threads.sample_now = lambda: threads  # type: ignore[method-assign]
    engine.set_sampling(GREEDY, ())
    return engine


def last_logits(engine: LlamaBackend, row: int) -> npt.NDArray[np.float32]:
    pointer = native.llama_get_logits_ith(engine._context, row)
    return np.ctypeslib.as_array(pointer, (engine.tokenizer.n_vocab,)).copy()


@pytest.mark.parametrize("depth", [120, 600])
def test_a_lone_token_has_the_logits_of_a_checked_guess_and_of_any_thread_count(
    starter_gguf: Path, depth: int
) -> None:
    prompt = [1000 + 37 * place for place in range(depth)]
    one, two = fixed_threads(starter_gguf, 1), fixed_threads(starter_gguf, 2)
    for engine in (one, two):
        engine.prefill(prompt, ignore_progress, CancelToken())
        engine.decode(777)
    alone = last_logits(two, -1)
    np.testing.assert_array_equal(alone, last_logits(one, -1))
    two.truncate(depth)
    two.verify(777, [778, 779])
    np.testing.assert_array_equal(alone, last_logits(two, 0))
    one.unload()
    two.unload()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("question", [COPY, STORY])
def test_long_output_is_the_same_with_and_without(starter_gguf: Path, question: str) -> None:
    engine = fixed_threads(starter_gguf, 2)
    plain = answer(engine, question, GREEDY, draft=False, tokens=640, full_length=True)
    guessing = answer(engine, question, GREEDY, draft=True, tokens=640, full_length=True)
    assert guessing.generated == plain.generated
    assert len(plain.generated) == 640
    assert guessing.accepted > 0
    engine.unload()


def test_a_request_can_refuse_guesses(backend: LlamaBackend) -> None:
    answerer = Answerer(backend, 1024)
    question = Message("user", f"Repeat the following text word for word.\n\n{TEXT}")
    asked = GenerationRequest("r", (question,), GREEDY, max_tokens=48)
    drafted = [
        answerer.answer(
            replace(asked, draft=draft), None, lambda *_: None, ignore_progress, CancelToken()
        ).draft_tokens
        for draft in (True, False)
    ]
    assert drafted[0] > 0 == drafted[1]

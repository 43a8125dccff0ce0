"""From a request to chunks and figures, with the scripted engine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.answer.answering import Answerer
from runtime.backends.fake import FakeBackend
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats, TokenChunk
from runtime.progress import CancelToken, ignore_progress
from runtime.prompt.chat_profile import ChatProfile
from tests.helpers.fake_engine import WORDS, ask, fake_placement

THINKING = ChatProfile(kind="reasoning", force_think=True)


def answerer(folder: Path, **script: Any) -> Answerer:
    path = folder / "script.fake"
    path.write_text(json.dumps(script))
    backend = FakeBackend()
    report = backend.load(str(path), fake_placement(), ignore_progress, CancelToken())
    return Answerer(backend, report.n_ctx)


def answer(
    made: Answerer, request: GenerationRequest, profile: ChatProfile | None = None
) -> tuple[list[TokenChunk], GenerationStats]:
    chunks: list[TokenChunk] = []
    stats = made.answer(
        request, profile, lambda new, _tps: chunks.extend(new), ignore_progress, CancelToken()
    )
    return chunks, stats


def text_of(chunks: list[TokenChunk], *, reasoning: bool) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.is_reasoning is reasoning)


def test_every_token_is_counted_once(tmp_path: Path) -> None:
    chunks, stats = answer(answerer(tmp_path, pieces=WORDS[:30]), ask())
    assert text_of(chunks, reasoning=False) == "".join(WORDS[:30])
    assert sum(chunk.tokens for chunk in chunks) == 30 == stats.generated_tokens - 1
    assert {chunk.request_id for chunk in chunks} == {"request"}


def test_tokens_without_text_are_counted_too(tmp_path: Path) -> None:
    pieces = [{"hex": "f0"}, {"hex": "9f"}, {"hex": "a7"}, {"hex": "aa"}]
    chunks, _ = answer(answerer(tmp_path, pieces=pieces), ask())
    assert text_of(chunks, reasoning=False) == "🧪"
    assert sum(chunk.tokens for chunk in chunks) == 4


def test_quick_tokens_share_a_chunk_and_slow_ones_do_not_wait(tmp_path: Path) -> None:
    quick, _ = answer(answerer(tmp_path, pieces=WORDS[:200]), ask())
    assert len(quick) < 40
    slow, _ = answer(answerer(tmp_path, pieces=WORDS[:8], decode_seconds_per_token=0.05), ask())
    assert len(slow) >= 7


def test_reasoning_is_set_apart_and_counted(tmp_path: Path) -> None:
    pieces = ["Let ", "me ", "see.", "</think>", "It is ", "4."]
    chunks, stats = answer(answerer(tmp_path, pieces=pieces), ask(), THINKING)
    assert text_of(chunks, reasoning=True).strip() == "Let me see."
    assert text_of(chunks, reasoning=False).strip() == "It is 4."
    assert stats.reasoning_tokens in (3, 4)
    assert stats.notices == ("no_chat_template",)


def test_thinking_without_an_end_is_noticed(tmp_path: Path) -> None:
    chunks, stats = answer(answerer(tmp_path, pieces=["Let ", "me "]), ask(), THINKING)
    assert text_of(chunks, reasoning=False) == ""
    assert "thinking_cut" in stats.notices


def test_figures_agree_with_each_other(tmp_path: Path) -> None:
    made = answerer(
        tmp_path,
        pieces=WORDS[:21],
        decode_seconds_per_token=0.01,
        prefill_seconds_per_token=0.002,
    )
    _, stats = answer(made, ask("A question of some length."))
    assert stats.decode_tps is not None
    assert stats.prefill_tps is not None
    assert stats.decode_tps == pytest.approx(21 / stats.decode_seconds)
    assert stats.decode_tps < 100
    assert stats.prefill_tps == pytest.approx(stats.prompt_tokens / stats.prefill_seconds)
    assert stats.time_to_first_token >= stats.prefill_seconds
    shares = stats.engine_share + stats.sampling_share + stats.other_share
    assert shares == pytest.approx(1, abs=0.01)
    assert stats.engine_share > 0.7
    assert stats.peak_memory > 1 << 20


def test_one_token_has_no_decode_speed(tmp_path: Path) -> None:
    _, stats = answer(answerer(tmp_path, pieces=WORDS), ask(max_tokens=1))
    assert (stats.generated_tokens, stats.decode_tps) == (1, None)


@pytest.mark.parametrize("count", [0, -1])
def test_a_budget_of_nothing_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(InvalidRequest):
        answer(answerer(tmp_path, pieces=WORDS), ask(max_tokens=count))


def test_an_answer_of_full_length_passes_ends_stops_and_loops(tmp_path: Path) -> None:
    made = answerer(tmp_path, pieces=["STOP ", *["again "] * 400])
    stops = ask(stop=("STOP",), max_tokens=500)
    assert answer(made, stops)[1].finish_reason == "stop"
    _, stats = answer(made, replace(stops, full_length=True))
    assert (stats.finish_reason, stats.generated_tokens) == ("length", 500)

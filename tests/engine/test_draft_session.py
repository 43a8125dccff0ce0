"""A draft model from the plan to the answer, and every reason for which it is refused."""

import dataclasses
from pathlib import Path

import pytest

from app.session.session import Session
from app.wording.explain import explain, reason_text
from runtime.errors import DraftRefused
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.plan import Plan
from runtime.process.protocol import Streamed

SWAPPED = (b"\x05\0\0\0\0\0\0\0\xc4\xa0the", b"\x05\0\0\0\0\0\0\0\xc4\xa0thX")


def refusal(session: Session, model: Path, draft: Path) -> DraftRefused:
    with pytest.raises(DraftRefused) as refused:
        session.plan(str(model), n_ctx=512, draft=str(draft))
    return refused.value


def answer(session: Session, model: Path, plan: Plan) -> tuple[str, GenerationStats]:
    session.load(str(model), plan)
    said: list[str] = []
    request = GenerationRequest(
        "1", (Message("user", "Name a river."),), SamplingParams(temperature=0), max_tokens=24
    )

    def take(streamed: Streamed) -> None:
        said.extend(chunk.text for chunk in streamed.chunks)

    stats = session.generate(request, take)
    return "".join(said), stats


def test_a_smaller_model_guesses_and_the_answer_stays(
    session: Session, starter_gguf: Path, starter_q4: Path
) -> None:
    alone = session.plan(str(starter_gguf), n_ctx=512)
    plan = session.plan(str(starter_gguf), n_ctx=512, draft=str(starter_q4))
    assert plan.placement == dataclasses.replace(alone.placement, draft=str(starter_q4))
    extra = plan.memory.total - alone.memory.total
    assert extra > starter_q4.stat().st_size
    assert "drafts tokens ahead" in reason_text(plan.reasons[-1])
    plain, unaided = answer(session, starter_gguf, alone)
    helped, stats = answer(session, starter_gguf, plan)
    assert helped == plain
    assert unaided.draft_tokens < stats.draft_tokens


def test_a_draft_that_cannot_guess_is_refused_with_the_reason(
    session: Session, starter_gguf: Path, starter_q4: Path, tmp_path: Path
) -> None:
    larger = refusal(session, starter_q4, starter_gguf)
    assert larger.facts["code"] == "draft_not_smaller"
    other = tmp_path / "other.gguf"
    other.write_bytes(starter_q4.read_bytes().replace(*SWAPPED, 1))
    token = refusal(session, starter_gguf, other)
    assert token.facts["code"] == "draft_token_differs"
    assert explain(token).sentence.startswith(f"{other} cannot be the draft model: token ")

    session.settings = dataclasses.replace(session.settings, draft_model=str(other))
    plan = session.plan(str(starter_gguf), n_ctx=512)  # a setting is no demand
    assert plan.placement.draft == ""
    assert plan.reasons[-1].code == "draft_token_differs"

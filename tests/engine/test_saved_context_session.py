"""A session keeps what a conversation cost to read, across other conversations and restarts."""

import itertools
from pathlib import Path

from app.session.session import Session
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams

LONG = "Remember this: " + "the keeper counted the ships and wrote their names; " * 30
_ids = itertools.count()


def ask(session: Session, conversation: str | None, *texts: str) -> tuple[str, GenerationStats]:
    messages = tuple(
        Message("assistant" if at % 2 else "user", text) for at, text in enumerate(texts)
    )
    pieces: list[str] = []
    stats = session.generate(
        GenerationRequest(str(next(_ids)), messages, SamplingParams(temperature=0), max_tokens=8),
        lambda streamed: pieces.extend(chunk.text for chunk in streamed.chunks),
        conversation=conversation,
    )
    return "".join(pieces), stats


def test_coming_back_finds_the_context(session: Session, starter_gguf: Path) -> None:
    session.load(str(starter_gguf), session.plan(str(starter_gguf), n_ctx=1024))
    reply, first = ask(session, "one", LONG)
    went_on, _ = ask(session, "one", LONG, reply, "Go on.")
    assert first.cached_tokens == 0

    ask(session, "two", "Something else.")
    again, stats = ask(session, "one", LONG, reply, "Go on.")
    assert again == went_on
    assert stats.cached_tokens >= first.prompt_tokens

    plan = session.loaded.plan if session.loaded else None
    session.load(str(starter_gguf), plan)  # a fresh worker
    restarted, stats = ask(session, "one", LONG, reply, "Go on.")
    assert restarted == went_on
    assert stats.cached_tokens >= first.prompt_tokens


def test_other_settings_do_not_use_it(session: Session, starter_gguf: Path) -> None:
    session.load(str(starter_gguf), session.plan(str(starter_gguf), n_ctx=1024))
    ask(session, "one", LONG)
    session.load(str(starter_gguf), session.plan(str(starter_gguf), n_ctx=1024, kv_type="q8_0"))
    _, stats = ask(session, "one", LONG)
    assert stats.cached_tokens == 0


def test_a_request_of_no_conversation_leaves_nothing_behind(
    session: Session, starter_gguf: Path
) -> None:
    session.load(str(starter_gguf), session.plan(str(starter_gguf), n_ctx=1024))
    ask(session, None, LONG)
    session.unload()
    assert not session.paths.contexts.exists()


def test_a_deleted_conversation_leaves_no_state(session: Session, starter_gguf: Path) -> None:
    session.load(str(starter_gguf), session.plan(str(starter_gguf), n_ctx=1024))
    ask(session, "one", LONG)
    ask(session, "two", "Something else.")
    assert len(list(session.paths.contexts.glob("*.kv"))) == 1
    session.forget_context("one")
    assert list(session.paths.contexts.iterdir()) == []

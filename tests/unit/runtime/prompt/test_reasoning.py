"""Conformance of the reasoning parser on recorded streams, however they are cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.generation import Message
from runtime.prompt.chat import prepare
from runtime.prompt.chat_profile import R1
from runtime.prompt.reasoning import ReasoningParser, conversation_title, split

FOLDER = Path(__file__).parents[3] / "data" / "streams"
STREAMS: list[dict[str, Any]] = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
]
NAMES = [stream["name"] for stream in STREAMS]
every_stream = pytest.mark.parametrize("stream", STREAMS, ids=NAMES)


class _Facts:
    bos_text = "<｜begin▁of▁sentence｜>"
    eos_text = "<｜end▁of▁sentence｜>"
    # The rules of R1's own template, without its tool calls.
    chat_template: str | None = (
        "{{bos_token}}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}"
        "{% else %}{% set content = message['content'] %}"
        "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{'<｜Assistant｜>'}}{% endif %}"
    )


def parse(chunks: list[str], starts_inside: bool) -> tuple[str, str, ReasoningParser]:
    parser = ReasoningParser(starts_inside)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)] + parser.finish()
    assert all(text for text, _ in pieces)
    reasoning = "".join(text for text, is_reasoning in pieces if is_reasoning)
    answer = "".join(text for text, is_reasoning in pieces if not is_reasoning)
    return reasoning, answer, parser


def test_there_are_enough_streams() -> None:
    assert len(STREAMS) >= 40
    assert len(set(NAMES)) == len(NAMES)


@every_stream
def test_stream_as_recorded(stream: dict[str, Any]) -> None:
    reasoning, answer, parser = parse(stream["chunks"], stream["starts_inside"])
    untagged = answer[: parser.untagged_chars]
    assert untagged == stream.get("untagged", "")
    assert answer[parser.untagged_chars :] == stream["answer"]
    if not untagged:
        assert reasoning == stream["reasoning"]
    assert (not parser.inside) == stream["closed"]


@every_stream
def test_complete_text_splits_alike(stream: dict[str, Any]) -> None:
    result = split("".join(stream["chunks"]), starts_inside=stream["starts_inside"])
    assert result.reasoning == stream["reasoning"]
    assert result.answer == stream["answer"]
    assert result.closed == stream["closed"]


@every_stream
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_cuts_do_not_matter(stream: dict[str, Any], data: st.DataObject) -> None:
    text = "".join(stream["chunks"])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    expected = parse(stream["chunks"], stream["starts_inside"])
    assert parse(chunks, stream["starts_inside"])[:2] == expected[:2]
    assert parse(list(text), stream["starts_inside"])[:2] == expected[:2]


@every_stream
def test_reasoning_stays_out_of_history_title_and_next_prompt(stream: dict[str, Any]) -> None:
    marked = [_mark_reasoning(stream), stream["answer"]]
    answer = Message("assistant", marked[1], reasoning=marked[0])
    raw = Message("assistant", _with_tags(marked), reasoning="")
    for turn in (answer, raw):
        prompt = prepare([Message("user", "Q"), turn, Message("user", "More")], R1, _Facts())
        assert "SECRET" not in prompt.text
        assert prompt.starts_inside_reasoning
        assert prompt.text.endswith("<｜User｜>More<｜Assistant｜><think>\n")
        assert "SECRET" not in conversation_title([turn])
        if stream["answer"].strip():
            assert stream["answer"].strip() in prompt.text


def _mark_reasoning(stream: dict[str, Any]) -> str:
    return "\n".join(f"SECRET {line}" for line in ["thought", *stream["reasoning"].splitlines()])


def _with_tags(parts: list[str]) -> str:
    """What another program would have stored: tags and all."""
    body = "\n".join(line for line in parts[0].splitlines() if "`" not in line and "~" not in line)
    return f"<think>\n{body}\n</think>\n\n{parts[1]}"


FRAGMENTS = st.sampled_from(
    [
        "<think>",
        "</think>",
        "\n",
        "\n\n",
        " ",
        "a",
        "`",
        "``",
        "```",
        "~~~",
        '"',
        "<",
        "</",
        "中",
        "x<y",
    ]
)


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(FRAGMENTS, max_size=14), inside=st.booleans(), size=st.integers(1, 5))
def test_any_text_is_cut_invariant_and_complete(parts: list[str], inside: bool, size: int) -> None:
    text = "".join(parts)
    whole = parse([text], inside)
    assert parse([text[i : i + size] for i in range(0, len(text), size)], inside)[:2] == whole[:2]
    # Nothing is invented, nothing but tags and white space is lost.
    kept = "".join((whole[0] + whole[1]).split()).replace("<think>", "").replace("</think>", "")
    given_text = "".join(text.split()).replace("<think>", "").replace("</think>", "")
    assert sorted(kept) == sorted(given_text)


@settings(max_examples=200, deadline=None)
@given(
    reasoning=st.text(alphabet="ab \n.,中🎉", max_size=60),
    answer=st.text(alphabet="ab \n.,中🎉", max_size=60),
)
def test_plain_reasoning_never_reaches_the_answer(reasoning: str, answer: str) -> None:
    got_reasoning, got_answer, parser = parse([reasoning, "\n</think>\n\n", answer], True)
    assert got_reasoning == reasoning.strip()
    assert got_answer.strip() == answer.strip()
    assert not parser.inside


def test_text_is_shown_without_waiting() -> None:
    parser = ReasoningParser(starts_inside=True)
    assert parser.feed("Let me see") == [("Let me see", True)]
    assert parser.feed(" if a <") == [(" if a", True)]
    assert parser.feed(" b") == [(" < b", True)]
    assert parser.feed("</think>\n\nYes") == [("Yes", False)]


def test_cost_grows_with_length_only() -> None:
    text = "word `code` and more, " * 20_000 + "</think>\n\ndone"
    assert split(text, starts_inside=True).answer == "done"

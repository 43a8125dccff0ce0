"""Lines of the worker's protocol: what is written is read back, and nothing else is taken."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.generation import GenerationRequest, Message, SamplingParams, TokenChunk
from runtime.process import protocol
from runtime.process.protocol import (
    Cancel,
    Command,
    Event,
    Exit,
    Failed,
    Generate,
    Hello,
    Load,
    ProtocolError,
    Stopped,
    Streamed,
    decode_command,
    decode_event,
    encode,
)
from runtime.process.worker import EventWriter

PAGE = Path(__file__).parents[4] / "docs" / "protocol.md"
COMMANDS, EVENTS = (
    {cls.__name__ for cls in kinds.__args__} for kinds in (protocol.Command, protocol.Event)
)


def examples(heading: str) -> list[str]:
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```json\n(.*?)\n```", section, re.DOTALL)


@pytest.mark.parametrize(
    ("heading", "names", "decode"),
    [("Commands", COMMANDS, decode_command), ("Events", EVENTS, decode_event)],
)
def test_the_page_shows_every_kind_of_line(heading, names, decode) -> None:  # type: ignore[no-untyped-def]
    lines = examples(heading)
    assert {json.loads(line)["type"] for line in lines} == names
    for line in lines:
        written = json.loads(encode(decode(line.encode())))
        shown = json.loads(line)
        assert _covers(written, shown), line


def _covers(written: object, shown: object) -> bool:
    """Whether every field shown is really a field: read, and written again with its value."""
    if isinstance(shown, dict) and isinstance(written, dict):
        return all(key in written and _covers(written[key], shown[key]) for key in shown)
    if isinstance(shown, list) and isinstance(written, list):
        return len(shown) == len(written) and all(map(_covers, written, shown))
    return written == shown


def test_the_page_names_the_version() -> None:
    hello = decode_event(examples("Events")[0].encode())
    assert isinstance(hello, Hello)
    assert hello.protocol == protocol.PROTOCOL_VERSION


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
requests = st.builds(
    GenerationRequest,
    id=texts,
    messages=st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts, texts),
        max_size=3,
    ).map(tuple),
    sampling=st.builds(SamplingParams, seed=st.none() | st.integers(0, 2**32 - 1)),
    max_tokens=st.none() | st.integers(1, 2**31),
    stop=st.lists(texts, max_size=3).map(tuple),
    continue_last=st.booleans(),
)


@given(st.builds(Generate, id=texts, request=requests) | st.builds(Cancel, id=texts))
def test_a_command_is_one_line_and_comes_back(command: Command) -> None:
    line = encode(command)
    assert line.count(b"\n") == 1
    assert decode_command(line) == command


chunks = st.lists(st.builds(TokenChunk, texts, texts, st.booleans(), st.integers(0, 9)), max_size=4)


@given(st.builds(Streamed, texts, chunks.map(tuple), st.none() | st.floats(0, 1e6)))
def test_an_event_is_one_line_and_comes_back(event: Event) -> None:
    line = encode(event)
    assert line.count(b"\n") == 1
    assert decode_event(line) == event


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "data", "id"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_anything_else_is_a_protocol_error(line: bytes) -> None:
    for decode in (decode_command, decode_event):
        with pytest.raises(ProtocolError):
            decode(line)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 50_000, b"", b"\n", b"\xff\xfe"])
def test_hostile_lines_are_protocol_errors(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_event(line)


def test_commands_are_no_events_and_the_reverse() -> None:
    with pytest.raises(ProtocolError):
        decode_event(encode(Exit()))
    with pytest.raises(ProtocolError):
        decode_command(encode(Failed("1", {})))
    with pytest.raises(ProtocolError):
        decode_command(b'{"type":"Load","data":{"id":"1"}}')
    assert Load.__name__ in COMMANDS


def test_what_is_written_together_is_one_write() -> None:
    writes: list[bytes] = []

    class Recorded(io.BytesIO):
        def write(self, data: Any, /) -> int:
            writes.append(bytes(data))
            return len(data)

    writer = EventWriter(Recorded())
    first, second, third = Stopped("a"), Stopped("b"), Stopped("c")
    with writer.batched():
        writer.write(first)
        writer.write(second)
        assert not writes
    writer.write(third)
    assert writes == [encode(first) + encode(second), encode(third)]
    with writer.batched():
        pass
    assert len(writes) == 2

"""No reasoning leaks: recorded streams through all that streams, keeps, exports and asks again.

Each recorded stream goes the whole way: the answer's stream, the worker's protocol, the window's
buffer and recorder, the history, the next prompt; and to the command line and clients of the
server.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.commands.chat import print_answer
from app.cli.commands.console import Console
from app.gui.chat.control import prompt_message
from app.history.export import exported
from app.history.recorder import AnswerRecorder
from app.history.store import Store
from app.history.stream_chunks import ChunkBuffer
from app.server.answers import Part
from app.server.replies import Reply
from app.session.answer_stream import stream_answer
from runtime.answer.decoding import LoopOutcome, LoopTimes
from runtime.answer.streaming import AnswerStream, stats_of
from runtime.generation import GenerationRequest, GenerationStats, Message
from runtime.process.protocol import Streamed, decode_event, encode
from runtime.progress import CancelToken
from runtime.prompt.chat import PreparedPrompt, prepare
from runtime.prompt.chat_profile import R1, ChatProfile
from runtime.prompt.reasoning import conversation_title

FOLDER = Path(__file__).parents[3] / "data" / "streams"
STREAMS: list[dict[str, Any]] = [
    json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
]
pytestmark = [
    pytest.mark.parametrize("stream", STREAMS, ids=[stream["name"] for stream in STREAMS]),
    pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["each-token", "all-at-once"]),
]


class _R1Tokenizer:
    bos_text, eos_text = "<bos>", "<eos>"
    chat_template: str | None = (
        "{{bos_token}}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}"
        "{% else %}{% set content = message['content'] %}"
        "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{'<｜Assistant｜>' + content + eos_token}}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{'<｜Assistant｜>'}}{% endif %}"
    )


@pytest.fixture
def answered(stream: dict[str, Any], seconds: float) -> tuple[list[Streamed], GenerationStats]:
    """The events of a streamed answer as they come out of the worker's pipe, and its stats."""
    events: list[Streamed] = []

    def send(chunks: Any, tps: float | None) -> None:
        event = decode_event(encode(Streamed("r", chunks, tps)))
        assert isinstance(event, Streamed)
        events.append(event)

    prompt = PreparedPrompt((), stream["starts_inside"], (), ())
    request = GenerationRequest("r", (Message("user", "Q"),))
    answer = AnswerStream(request, ChatProfile("reasoning"), prompt, send, seconds)
    for chunk in stream["chunks"]:
        answer.take(chunk, 1)
    answer.finish()
    times = LoopTimes(started=0.0, first_token=0.5, ended=1.0, prefill=0.4)
    outcome = LoopOutcome("stop", 1, 0, (1,) * len(stream["chunks"]), times)
    return events, stats_of("r", outcome, answer, {})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(tmp_path_factory.mktemp("history") / "history.db")
    yield store
    store.close()


def next_prompt(answer: Message) -> str:
    """What the model reads after the next question."""
    turns = [Message("user", "Q"), answer, Message("user", "More")]
    return prepare(turns, R1, _R1Tokenizer()).text


def with_answer(answer: str) -> str:
    """The only right prompt: the answer and nothing of the reasoning."""
    return f"<bos><｜User｜>Q<｜Assistant｜>{answer}<eos><｜User｜>More<｜Assistant｜><think>\n"


def thoughts(stream: dict[str, Any]) -> list[str]:
    """Lines that nobody but the thinking wrote, and that must be nowhere else."""
    lines = (line.strip() for line in stream["reasoning"].splitlines())
    return [line for line in lines if len(line) > 3 and line not in stream["answer"]]


def test_history_title_export_and_next_prompt(
    stream: dict[str, Any], answered: tuple[list[Streamed], GenerationStats], store: Store
) -> None:
    conversation = store.add_conversation("Q")
    question = store.add_message(conversation.id, "user", "Q")
    message = store.add_message(
        conversation.id, "assistant", parent_id=question.id, state="streaming"
    )
    buffer = ChunkBuffer()
    recorder = AnswerRecorder(store, message.id, buffer)
    for event in answered[0]:
        buffer.put(event.chunks, event.decode_tps)
        recorder.flush()
    # What a window that is killed now leaves behind is as clean as what one that ends leaves.
    for stored in (store.message(message.id), store.finish(message.id)):
        assert stored.content == stream["answer"]
        assert stored.reasoning == stream["reasoning"]
    hidden, kept = thoughts(stream), store.messages(conversation.id)
    assert next_prompt(prompt_message(kept[1])) == with_answer(stream["answer"])
    assert not any(line in conversation_title([prompt_message(kept[1])]) for line in hidden)
    shown = store.conversation(conversation.id)
    markdown = re.sub(r"(?m)^>.*$", "", exported(shown, kept, ".md"))
    page = exported(shown, kept, ".html")
    page = re.sub(r"(?s)<details>.*?</details>|<template.*?</template>", "", page)  # as it is read
    told = json.loads(exported(shown, kept, ".json"))["messages"][1]
    assert told["content"] == stream["answer"]
    assert not any(line in text for line in hidden for text in (markdown, page))


def test_command_line(
    stream: dict[str, Any], answered: tuple[list[Streamed], GenerationStats]
) -> None:
    def generate(
        _request: GenerationRequest, on_stream: Callable[[Streamed], None], _cancel: CancelToken
    ) -> GenerationStats:
        for event in answered[0]:
            on_stream(event)
        return answered[1]

    request = GenerationRequest("r", (Message("user", "Q"),))
    message = print_answer(stream_answer(generate, request), Console(as_json=True)).message
    assert (message.content, message.reasoning) == (stream["answer"], stream["reasoning"])
    assert next_prompt(message) == with_answer(stream["answer"])


def test_clients_of_the_server(
    stream: dict[str, Any], answered: tuple[list[Streamed], GenerationStats]
) -> None:
    reply = Reply("model", "chat.completion")
    parts = [Part(0, event.chunks) for event in answered[0]] + [Part(0, stats=answered[1])]
    deltas: list[Any] = [choice["delta"] for part in parts for choice in reply.take(part)]
    told: Any = reply.whole()
    whole = told["choices"][0]["message"]
    assert whole["content"] == stream["answer"]
    assert whole.get("reasoning_content", "") == stream["reasoning"]
    # A stream cannot take back what it has sent: it must be told apart when it comes back.
    streamed = "".join(delta.get("content") or "" for delta in deltas)
    assert next_prompt(Message("assistant", streamed)) == with_answer(stream["answer"])

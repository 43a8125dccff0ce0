"""A model that thinks, over the server: thoughts apart from the answer, streamed and whole, and a
grammar that binds the answer alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.gguf_files import with_template
from tests.helpers.serving import Served, serving

SHOWN = "".join(
    f"<|im_start|>user\\nThe capital of {country}?<|im_end|>\\n<|im_start|>assistant\\n<think>\\n"
    f"{country} is asked for.\\n</think>\\n{city}<|im_end|>\\n"
    for country, city in (("Italy", "Rome"), ("Spain", "Madrid"), ("England", "London"))
)
TEMPLATE = (
    f"{{{{ '{SHOWN}' }}}}{{% for m in messages %}}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
)
QUESTION = "The capital of France?"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, starter_gguf: Path) -> Iterator[Served]:
    """The starter with a template that shows it how to think."""
    folder = tmp_path_factory.mktemp("thinking")
    model = folder / "thinks.gguf"
    with_template(starter_gguf, model, TEMPLATE)
    with serving(folder / "home", model, parallel=2) as made:
        yield made


def ask(served: Served, **fields: Any) -> dict[str, Any]:
    reply = served.chat(QUESTION, temperature=0, max_tokens=60, **fields)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_thoughts_come_apart_whole_and_streamed(served: Served) -> None:
    whole = ask(served)
    message = whole["choices"][0]["message"]
    assert "France" in message["reasoning_content"]
    assert message["content"].strip() == "Paris"
    assert "think" not in message["content"] + message["reasoning_content"]
    details = whole["usage"]["completion_tokens_details"]
    assert 0 < details["reasoning_tokens"] < whole["usage"]["completion_tokens"]
    reply = served.chat(QUESTION, temperature=0, max_tokens=60, stream=True)
    events = [line[6:] for line in reply.text.splitlines() if line.startswith("data: {")]
    deltas = [json.loads(each)["choices"][0]["delta"] for each in events]
    for name in ("reasoning_content", "content"):
        assert "".join(delta.get(name, "") for delta in deltas) == message[name]
    thinking = [bool(d.get("reasoning_content")) for d in deltas if any(d.values())]
    assert thinking == sorted(thinking, reverse=True)  # all thoughts before the answer


def test_a_grammar_binds_what_comes_after_thinking(served: Served) -> None:
    schema = {"type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}},
              "required": ["city"], "additionalProperties": False}  # fmt: skip
    form = {"type": "json_schema", "json_schema": {"name": "c", "strict": True, "schema": schema}}
    message = ask(served, response_format=form)["choices"][0]["message"]
    assert "France" in message["reasoning_content"]
    assert "{" not in message["reasoning_content"]
    assert json.loads(message["content"])["city"] in ("Paris", "Rome")

"""The server with the clients people use: the official one, `llm`, a fuzzer of its own document."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import jsonschema
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from tests.helpers.serving import KEY, MODEL, Served, serving

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer"},
        "likes": {"type": "array", "items": {"enum": ["cats", "dogs"]}, "maxItems": 2},
    },
    "required": ["name", "age", "likes"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}},
            "required": ["city"],
        },
    },
}
ASK = [{"role": "user", "content": "What is the weather in Paris?"}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, starter_gguf: Path) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("serve"), starter_gguf) as made:
        yield made


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=served.base, api_key=KEY, max_retries=0) as made:
        yield made


def chat(client: openai.OpenAI, **fields: Any) -> Any:
    return client.chat.completions.create(
        **{"model": MODEL, "messages": ASK, "max_tokens": 12, "temperature": 0, **fields}
    )


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]


def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    whole = chat(client)
    parts = list(chat(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == whole.choices[0].message.content
    assert parts[0].choices[0].delta.role == "assistant"
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == "length"
    usage = parts[-1].usage
    assert usage.completion_tokens == 12 == whole.usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + 12
    timings = usage.timings[0]
    assert timings["decode_tokens_per_second"] > 0 < timings["time_to_first_token"]


def test_stop_seed_and_choices(client: openai.OpenAI) -> None:
    text = chat(client).choices[0].message.content
    word = text.split()[2]
    stopped = chat(client, stop=word).choices[0]
    assert stopped.message.content == text[: text.index(word)]
    assert stopped.finish_reason == "stop"
    drawn = [chat(client, n=3, seed=7, temperature=1.5) for _ in range(2)]
    first, second = ([c.message.content for c in reply.choices] for reply in drawn)
    assert first == second
    assert len(set(first)) == 3


def test_probabilities(client: openai.OpenAI) -> None:
    choice = chat(client, logprobs=True, top_logprobs=3).choices[0]
    tokens = choice.logprobs.content
    assert b"".join(bytes(each.bytes) for each in tokens).decode() == choice.message.content
    for each in tokens:  # greedy: the likeliest is the one that was drawn
        assert each.token == each.top_logprobs[0].token
        assert 0 >= each.logprob == max(top.logprob for top in each.top_logprobs)
    text = client.completions.create(
        model=MODEL, prompt="Two and two", max_tokens=4, logprobs=1, temperature=0
    )
    found, said = text.choices[0].logprobs, text.choices[0].text
    assert found is not None
    assert len(found.token_logprobs or ()) == 4
    for token, at in zip(found.tokens or (), found.text_offset or (), strict=True):
        assert said.startswith(token, at)


def test_several_prompts_are_counted_together(client: openai.OpenAI) -> None:
    prompts = ["Two and two", "The capital of France, which is a country in Europe, is"]
    one_by_one = [client.completions.create(model=MODEL, prompt=each) for each in prompts]
    both = client.completions.create(model=MODEL, prompt=prompts)
    counts = [each.usage.prompt_tokens for each in (*one_by_one, both) if each.usage is not None]
    assert len(counts) == 3
    assert counts[2] == counts[0] + counts[1]


def test_an_answer_is_held_to_its_schema(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "p", "strict": True, "schema": PERSON}}
    for seed in range(3):
        reply = chat(client, response_format=form, max_tokens=120, temperature=1.2, seed=seed)
        person = json.loads(reply.choices[0].message.content)
        assert list(person) == ["name", "age", "likes"]
        assert set(person["likes"]) <= {"cats", "dogs"}
        assert len(person["name"]) <= 12
        assert isinstance(person["age"], int)


@pytest.mark.parametrize("stream", [False, True])
def test_a_required_tool_is_called(client: openai.OpenAI, stream: bool) -> None:
    fields = {"tools": [WEATHER], "tool_choice": "required", "max_tokens": 60, "stream": stream}
    reply = chat(client, **fields)
    if stream:
        calls = [c for part in reply for c in part.choices[0].delta.tool_calls or ()]
    else:
        assert reply.choices[0].finish_reason == "tool_calls"
        calls = reply.choices[0].message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"]
    assert list(json.loads(calls[0].function.arguments)) == ["city"]
    told = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [calls[0].model_dump()]},
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    assert chat(client, messages=told, tools=[WEATHER]).choices[0].message.content


def test_texts_as_vectors(client: openai.OpenAI) -> None:
    texts = ["The cat sat on the mat.", "A kitten sits on a rug.", "Stock prices fell sharply."]
    reply = client.embeddings.create(model=MODEL, input=texts)
    cat, kitten, stocks = (each.embedding for each in reply.data)
    assert sum(x * x for x in cat) == pytest.approx(1, abs=1e-3)
    assert dot(cat, kitten) > dot(cat, stocks) + 0.02
    plain = client.embeddings.create(model=MODEL, input=texts[0], encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(cat, abs=1e-6)


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_refusals_are_openais_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        chat(client, model="absent")
    with pytest.raises(openai.BadRequestError, match="holds only 512"):
        chat(client, messages=[{"role": "user", "content": "word " * 600}])
    with pytest.raises(openai.BadRequestError):
        chat(client, temperature=9)


def test_llm(served: Served, tmp_path: Path) -> None:
    entry = {"model_id": "local", "model_name": MODEL, "api_base": served.base}
    document = json.dumps([entry | {"api_key_name": "stillroom"}])
    (tmp_path / "extra-openai-models.yaml").write_text(document)
    (tmp_path / "keys.json").write_text(json.dumps({"stillroom": KEY}))
    command = [sys.executable, "-m", "llm", "-m", "local", "-o", "max_tokens", "8", "Hello"]
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


# -- its own document -----------------------------------------------------------------------------

WANTED = ("not_a_server_error", "status_code_conformance", "response_schema_conformance")


POSTS = ("POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings")
RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
FUZZED = [
    ("GET /v1/models", RIGHT, False),
    *((post, mode, real) for post in POSTS for mode in (RIGHT, WRONG) for real in (False, True)),
]
CHEAP, COMPUTED = 25, 5  # examples, of which the latter reach the model
FUZZ = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)


@pytest.fixture(scope="module")
def cases(served: Served) -> Callable[[str, GenerationMode], Any]:
    """What the document allows for an operation, or forbids. Kept: it takes as long as the rest."""
    document = schemathesis.openapi.from_dict(served.request("GET", "/openapi.json").json())

    @cache
    def of(operation: str, mode: GenerationMode) -> Any:
        found = document.find_operation_by_label(operation)
        assert found is not None
        return found.as_strategy(generation_mode=mode)

    return of


@pytest.mark.parametrize(("operation", "mode", "real_model"), FUZZED)
def test_whatever_comes_is_answered_as_documented(
    served: Served,
    cases: Callable[[str, GenerationMode], Any],
    operation: str,
    mode: GenerationMode,
    real_model: bool,
) -> None:
    @settings(FUZZ, max_examples=COMPUTED if real_model else CHEAP)
    @given(cases(operation, mode))
    def asked(case: Any) -> None:
        if real_model and isinstance(case.body, dict):
            short = {"max_tokens": 2, "max_completion_tokens": 2}
            case.body = case.body | {"model": MODEL} | ({} if "input" in case.body else short)
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{served.port}",
            headers={"authorization": f"Bearer {KEY}"},
            checks=CHECKS.get_by_names(WANTED),
            timeout=60,
        )

    asked()


@pytest.mark.parametrize(
    ("path", "kind", "fields"),
    [
        ("/v1/chat/completions", "Chat", {"messages": ASK}),
        ("/v1/chat/completions", "Chat", {"messages": ASK, "logprobs": True, "top_logprobs": 2}),
        (
            "/v1/chat/completions",
            "Chat",
            {"messages": ASK, "tools": [WEATHER], "tool_choice": "required", "max_tokens": 60},
        ),
        ("/v1/completions", "Completion", {"prompt": "Two and two", "logprobs": 1}),
    ],
)
def test_replies_and_every_chunk_are_as_documented(
    served: Served, path: str, kind: str, fields: dict[str, Any]
) -> None:
    """In the document every property is named, so that none may come which is not."""
    document = served.request("GET", "/openapi.json").json()
    body = {"model": MODEL, "max_tokens": 6, "stream_options": {"include_usage": True}, **fields}
    whole = served.request("POST", path, body)
    schema = {"components": closed(document["components"])}
    jsonschema.validate(whole.json(), {**schema, "$ref": f"#/components/schemas/{kind}Reply"})
    *events, last, rest = served.request("POST", path, body | {"stream": True}).text.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    for each in events:
        chunk = json.loads(each.removeprefix("data: "))
        jsonschema.validate(chunk, {**schema, "$ref": f"#/components/schemas/{kind}Chunk"})
    assert len(events) >= 2
    assert chunk["usage"]["timings"]


def closed(value: Any) -> Any:
    """The same schemas, which allow no other property."""
    if isinstance(value, list):
        return [closed(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: closed(each) for key, each in value.items()}
    if "properties" in made and "required" in made:
        made["additionalProperties"] = False
    return made


def test_the_document_is_the_servers_own(served: Served) -> None:
    document = served.request("GET", "/openapi.json").json()
    for path in document["paths"]:
        method = "GET" if "get" in document["paths"][path] else "POST"
        reply: httpx2.Response = served.request(method, path, b"{}" if method == "POST" else None)
        assert reply.status_code in (200, 400), path

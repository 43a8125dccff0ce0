"""Functions a model may call: described in text, called as JSON, enforced by a grammar.

One form for all models, whatever their templates know of tools: the answer is either text or
`{"name": ..., "arguments": {...}}`. Knows no engine, no HTTP and no server, and calls no function:
who asked for the answer does.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from app.tools.schema_grammar import check_nesting, grammar_of_calls
from quant.json_types import Json
from runtime.generation import Message

Text = Annotated[str, Meta(max_length=8_000_000)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]

_MAY = "If one of them helps, answer with this JSON and nothing else; otherwise answer as usual:"
_MUST = "Answer with a call of one of them as this JSON and nothing else:"
_FORM = '{"name": "FUNCTION", "arguments": {"PARAMETER": "VALUE"}}'


class Function(Struct):
    """A function the model may ask for; `parameters` is a JSON schema."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    description: Text | None = None
    parameters: dict[str, Json] | None = None
    strict: bool | None = None

    def __post_init__(self) -> None:
        check_nesting(self.parameters)


class FunctionCall(Struct):
    """What an assistant asked for; `arguments` is JSON as text."""

    name: Name
    arguments: Text


@dataclass(frozen=True)
class OfferedFunctions:
    """The functions of one request. `must`: the answer has to be a call."""

    functions: tuple[Function, ...]
    must: bool

    def grammar(self) -> str:
        """What an answer may be. Raises InvalidRequest for unusable parameters."""
        nothing: dict[str, Json] = {"type": "object", "additionalProperties": False}
        schemas = {each.name: each.parameters or nothing for each in self.functions}
        return grammar_of_calls(schemas, or_text=not self.must)

    def instructions(self) -> str:
        """The instructions for the model."""
        lines = ["You can call these functions:"]
        for function in self.functions:
            described = {
                "name": function.name,
                "description": function.description or "",
                "parameters": function.parameters or {},
            }
            lines.append(json.dumps(described, ensure_ascii=False))
        return "\n".join([*lines, _MUST if self.must else _MAY, _FORM])


def offered(messages: Sequence[Message], offer: OfferedFunctions | None) -> tuple[Message, ...]:
    """The conversation with the instructions for its functions in the system message."""
    if offer is None:
        return tuple(messages)
    if messages and messages[0].role == "system":
        told = f"{messages[0].content}\n\n{offer.instructions()}"
        return (Message("system", told), *messages[1:])
    return (Message("system", offer.instructions()), *messages)


def call_text(call: FunctionCall) -> str:
    """A call as the model wrote it, for an assistant's turn."""
    return f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}'


def result_message(text: str) -> Message:
    """What a function gave back, in a role every template knows."""
    return Message("user", f"Result of the function:\n{text}")


def parse_call(text: str, offer: OfferedFunctions | None) -> FunctionCall | None:
    """The call that an answer is; None for a text, and for a call that was cut off."""
    if offer is None or not text.lstrip().startswith("{"):
        return None
    try:
        call = json.loads(text)
        arguments = json.dumps(call["arguments"], ensure_ascii=False)
        return FunctionCall(str(call["name"]), arguments)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None

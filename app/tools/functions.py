"""Functions a model may ask for: told in words, asked for as JSON, held to by a grammar.

One form for all models, whatever their templates know of tools: the answer is either text or
`{"name": ..., "arguments": {...}}`. Knows no engine and no HTTP.
"""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app.server.schemas import ChatMessage, ChatRequest, Function, NamedTool
from app.tools.schema_grammar import grammar_of_calls
from runtime.errors import InvalidRequest
from runtime.generation import Message

_MAY = "If one of them helps, answer with this JSON and nothing else; otherwise answer as usual:"
_MUST = "Answer with a call of one of them as this JSON and nothing else:"
_FORM = '{"name": "FUNCTION", "arguments": {"PARAMETER": "VALUE"}}'


@dataclass(frozen=True)
class Offer:
    """The functions of one request. `must`: the answer has to be a call."""

    functions: tuple[Function, ...]
    must: bool

    def grammar(self) -> str:
        """What an answer may be. Raises InvalidRequest for unusable parameters."""
        nothing = {"type": "object", "additionalProperties": False}
        schemas = {each.name: each.parameters or nothing for each in self.functions}
        return grammar_of_calls(schemas, or_text=not self.must)

    def words(self) -> str:
        """What the model is told."""
        lines = ["You can call these functions:"]
        for function in self.functions:
            described = {
                "name": function.name,
                "description": function.description or "",
                "parameters": function.parameters or {},
            }
            lines.append(json.dumps(described, ensure_ascii=False))
        return "\n".join([*lines, _MUST if self.must else _MAY, _FORM])


def offer_of(request: ChatRequest) -> Offer | None:
    """The functions a request offers; None without any. Raises InvalidRequest."""
    choice = request.tool_choice
    functions = [tool.function for tool in request.tools or ()]
    if isinstance(choice, NamedTool):
        functions = [each for each in functions if each.name == choice.function.name]
    if choice not in (None, "none", "auto") and not functions:
        raise InvalidRequest(field="tool_choice", reason="it names no tool of the request")
    if choice == "none" or not functions:
        return None
    return Offer(tuple(functions), choice not in (None, "auto"))


def messages_of(request: ChatRequest, offer: Offer | None) -> tuple[Message, ...]:
    """The conversation in the roles every template knows."""
    messages = [_message(each) for each in request.messages]
    if offer is None:
        return tuple(messages)
    if messages[0].role == "system":
        told = f"{messages[0].content}\n\n{offer.words()}"
        return (Message("system", told), *messages[1:])
    return (Message("system", offer.words()), *messages)


def _message(message: ChatMessage) -> Message:
    text = message.text
    if message.role == "assistant":
        calls = [
            f'{{"name": {json.dumps(call.function.name)}, "arguments": {call.function.arguments}}}'
            for call in message.tool_calls or ()
        ]
        content = "\n".join([text, *calls] if text else calls)
        return Message("assistant", content, message.reasoning_content or "")
    if message.role == "tool":
        return Message("user", f"Result of the function:\n{text}")
    return Message("user" if message.role == "user" else "system", text)


def call_in(text: str, offer: Offer | None) -> dict[str, Any] | None:
    """The call that an answer is, as OpenAI's tool call; None for a text."""
    if offer is None or not text.lstrip().startswith("{"):
        return None
    try:
        call = json.loads(text)
        name, arguments = call["name"], json.dumps(call["arguments"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError, RecursionError):  # cut off by the limit of tokens
        return None
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{uuid4().hex[:24]}", "type": "function", "function": function}

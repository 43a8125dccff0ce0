"""Turns a client's request into requests for a worker: sampling, stop texts, grammar, one for each
of `n` choices. Values in, values out; knows no HTTP."""

from dataclasses import replace
from typing import TypeVar
from uuid import uuid4

from app.server.schemas import (
    ChatMessage,
    ChatRequest,
    CompletionRequest,
    NamedTool,
    ObjectFormat,
    SchemaFormat,
    StreamOptions,
)
from app.tools.functions import OfferedFunctions, call_text, offered, result_message
from app.tools.schema_grammar import any_object, grammar_of
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, Message, SamplingParams

_T = TypeVar("_T")


def sampling_of(
    request: ChatRequest | CompletionRequest, defaults: SamplingParams
) -> SamplingParams:
    """The client's values, and the model's recommended ones for the rest."""
    return replace(
        defaults,
        temperature=_or(request.temperature, defaults.temperature),
        top_p=_or(request.top_p, defaults.top_p),
        top_k=_or(request.top_k, defaults.top_k),
        min_p=_or(request.min_p, defaults.min_p),
        repeat_penalty=_or(request.repeat_penalty, defaults.repeat_penalty),
        seed=_or(request.seed, defaults.seed),
    )


def _or(given: _T | None, default: _T) -> _T:
    return default if given is None else given


def offered_functions(request: ChatRequest) -> OfferedFunctions | None:
    """The functions a request offers; None without any. Raises InvalidRequest."""
    choice = request.tool_choice
    functions = [tool.function for tool in request.tools or ()]
    if isinstance(choice, NamedTool):
        functions = [each for each in functions if each.name == choice.function.name]
    if choice not in (None, "none", "auto") and not functions:
        raise InvalidRequest(field="tool_choice", reason="no_such_tool")
    if choice == "none" or not functions:
        return None
    return OfferedFunctions(tuple(functions), choice not in (None, "auto"))


def chat_requests(
    request: ChatRequest, offer: OfferedFunctions | None, defaults: SamplingParams
) -> list[GenerationRequest]:
    """Raises InvalidRequest for what cannot be guaranteed."""
    one = GenerationRequest(
        "",
        offered([_message(each) for each in request.messages], offer),
        sampling_of(request, defaults),
        max_tokens=request.max_completion_tokens or request.max_tokens,
        stop=_stops(request),
        grammar=_grammar(request, offer),
        logprobs=chat_logprobs(request),
    )
    return _choices(one, request.n or 1)


def chat_logprobs(request: ChatRequest) -> int | None:
    """How many most likely tokens to report per token; None for no probabilities at all."""
    return request.top_logprobs or 0 if request.logprobs else None


def completion_requests(
    request: CompletionRequest, defaults: SamplingParams
) -> list[GenerationRequest]:
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    if not all(prompts):
        raise InvalidRequest(field="prompt", reason="empty")
    made = []
    for prompt in prompts:
        one = GenerationRequest(
            "",
            (),
            sampling_of(request, defaults),
            max_tokens=request.max_tokens,
            stop=_stops(request),
            prompt=prompt,
            logprobs=request.logprobs,
        )
        made.extend(_choices(one, request.n or 1))
    return made


def wants_usage(options: StreamOptions | None) -> bool:
    """Whether a stream ends with a chunk of usage."""
    return options is not None and bool(options.include_usage)


def _message(message: ChatMessage) -> Message:
    """A turn in the roles every template knows."""
    text = message.text
    if message.role == "assistant":
        calls = [call_text(call.function) for call in message.tool_calls or ()]
        content = "\n".join([text, *calls] if text else calls)
        return Message("assistant", content, message.reasoning_content or "")
    if message.role == "tool":
        return result_message(text)
    return Message("user" if message.role == "user" else "system", text)


def _grammar(request: ChatRequest, offer: OfferedFunctions | None) -> str:
    form = request.response_format
    if offer is not None:
        if isinstance(form, ObjectFormat | SchemaFormat):
            raise InvalidRequest(field="response_format", reason="tools_and_json")
        return offer.grammar()
    if isinstance(form, SchemaFormat):
        return grammar_of(form.json_schema.schema, strict=bool(form.json_schema.strict))
    return any_object() if isinstance(form, ObjectFormat) else ""


def _stops(request: ChatRequest | CompletionRequest) -> tuple[str, ...]:
    stop = request.stop
    return (stop,) if isinstance(stop, str) else tuple(stop or ())


def _choices(one: GenerationRequest, count: int) -> list[GenerationRequest]:
    """The same request for each choice, each with its own seed."""
    made = []
    for index in range(count):
        sampling = one.sampling
        if sampling.seed is not None:
            sampling = sampling.with_seed(sampling.seed + index)
        made.append(replace(one, id=uuid4().hex, sampling=sampling))
    return made

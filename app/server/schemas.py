"""The requests the server takes, as OpenAI's interface defines them; the OpenAPI document is
made of these types. Fields that would change an answer and are not offered are refused, others
ignored.

Data only: knows no model and no HTTP.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.tools.functions import Function, FunctionCall, Name, Text
from app.tools.schema_grammar import check_nesting
from quant.json_types import Json

Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Choices = Annotated[int, Meta(ge=1, le=8)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1)]
Zero = Annotated[float, Meta(ge=0, le=0)]
Stop = Annotated[str, Meta(min_length=1, max_length=200)]
Stops = Annotated[list[Stop], Meta(max_length=16)]


class TextPart(Struct, tag_field="type", tag="text"):
    """A part of a message. Images and audio are not supported."""

    text: Text


class ToolCall(Struct):
    id: Name
    function: FunctionCall
    type: Literal["function"] = "function"


class ChatMessage(Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None
    reasoning_content: Text | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: Name | None = None

    @property
    def text(self) -> str:
        """All of its text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class Tool(Struct):
    type: Literal["function"]
    function: Function


class NamedFunction(Struct):
    name: Name


class NamedTool(Struct):
    type: Literal["function"]
    function: NamedFunction


class PlainFormat(Struct, tag_field="type", tag="text"):
    """Text, the default."""


class ObjectFormat(Struct, tag_field="type", tag="json_object"):
    """Any JSON object."""


class NamedSchema(Struct):
    name: Name
    schema: dict[str, Json]
    description: Text | None = None
    strict: bool | None = None

    def __post_init__(self) -> None:
        check_nesting(self.schema)


class SchemaFormat(Struct, tag_field="type", tag="json_schema"):
    """JSON of a schema. With `strict`, keywords that cannot be enforced are refused."""

    json_schema: NamedSchema


class StreamOptions(Struct):
    include_usage: bool | None = None


class _Sampling(Struct, kw_only=True):
    """What both ways of generating text have in common."""

    model: Name
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: Positive | None = None
    top_k: Annotated[int, Meta(ge=0, le=1000)] | None = None
    min_p: Share | None = None
    repeat_penalty: Annotated[float, Meta(ge=0.5, le=2)] | None = None
    seed: Seed | None = None
    stop: Stop | Stops | None = None
    n: Choices | None = None
    frequency_penalty: Zero | None = None
    presence_penalty: Zero | None = None
    logit_bias: Annotated[dict[str, float], Meta(max_length=0)] | None = None
    user: Annotated[str, Meta(max_length=200)] | None = None


class ChatRequest(_Sampling, kw_only=True):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=4096)]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: PlainFormat | ObjectFormat | SchemaFormat | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None


class CompletionRequest(_Sampling, kw_only=True):
    """POST /v1/completions: continue a text as it is."""

    prompt: Text | Annotated[list[Text], Meta(min_length=1, max_length=16)]
    max_tokens: Count | None = 16
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: Literal[False] | None = None
    suffix: Annotated[str, Meta(max_length=0)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=1)] | None = None


class EmbeddingRequest(Struct, kw_only=True):
    """POST /v1/embeddings."""

    model: Name
    input: Text | Annotated[list[Text], Meta(min_length=1, max_length=256)]
    encoding_format: Literal["float", "base64"] = "float"
    user: Annotated[str, Meta(max_length=200)] | None = None

"""From a request to the tokens an engine is given.

Combines the chat template and the tokenizer. Knows no engine and no loop.
"""

from runtime.backend import Tokenizer
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest
from runtime.prompt.chat import PreparedPrompt, Segment, detect_profile, prepare
from runtime.prompt.chat_profile import PLAIN, ChatProfile


class Prompter:
    """Makes the prompts of one loaded model."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._detected = detect_profile(tokenizer.chat_template)

    def profile(self, request: GenerationRequest, given: ChatProfile | None) -> ChatProfile:
        """The prompt conventions: as given, else as detected from the template; none for a raw
        text."""
        return PLAIN if request.prompt is not None else given or self._detected

    def prepare(self, request: GenerationRequest, profile: ChatProfile) -> PreparedPrompt:
        """The prompt as text. Raises InvalidRequest, TemplateFailed."""
        if request.max_tokens is not None and request.max_tokens < 1:
            raise InvalidRequest(field="max_tokens", reason="at_least", minimum=1)
        if request.prompt is not None:
            return PreparedPrompt((Segment(request.prompt, True),), False, (), ())
        return prepare(
            request.messages, profile, self._tokenizer, continue_last=request.continue_last
        )

    def tokens(self, prompt: PreparedPrompt) -> list[int]:
        """The prompt as token ids."""
        encode = self._tokenizer.encode
        return [
            token
            for segment in prompt.segments
            for token in encode(segment.text, parse_special=segment.special)
        ]

"""A model's prompt conventions as data, and what its template shows without being rendered.

Knows DeepSeek-R1's conventions and the plain ones. Knows no template engine: windows import this.
"""

from dataclasses import dataclass, replace
from typing import Literal

from runtime.generation import Message
from runtime.prompt.reasoning import CLOSE_TAG, OPEN_TAG

MATH_HINT = "Please reason step by step, and put your final answer within \\boxed{}."

ProfileKind = Literal["plain", "reasoning"]


@dataclass(frozen=True)
class ChatProfile:
    """The prompt conventions of a model. `stop` are texts that end a turn besides its end
    tokens."""

    kind: ProfileKind = "plain"
    fold_system: bool = False
    force_think: bool = False
    stop: tuple[str, ...] = ()
    open_tag: str = OPEN_TAG
    close_tag: str = CLOSE_TAG


PLAIN = ChatProfile()
R1 = ChatProfile(
    kind="reasoning",
    fold_system=True,
    force_think=True,
    stop=("<｜User｜>", "<｜end▁of▁sentence｜>"),
)


def thinks(chat_template: str | None) -> bool:
    """Whether a template is that of a reasoning model: it handles the end of thinking."""
    return CLOSE_TAG in (chat_template or "")


def with_math_hint(message: Message) -> Message:
    """The user's turn with DeepSeek's directive for mathematics; unchanged if it has one."""
    if "\\boxed" in message.content:
        return message
    return replace(message, content=f"{message.content}\n{MATH_HINT}")

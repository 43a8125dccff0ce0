"""From a conversation to a prompt: the prompt format of each family of models.

Knows the conventions of reasoning models (DeepSeek-R1 and its distills above all) and of plain chat
models. Knows no tokenizer and no engine; templates are rendered by `runtime.prompt.templates`.

The rules for R1 are DeepSeek's own usage recommendations: no system prompt (instructions go into
the first user turn), every answer begins with `<think>`, earlier reasoning is never sent back.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from runtime.generation import Message
from runtime.prompt.chat_profile import PLAIN, R1, ChatProfile
from runtime.prompt.reasoning import CLOSE_TAG, OPEN_TAG, split
from runtime.prompt.templates import TemplateFailed, defined_variables, render

# Used when a file has no template: what most base models have seen of dialogue.
_NO_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}User: {{ message.content }}\n\n"
    "{% else %}Assistant: {{ message.content }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_CONTROL = re.compile(
    r"<[|｜][^|｜<>\n]{1,64}[|｜]>|</?think>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos)>|\[/?INST\]"
)
_MARK_OPEN, _MARK_CLOSE = "\ue0f0", "\ue0f1"
_MARK = re.compile(_MARK_OPEN + r"(\d+)" + _MARK_CLOSE)


class TemplateFacts(Protocol):
    """What of a tokenizer a prompt depends on; `runtime.backend.Tokenizer` has all of it."""

    bos_text: str
    eos_text: str
    chat_template: str | None


@dataclass(frozen=True)
class Segment:
    """A part of a prompt. In a part that is not `special`, text that looks like a control token
    is the user's text and must be tokenized as such."""

    text: str
    special: bool


@dataclass(frozen=True)
class PreparedPrompt:
    """A prompt ready for the tokenizer. `notices` are codes worded by `app.wording.explain`."""

    segments: tuple[Segment, ...]
    starts_inside_reasoning: bool
    notices: tuple[str, ...]
    stop: tuple[str, ...]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


def detect_profile(chat_template: str | None, tokens: Collection[str] | None = None) -> ChatProfile:
    """Detect a model's conventions from its template and, where known, its vocabulary's texts.

    Templates with a switch for thinking (`thinking`, `enable_thinking`) write the tags
    themselves; forcing one there would contradict the switch.
    """
    template = chat_template or ""
    in_vocabulary = tokens is None or CLOSE_TAG in tokens
    if CLOSE_TAG not in template or not in_vocabulary:
        return PLAIN
    if {"thinking", "enable_thinking"} & defined_variables(template):
        return ChatProfile(kind="reasoning")
    if "<｜Assistant｜>" in template:
        return R1
    return ChatProfile(kind="reasoning", force_think=OPEN_TAG in template)


def prepare(
    messages: Sequence[Message],
    profile: ChatProfile,
    tokenizer: TemplateFacts,
    *,
    continue_last: bool = False,
) -> PreparedPrompt:
    """Make the prompt for the next answer.

    With `continue_last` the last message is an assistant's that was cut; the prompt ends where it
    stopped, in its reasoning or in its answer. Raises TemplateFailed.
    """
    notices: list[str] = []
    turns = [_without_reasoning(message, profile) for message in messages]
    unfinished = turns.pop() if continue_last and turns and turns[-1].role == "assistant" else None
    if profile.fold_system:
        turns = _folded(turns, notices)
    template = tokenizer.chat_template
    if template is None:
        notices.append("no_chat_template")
    masks: list[str] = []
    rendered = _rendered(template or _NO_TEMPLATE, turns, tokenizer, masks, notices)
    inside = rendered.rstrip().endswith(profile.open_tag)
    if profile.kind == "reasoning" and profile.force_think and not inside:
        rendered += profile.open_tag + "\n"
        inside = True
    if unfinished is not None:
        content = _masked(unfinished.content, masks)
        reasoning = _masked(messages[-1].reasoning, masks)
        rest, inside = _continuation(content, reasoning, profile, inside)
        rendered += rest
    return PreparedPrompt(_segments(rendered, masks), inside, tuple(notices), profile.stop)


def _without_reasoning(message: Message, profile: ChatProfile) -> Message:
    """The message as the model may see it again: the answer only."""
    if message.role != "assistant":
        return message
    content = message.content
    if profile.kind == "reasoning" and profile.close_tag in content:
        content = split(
            content,
            starts_inside=False,
            open_tag=profile.open_tag,
            close_tag=profile.close_tag,
        ).answer
    return replace(message, content=content, reasoning="")


def _folded(turns: list[Message], notices: list[str]) -> list[Message]:
    """Put system messages in front of the first user turn."""
    system = [turn.content for turn in turns if turn.role == "system" and turn.content.strip()]
    others = [turn for turn in turns if turn.role != "system"]
    if not system:
        return others
    notices.append("system_folded")
    instructions = "\n\n".join(system)
    for index, turn in enumerate(others):
        if turn.role == "user":
            others[index] = replace(turn, content=f"{instructions}\n\n{turn.content}")
            return others
    return [Message("user", instructions), *others]


def _rendered(
    template: str,
    turns: list[Message],
    tokenizer: TemplateFacts,
    masks: list[str],
    notices: list[str],
) -> str:
    """Render; a template that refuses a system message gets it folded instead."""

    def attempt(some: list[Message]) -> str:
        return render(
            template,
            [{"role": turn.role, "content": _masked(turn.content, masks)} for turn in some],
            bos=tokenizer.bos_text,
            eos=tokenizer.eos_text,
            add_generation_prompt=True,
        )

    try:
        return attempt(turns)
    except TemplateFailed as error:
        if error.reason != "raised" or all(turn.role != "system" for turn in turns):
            raise
    return attempt(_folded(turns, notices))


def _continuation(
    content: str, reasoning: str, profile: ChatProfile, inside: bool
) -> tuple[str, bool]:
    """The text that follows the generation prompt, and whether it ends inside reasoning."""
    if profile.kind == "plain" or not (inside or reasoning):
        return content, False
    start = "" if inside else profile.open_tag + "\n"
    if not content:
        return start + reasoning, True
    return f"{start}{reasoning}\n{profile.close_tag}\n\n{content}", False


def _masked(content: str, masks: list[str]) -> str:
    """Hide control-token texts in content from the template and from the tokenizer.

    Without this, a file that contains `<｜Assistant｜>` could pose as the assistant, and an
    answer that quotes `</think>` would be cut in half by R1's own template.
    """

    def hide(match: re.Match[str]) -> str:
        masks.append(match.group())
        return f"{_MARK_OPEN}{len(masks) - 1}{_MARK_CLOSE}"

    # Marks already in the text would be mistaken for ours.
    return _CONTROL.sub(hide, _MARK.sub("", content))


def _segments(rendered: str, masks: list[str]) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    start = 0
    for match in _MARK.finditer(rendered):
        if int(match.group(1)) >= len(masks):
            continue  # not one of ours: the template wrote it
        if match.start() > start:
            segments.append(Segment(rendered[start : match.start()], True))
        segments.append(Segment(masks[int(match.group(1))], False))
        start = match.end()
    if start < len(rendered):
        segments.append(Segment(rendered[start:], True))
    return tuple(segments)

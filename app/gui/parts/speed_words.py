"""Predicted speeds in words: by depth of context, to the first token, of a typical answer."""

from app.gui.parts import words
from app.gui.parts.words import tr
from runtime.plan import TYPICAL_ANSWER, TYPICAL_PROMPT, Interval, SpeedEstimate


def time_lines(speed: SpeedEstimate | None) -> list[str]:
    """Speed as the context fills and waiting times, as far as they are known."""
    if speed is None:
        return []
    named = (
        (tr("With more context"), depth_words(speed)),
        (tr("Time to first token"), first_token_words(speed)),
        (tr("Typical R1 answer"), answer_words(speed)),
    )
    return [tr("{0}: {1}", name, text) for name, text in named if text]


def depth_words(speed: SpeedEstimate) -> str:
    """Decode speed as the context fills: "8–9 tok/s at 4,096 tokens, 5–6 at 16,384"; empty where
    the context has one depth only."""
    depths = [(depth, words.span(tps)) for depth, tps in speed.decode_at_depth.items() if depth]
    if not depths:
        return ""
    first, *rest = depths
    parts = [tr("{0} tok/s at {1} tokens", first[1], words.count(first[0]))]
    parts += [tr("{0} at {1}", span, words.count(depth)) for depth, span in rest]
    return ", ".join(parts)


def first_token_words(speed: SpeedEstimate) -> str:
    """Time to the first token after a typical prompt; empty where that is not predicted."""
    if speed.first_token is None:
        return ""
    prompt = words.count(TYPICAL_PROMPT)
    return tr("{0} for a prompt of {1} tokens", duration(speed.first_token), prompt)


def answer_words(speed: SpeedEstimate) -> str:
    """Time for a typical R1 answer; empty where the context has no room for one."""
    if speed.answer is None:
        return ""
    return tr("{0} for {1} tokens", duration(speed.answer), words.count(TYPICAL_ANSWER))


def duration(interval: Interval) -> str:
    """A predicted range of time."""
    low, high = words.seconds(interval.low), words.seconds(interval.high)
    return low if low == high else f"{low} – {high}"

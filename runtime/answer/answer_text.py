"""The text of one answer while it streams: the only place that settles what was reasoning.

A model may close reasoning that it never opened; what came before is then no answer, although it
was streamed as one. Whoever shows, stores, sends or returns an answer holds an `AnswerText` and
extends it by the chunks. Knows chunks and stats; knows no engine, no store and no widget.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runtime.generation import GenerationStats, Message, TokenChunk
from runtime.prompt.reasoning import with_untagged


@dataclass(frozen=True)
class AnswerText:
    """What has come of an answer, as far as is known now. `settled`: the answer has ended.

    `moved` counts the characters that were streamed as answer and turned out to be reasoning,
    `before` those that an answer which is being continued had already.
    """

    answer: str = ""
    reasoning: str = ""
    settled: bool = False
    moved: int = 0
    before: int = 0

    @classmethod
    def continuing(cls, answer: str, reasoning: str) -> "AnswerText":
        """The text of an answer that was cut and goes on."""
        return cls(answer, reasoning, before=len(answer))

    def extended(self, chunks: Iterable[TokenChunk]) -> "AnswerText":
        """The text with these chunks; how they are grouped makes no difference."""
        grown, new = self, list[TokenChunk]()
        for chunk in chunks:
            new.append(chunk)
            if chunk.untagged_reasoning_chars:
                grown = grown._with(new)._with_untagged(chunk.untagged_reasoning_chars)
                new = []
        return grown._with(new)

    def ended(self, stats: GenerationStats) -> "AnswerText":
        """The settled text of an answer that ended so."""
        return replace(self._with_untagged(stats.untagged_reasoning_chars), settled=True)

    def since(self, earlier: "AnswerText") -> tuple[str, str] | None:
        """(answer, reasoning) that came after `earlier`; None where some of its answer has turned
        out to be reasoning since."""
        if self.moved != earlier.moved:
            return None
        return self.answer[len(earlier.answer) :], self.reasoning[len(earlier.reasoning) :]

    @property
    def streamed(self) -> int:
        """Characters that were streamed as answer, whatever they turned out to be."""
        return self.moved + len(self.answer)

    @property
    def message(self) -> Message:
        """The turn of the conversation."""
        return Message("assistant", self.answer, self.reasoning)

    def _with(self, chunks: Iterable[TokenChunk]) -> "AnswerText":
        answer, reasoning = [self.answer], [self.reasoning]
        for chunk in chunks:
            (reasoning if chunk.is_reasoning else answer).append(chunk.text)
        return replace(self, answer="".join(answer), reasoning="".join(reasoning))

    def _with_untagged(self, characters: int) -> "AnswerText":
        """What was there before and so many characters of what was streamed were reasoning."""
        due = characters and self.before + characters - self.moved
        if not due:
            return self
        reasoning, answer = with_untagged(self.reasoning, self.answer, due)
        return replace(self, answer=answer, reasoning=reasoning, moved=self.moved + due)

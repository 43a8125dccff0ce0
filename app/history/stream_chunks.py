"""A streaming answer on its way to the window and to the disk. Knows no Qt."""

import threading
from collections.abc import Sequence

from runtime.answer.answer_text import AnswerText
from runtime.generation import TokenChunk


class ChunkBuffer:
    """One answer between the thread that receives it and those that show and keep it.

    The window drains chunks to show; window and recorder take the text so far. `text`: what an
    answer that goes on had already.
    """

    def __init__(self, text: AnswerText | None = None) -> None:
        self._lock = threading.Lock()
        self._text = text or AnswerText()
        self._show: list[TokenChunk] = []
        self.decode_tps: float | None = None

    def put(self, chunks: Sequence[TokenChunk], decode_tps: float | None) -> None:
        with self._lock:
            self._text = self._text.extended(chunks)
            self._show.extend(chunks)
            self.decode_tps = decode_tps if decode_tps is not None else self.decode_tps

    @property
    def text(self) -> AnswerText:
        """All that has come."""
        with self._lock:
            return self._text

    def drain_to_show(self) -> tuple[list[TokenChunk], AnswerText]:
        """The chunks since the last call, and the text with them."""
        with self._lock:
            chunks, self._show = self._show, []
            return chunks, self._text


def joined(chunks: Sequence[TokenChunk]) -> tuple[str, str, int]:
    """(content, reasoning, tokens) of some chunks."""
    content = "".join(chunk.text for chunk in chunks if not chunk.is_reasoning)
    reasoning = "".join(chunk.text for chunk in chunks if chunk.is_reasoning)
    return content, reasoning, sum(chunk.tokens for chunk in chunks)

"""Chunks of a streaming answer on their way to the window and to the disk. Knows no Qt."""

import threading

from runtime.generation import TokenChunk


class ChunkBuffer:
    """Chunks of one answer between the thread that receives them and those that show and keep them.

    Two readers: the window drains text to show, the recorder drains text to store.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._show: list[TokenChunk] = []
        self._keep: list[TokenChunk] = []
        self.decode_tps: float | None = None

    def put(self, chunks: tuple[TokenChunk, ...], decode_tps: float | None) -> None:
        with self._lock:
            self._show.extend(chunks)
            self._keep.extend(chunks)
            self.decode_tps = decode_tps if decode_tps is not None else self.decode_tps

    def drain_to_show(self) -> list[TokenChunk]:
        with self._lock:
            chunks, self._show = self._show, []
        return chunks

    def drain_to_keep(self) -> list[TokenChunk]:
        with self._lock:
            chunks, self._keep = self._keep, []
        return chunks


def untagged(chunks: list[TokenChunk]) -> int:
    """How much of the answer has turned out to be reasoning with these chunks; 0: nothing new."""
    return max((chunk.untagged_reasoning_chars for chunk in chunks), default=0)


def joined(chunks: list[TokenChunk]) -> tuple[str, str, int]:
    """(content, reasoning, tokens) of some chunks."""
    content = "".join(chunk.text for chunk in chunks if not chunk.is_reasoning)
    reasoning = "".join(chunk.text for chunk in chunks if chunk.is_reasoning)
    return content, reasoning, sum(chunk.tokens for chunk in chunks)

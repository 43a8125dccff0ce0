"""Keeps a streaming answer on disk while it arrives: never more than half a second behind.

Knows the store and the chunk buffer; knows no Qt.
"""

import logging
import threading
from types import TracebackType

from app.errors import StoreError
from app.gui.chunks import ChunkBuffer, joined
from app.store import Store

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.4


class AnswerRecorder:
    """Writes what a buffer holds to one message, from its own thread, until the block is left."""

    def __init__(self, store: Store, message_id: int, buffer: ChunkBuffer) -> None:
        self._store = store
        self._message_id = message_id
        self._buffer = buffer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="answer-recorder", daemon=True)

    def __enter__(self) -> "AnswerRecorder":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._flush()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        content, reasoning, _ = joined(self._buffer.drain_to_keep())
        if not content and not reasoning:
            return
        try:
            self._store.append(self._message_id, content, reasoning)
        except StoreError:  # a full disk must not end the answer; it stays in the window
            log.exception("part of an answer could not be stored")

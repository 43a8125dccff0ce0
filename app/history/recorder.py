"""Writes a streaming answer to disk while it arrives, at most half a second behind.

Knows the store and the chunk buffer; knows no Qt.
"""

import logging
import threading
from types import TracebackType

from app.errors import StoreError
from app.history.store import Store
from app.history.stream_chunks import ChunkBuffer

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.4


class AnswerRecorder:
    """Writes what a buffer holds to one message, from its own thread, until the block is left.

    The message has the text that the buffer has now.
    """

    def __init__(self, store: Store, message_id: int, buffer: ChunkBuffer) -> None:
        self._store = store
        self._message_id = message_id
        self._buffer = buffer
        self._written = buffer.text
        self._failing = False
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
        self._try_flush()

    def flush(self) -> None:
        """Write all that is not yet written. What raises StoreError stays for the next flush.

        Called by one thread at a time: the recorder's own inside the block, any after it.
        """
        text = self._buffer.text
        new = text.since(self._written)
        if new is None:  # some of what is stored as answer was reasoning
            self._store.rewrite(self._message_id, text.answer, text.reasoning)
        elif any(new):
            self._store.append(self._message_id, *new)
        self._written = text

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._try_flush()

    def _try_flush(self) -> None:
        try:
            self.flush()
        except StoreError:  # a full disk must not end the answer; the next flush tries again
            if not self._failing:
                log.exception("part of an answer could not be stored yet")
            self._failing = True
        else:
            self._failing = False

"""A native batch whose every token gets logits: what checking a guess needs.

Knows the layout of llama_batch only; `llama_batch_get_one` gives logits for the last token alone.
"""

from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as native


class RowsBatch:
    """A reusable batch of at most `rows` tokens of sequence 0."""

    def __init__(self, rows: int) -> None:
        self._batch: Any = native.llama_batch_init(rows, 0, 1)

    def fill(self, tokens: Sequence[int], position: int) -> Any:
        """The native batch of `tokens`, the first of them at `position` in the cache."""
        batch = self._batch
        for row, token in enumerate(tokens):
            batch.token[row] = token
            batch.pos[row] = position + row
            batch.n_seq_id[row] = 1
            batch.seq_id[row][0] = 0
            batch.logits[row] = 1
        batch.n_tokens = len(tokens)
        return batch

    def free(self) -> None:
        native.llama_batch_free(self._batch)

"""Native batches whose rows are written one by one: which token, where, in which sequence.

Knows the layout of llama_batch only; `llama_batch_get_one` knows one sequence and gives logits for
the last token alone.
"""

from collections.abc import Sequence

from runtime.backends.llama.binding import native


class RowsBatch:
    """A reusable batch of at most `rows` tokens, each of one sequence."""

    def __init__(self, rows: int) -> None:
        self._batch = native.llama_batch_init(rows, 0, 1)

    def fill(self, tokens: Sequence[int], position: int) -> native.llama_batch:
        """The native batch of `tokens` of sequence 0, the first at `position` in the cache; every
        token gets logits: what verifying a draft needs."""
        for row, token in enumerate(tokens):
            self._set(row, token, position + row, 0, logits=True)
        return self._of(len(tokens))

    def fill_piece(self, sequence: int, tokens: Sequence[int], position: int) -> native.llama_batch:
        """The native batch of a piece of a prompt; the last token gets logits."""
        for row, token in enumerate(tokens):
            self._set(row, token, position + row, sequence, logits=row == len(tokens) - 1)
        return self._of(len(tokens))

    def fill_step(self, rows: Sequence[tuple[int, int, int]]) -> native.llama_batch:
        """The native batch of one (sequence, token, position) each; every one gets logits."""
        for row, (sequence, token, position) in enumerate(rows):
            self._set(row, token, position, sequence, logits=True)
        return self._of(len(rows))

    def _set(self, row: int, token: int, position: int, sequence: int, *, logits: bool) -> None:
        batch = self._batch
        batch.token[row] = token
        batch.pos[row] = position
        batch.n_seq_id[row] = 1
        batch.seq_id[row][0] = sequence
        batch.logits[row] = logits

    def _of(self, count: int) -> native.llama_batch:
        self._batch.n_tokens = count
        return self._batch

    def free(self) -> None:
        native.llama_batch_free(self._batch)

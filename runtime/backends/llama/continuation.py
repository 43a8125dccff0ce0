"""Text that a model writes itself, many sequences at a time: what its weights are calibrated on.

Imports the native library, so job processes only. Samples from the model's own distribution; knows
no chat and no quantization.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.backends.llama.binding import native
from runtime.errors import EvaluationFailed, UnusableFile

F32 = npt.NDArray[np.float32]

# Tokens less likely than this share of the likeliest are never drawn (min-p): a rare slip would
# be calibrated on as if it were the model's own language.
_RAREST = 0.02


def continue_sequences(
    path: Path,
    model: native.llama_model_p,
    prompts: Sequence[Sequence[int]],
    length: int,
    threads: int,
    on_step: Callable[[int, int], None],
    seed: int = 1,
) -> list[list[int]]:
    """Each prompt (all of one length >= 1) continued to `length` tokens at temperature 1 by the
    model that was loaded from `path`.

    `on_step(done, total)` counts tokens of a sequence and may raise to cancel. Raises
    EvaluationFailed, UnusableFile.
    """
    count, prompt = len(prompts), len(prompts[0])
    params = native.llama_context_default_params()
    params.n_ctx = count * length
    params.n_batch = params.n_ubatch = count * prompt
    params.n_seq_max = count
    params.kv_unified = False
    params.n_outputs_max = count
    params.n_threads = params.n_threads_batch = threads
    params.no_perf = True
    context = native.llama_init_from_model(model, params)
    if not context:
        raise UnusableFile(path=str(path), reason="no_context", tokens=count * length)
    batch = native.llama_batch_init(count * prompt, 0, 1)
    written, random = [list(p) for p in prompts], np.random.default_rng(seed)
    try:
        pieces = [list(p) for p in prompts]
        for position in range(prompt, length):
            on_step(position, length)
            logits = _decode(model, context, batch, pieces, position - len(pieces[0]))
            pieces = [[token] for token in _draw(logits, random)]
            for sequence, piece in zip(written, pieces, strict=True):
                sequence += piece
    finally:
        native.llama_batch_free(batch)
        native.llama_free(context)
    return written


def _decode(
    model: native.llama_model_p,
    context: native.llama_context_p,
    batch: native.llama_batch,
    pieces: Sequence[Sequence[int]],
    start: int,
) -> F32:
    """The logits [sequences, vocabulary] after each sequence's next piece."""
    index = 0
    for number, piece in enumerate(pieces):
        for offset, token in enumerate(piece):
            batch.token[index] = token
            batch.pos[index] = start + offset
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = number
            batch.logits[index] = offset == len(piece) - 1
            index += 1
    batch.n_tokens = index
    status = native.llama_decode(context, batch)
    if status != 0:
        raise EvaluationFailed(code=status, tokens=index, log="")
    vocabulary = native.llama_vocab_n_tokens(native.llama_model_get_vocab(model))
    found = native.llama_get_logits(context)
    return np.ctypeslib.as_array(found, shape=(len(pieces), vocabulary)).copy()


def _draw(logits: F32, random: np.random.Generator) -> list[int]:
    """One token for each row."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True), dtype=np.float64)
    odds[odds < _RAREST] = 0
    reached = np.cumsum(odds, axis=1)
    thresholds = random.random(len(odds)) * reached[:, -1]
    return [int(np.searchsorted(row, at)) for row, at in zip(reached, thresholds, strict=True)]

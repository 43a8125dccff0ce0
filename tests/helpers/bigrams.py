"""Bigram models, whose divergence from each other is known: each token's logits are a row of a
table."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from quant.quality.scores import Logits

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

VOCAB = 50


def table(seed: int) -> F32:
    return np.random.default_rng(seed).standard_normal((VOCAB, VOCAB)).astype(np.float32) * 2


def model(rows: F32, block: int) -> Logits:
    """The logits after a token are its row, given out `block` at a time."""

    def logits(tokens: Sequence[int], first: int) -> Iterator[F32]:
        for start in range(first, len(tokens), block):
            yield rows[np.asarray(tokens[start : start + block])]

    return logits


def text(count: int, seed: int = 0) -> list[int]:
    return [int(token) for token in np.random.default_rng(seed).integers(0, VOCAB, count)]


def softmax(rows: F32) -> F64:
    exponentials = np.exp(rows.astype(np.float64))
    shares: F64 = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def divergence(source: F32, target: F32) -> F64:
    """KL of each row [VOCAB], in nats."""
    p, q = softmax(source), softmax(target)
    found: F64 = (p * np.log(p / q)).sum(axis=1)
    return found

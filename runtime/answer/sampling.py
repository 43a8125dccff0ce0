"""Samples the next token from logits: penalties, top-k, top-p, min-p, temperature, in that order.

The order and meaning of the filters are llama.cpp's, so that one set of parameters gives the same
distribution on every engine. numpy only; knows no engine and no text.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from runtime.errors import InvalidRequest
from runtime.generation import SamplingParams

Logits = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.intp]

PENALTY_WINDOW = 64  # most recent tokens the repeat penalty looks at
_COLUMNS = 64
_HEAD = 1024  # candidates tried before a whole vocabulary is sorted


def check_sampling(params: SamplingParams) -> None:
    """Raise InvalidRequest naming the first field outside its range (NaN included)."""
    ranges = (
        ("temperature", params.temperature, 0.0, 100.0),
        ("top_k", params.top_k, 0, 1 << 31),
        ("top_p", params.top_p, 0.0, 1.0),
        ("min_p", params.min_p, 0.0, 1.0),
        ("repeat_penalty", params.repeat_penalty, 0.01, 100.0),
    )
    for field, value, low, high in ranges:
        if not low <= value <= high:
            raise InvalidRequest(
                field=field, reason="out_of_range", value=value, minimum=low, maximum=high
            )


def top_k_tokens(logits: Logits, k: int) -> Tokens:
    """The `k` largest logits' indices, largest first.

    The k largest lie within the k columns with the largest maxima, so that only those columns need
    sorting: one pass over a vocabulary of 150k instead of a partition of all of it.
    """
    n = logits.size
    if k >= n:
        return np.argsort(-logits, kind="stable")
    candidates: Tokens | None = None
    columns = n // _COLUMNS
    if k < columns // 2:
        body = logits[: columns * _COLUMNS].reshape(_COLUMNS, columns)
        chosen = np.argpartition(body.max(axis=0), columns - k)[columns - k :]
        inside = (np.arange(_COLUMNS)[:, None] * columns + chosen).reshape(-1)
        candidates = np.concatenate([inside, np.arange(columns * _COLUMNS, n)])
    values = logits if candidates is None else logits[candidates]
    best = np.argpartition(values, values.size - k)[values.size - k :]
    best = best[np.argsort(-values[best], kind="stable")]
    return best if candidates is None else candidates[best]


class Sampler:
    """Sampling of one generation. Remembers sampled tokens for the repeat penalty."""

    def __init__(self, params: SamplingParams, history: Sequence[int] = ()) -> None:
        check_sampling(params)
        self._params = params
        self._random = np.random.default_rng(params.seed)
        self._recent: deque[int] = deque(history, maxlen=PENALTY_WINDOW)

    def draw(self, logits: Logits) -> int:
        """The next token of logits [vocab]. Raises ValueError where none is a number."""
        token = self._choose(self._penalized(logits))
        self._recent.append(token)
        return token

    def _penalized(self, logits: Logits) -> Logits:
        penalty = self._params.repeat_penalty
        if penalty == 1 or not self._recent:
            return logits
        seen = np.unique(np.fromiter(self._recent, np.intp))
        seen = seen[(seen >= 0) & (seen < logits.size)]
        changed = logits.copy()
        values = changed[seen]
        changed[seen] = np.where(values > 0, values / penalty, values * penalty)
        return changed

    def _choose(self, logits: Logits) -> int:
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise ValueError("the logits are not finite")
        if self._params.temperature == 0 or self._params.top_k == 1:
            return best
        tokens = self._candidates(logits)
        values = logits[tokens].astype(np.float64)
        values = (values - values[0]) / self._params.temperature
        cumulated = np.cumsum(np.exp(values))
        place = int(np.searchsorted(cumulated, self._random.random() * cumulated[-1], "right"))
        return int(tokens[min(place, tokens.size - 1)])

    def _candidates(self, logits: Logits) -> Tokens:
        """The tokens top-k, top-p and min-p leave, largest first."""
        params = self._params
        if params.top_k:
            tokens = top_k_tokens(logits, params.top_k)
            total = None
        elif params.top_p < 1 or params.min_p > 0:
            tokens, total = self._wide_candidates(logits)
        else:
            tokens, total = np.argsort(-logits, kind="stable"), None
        weights = np.exp((logits[tokens] - logits[tokens[0]]).astype(np.float64))
        shares = weights / (weights.sum() if total is None else total)
        keep = tokens.size
        if params.top_p < 1:
            # Rounding can leave the whole sum a hair below top_p: the minimum covers that.
            keep = min(keep, int(np.searchsorted(np.cumsum(shares), params.top_p)) + 1)
        if params.min_p > 0:
            keep = min(keep, int((shares >= params.min_p * shares[0]).sum()))
        return tokens[: max(keep, 1)]

    def _wide_candidates(self, logits: Logits) -> tuple[Tokens, float]:
        """Enough of the largest tokens for top-p and min-p, and the sum of all weights."""
        top = logits.max()
        total = float(np.exp((logits - top).astype(np.float64)).sum())
        head = top_k_tokens(logits, _HEAD)
        weights = np.exp((logits[head] - top).astype(np.float64))
        enough = weights.sum() >= self._params.top_p * total and self._params.top_p < 1
        enough = enough or weights[-1] < self._params.min_p
        return (head if enough else np.argsort(-logits, kind="stable")), total

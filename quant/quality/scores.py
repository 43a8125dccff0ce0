"""How models score a text, position by position: likelihood of the text's own next token,
Kullback-Leibler divergence from a source, and whether the top token is the same.

Logits come from callables and are consumed block by block: memory grows by four numbers a token
and model, never by a vocabulary. Knows no engine and no file format.

KL(P || Q) is summed over the vocabulary per position, P from the source, in nats.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from quant.errors import IncompatibleShape

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Logits of positions first.. of a window, in order, as blocks [n, vocabulary]; the window starts
# with an empty cache.
Logits = Callable[[Sequence[int], int], Iterator[F32]]

# Positions worked on at once: bounds the float copies at 8 times the vocabulary.
_ROWS = 8


@dataclass(frozen=True)
class Windows:
    """How a text is cut: windows of `context` tokens, scored from position `skip` on. A last,
    shorter window counts when at least twice `skip` long, unless `whole_only`. `first_token`, where
    a model wants one (BOS), takes the place of each window's first."""

    context: int = 512
    skip: int = 64
    whole_only: bool = False
    first_token: int | None = None

    def cut(self, tokens: Sequence[int]) -> list[list[int]]:
        """The windows of a text that are scored, in order."""
        windows = [list(tokens[i : i + self.context]) for i in range(0, len(tokens), self.context)]
        if self.first_token is not None:
            for window in windows:
                window[0] = self.first_token
        shortest = self.context if self.whole_only else min(2 * self.skip, self.context)
        return [window for window in windows if len(window) >= max(shortest, self.skip + 2)]

    def spread(self, tokens: Sequence[int], count: int) -> list[int]:
        """The tokens of `count` windows that begin at even distances, to be cut in just these; all
        tokens where they are no more."""
        if len(tokens) <= count * self.context:
            return list(tokens)
        starts = [index * len(tokens) // count for index in range(count)]
        return [token for start in starts for token in tokens[start : start + self.context]]


WINDOWS = Windows()


@dataclass(frozen=True)
class Scores:
    """Per scored position, in the text's order: negative log-likelihood under source and target,
    KL of the target from the source, and 1 where both have the same top token."""

    source_nll: F64
    target_nll: F64
    kl: F64
    same: F64

    @staticmethod
    def joined(parts: Sequence["Scores"]) -> "Scores":
        """Those of several parts, one after another."""
        return Scores(
            np.concatenate([part.source_nll for part in parts]),
            np.concatenate([part.target_nll for part in parts]),
            np.concatenate([part.kl for part in parts]),
            np.concatenate([part.same for part in parts]),
        )


# By the texts' names, in their order; a text that time ran out for is missing.
TextScores = Mapping[str, Scores]

OnTokens = Callable[[int, int, str], None]


def ignore_tokens(done: int, total: int, name: str) -> None:
    """The OnTokens of a caller that needs no progress."""


@dataclass(frozen=True)
class Scored:
    """The scores of each target over the same positions; `planned` positions would have been
    scored had time not run out."""

    targets: tuple[TextScores, ...]
    planned: int
    seconds: float


def score(
    texts: Mapping[str, Sequence[int]],
    source: Logits,
    targets: Sequence[Logits],
    *,
    windows: Windows = WINDOWS,
    within: float | None = None,
    on_tokens: OnTokens = ignore_tokens,
    clock: Callable[[], float] = time.monotonic,
) -> Scored:
    """Score the targets against the source, which is evaluated once, on token ids per text name.

    The texts take turns window by window, so that their shares are about equal whenever the time
    runs out: no window is begun that would likely end later than `within` seconds from now (the
    first always is). `on_tokens(done, planned, text)` is called per block and may raise to cancel.
    Raises IncompatibleShape when no text fills a window or the vocabularies differ.
    """
    started = clock()
    order = _taking_turns({name: windows.cut(tokens) for name, tokens in texts.items()})
    planned = sum(len(window) - windows.skip - 1 for _, window in order)
    if planned <= 0:
        raise IncompatibleShape(reason="text_too_short", tensor=None, shape=[])
    parts: list[dict[str, list[Scores]]] = [{} for _ in targets]
    done, longest, now = 0, 0.0, started
    for name, window in order:
        if done and within is not None and now + longest > started + within:
            break
        begun = now
        for blocks in _score_window(window, windows.skip, source, targets):
            done += len(blocks[0].kl)
            on_tokens(done, planned, name)
            for found, block in zip(parts, blocks, strict=True):
                found.setdefault(name, []).append(block)
        now = clock()
        longest = max(longest, now - begun)
    return Scored(tuple(_in_order(texts, found) for found in parts), planned, now - started)


def _taking_turns(cuts: Mapping[str, list[list[int]]]) -> list[tuple[str, list[int]]]:
    """The first window of every text, then the second ones, and so on."""
    rounds = zip_longest(*([(name, window) for window in cut] for name, cut in cuts.items()))
    return [entry for turn in rounds for entry in turn if entry is not None]


def _in_order(texts: Mapping[str, object], parts: Mapping[str, list[Scores]]) -> TextScores:
    return {name: Scores.joined(parts[name]) for name in texts if name in parts}


def _score_window(
    window: Sequence[int], skip: int, source: Logits, targets: Sequence[Logits]
) -> Iterator[list[Scores]]:
    """Scores of positions skip .. len - 2, each predicting the token after it, by target."""
    position, end = skip, len(window) - 1
    streams = [model(window, skip) for model in (source, *targets)]
    for blocks in _aligned(streams):
        rows = min(len(blocks[0]), end - position)
        if rows <= 0:
            return
        following = np.asarray(window[position + 1 : position + 1 + rows])
        yield _score_rows([block[:rows] for block in blocks], following)
        position += rows


def _aligned(streams: Sequence[Iterator[F32]]) -> Iterator[list[F32]]:
    """Blocks of equal length from streams that may cut differently, until one ends."""
    blocks = [next(stream, None) for stream in streams]
    while len(whole := [block for block in blocks if block is not None]) == len(streams):
        rows = min(_ROWS, *map(len, whole))
        for block in whole[1:]:
            if block.shape[1] != whole[0].shape[1]:
                raise IncompatibleShape(
                    reason="vocabularies_differ",
                    tensor="logits",
                    shape=[whole[0].shape[1], block.shape[1]],
                )
        yield [block[:rows] for block in whole]
        blocks = [
            block[rows:] if len(block) > rows else next(stream, None)
            for block, stream in zip(whole, streams, strict=True)
        ]


@dataclass(frozen=True)
class _Softmax:
    """Rows of logits less their maximum, the exponentials of those and their sums: the vocabulary
    stays in float32, which numpy exponentiates several times as fast, and costs 1e-7 nats."""

    shifted: F32
    powers: F32
    sums: F64

    @staticmethod
    def of(logits: F32) -> "_Softmax":
        shifted = logits - logits.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        return _Softmax(shifted, powers, powers.sum(axis=1).astype(np.float64))

    def nll(self, tokens: npt.NDArray[np.int64]) -> F64:
        found: F64 = np.log(self.sums) - self.shifted[np.arange(len(tokens)), tokens]
        return found

    def divergence(self, other: "_Softmax") -> F64:
        """KL(self || other) of each row."""
        weighted = ((self.shifted - other.shifted) * self.powers).sum(axis=1)
        found: F64 = weighted / self.sums + np.log(other.sums / self.sums)
        return found


@np.errstate(over="ignore", invalid="ignore")
def _score_rows(blocks: Sequence[F32], following: npt.NDArray[np.int64]) -> list[Scores]:
    """Scores of every block but the first, the source's. What a damaged model gives may be no
    number, and neither are its scores then."""
    source, top, found = _Softmax.of(blocks[0]), blocks[0].argmax(axis=1), []
    for block in blocks[1:]:
        target = _Softmax.of(block)
        found.append(
            Scores(
                source_nll=source.nll(following),
                target_nll=target.nll(following),
                kl=source.divergence(target),
                same=(top == block.argmax(axis=1)).astype(np.float64),
            )
        )
    return found

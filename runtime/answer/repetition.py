"""Notices when an answer has begun to repeat itself, at constant cost per token.

Works on token ids, so it sees reasoning and answer alike; knows no text and no model. Two signs:

exact   the last tokens repeat with a fixed period, for several rounds
near    almost everything in a recent window occurred before, more than once (the same paragraph
        with another number in it)
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

NGRAM = 8
MAX_PERIOD = 2048
MIN_REPEATED = 192  # tokens that must be repetition before it is called an exact loop
MIN_ROUNDS = 3  # and rounds, beyond the first
NEAR_WINDOW = 1024
NEAR_SHARE = 0.8  # share of the window whose n-grams occurred before ...
NEAR_COUNT = 5  # ... at least this often


@dataclass(frozen=True)
class Loop:
    """A detected loop. `period` is in tokens, 0 for a near loop; `repeated` counts tokens."""

    kind: Literal["exact", "near"]
    period: int
    repeated: int


class LoopDetector:
    """Feed every generated token; `found` is the loop, None so far.

    An n-gram's hash finds its last place, which makes the candidate period; the run of tokens
    that kept this period is counted. Both take the same few steps for every token.
    """

    def __init__(self) -> None:
        self.found: Loop | None = None
        self._last: deque[int] = deque(maxlen=NGRAM)
        self._places: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._window: deque[bool] = deque(maxlen=NEAR_WINDOW)
        self._seen_before = 0
        self._position = 0
        self._period = 0
        self._run = 0

    def add(self, token: int) -> bool:
        """Take the next token; True once the answer is in a loop."""
        self._last.append(token)
        self._position += 1
        if len(self._last) < NGRAM:
            return False
        key = hash(tuple(self._last))
        period = self._position - self._places.get(key, -MAX_PERIOD)
        self._places[key] = self._position
        return self._exact(period) or self._near(key)

    def _exact(self, period: int) -> bool:
        if period > MAX_PERIOD:
            self._period = self._run = 0
            return False
        if period != self._period:
            self._period, self._run = period, NGRAM
            return False
        self._run += 1
        if self._run < max(MIN_REPEATED, MIN_ROUNDS * period):
            return False
        self.found = Loop("exact", period, self._run)
        return True

    def _near(self, key: int) -> bool:
        count = self._counts.get(key, 0)
        self._counts[key] = count + 1
        if len(self._window) == NEAR_WINDOW:
            self._seen_before -= self._window[0]
        self._window.append(count >= NEAR_COUNT)
        self._seen_before += count >= NEAR_COUNT
        if self._seen_before < NEAR_SHARE * NEAR_WINDOW:
            return False
        self.found = Loop("near", 0, self._seen_before)
        return True

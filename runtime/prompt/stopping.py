"""Stop strings in a stream: emits text as soon as it can no longer begin a stop string.

Knows text only, neither tokens nor templates.
"""

from collections.abc import Sequence


class StopMatcher:
    """Feed text, get the part that is safe to show; `stopped` turns true at the first match."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """Text to emit now. Text after a stop string, and the stop string, are dropped."""
        if not self._stops:
            return text
        if self.stopped:
            return ""
        self._held += text
        found = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            emitted, self._held = self._held[: min(found)], ""
            return emitted
        keep = self._possible_start()
        cut = len(self._held) - keep
        emitted, self._held = self._held[:cut], self._held[cut:]
        return emitted

    def finish(self) -> str:
        """What was held back and turned out to be ordinary text."""
        held, self._held = self._held, ""
        return held

    def _possible_start(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = max(len(stop) for stop in self._stops) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0

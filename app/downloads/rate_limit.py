"""A limit in bytes per second that several threads share.

Knows time only.
"""

import threading
import time

from runtime.progress import CancelToken


class RateLimit:
    """`bytes_per_second` may be changed at any time; None is no limit."""

    def __init__(self, bytes_per_second: int | None = None) -> None:
        self.bytes_per_second = bytes_per_second
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, count: int, cancel: CancelToken) -> None:
        """Wait until `count` more bytes are within the limit. Raises Cancelled."""
        limit = self.bytes_per_second
        if limit is None:
            return
        with self._lock:
            now = time.monotonic()
            # a tenth of a second may be saved up, so that short gaps do not lower the rate
            self._free_at = max(self._free_at, now - 0.1) + count / max(limit, 1)
            wait = self._free_at - now
        if wait > 0:
            cancel.wait(wait)
        cancel.raise_if_cancelled()

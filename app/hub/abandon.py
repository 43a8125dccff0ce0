"""Runs work whose caller can stop waiting for it.

Knows threads only; does not know what the work is.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from runtime.progress import Cancelled, CancelToken

_T = TypeVar("_T")


def run_abandonable(work: Callable[[], _T], cancel: CancelToken, name: str) -> _T:
    """The result of `work`, or Cancelled at once on cancel; the thread then ends on its own."""
    cancel.raise_if_cancelled()
    finished = threading.Event()
    results: list[_T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finished.set()

    threading.Thread(target=body, name=name, daemon=True).start()
    with cancel.calling(finished.set):
        finished.wait()
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise Cancelled

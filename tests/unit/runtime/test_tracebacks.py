"""Tracebacks for logs: place and kind in full, and nothing that a person wrote."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import Interrupted, UnreadableFile
from runtime.tracebacks import LogFormatter, log_uncaught, summary_of, traceback_text

SECRET = " ".join(("I", "love", "somebody"))  # no literal of this file holds it whole
EMPTY: dict[str, int] = {}


def raised(work: Callable[[], object]) -> BaseException:
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def outer(work: Callable[[], object]) -> None:
    try:
        work()
    except ValueError as error:
        raise LookupError(SECRET) from error


def test_the_traceback_names_places_and_holds_no_text_of_a_person() -> None:
    text = traceback_text(raised(lambda: outer(lambda: int(SECRET))))
    assert SECRET not in text
    assert f"ValueError: ({len(str(raised(lambda: int(SECRET))))} characters withheld)" in text
    assert "direct cause" in text
    assert f"LookupError: ({len(SECRET)} characters withheld)" in text
    assert "in outer" in text
    assert "raise LookupError(SECRET) from error" in text, "our own code is no secret"
    assert str(Path(__file__).parents[3]) not in text, "no folder of this machine"
    assert "test_tracebacks.py" in text


def test_what_came_before_is_told_once_even_in_a_circle() -> None:
    first, second = ValueError(SECRET), TypeError("a")
    first.__context__, second.__context__ = second, first
    assert traceback_text(first).count("characters withheld") == 1


def test_each_error_of_a_group_is_told() -> None:
    group = ExceptionGroup("both", [ValueError(SECRET), KeyError(SECRET)])
    text = traceback_text(group)
    assert SECRET not in text
    assert "  | ValueError" in text
    assert "  | KeyError" in text


@pytest.mark.parametrize(
    ("work", "kept"),
    [
        (lambda: 1 + "a", "TypeError: unsupported operand"),  # type: ignore[operator]
        (lambda: EMPTY["missing"], "KeyError: 'missing'"),
        (lambda: EMPTY[SECRET], "KeyError: (17 characters withheld)"),
        (lambda: open(f"/nowhere/{SECRET}"), "FileNotFoundError: [Errno 2] No such file"),
    ],
    ids=["interpreter", "literal key", "other key", "system"],
)
def test_how_much_of_a_text_is_kept(work: Callable[[], object], kept: str) -> None:
    summary = summary_of(raised(work))
    assert summary.startswith(kept)
    assert SECRET not in summary


def test_errors_of_ours_keep_numbers_and_codes() -> None:
    damaged = UnreadableFile(name="letter", reason="damaged")
    assert summary_of(damaged) == "app.errors.UnreadableFile: reason=damaged"
    path = f"/a/{SECRET}"
    cut = Interrupted(path=path, received=1, total=2, attempts=6, reason={"detail": SECRET})
    assert summary_of(cut) == "app.errors.Interrupted: received=1, total=2, attempts=6"


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(LogFormatter("%(levelname)s %(message)s"))
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.exc_text = f"by another formatter: {SECRET}"
        self.texts.append(self.format(record))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Kept, list[BaseException]]]:
    """Python's hooks set to a logger of the test's own, and back afterwards."""
    for module, hook in (
        (sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook"),
    ):  # fmt: skip
        monkeypatch.setattr(module, hook, getattr(module, hook))
    log, kept = logging.getLogger("test-of-hooks"), Kept()
    told: list[BaseException] = []
    log.addHandler(kept)
    log.propagate = False
    log_uncaught(log, told.append)
    yield kept, told
    log.removeHandler(kept)


def test_what_nobody_catches_is_logged(watched: tuple[Kept, list[BaseException]]) -> None:
    kept, told = watched

    class Falls:
        def __del__(self) -> None:
            raise ValueError(SECRET)

    falls = Falls()
    thread = threading.Thread(target=lambda: int(SECRET), name="reader")
    thread.start()
    thread.join()
    del falls
    error = raised(lambda: int(SECRET))
    sys.excepthook(type(error), error, error.__traceback__)
    texts = "\n".join(kept.texts)
    assert SECRET not in texts
    assert "ERROR the thread reader ended by an exception\nTraceback" in texts
    assert "__del__ could not be raised\nTraceback" in texts
    assert "CRITICAL nobody caught this\nTraceback" in texts
    assert [type(each) for each in told] == [ValueError, ValueError]

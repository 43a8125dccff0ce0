"""Exceptions as a log may keep them: kind, place and code in full, and nothing that a person wrote.

The text of an exception may quote a prompt, an answer or a path (`ValueError: invalid literal for
int() with base 10: '...'`), and nobody reviews the messages of foreign libraries. Therefore:

- a frame is a path below the import folder, a function, a line and its source; never variables;
- an error of ours, which carries facts, keeps numbers and short codes;
- an OSError keeps its number and the system's words, without file names;
- classes whose texts the interpreter composes of types and names of code keep them (`_PLAIN`);
- a text, or a key that is missing, is kept where the code that raised holds it as a literal;
- of every other text only the length is told.

Knows exceptions, log records and Python's hooks. Does not know where a log lies.
"""

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

_PLAIN = frozenset(
    {
        TypeError, AttributeError, NameError, UnboundLocalError, ModuleNotFoundError, IndexError,
        ZeroDivisionError, OverflowError, RecursionError,
    }
)  # fmt: skip
_LONGEST_TEXT = 300  # characters of a text that is kept
_MOST_FRAMES = 60  # the innermost ones
_CODE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_NAMING = frozenset(
    {
        "path",
        "file",
        "name",
        "repo",
        "url",
        "host",
        "endpoint",
        "detail",
        "package",
        "value",
        "found",
        "wanted",
        "key",
        "draft",
        "entry",
        "got",
        "smaller_model",
        "stderr_tail",
    }
)
_BECAUSE = "The above exception was the direct cause of the following exception:"
_DURING = "During handling of the above exception, another exception occurred:"


def summary_of(error: BaseException) -> str:
    """One line: the exception's class, and as much of its text as a log may keep."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    text = _text_of(error)
    return f"{name}: {text}" if text else name


def _text_of(error: BaseException) -> str:
    facts = getattr(error, "facts", None)
    if isinstance(facts, Mapping):
        return ", ".join(f"{key}={value}" for key, value in facts.items() if _is_code(key, value))
    if isinstance(error, OSError):
        return f"[Errno {error.errno}] {error.strerror}" if error.errno is not None else ""
    text = str(error)
    if type(error) in _PLAIN or _is_literal(error):
        return " ".join(text.split())[:_LONGEST_TEXT]
    return f"({len(text)} characters withheld)" if text else ""


def _is_literal(error: BaseException) -> bool:
    """Whether the only argument stands in the code that raised: then it is no person's."""
    if len(error.args) != 1 or not isinstance(error.args[0], str):
        return False
    frames = traceback.walk_tb(error.__traceback__)
    return any(error.args[0] in frame.f_code.co_consts for frame, _line in frames)


def _is_code(key: object, value: object) -> bool:
    """Whether a fact is a number or a code of ours, and no name, path or sentence."""
    if value is None or isinstance(value, int | float):
        return True
    return key not in _NAMING and isinstance(value, str) and bool(_CODE.fullmatch(value))


def traceback_text(error: BaseException) -> str:
    """The traceback of an exception and of those it came from, oldest first, for a log."""
    parts: list[str] = []
    for link, each in _chain(error):
        parts += [link] if link else []
        parts.append("".join(_one(each)).rstrip("\n"))
        if isinstance(each, BaseExceptionGroup):
            parts += [_indented(traceback_text(inner)) for inner in each.exceptions]
    return "\n\n".join(parts)


def _chain(error: BaseException) -> list[tuple[str, BaseException]]:
    """The exceptions that led to `error`, oldest first, each with how it follows the one before."""
    found: list[tuple[str, BaseException]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        before = current.__cause__
        link = _BECAUSE
        if before is None and not current.__suppress_context__:
            before, link = current.__context__, _DURING
        known = before is not None and id(before) not in seen
        found.append((link if known else "", current))
        current = before
    return found[::-1]


def _one(error: BaseException) -> Iterator[str]:
    frames = traceback.extract_tb(error.__traceback__, limit=-_MOST_FRAMES)
    if frames:
        yield "Traceback (most recent call last):\n"
        for frame in frames:
            _ = frame.line  # read by the full name, before that is cut short
            frame.filename = _below_import_folder(frame.filename)
        yield from frames.format()
    yield summary_of(error)


def _below_import_folder(file: str) -> str:
    """A source file as it is imported, without the folders of this machine."""
    for root in sorted(filter(None, sys.path), key=len, reverse=True):
        start = os.path.join(root, "")
        if file.startswith(start):
            return file[len(start) :].replace(os.sep, "/")
    return os.path.basename(file)


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.splitlines())


class LogFormatter(logging.Formatter):
    """Formats records for a log; exceptions by `traceback_text`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's text. What another formatter made of its exception is left aside."""
        record.exc_text, kept = None, record.exc_text
        try:
            return super().format(record)
        finally:
            record.exc_text = kept

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Overrides `logging.Formatter.formatException`."""
        return traceback_text(ei[1]) if ei[1] is not None else ""


def log_uncaught(
    log: logging.Logger, tell: Callable[[BaseException], None] = lambda _: None
) -> None:
    """Have `log` told of every exception that nobody catches: on the main thread, on others, and
    where Python can only report it (destructors, callbacks from C).

    tell: called afterwards, on whatever thread it was, for the first two kinds.
    """
    sys.excepthook = lambda kind, error, trace: _log_main(log, error, tell)
    threading.excepthook = lambda args: _log_thread(log, args, tell)
    sys.unraisablehook = lambda args: _log_unraisable(log, args)


def _log_main(
    log: logging.Logger, error: BaseException, tell: Callable[[BaseException], None]
) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(type(error), error, error.__traceback__)
        return
    log.critical("nobody caught this", exc_info=error)
    tell(error)


def _log_thread(
    log: logging.Logger,
    args: "threading.ExceptHookArgs",
    tell: Callable[[BaseException], None],
) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread is not None else "?"
        log.error("the thread %s ended by an exception", name, exc_info=args.exc_value)
        tell(args.exc_value)


def _log_unraisable(log: logging.Logger, args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        where = getattr(args.object, "__qualname__", type(args.object).__name__)
        log.error("an exception in %s could not be raised", where, exc_info=args.exc_value)

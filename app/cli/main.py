"""The command line: parses, opens a session, runs one command, words what went wrong.

Exit codes: 0 done, 1 failed (one sentence and a hint on stderr), 2 wrong usage. With --json exactly
one JSON document goes to stdout. Knows no engine and no widget.
"""

import dataclasses
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import closing

import msgspec

from app.cli.arguments import parser
from app.cli.commands.console import Console
from app.session.entry import open_session
from app.unexpected import is_fault, log_unexpected
from app.wording.explain import explain
from runtime.progress import Cancelled
from runtime.tracebacks import log_uncaught

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    console = Console(as_json=args.json)
    log_uncaught(logger)
    try:
        with closing(open_session(args.home, verbose=args.verbose)) as session:
            args.run(session, args, console)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _failed(Cancelled(), console)
    except Exception as error:
        log_unexpected(logger, error, f"command {args.command}")
        return _failed(error, console)
    return 0


def _failed(error: Exception, console: Console) -> int:
    words = explain(error)
    console.say("stillroom: " + words.sentence)
    if words.hint:
        console.say(words.hint)
    if is_fault(error):
        console.say("`stillroom doctor --report` prints what to add to a bug report.")
    if console.as_json:
        facts = getattr(error, "facts", {})
        console.result(
            {
                "error": type(error).__name__,
                "facts": msgspec.to_builtins(facts, enc_hook=str),
                **dataclasses.asdict(words),
            },
            "",
        )
    return 1

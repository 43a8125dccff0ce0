"""The command line: parses, opens a session, runs one command, words what went wrong.

Exit codes: 0 done, 1 failed (one sentence and a hint on stderr), 2 wrong usage. With --json exactly
one JSON document goes to stdout. Knows no engine and no widget.
"""

import dataclasses
import logging
import os
import sys
from collections.abc import Sequence

import msgspec

from app.cli.arguments import parser
from app.cli.commands.console import Console
from app.errors import AppError
from app.session.open_session import open_session
from app.wording.explain import explain
from quant.errors import QuantError
from runtime.errors import EngineError
from runtime.jobs import Cancelled

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(arguments)
    console = Console(as_json=args.json)
    session = open_session(args.home, verbose=args.verbose)
    try:
        args.run(session, args, console)
    except BrokenPipeError:  # whoever read our output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (AppError, EngineError, QuantError, Cancelled, OSError) as error:
        return _failed(error, console)
    except KeyboardInterrupt:
        return _failed(Cancelled(), console)
    except Exception as error:  # a fault of ours: the log has the traceback
        logger.exception("command %s failed", args.command)
        return _failed(error, console)
    finally:
        session.close()
    return 0


def _failed(error: BaseException, console: Console) -> int:
    words = explain(error)
    console.say("stillroom: " + words.sentence)
    if words.hint:
        console.say(words.hint)
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

"""The entry of every process of Stillroom: worker, command line or window.

Decides before anything of Qt or of an engine is imported.
"""

import gc
import logging
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from app.system.display import NO_DISPLAY, has_display
from app.system.open_requests import is_open_request

PIP_ROLE = "--pip"  # only an installed program is started so (app/downloads/wheels.py)


def main() -> int:
    """Run the role the arguments ask for and return its exit code."""
    arguments = sys.argv[1:]
    if getattr(sys, "frozen", False):
        restore_library_path(os.environ)
    if arguments[:1] == ["--worker"]:
        from runtime.process.worker import main as worker

        return worker()
    if arguments[:1] == [PIP_ROLE]:
        from pip._internal.cli.main import main as pip

        return pip(arguments[1:])
    if arguments[:1] == ["--self-test"]:
        from app.cli.self_test import main as self_test

        return self_test(arguments[1:])
    if _wants_window(arguments):
        return _window(arguments)
    from app.cli.main import main as command_line

    return command_line(arguments)


def restore_library_path(environment: MutableMapping[str, str]) -> None:
    """Give programs we start (a browser, a file manager) the system's libraries: a frozen program
    begins with LD_LIBRARY_PATH set to its own (PyInstaller, "LD_LIBRARY_PATH / LIBPATH
    considerations"). This process has read it already. Our own children set it again only when they
    are told that they are no part of this process (PyInstaller, PYINSTALLER_RESET_ENVIRONMENT)."""
    environment["PYINSTALLER_RESET_ENVIRONMENT"] = "1"
    original = environment.pop("LD_LIBRARY_PATH_ORIG", None)
    if original is not None:
        environment["LD_LIBRARY_PATH"] = original
    else:
        environment.pop("LD_LIBRARY_PATH", None)


def _wants_window(arguments: Sequence[str]) -> bool:
    """No command, or nothing but the options a window takes, each with its value, and at the end a
    file or link to open."""
    if arguments and is_open_request(arguments[-1]):
        arguments = arguments[:-1]
    return len(arguments) % 2 == 0 and set(arguments[::2]) <= {"--home", "--screenshot"}


def _window(arguments: list[str]) -> int:
    if not has_display(os.environ):
        print(NO_DISPLAY, file=sys.stderr)
        return 1
    gc.disable()  # until the window stands (application.settle_memory): a twentieth of the start
    # First, because once PySide6 is in, it reads the source of each module that follows.
    from app.session.entry import open_session
    from runtime.tracebacks import log_uncaught

    log_uncaught(logging.getLogger(__name__), lambda error: print(repr(error), file=sys.stderr))
    from app.gui.application import run_window  # isort: skip

    request = arguments.pop() if len(arguments) % 2 else ""
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    home = Path(options["--home"]) if "--home" in options else None
    picture = Path(options["--screenshot"]) if "--screenshot" in options else None
    return run_window(open_session(home), screenshot=picture, request=request)


if __name__ == "__main__":
    sys.exit(main())

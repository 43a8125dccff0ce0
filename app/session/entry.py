"""Opens a session on a user's folders: paths, logging, settings. What every entry does first."""

import os
import sys
from pathlib import Path

from app.logs import start_logging, trim_log
from app.paths import Paths
from app.session.session import Session
from app.settings import load as load_settings
from app.system.packs import environment_of
from app.wording.explain import explain


def open_session(home: Path | None = None, *, verbose: bool = False) -> Session:
    """A session on the user's folders, or on those below `home`, with logging into them started.
    Use it in a `with` block, or close it."""
    paths = Paths.under(home) if home else Paths.default()
    start_logging(paths.log, verbose=verbose)
    trim_log(paths.worker_log)
    settings, problems = load_settings(paths.settings, os.environ)
    for problem in problems:
        print(explain(problem).sentence, file=sys.stderr)
    os.environ.update(environment_of(paths.packs))
    return Session(paths, settings)

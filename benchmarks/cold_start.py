"""Time from the start of the process to a window that takes typing, with a full history.

    xvfb-run -s "-screen 0 1280x800x24" python benchmarks/cold_start.py [--rounds N]

The history holds 500 conversations of 50 messages. "Usable" is the moment the filled window has
been drawn and the composer has the focus.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.paths import Paths  # noqa: E402
from app.store import Store  # noqa: E402

PROGRAM = """
import sys, time
from pathlib import Path
from app.cli import open_session
import app.gui.application as application
from app.gui.main_window import MainWindow
from PySide6.QtCore import QTimer
start = MainWindow.start
def started(window):
    start(window)
    QTimer.singleShot(0, lambda: (print("USABLE", time.time(), flush=True), window.close()))
MainWindow.start = started
sys.exit(application.run_window(open_session(Path(sys.argv[1]))))
"""


def fill(home: Path, conversations: int, messages: int) -> None:
    """Write a history through the store itself."""
    store = Store(Paths.under(home).history)
    for number in range(conversations):
        chat = store.add_conversation(f"Conversation {number} about copper stills")
        parent = None
        for turn in range(messages):
            role = "assistant" if turn % 2 else "user"
            text = f"Message {turn} of {number}: vapour condenses in the worm. " * 6
            parent = store.add_message(chat.id, role, text, parent_id=parent).id  # type: ignore[arg-type]
    store.close()


def start_once(home: Path) -> float:
    """Seconds from the start of the process to the usable window."""
    started = time.time()
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(home)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    line = next((each for each in ended.stdout.splitlines() if each.startswith("USABLE")), None)
    if line is None:
        raise RuntimeError(ended.stderr[-2000:])
    return float(line.split()[1]) - started


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--conversations", type=int, default=500)
    options.add_argument("--messages", type=int, default=50)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home, args.conversations, args.messages)
        seconds = [start_once(home) for _ in range(args.rounds)]
    print(json.dumps({"seconds": seconds, "median": statistics.median(seconds)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Time from the start of the process to a window that takes typing, with a full history.

    xvfb-run -s "-screen 0 1280x800x24" python benchmarks/cold_start.py [--rounds N] [--model GGUF]

The history holds 500 conversations of 50 messages. "Usable" is the moment the filled window has
been drawn, the composer has the focus and the event loop is idle. The floor is an empty window of
the same libraries. Both run alternately, with compiled modules as an installed program has them;
processor seconds stand beside wall seconds, because a busy machine stretches only the latter.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.library import Library  # noqa: E402
from app.paths import Paths  # noqa: E402
from app.store import Store  # noqa: E402

FLOOR = """
import time
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLineEdit, QMainWindow
application = QApplication([])
window = QMainWindow()
field = QLineEdit()
window.setCentralWidget(field)
window.resize(1280, 800)
window.show()
def usable():
    print("USABLE", time.time(), time.process_time(), flush=True)
    window.close()
QTimer.singleShot(0, lambda: (field.setFocus(), QTimer.singleShot(0, usable)))
application.exec()
"""
PROGRAM = """
import sys, time
from pathlib import Path
from app.opening import open_session
import app.gui.application as application
from app.gui.main_window import MainWindow
from PySide6.QtCore import QTimer
start = MainWindow.start
def usable(window):
    print("USABLE", time.time(), time.process_time(), flush=True)
    assert window.conversation_list.model.entries
    assert window.focusWidget() is window.chat_page.composer.text
    window.close()
def started(window):
    start(window)
    QTimer.singleShot(0, lambda: usable(window))
MainWindow.start = started
sys.exit(application.run_window(open_session(Path(sys.argv[1]))))
"""


def fill(home: Path, conversations: int, messages: int) -> None:
    """Write one conversation through the store, and copies of it beside it."""
    path = Paths.under(home).history
    store = Store(path)
    chat = store.add_conversation("Conversation about copper stills")
    parent = None
    for turn in range(messages):
        role = "assistant" if turn % 2 else "user"
        text = f"Message {turn}: vapour condenses in the worm. " * 6
        parent = store.add_message(chat.id, role, text, parent_id=parent).id  # type: ignore[arg-type]
    store.close()
    with sqlite3.connect(path) as database:
        for copy in range(1, conversations):
            database.execute(
                "INSERT INTO conversations (title, created, updated, head_id)"
                " SELECT title || ?, created, updated - ?, head_id + ? FROM conversations"
                " WHERE id = 1",
                (f" {copy}", copy * 3600, copy * messages),
            )
            database.execute(
                "INSERT INTO messages (id, conversation_id, parent_id, role, content, created)"
                " SELECT id + ?, ?, parent_id + ?, role, content, created FROM messages"
                " WHERE conversation_id = 1",
                (copy * messages, copy + 1, copy * messages),
            )
    database.close()


def start_once(program: str, home: Path, compiled: Path) -> dict[str, float]:
    """Wall seconds from the start of the process, and processor seconds, to the usable window."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(compiled)}
    started = time.time()
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, str(home)],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    line = next((each for each in ended.stdout.splitlines() if each.startswith("USABLE")), None)
    if line is None or ended.returncode:
        raise RuntimeError(ended.stderr[-2000:])
    _, moment, processor = line.split()
    return {"seconds": float(moment) - started, "processor_seconds": float(processor)}


def medians(runs: list[dict[str, float]]) -> dict[str, object]:
    return {"median": {k: statistics.median(run[k] for run in runs) for k in runs[0]}, "runs": runs}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--conversations", type=int, default=500)
    options.add_argument("--messages", type=int, default=50)
    options.add_argument("--model", type=Path, help="a GGUF file that is installed in the library")
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    runs: dict[str, list[dict[str, float]]] = {"floor": [], "window": []}
    with tempfile.TemporaryDirectory() as folder:
        home, compiled = Path(folder) / "home", Path(folder) / "compiled"
        fill(home, args.conversations, args.messages)
        if args.model:
            library = Library(Paths.under(home).models)
            library.add(args.model, name="starter", format="gguf", source="import", link=True)
        for warming in range(args.rounds + 1):
            for name, program in (("floor", FLOOR), ("window", PROGRAM)):
                run = start_once(program, home, compiled)
                if warming:
                    runs[name].append(run)
    text = json.dumps({name: medians(each) for name, each in runs.items()}, indent=2)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

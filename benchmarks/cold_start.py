"""Time from the start of the process to a window that takes typing, with a full history.

    xvfb-run -s "-screen 0 1280x800x24" python -m benchmarks.cold_start --model GGUF [--rounds N]
        [--cold-rounds N] [--output benchmarks/results/cold-start.json]

A model is installed, and the history holds 500 conversations of 50 messages. "Usable" is the moment
the filled window has been drawn, the composer has the focus and the event loop is idle. The floor
is an empty window of the same libraries. Both run alternately, with compiled modules as an
installed program has them; processor seconds stand beside wall seconds, because a busy machine
stretches only the latter. For the cold rounds the system is asked to drop the pages of everything
that a start reads, before each.
Beside the JSON of --output stands a text with the spread.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from app.history.store import Store
from app.library.folder import Library
from app.paths import Paths
from benchmarks.common.options import command_line
from benchmarks.common.results import ROOT

DROP_CACHES = Path("/proc/sys/vm/drop_caches")
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
import gc, sys, time
gc.disable()  # as app.__main__ does
from pathlib import Path
from app.session.entry import open_session
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


def evict(folders: list[Path]) -> str:
    """Take these folders' files out of the page cache; returns how. Pages that a running program
    has mapped stay, unless the system lets everything be dropped."""
    os.sync()
    try:
        DROP_CACHES.write_text("3")
        return "all caches dropped"
    except OSError:
        pass
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return "pages of the program, its libraries and its folders dropped"


def medians(runs: list[dict[str, float]]) -> dict[str, object]:
    return {"median": {k: statistics.median(run[k] for run in runs) for k in runs[0]}, "runs": runs}


def line(name: str, runs: list[dict[str, float]]) -> str:
    """Median and ends of some starts."""
    seconds = sorted(run["seconds"] for run in runs)
    processor = statistics.median(run["processor_seconds"] for run in runs)
    return (
        f"{name}: {statistics.median(seconds):.3f} s ({seconds[0]:.3f} to {seconds[-1]:.3f} in"
        f" {len(seconds)} starts), {processor:.3f} s of processor time"
    )


def install(home: Path, model: Path) -> None:
    """A model, and its settings, as after a first use."""
    library = Library(Paths.under(home).models)
    library.add(model, name="starter", format="gguf", source="import", link=True)


def main() -> int:
    options = command_line(__doc__, "benchmarks.cold_start")
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--conversations", type=int, default=500)
    options.add_argument("--messages", type=int, default=50)
    options.add_argument("--cold-rounds", type=int, default=3)
    options.add_argument("--model", type=Path, required=True, help="a GGUF file to install")
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    runs: dict[str, list[dict[str, float]]] = {"floor": [], "window": [], "window, cold disk": []}
    how = ""
    with tempfile.TemporaryDirectory() as folder:
        home, compiled = Path(folder) / "home", Path(folder) / "compiled"
        fill(home, args.conversations, args.messages)
        install(home, args.model)
        for warming in range(args.rounds + 1):
            for name, program in (("floor", FLOOR), ("window", PROGRAM)):
                run = start_once(program, home, compiled)
                if warming:
                    runs[name].append(run)
        for _ in range(args.cold_rounds):
            how = evict([ROOT / "app", ROOT / "runtime", ROOT / "quant", home, compiled,
                         Path(sys.prefix), Path(sys.base_prefix) / "lib"])  # fmt: skip
            runs["window, cold disk"].append(start_once(PROGRAM, home, compiled))
    text = "\n".join(
        [f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {args.conversations} conversations"
         f" of {args.messages} messages, Xvfb 1280x800; load {os.getloadavg()[0]:.1f}", ""]
        + [line(name, each) for name, each in runs.items() if each]
        + [f"cold disk: {how}" if how else ""]
    ).rstrip() + "\n"  # fmt: skip
    print(text)
    if args.output:
        found = {name: medians(each) for name, each in runs.items() if each}
        args.output.write_text(json.dumps(found, indent=2) + "\n")
        args.output.with_suffix(".txt").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

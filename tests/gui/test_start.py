"""The start of the window: what it may not import, and that it takes typing before all else."""

import os
import subprocess
import sys
from pathlib import Path

from app.session.session import Session

ROOT = Path(__file__).resolve().parents[2]
# Engines belong to child processes; the others cost 50 to 300 ms each and are wanted later, or not.
HEAVY = (
    "llama_cpp", "onnxruntime", "onnxruntime_genai", "onnx", "numpy", "gguf", "jsonschema",
    "jinja2", "markdown_it", "pygments", "ziamath", "pyqtgraph", "keyring", "huggingface_hub",
    "requests", "httpx", "docx", "pypdf", "importlib.metadata",
    "email", "urllib.request", "html.entities",
)  # fmt: skip
PROGRAM = """
import sys
from pathlib import Path
from PySide6.QtCore import QTimer
from app.gui.application import run_window
from app.gui.main_window import MainWindow
from app.session.entry import open_session
start = MainWindow.start
def usable(window):
    print("FOCUS", window.focusWidget().accessibleName(), flush=True)
    print("ROWS", len(window.conversation_list.model.entries), flush=True)
    print("MODULES", *sys.modules, flush=True)
    window.close()
def started(window):
    start(window)
    QTimer.singleShot(0, lambda: usable(window))
MainWindow.start = started
sys.exit(run_window(open_session(Path(sys.argv[1]))))
"""


def test_a_window_that_takes_typing_has_imported_nothing_heavy(
    session: Session, stillroom_home: Path
) -> None:
    for number in range(30):
        session.store.add_conversation(f"chat {number}")
    session.close()
    ended = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(stillroom_home)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    said = dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())
    assert said["FOCUS"] == "Message"
    assert said["ROWS"] == "30"
    imported = set(said["MODULES"].split())
    assert "app.gui.main_window" in imported
    assert sorted(imported & set(HEAVY)) == []

"""Hundreds of thousands of Qt calls must not end the interpreter, whatever the bindings do."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import app.gui
from PySide6.QtCore import QObject
probe = QObject()
for _ in range(300_000):
    probe.setObjectName("")
print("alive")
"""


def test_many_qt_calls_do_not_end_the_interpreter() -> None:
    command = [sys.executable, "-P", "-c", PROGRAM]
    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert ended.stdout.strip() == "alive", ended.stderr[-500:]

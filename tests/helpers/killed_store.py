"""kill -9 of a process that writes the history, and what is then missing from it.

Two writers: one writes through the store and reports each write that has returned; the other
streams an answer through the recorder, as the window does, and reports each piece that came.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from app.history.store import Store

ROOT = Path(__file__).resolve().parents[2]
PARTS = 40

WRITER = """
import sys
from pathlib import Path
from app.history.store import Store
store = Store(Path(sys.argv[1]))
chat = store.add_conversation("killed")
number = 0
while True:
    question = store.add_message(chat.id, "user", f"question {number}")
    print("question", question.id, number, flush=True)
    answer = store.add_message(chat.id, "assistant", state="streaming", parent_id=question.id)
    for part in range(int(sys.argv[2])):
        store.append(answer.id, content=f"[{part}]", reasoning="." * 50)
        print("chunk", answer.id, part, flush=True)
    store.finish(answer.id)
    print("finished", answer.id, 0, flush=True)
    number += 1
"""

RECORDER = """
import sys, time
from pathlib import Path
from app.history.stream_chunks import ChunkBuffer
from app.history.recorder import AnswerRecorder
from app.history.store import Store
from runtime.generation import TokenChunk
store = Store(Path(sys.argv[1]))
chat = store.add_conversation("killed")
answer = store.add_message(chat.id, "assistant", state="streaming")
buffer = ChunkBuffer()
number = 0
with AnswerRecorder(store, answer.id, buffer):
    while True:
        text = f"[{number} {time.monotonic():.4f}]"
        buffer.put((TokenChunk("r", text, number < 20, 1),), 30.0)
        print("piece", answer.id, text, flush=True)
        number += 1
        time.sleep(0.02)
"""


@dataclass(frozen=True)
class Lost:
    """One kill. `seconds`: how much of the streaming answer's last time is missing."""

    finished: int = 0
    pieces: int = 0
    lost_finished: int = 0
    lost_pieces: int = 0
    unsound: int = 0
    seconds: float = 0.0


def _killed(program: str, path: Path, seconds: float, *arguments: str) -> list[list[str]]:
    """Run `program`, kill it so many seconds after its first report; returns its whole reports."""
    writer = subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(path), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(seconds)
    writer.kill()
    said = first + writer.stdout.read()
    writer.wait()
    return [line.split(" ", 2) for line in said.split("\n")[:-1]]


def kill_writer(path: Path, seconds: float) -> Lost:
    """Everything that was reported as written must be there."""
    reports = _killed(WRITER, path, seconds, str(PARTS))
    store = Store(path)
    unsound = int(not store.check() or store.repaired_from is not None)
    finished = pieces = lost_finished = lost_pieces = 0
    whole = "".join(f"[{n}]" for n in range(PARTS))
    for kind, identity, count in reports:
        message = store.message(int(identity))
        if kind == "finished":
            finished += 1
            lost_finished += int((message.state, message.content) != ("finished", whole))
        elif kind == "question":
            finished += 1
            lost_finished += int(message.content != f"question {count}")
        else:
            pieces += 1
            lost_pieces += int(f"[{count}]" not in message.content)
    left = [m for c in store.conversations() for m in store.messages(c.id)]
    unsound += sum(m.state == "streaming" for m in left)
    store.close()
    return Lost(finished, pieces, lost_finished, lost_pieces, unsound)


def kill_recorder(path: Path, seconds: float) -> Lost:
    """What is stored must be all that came, but for the last moments, which are measured."""
    reports = _killed(RECORDER, path, seconds)
    came = [text for _kind, _identity, text in reports]
    store = Store(path)
    message = store.message(int(reports[0][1]))
    unsound = int(
        not store.check() or store.repaired_from is not None or message.state == "streaming"
    )
    store.close()
    kept = [f"[{piece}" for piece in (message.reasoning + message.content).split("[")[1:]]
    both = min(len(kept), len(came))  # a piece may be stored whose report did not get out
    lost = int(kept[:both] != came[:both])
    missing = _moment(came[-1]) - _moment(kept[-1] if kept else came[0])
    return Lost(0, len(came), 0, lost, unsound, max(missing, 0.0))


def _moment(piece: str) -> float:
    return float(piece.strip("[]").split()[1])

"""kill -9 of a process that writes the history, at random moments; nothing reported may be lost.

    python benchmarks/store_kill.py [--kills 50] [--seed 1]

A child writes questions, streams answers in chunks and says on its standard output what has been
written. It is killed; the database must then open, be sound, and hold all that was reported.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app.store import Store  # noqa: E402

WRITER = """
import sys
from pathlib import Path
from app.store import Store
store = Store(Path(sys.argv[1]))
chat = store.add_conversation("killed")
number = 0
while True:
    question = store.add_message(chat.id, "user", f"question {number}")
    answer = store.add_message(chat.id, "assistant", state="streaming", parent_id=question.id)
    for part in range(40):
        store.append(answer.id, content=f"[{part}]", reasoning="." * 50)
        print("chunk", answer.id, part, flush=True)
    store.finish(answer.id)
    print("finished", answer.id, 40, flush=True)
    number += 1
"""


def kill_once(path: Path, seconds: float) -> dict[str, int]:
    """Write, kill after so many seconds, open again and compare with what was reported."""
    writer = subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(seconds)
    writer.kill()
    lines = [line.split() for line in writer.stdout.read().splitlines()]
    writer.wait()
    found = {"finished": 0, "chunks": 0, "lost_finished": 0, "lost_chunks": 0, "unsound": 0}
    store = Store(path)
    found["unsound"] = int(not store.check() or store.repaired_from is not None)
    for kind, identity, count in (line for line in lines if len(line) == 3):
        message = store.message(int(identity))
        if kind == "finished":
            whole = message.content == "".join(f"[{n}]" for n in range(40))
            found["finished"] += 1
            found["lost_finished"] += int(not whole or message.state != "finished")
        else:
            found["chunks"] += 1
            found["lost_chunks"] += int(f"[{count}]" not in message.content)
    store.close()
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    args = options.parse_args()
    moments = random.Random(args.seed)
    total: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        for _ in range(args.kills):
            for key, value in kill_once(path, moments.uniform(0.0, 0.6)).items():
                total[key] = total.get(key, 0) + value
    print(json.dumps({"kills": args.kills, **total}))
    return int(total["lost_finished"] + total["lost_chunks"] + total["unsound"] > 0)


if __name__ == "__main__":
    sys.exit(main())

"""kill -9 of a process that writes the history, at random moments; nothing reported may be lost.

    python -m benchmarks.store_kill [--kills 50] [--seed 1] [--output FILE.json]

Twice: a child that writes through the store and says what has been written, and one that streams an
answer through the recorder as the window does. The database must then open, be sound and hold all
that was reported; of the streaming answer at most the last second may be missing.
"""

import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.common.options import command_line
from tests.helpers.killed_store import Lost, kill_recorder, kill_writer

PROMISED_SECONDS = 1.0


def total(losses: list[Lost]) -> dict[str, float]:
    """Sums of the counts, and how much of a streaming answer was missing."""
    names = ("finished", "pieces", "lost_finished", "lost_pieces", "unsound")
    sums: dict[str, float] = {name: sum(getattr(each, name) for each in losses) for name in names}
    seconds = [each.seconds for each in losses]
    return {
        "kills": len(losses),
        **sums,
        "median_seconds": round(statistics.median(seconds), 3),
        "most_seconds": round(max(seconds), 3),
    }


def main() -> int:
    options = command_line(__doc__, "benchmarks.store_kill")
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    moments = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        writing = [kill_writer(path, moments.uniform(0.0, 0.6)) for _ in range(args.kills)]
        streaming = [kill_recorder(path, moments.uniform(0.0, 3.0)) for _ in range(args.kills)]
    found = {"store": total(writing), "recorder": total(streaming)}
    text = json.dumps(found, indent=2)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    bad = sum(each[name] for each in found.values()
              for name in ("lost_finished", "lost_pieces", "unsound"))  # fmt: skip
    return int(bad > 0 or found["recorder"]["most_seconds"] > PROMISED_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

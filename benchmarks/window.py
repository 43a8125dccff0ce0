"""What the window costs: frames per second on long answers, and what it takes from the engine.

    xvfb-run -s "-screen 0 1280x800x24" python -m benchmarks.window --model GGUF [--rounds N]
        [--output benchmarks/results/window.json]

Long answers: 200,000 characters of thinking and 20,000 of Markdown from the scripted engine, folded
and unfolded. Engine: the starter answers without a window and in it, pairwise, in changing order;
the ratio of each pair is taken, so that a drifting machine cancels out. Each measure notes what
other processes used meanwhile: rounds on a machine that was not quiet can be told. The window's own
processor time for each token says what it costs on any machine, busy or not. Beside the JSON of
--output stands a text with the spread.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from PySide6.QtWidgets import QApplication

from app.gui.application import destroy, settle_memory
from app.gui.main_window import MainWindow
from app.gui.parts import theme
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from benchmarks.common.options import command_line
from runtime.generation import GenerationRequest, Message
from runtime.plan import Placement
from runtime.process.client import Worker
from tests.helpers.streamed_window import Measured, answered, spin, stream, write_script

PROMPT = "Write a long story about a lighthouse keeper and the sea. Tell every detail."
QUIET_CORES = 0.1  # what other processes may use in a round that counts as quiet


@dataclass(frozen=True)
class Share:
    """One answer of the starter. Cores are means over its decoding; `window_ms` is processor time
    of this process in milliseconds per token."""

    tps: float
    tokens: int
    other_cores: float
    window_ms: float


class Meter:
    """Processor time of the machine, of this process and of the worker."""

    def __init__(self, worker: int) -> None:
        self._worker = psutil.Process(worker)
        self._before = self._read()

    def _read(self) -> tuple[float, float, float, float]:
        machine, worker = psutil.cpu_times(), self._worker.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        return time.monotonic(), idle, time.process_time(), worker.user + worker.system

    def share(self, tps: float, tokens: int) -> Share:
        """What was used since the meter was made."""
        elapsed, idle, own, worker = (
            now - then for now, then in zip(self._read(), self._before, strict=True)
        )
        others = (os.cpu_count() or 1) - (idle + own + worker) / elapsed
        return Share(tps, tokens, max(others, 0.0), 1000 * own / max(tokens, 1))


def open_window(session: Session) -> MainWindow:
    """The window of the program, filled."""
    application = QApplication.instance() or QApplication(["benchmark"])
    assert isinstance(application, QApplication)
    application.setStyle("Fusion")
    look = theme.choose("light", 100, False)
    theme.apply(application, look)
    window = MainWindow(session, look)
    window.show()
    window.start()
    spin(lambda: False, 3)  # what the window does after its start
    spin(lambda: not window.bridge.busy, 30)
    settle_memory()
    return window


def long_answers(home: Path, thinking: int, answer: int, rate: float) -> dict[str, Measured]:
    """Stream one long answer folded, then unfolded."""
    script = home / "long.json"
    write_script(script, thinking, answer, rate)
    window = open_window(Session(Paths.under(home / "long"), Settings()))
    found: dict[str, Measured] = {}
    for unfold in (False, True):
        window.new_chat()
        found["unfolded" if unfold else "folded"] = stream(window, script, unfold=unfold, limit=280)
    window.close()
    window.session.close()
    destroy(window)
    return found


def headless(model: Path, placement: Placement, window: MainWindow, tokens: int) -> Share:
    """A worker whose chunks nobody shows."""
    window.session.unload()
    worker = Worker.start()
    worker.load(str(model), placement)
    request = GenerationRequest("alone", (Message("user", PROMPT),), window.chat.sampling(), tokens)
    meter = Meter(worker.pid)
    stats = worker.generate(request, lambda _event: None)
    share = meter.share(stats.decode_tps or 0.0, stats.generated_tokens)
    worker.close()
    return share


def in_window(window: MainWindow, tokens: int) -> Share:
    """The same answer in the window, loaded afresh as the other is."""
    window.session.unload()
    window.new_chat()
    window.chat.set_options(max_tokens=tokens)
    meters: list[Meter] = []

    def begun(_delta: object) -> None:
        if not meters and window.session.worker_pid is not None:
            meters.append(Meter(window.session.worker_pid))

    window.chat.answer_grew.connect(begun)
    window.chat.send(PROMPT)
    assert answered(window, 240)
    window.chat.answer_grew.disconnect(begun)
    figures = window.chat_page.transcript.views()[-1].message.figures
    assert figures.decode_tps is not None
    return meters[0].share(figures.decode_tps, figures.generated_tokens)


def engine_share(home: Path, model: Path, rounds: int, tokens: int) -> list[tuple[Share, Share]]:
    """Pairs of the starter's answer without a window and in it."""
    session = Session(Paths.under(home / "engine"), Settings())
    session.library.add(model, name="starter", format="gguf", source="import", link=True)
    window = open_window(session)
    window.models.choose("starter")
    assert spin(lambda: window.models.plan is not None, 60)
    plan = window.models.plan
    assert plan is not None
    pairs: list[tuple[Share, Share]] = []
    for number in range(rounds + 1):
        if number % 2:  # drift cancels out
            inside = in_window(window, tokens)
            alone = headless(model, plan.placement, window, tokens)
        else:
            alone = headless(model, plan.placement, window, tokens)
            inside = in_window(window, tokens)
        if number:  # the first pair warms the caches
            pairs.append((alone, inside))
            print(f"{inside.tps / alone.tps:.3f}", end=" ", file=sys.stderr, flush=True)
    window.close()
    session.close()
    destroy(window)
    return pairs


def ratios(pairs: list[tuple[Share, Share]]) -> list[float]:
    return sorted(inside.tps / alone.tps for alone, inside in pairs)


def spread(values: list[float]) -> str:
    """Median, quartiles and ends."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return (
        f"median {middle:.3f}, quartiles {low:.3f} to {high:.3f},"
        f" {values[0]:.3f} to {values[-1]:.3f} in {len(values)} pairs"
    )


def report(long: dict[str, Measured], pairs: list[tuple[Share, Share]]) -> str:
    """The figures as text."""
    lines = [f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, Xvfb 1280x800", ""]
    for name, each in long.items():
        lines.append(
            f"{name}: {each.characters} characters at {each.frames_per_second:.1f} frames/s, 99th"
            f" percentile {each.frame_99th:.0f} ms, slowest {each.slowest_frame:.0f} ms;"
            f" memory {each.memory_early / 1e6:.0f} to {each.memory_late / 1e6:.0f} MB;"
            f" {each.processor_share:.3f} of one core"
        )
    if pairs:
        quiet = [p for p in pairs if max(each.other_cores for each in p) <= QUIET_CORES]
        lines += ["", f"engine in the window / alone: {spread(ratios(pairs))}"]
        if quiet:
            lines.append(f"of these on a quiet machine: {spread(ratios(quiet))}")
        costs = sorted(inside.window_ms for _, inside in pairs)
        lines.append(f"the window's processor time: {statistics.median(costs):.2f} ms a token")
        lines += ["", "alone tok/s  window tok/s  ratio  others' cores (alone, window)"]
        lines += [
            f"{a.tps:11.1f}  {w.tps:12.1f}  {w.tps / a.tps:5.3f}"
            f"  {a.other_cores:.2f} {w.other_cores:.2f}"
            for a, w in pairs
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    options = command_line(__doc__, "benchmarks.window")
    options.add_argument(
        "--model", type=Path, help="the starter's GGUF file, for the engine's share"
    )
    options.add_argument("--rounds", type=int, default=12)
    options.add_argument("--tokens", type=int, default=384)
    options.add_argument("--rate", type=float, default=1000.0, help="scripted tokens per second")
    options.add_argument("--thinking", type=int, default=200_000, help="0 leaves long answers out")
    options.add_argument("--answer", type=int, default=20_000)
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    long: dict[str, Measured] = {}
    pairs: list[tuple[Share, Share]] = []
    with tempfile.TemporaryDirectory() as folder:
        if args.thinking:
            long = long_answers(Path(folder), args.thinking, args.answer, args.rate)
        if args.model:
            pairs = engine_share(Path(folder), args.model, args.rounds, args.tokens)
    text = report(long, pairs)
    print(text)
    if args.output:
        found: dict[str, Any] = {"long": {name: asdict(each) for name, each in long.items()}}
        found["engine"] = [{"alone": asdict(a), "window": asdict(w)} for a, w in pairs]
        args.output.write_text(json.dumps(found, indent=2) + "\n")
        args.output.with_suffix(".txt").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What the window costs: frames per second on long answers, and what it takes from the engine.

    xvfb-run -s "-screen 0 1280x800x24" python benchmarks/window.py [--rounds N] [--quick]

Long answers: 200,000 characters of thinking and 20,000 of Markdown from the scripted engine, folded
and unfolded. Engine: the starter decodes alternately without a window and in it; the ratio of
neighbouring rounds is reported, so that a drifting machine cancels out.
"""

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from PySide6.QtWidgets import QApplication

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from streamed_window import spin, stream, write_script  # noqa: E402

from app.gui import theme  # noqa: E402
from app.gui.application import destroy  # noqa: E402
from app.gui.main_window import MainWindow  # noqa: E402
from app.paths import Paths  # noqa: E402
from app.session import Session  # noqa: E402
from app.settings import Settings  # noqa: E402
from runtime.client import Worker  # noqa: E402
from runtime.generation import GenerationRequest, Message  # noqa: E402
from runtime.plan import Placement  # noqa: E402

PROMPT = "Write a long story about a lighthouse keeper and the sea. Tell every detail."


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
    return window


def long_answers(home: Path, thinking: int, answer: int, rate: float) -> dict[str, object]:
    """Stream one long answer folded, then unfolded."""
    script = home / "long.json"
    write_script(script, thinking, answer, rate)
    window = open_window(Session(Paths.under(home / "long"), Settings()))
    found: dict[str, object] = {}
    for unfold in (False, True):
        window.new_chat()
        measured = stream(window, script, unfold=unfold, limit=280)
        found["unfolded" if unfold else "folded"] = asdict(measured)
    window.close()
    window.session.close()
    destroy(window)
    return found


def headless(model: Path, placement: Placement, window: MainWindow, tokens: int) -> float:
    """Tokens per second of a worker whose chunks nobody shows."""
    window.session.unload()
    worker = Worker.start()
    worker.load(str(model), placement)
    request = GenerationRequest("alone", (Message("user", PROMPT),), window.chat.sampling(), tokens)
    stats = worker.generate(request, lambda _event: None)
    worker.close()
    return stats.decode_tps or 0.0


def in_window(window: MainWindow, tokens: int) -> float:
    """Tokens per second of the same answer in the window, loaded afresh as the other is."""
    window.session.unload()
    window.new_chat()
    window.chat.set_options(max_tokens=tokens)
    window.chat.send(PROMPT)
    spin(lambda: window.chat.busy, 10)
    spin(lambda: not window.chat.busy, 120)
    return float(window.chat_page.transcript.views()[-1].message.stats["decode_tps"])


def engine_share(home: Path, model: Path, rounds: int, tokens: int) -> dict[str, object]:
    """Decode speed of the starter without a window and in it, alternately."""
    session = Session(Paths.under(home / "engine"), Settings())
    session.library.add(model, name="starter", format="gguf", source="import", link=True)
    window = open_window(session)
    window.models.choose("starter")
    spin(lambda: window.models.plan is not None, 30)
    plan = window.models.plan
    assert plan is not None
    alone: list[float] = []
    inside: list[float] = []
    for number in range(rounds):
        measures = [lambda: alone.append(headless(model, plan.placement, window, tokens)),
                    lambda: inside.append(in_window(window, tokens))]  # fmt: skip
        for measure in measures if number % 2 else reversed(measures):  # drift cancels out
            measure()
    window.close()
    session.close()
    destroy(window)
    return {
        "alone_tps": alone,
        "window_tps": inside,
        "ratios": (ratios := [w / a for w, a in zip(inside, alone, strict=True)]),
        "median_ratio": statistics.median(ratios),
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--model", type=Path, help="the starter's GGUF file, for the engine's share"
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--tokens", type=int, default=256)
    options.add_argument("--rate", type=float, default=1000.0, help="scripted tokens per second")
    options.add_argument("--thinking", type=int, default=200_000)
    options.add_argument("--answer", type=int, default=20_000)
    options.add_argument("--output", type=Path)
    args = options.parse_args()
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        if args.thinking:
            found["long"] = long_answers(Path(folder), args.thinking, args.answer, args.rate)
        if args.model:
            found["engine"] = engine_share(Path(folder), args.model, args.rounds, args.tokens)
    text = json.dumps(found, indent=2)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

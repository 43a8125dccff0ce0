"""Drives the real window with long answers and measures frames, stalls and memory.

The answers come from the scripted engine in a real worker, through the real session and store.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from PySide6.QtCore import QEventLoop, QObject, QTimer

from app.gui.main_window import MainWindow
from runtime.plan import (
    DeviceMemory,
    LayerRange,
    MemoryEstimate,
    Placement,
    Plan,
)

TEMPLATE = (
    "{% for m in messages %}{{ m.content }}\n{% endfor %}"
    "{# <think> #}{# </think> #}{% if add_generation_prompt %}> {% endif %}"
)
THOUGHT = (
    "Let me think about the still again. The vapour rises through the neck and condenses; so the "
    "ratio must be about {0}, and that gives another estimate.\n\n"
)
ANSWER = (
    "### Step {0}\n\nThe **yield** is from \\(x_{{{0}}} = \\frac{{1}}{{2}}\\) and `rate({0})`:\n\n"
    "```python\ndef rate(n: int) -> float:\n    return n / {0}.5  # close\n```\n\n"
    "| run | tok/s |\n|---|---:|\n| {0} | 14.2 |\n\n1. first\n2. second with *care*\n\n"
)


@dataclass(frozen=True)
class Measured:
    """One streamed answer. Times in milliseconds, memory in bytes (resident, this process)."""

    seconds: float
    characters: int
    frames: int
    frames_per_second: float
    slowest_frame: float
    frame_99th: float
    frame_early: float
    frame_late: float
    memory_early: int
    memory_late: int
    processor_share: float


def long_text(pattern: str, characters: int) -> str:
    """Numbered paragraphs of at least so many characters."""
    parts: list[str] = []
    length = number = 0
    while length < characters:
        number += 1
        parts.append(pattern.format(number))
        length += len(parts[-1])
    return "".join(parts)


def write_script(path: Path, thinking: int, answer: int, tokens_per_second: float) -> None:
    """A scripted model that thinks and answers so many characters, in pieces of four."""
    text = long_text(THOUGHT, thinking) + "</think>\n\n" + long_text(ANSWER, answer)
    pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
    script = {
        "pieces": pieces,
        "decode_seconds_per_token": 1 / tokens_per_second,
        "chat_template": TEMPLATE,
    }
    path.write_text(json.dumps(script))


def scripted_plan(n_ctx: int = 1_000_000) -> Plan:
    """A plan that loads a script."""
    placement = Placement("fake", (LayerRange("cpu", 0, 0),), "cpu", n_ctx)
    memory = MemoryEstimate((DeviceMemory("cpu", 0, 0, 0, available=1),))
    return Plan(placement, memory, None, "fits", ())


def spin(until: Callable[[], bool], seconds: float) -> bool:
    """Run the event loop until something is so."""
    if until():
        return True
    loop, timer = QEventLoop(), QTimer()
    timer.setInterval(20)  # a loop that polls would take from the engine what it measures
    timer.timeout.connect(lambda: loop.quit() if until() else None)
    timer.start()
    QTimer.singleShot(round(seconds * 1000), loop, loop.quit)
    loop.exec()
    return until()


def answered(window: MainWindow, seconds: float) -> bool:
    """Wait for the end of an answer without polling, which would take from the engine."""
    loop = QEventLoop()
    window.chat.answer_ended.connect(loop.quit)
    QTimer.singleShot(round(seconds * 1000), loop, loop.quit)
    if window.chat.busy:
        loop.exec()
    window.chat.answer_ended.disconnect(loop.quit)
    return not window.chat.busy


class FrameClock(QObject):
    """Notes when the window has drawn each frame: after every step of the stream, when it is idle
    again."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__()
        self.times: list[float] = []
        self.work: list[float] = []
        self._window = window
        self._started = 0.0
        window.chat.answer_grew.connect(self._grew)

    def _grew(self, _delta: object) -> None:
        self._started = time.perf_counter()
        QTimer.singleShot(0, self._idle)

    def _idle(self) -> None:
        """Drawing is done now: paint events come before timers of zero length run out."""
        now = time.perf_counter()
        self.times.append(now)
        self.work.append((now - self._started) * 1000)


def stream(window: MainWindow, script: Path, *, unfold: bool, limit: float) -> Measured:
    """Ask once and measure until the answer is whole."""
    window.models.choose(str(script), plan=False)
    window.models.plan = scripted_plan()
    clock = FrameClock(window)
    process = psutil.Process()
    memory: list[int] = []
    sampler = QTimer()
    sampler.timeout.connect(lambda: memory.append(process.memory_info().rss))
    sampler.start(200)
    window.chat_page.transcript.show_thinking = unfold
    cpu, started = sum(process.cpu_times()[:2]), time.perf_counter()
    window.chat.send("Go.")
    assert answered(window, limit), "the answer did not end in time"
    seconds = time.perf_counter() - started
    sampler.stop()
    message = window.chat_page.transcript.views()[-1].message
    gaps = sorted((b - a) * 1000 for a, b in zip(clock.times, clock.times[1:], strict=False))
    tenth = max(len(clock.work) // 10, 1)
    window.chat.answer_grew.disconnect(clock._grew)
    streaming = clock.times[-1] - clock.times[0]
    return Measured(
        seconds=seconds,
        characters=len(message.reasoning) + len(message.content),
        frames=len(clock.times),
        frames_per_second=(len(clock.times) - 1) / streaming,
        slowest_frame=gaps[-1],
        frame_99th=gaps[len(gaps) * 99 // 100],
        frame_early=sum(clock.work[tenth : 2 * tenth]) / tenth,
        frame_late=sum(clock.work[-2 * tenth : -tenth]) / tenth,
        memory_early=memory[len(memory) // 5] if memory else 0,
        memory_late=max(memory[-3:], default=0),
        processor_share=(sum(process.cpu_times()[:2]) - cpu) / seconds,
    )

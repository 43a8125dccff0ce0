"""What a set-up tells while it works: how far a long command is, and what each step has cost.

Knows terminals, child processes and the clock; not what is being set up. Standard library only.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

if sys.platform != "win32":
    import resource

SECONDS_BETWEEN_LINES = 15.0
NINJA = re.compile(r"^\[(\d+)/(\d+)\]")
WORTH_TELLING = 1.0
ENOUGH_TO_GUESS = 5  # parts, before the time left is told


class SetupFailed(Exception):
    """One sentence for the person who called make."""


def say(text: str) -> None:
    print(f"setup: {text}", file=sys.stderr, flush=True)


class Progress:
    """How far one step is: one line written over again on a terminal, elsewhere a line now and
    then. clock: seconds, for tests."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._started = self._told = clock()
        self._in_place = sys.stderr.isatty()
        self._width = 0

    def at(self, done: int, total: int) -> None:
        """`done` of `total` parts are there."""
        now = self._clock()
        if not self._in_place and now - self._told < SECONDS_BETWEEN_LINES and done < total:
            return
        self._told = now
        text = f"setup: {self._what}: {done} of {total}{self._left(now, done, total)}"
        if self._in_place:
            print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._in_place and self._width:
            print(file=sys.stderr, flush=True)

    def _left(self, now: float, done: int, total: int) -> str:
        """The time left, as if every part took as long as those before it."""
        if done < ENOUGH_TO_GUESS or done >= total:
            return ""
        seconds = (now - self._started) / done * (total - done)
        return f", about {_duration(seconds)} left" if seconds >= 1 else ""


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def run(
    command: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a command to its end; raises SetupFailed with its last lines where it fails.

    log: where everything it writes goes; without it, this process's stderr. on_line: is called
    with each line of a command that has a log.
    """
    if log is None:
        status = subprocess.run(command, env=environment, check=False, stdout=sys.stderr).returncode
    else:
        status = _run_logged(command, environment, log, on_line or (lambda line: None))
    if status:
        if log is not None:
            sys.stderr.write("\n".join(log.read_text(errors="replace").splitlines()[-30:]) + "\n")
        where = f"; the whole log is {log}" if log else ""
        words = " ".join(os.fspath(word) for word in command[:4])
        raise SetupFailed(f"`{words} ...` failed ({status}){where}.")


def _run_logged(
    command: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str] | None,
    log: Path,
    on_line: Callable[[str], None],
) -> int:
    with (
        log.open("a", encoding="utf-8") as file,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            on_line(line)
    return process.returncode


def of_ninja(progress: Progress) -> Callable[[str], None]:
    """Reads a build's own count from its lines: "[5/77] Building ..."."""

    def read(line: str) -> None:
        if found := NINJA.match(line):
            progress.at(int(found[1]), int(found[2]))

    return read


def of_pip(total: int) -> Callable[[str], None]:
    """Counts what pip fetches, of `total` packages in a lock for all systems; it names those that
    are not for this one first."""
    progress, ignored, fetched = Progress("packages fetched"), [], []

    def read(line: str) -> None:
        if line.startswith("Ignoring "):
            ignored.append(line)
        elif line.startswith(("Collecting ", "Requirement already satisfied: ")):
            fetched.append(line)
            progress.at(len(fetched), total - len(ignored))
        elif line.startswith("Installing collected"):
            progress.end()
            say("unpacking them (about a minute)")

    return read


@dataclass
class Costs:
    """Seconds that the steps of one set-up took, by the processors and by the clock."""

    steps: list[tuple[str, float | None, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began, clock = processor_seconds(), time.monotonic()
        yield
        spent = None if began is None else (processor_seconds() or 0.0) - began
        self.steps.append((name, spent, time.monotonic() - clock))

    def told(self) -> str:
        """One sentence; "" where nothing took long."""
        long = [step for step in self.steps if step[2] >= WORTH_TELLING]
        if not long:
            return ""
        parts = [f"{name} {_seconds(spent, clock)}" for name, spent, clock in long]
        spent = [each for _, each, _ in self.steps if each is not None]
        clock = sum(each for _, _, each in self.steps)
        whole = _seconds(sum(spent) if spent else None, clock)
        return f"took {whole}: {', '.join(parts)}"


def _seconds(spent: float | None, clock: float) -> str:
    by_clock = f"{clock:.0f} s"
    return by_clock if spent is None else f"{by_clock} ({spent:.0f} s of processor time)"


def processor_seconds() -> float | None:
    """User and system time of this process and of its children that have ended; Windows does not
    tell."""
    if sys.platform == "win32":
        return None
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)

"""Which CPU library of the engine this machine uses: chosen once, kept, and handed to children.

Knows where the choice is stored and that children read it from the environment;
`runtime.process.cpu_library` makes it.
"""

import os
import threading
from pathlib import Path

from runtime.errors import EngineError, WorkerDied
from runtime.planning.bandwidth import machine_fingerprint
from runtime.process.cpu_library import (
    CpuChoice,
    CpuChoiceFile,
    choose_cpu_library,
    cpu_libraries,
    environment_of,
    refuse_cpu_library,
)


class CpuLibrary:
    """The choice for this processor: stored in `file`; self-tests write to `log`."""

    def __init__(self, file: Path, log: Path) -> None:
        self._file = CpuChoiceFile(file)
        self._log = log
        self._choice: CpuChoice | None = None
        self._choosing = threading.Lock()

    def select(self) -> CpuChoice:
        """Make or recall the choice, for all children from now on. Takes a second or more once per
        installation; threads that ask in the meantime wait."""
        with self._choosing:
            if self._choice is None:
                choice = choose_cpu_library(cpu_libraries(), self._file, _name(), self._log)
                self._use(choice)
            assert self._choice is not None
            return self._choice

    def switch_library_after(self, error: EngineError) -> bool:
        """Switch to another library if `error` is an illegal instruction; whether it did."""
        if not isinstance(error, WorkerDied):
            return False
        choice = refuse_cpu_library(cpu_libraries(), self._file, _name(), error, self._log)
        if choice is None:
            return False
        with self._choosing:
            self._use(choice)
        return bool(choice.library)

    def _use(self, choice: CpuChoice) -> None:
        os.environ.update(environment_of(choice))
        self._choice = choice


def _name() -> str:
    return machine_fingerprint()["processor"]

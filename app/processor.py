"""Which CPU library of the engine this machine uses: chosen once, kept, and handed to children.

Knows where the choice is kept and that children read it from the environment; how one is made is
`runtime.cpuchoice`'s.
"""

import os
from pathlib import Path

from runtime.bandwidth import machine_fingerprint
from runtime.cpuchoice import (
    CpuChoice,
    CpuChoiceFile,
    choose_cpu_library,
    cpu_libraries,
    environment_of,
    refuse_cpu_library,
)
from runtime.errors import EngineError, WorkerDied


class Processor:
    """The choice for this processor. `file` keeps it, `log` is for what self-tests say."""

    def __init__(self, file: Path, log: Path) -> None:
        self._file = CpuChoiceFile(file)
        self._log = log

    def adopt(self) -> CpuChoice:
        """Make or recall the choice, for all children from now on. Takes a second or more once."""
        choice = choose_cpu_library(cpu_libraries(), self._file, _name(), self._log)
        os.environ.update(environment_of(choice))
        return choice

    def died(self, error: EngineError) -> bool:
        """Move on to another library where a worker met an illegal instruction; whether it did."""
        if not isinstance(error, WorkerDied):
            return False
        choice = refuse_cpu_library(cpu_libraries(), self._file, _name(), error, self._log)
        if choice is None:
            return False
        os.environ.update(environment_of(choice))
        return bool(choice.library)


def _name() -> str:
    return machine_fingerprint()["processor"]

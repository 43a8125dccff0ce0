"""Real processes that compute, at the priority of everything else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends by itself when the test's process is gone.
BURN = "import os\nprint(flush=True)\nwhile os.getppid() == {parent}: sum(range(10_000))"


@contextmanager
def burning(count: int) -> Iterator[list[int]]:
    """Processes that compute, once all of them do; their ids."""
    command = [sys.executable, "-c", BURN.format(parent=os.getpid())]
    burners = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for burner in burners:
            assert burner.stdout is not None
            burner.stdout.readline()
        yield [burner.pid for burner in burners]
    finally:
        for burner in burners:
            burner.kill()
            burner.communicate()

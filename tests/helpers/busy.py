"""Real processes that compute, at the priority of everything else."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager


def burn() -> None:
    while True:
        sum(range(10000))


@contextmanager
def burning(count: int) -> Iterator[list[int]]:
    """Processes that compute; their ids."""
    context = multiprocessing.get_context("spawn")
    burners = [context.Process(target=burn, daemon=True) for _ in range(count)]
    for burner in burners:
        burner.start()
    try:
        time.sleep(0.4)  # until they have started
        yield [burner.pid or 0 for burner in burners]
    finally:
        for burner in burners:
            burner.kill()
            burner.join()

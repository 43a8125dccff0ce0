"""An engine of another package that fails with errors of its own, which the parent never learns of:
only a worker that STILLROOM_ENGINE_MODULES names it to imports this module."""

from runtime.backend import LoadReport
from runtime.engine import EngineDescriptor
from runtime.errors import DeviceUnavailable, EngineError
from runtime.plan import Placement
from runtime.progress import CancelToken, OnProgress
from tests.helpers.toy_engine import ToyBackend, memory

ENGINE = EngineDescriptor("failing", "Failing Engine", __name__, ("gguf",), memory)


class Unplugged(DeviceUnavailable):
    """`port` is where it was."""

    port: int


class SpringBroke(EngineError):
    spring: str
    turns: int


class FailingBackend(ToyBackend):
    """Fails with the error that the path names."""

    def load(
        self, path: str, placement: Placement, on_progress: OnProgress, cancel: CancelToken
    ) -> LoadReport:
        if path == "unplugged":
            raise Unplugged(device="toy0", reason="device_lost", port=3)
        raise SpringBroke(spring="left", turns=7)


def open_engine() -> FailingBackend:
    return FailingBackend()

"""What this machine has: devices as a child process finds them, and what is known against them.

Remembers for a while what was found, and until the end which devices failed under a model. Plans
nothing; `app.explain` words the reasons.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from runtime.client import run_job
from runtime.devices import Device
from runtime.errors import DeviceUnavailable, EngineError, StageFailed, WorkerDied
from runtime.jobs import CancelToken, OnProgress, ignore_progress
from runtime.plan import Placement
from runtime.providers import Preflight

FRESH_SECONDS = 5.0


class Machine:
    """Devices of this machine. `log` gives the file for what the children say."""

    def __init__(self, log: Callable[[], Path]) -> None:
        self._log = log
        self._found: tuple[float, tuple[Device, ...]] = (float("-inf"), ())
        self._failed: dict[str, str] = {}

    def devices(self, *, refresh: bool = False) -> tuple[Device, ...]:
        """All devices, the unusable ones with their reason; kept for a few seconds.

        refresh: look again at once, and forget which devices failed.
        """
        if refresh:
            self._failed.clear()
        found_at, devices = self._found
        if refresh or time.monotonic() - found_at > FRESH_SECONDS:
            result = run_job("probe", {}, log=self._log(), stall_seconds=30)
            devices = msgspec.convert(result["devices"], type=tuple[Device, ...])
            self._found = (time.monotonic(), devices)
        return tuple(
            replace(d, unavailable_reason=d.unavailable_reason or self._failed.get(d.id, ""))
            for d in devices
        )

    def cpu(self) -> Device:
        """The processor."""
        return next(device for device in self.devices() if device.id == "cpu")

    def failed(self, device: str, reason: str) -> None:
        """Plan without a device from now on: a model failed on it for `reason` (a code)."""
        self._failed[device] = reason

    def preflight(
        self, on_progress: OnProgress = ignore_progress, cancel: CancelToken | None = None
    ) -> tuple[Preflight, ...]:
        """Try every execution provider that is installed or whose hardware is here: five facts
        about each. A device whose facts do not all hold is planned without."""
        result = run_job("preflight", {}, on_progress, cancel, self._log())
        tried = msgspec.convert(result["preflights"], type=tuple[Preflight, ...])
        by_target = {preflight.target: preflight for preflight in tried}
        for device in self.devices():
            preflight = by_target.get(device.facts.get("target", ""))
            missing = preflight.missing if preflight else None
            if missing is not None:
                self.failed(device.id, f"{missing.name}:{missing.code}")
        return tried


def failed_device(placement: Placement, error: EngineError) -> tuple[str, str] | None:
    """The accelerator of a placement that an error blames, and for what (a code); None where it
    blames none. A crash of the worker counts where a driver plug-in ran in it."""
    devices = [part.device for part in placement.layers if part.device != "cpu"]
    if not devices:
        return None
    if isinstance(error, DeviceUnavailable):
        return devices[-1], str(error.facts["reason"])
    crashed = isinstance(error, WorkerDied) and error.facts.get("kind") == "crashed"
    if isinstance(error, StageFailed) or (crashed and placement.engine == "onnx"):
        return devices[-1], "device_lost"
    return None

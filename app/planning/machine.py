"""The devices of this machine as a child process finds them, and which of them have failed.

Remembers for a while what was found, and until it ends which devices failed under a model. Plans
nothing; `app.wording.explain` words the reasons.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runtime import registry
from runtime.devices import Device
from runtime.errors import DeviceUnavailable, EngineError, StageFailed, WorkerDied, WorkerStalled
from runtime.machine import rpc
from runtime.machine.providers import Fact, Preflight
from runtime.plan import Placement
from runtime.process.client import run_job
from runtime.process.job_table import PREFLIGHT, PREFLIGHT_TARGETS, PROBE
from runtime.process.job_values import Nothing, PreflightArgs, ProbeArgs
from runtime.progress import CancelToken, OnProgress, Progress, ignore_progress

FRESH_SECONDS = 5.0
_SELF_TEST_SECONDS = 180.0  # without output from the child; the slowest compiler takes 10

Probe = Callable[[ProbeArgs, Path], tuple[Device, ...]]  # with the log file of the child


def probe_in_child(args: ProbeArgs, log: Path) -> tuple[Device, ...]:
    """What a child finds now. Raises EngineError."""
    return run_job(PROBE, args, log=log, stall_seconds=30).devices


class Machine:
    """Devices of this machine, for any thread. `log` gives the log file of the children,
    `rpc_servers` the addresses from the settings."""

    def __init__(
        self,
        log: Callable[[], Path],
        rpc_servers: Callable[[], str],
        probe: Probe = probe_in_child,
    ) -> None:
        self._log = log
        self._rpc_servers = rpc_servers
        self._probe = probe
        self._probing = threading.Lock()
        self._found: tuple[float, tuple[Device, ...]] = (float("-inf"), ())
        self._failed: dict[str, str] = {}
        self._servers: dict[str, list[Device]] = {}
        self.in_use: frozenset[str] = frozenset()  # devices of the loaded model

    def devices(self, *, refresh: bool = False) -> tuple[Device, ...]:
        """All devices, the unusable ones with their reason; kept for a few seconds.

        refresh: search again at once, and forget which devices failed.
        """
        if refresh:
            self._failed.clear()
        with self._probing:  # threads that ask in the meantime wait for the same answer
            found_at, devices = self._found
            if refresh or time.monotonic() - found_at > FRESH_SECONDS:
                args = ProbeArgs(tuple(self._to_ask(refresh)))
                devices = self._with_servers(self._probe(args, self._log()))
                self._found = (time.monotonic(), devices)
        return tuple(
            replace(d, unavailable_reason=d.unavailable_reason or self._failed.get(d.id, ""))
            for d in devices
        )

    def _to_ask(self, refresh: bool) -> list[str]:
        """RPC servers to ask now. One that a loaded model uses accepts no other client, and what a
        server offers is remembered until a refresh."""
        busy = {rpc.address_of(device) for device in self.in_use}
        wanted = rpc.addresses(self._rpc_servers())
        self._servers = {each: self._servers[each] for each in wanted if each in self._servers}
        known = set() if refresh else set(self._servers)
        return [each for each in wanted if each not in busy | known]

    def _with_servers(self, devices: tuple[Device, ...]) -> tuple[Device, ...]:
        """The devices, with those of RPC servers that were not asked this time, the CPU last."""
        asked: dict[str, list[Device]] = {}
        for device in devices:
            if device.kind == "RPC":
                asked.setdefault(rpc.address_of(device.id), []).append(device)
        servers = self._servers | asked
        self._servers = {a: found for a, found in servers.items() if found[0].usable}
        own = [device for device in devices if device.kind != "RPC"]
        return (*own[:-1], *(each for found in servers.values() for each in found), own[-1])

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
        nothing = Nothing()
        answer = run_job(PREFLIGHT_TARGETS, nothing, ignore_progress, cancel, self._log())
        known = answer.preflights
        tried = []
        for done, each in enumerate(known):
            on_progress(Progress("preflight", done, len(known), "steps", each.target))
            tried.append(self._try(each, cancel) if each.to_be_tested else each)
        on_progress(Progress("preflight", len(known), len(known), "steps"))
        by_target = {preflight.target: preflight for preflight in tried}
        for device in self.devices():
            preflight = by_target.get(device.facts.get("target", ""))
            missing = preflight.missing if preflight else None
            if missing is not None:
                self.failed(device.id, f"{missing.name}:{missing.code}")
        return tuple(tried)

    def _try(self, known: Preflight, cancel: CancelToken | None) -> Preflight:
        """The self-test of one provider in its own child process: a crash there loses no other
        provider's facts."""
        args = PreflightArgs(known.target)
        try:
            return run_job(
                PREFLIGHT, args, ignore_progress, cancel, self._log(), _SELF_TEST_SECONDS
            )
        except WorkerDied as error:
            cause = error.cause or error.kind
            return known.with_fact(Fact("self_test", False, "crashed", {"cause": cause}))
        except WorkerStalled:
            return known.with_fact(
                Fact("self_test", False, "hung", {"seconds": _SELF_TEST_SECONDS})
            )


def measurable(devices: tuple[Device, ...]) -> list[str]:
    """The devices whose memory the profiler can time: the processor, and the GPUs of an engine it
    times them through."""
    timing = {each.name for each in registry.engines() if each.times_gpus}
    gpus = [d.id for d in devices if d.usable and d.kind == "GPU" and timing & set(d.engines)]
    return ["cpu", *gpus]


def failed_device(placement: Placement, error: EngineError) -> tuple[str, str] | None:
    """The accelerator of a placement that an error names, and why (a code); None where it names
    none. A crash of the worker counts where a driver plug-in ran in it."""
    devices = [part.device for part in placement.layers if part.device != "cpu"]
    if not devices:
        return None
    if isinstance(error, DeviceUnavailable):
        return error.device if error.device in devices else devices[-1], error.reason
    server = rpc.lost_server(devices) if isinstance(error, WorkerDied | WorkerStalled) else None
    if server is not None:
        return server, rpc.LOST
    crashed = isinstance(error, WorkerDied) and error.kind == "crashed"
    if isinstance(error, StageFailed) or (
        crashed and registry.engine(placement.engine).driver_plugins
    ):
        return devices[-1], "device_lost"
    return None

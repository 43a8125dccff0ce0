"""Execution providers as data, and the five facts of a preflight.

Knows which package serves which device and what its settings are; imports no engine. Whether a
provider loads and computes correctly is tested by `runtime.backends.onnx.preflight` in a child
process.
"""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from runtime.devices import DeviceKind
from runtime.errors import DeviceUnavailable
from runtime.machine.npus import DRIVERS, NpuHardware

FactName = Literal["hardware", "driver", "provider", "memory", "self_test"]
FACT_NAMES: tuple[FactName, ...] = ("hardware", "driver", "provider", "memory", "self_test")
# Bytes a self-test takes at most: 80 MB through OpenVINO and 170 MB through QNN were measured.
SELF_TEST_BYTES = 256 << 20


@dataclass(frozen=True)
class ProviderTarget:
    """One way to run a body: a provider plug-in, the device it is to use and its settings.

    `id` names it in placements. `match` picks the provider's device by its own metadata. A
    `simulated` or CPU target needs no hardware. `extra` is the optional dependency that brings it.
    """

    id: str
    kind: DeviceKind
    library: str
    provider: str
    distribution: str
    module: str
    extra: str
    options: Mapping[str, str] = field(default_factory=dict)
    match: Mapping[str, str] = field(default_factory=dict)
    hardware_vendor: str = ""
    simulated: bool = False
    name: str = ""
    platform: str = ""  # of sys.platform, where its package exists for one only

    @property
    def on_request(self) -> bool:
        """Whether it runs on the processor in the end, so that it is used only when it is named."""
        return self.simulated or self.kind == "CPU"


def _openvino(kind: DeviceKind) -> ProviderTarget:
    return ProviderTarget(
        id=f"openvino-{kind.lower()}",
        kind=kind,
        library="OpenVINO",
        provider="OpenVINOExecutionProvider",
        distribution="onnxruntime-ep-openvino",
        module="onnxruntime_ep_openvino",
        extra="npu-openvino",
        match={"ov_device": kind},
        hardware_vendor="intel" if kind == "NPU" else "",
        name="processor through OpenVINO" if kind == "CPU" else f"Intel {kind}",
    )


def _qnn(name: str, options: Mapping[str, str], *, simulated: bool) -> ProviderTarget:
    return ProviderTarget(
        id=name,
        kind="NPU",
        library="QNN",
        provider="QNNExecutionProvider",
        distribution="onnxruntime-qnn",
        module="onnxruntime_qnn",
        extra="npu-qnn",
        options={"backend_type": "htp", **options},
        hardware_vendor="" if simulated else "qualcomm",
        simulated=simulated,
        name="Qualcomm HTP simulator" if simulated else "Qualcomm NPU",
    )


TARGETS: Mapping[str, ProviderTarget] = {
    target.id: target
    for target in (
        _openvino("CPU"),
        _openvino("GPU"),
        _openvino("NPU"),
        _qnn("qnn-htp", {}, simulated=False),
        # The simulator must be told which chip to be: 73 / 60 is a Snapdragon X Elite.
        _qnn("qnn-simulator", {"htp_arch": "73", "soc_model": "60"}, simulated=True),
        ProviderTarget(
            id="winml-npu",
            kind="NPU",
            library="WindowsML",
            provider="VitisAIExecutionProvider",
            distribution="windowsml",
            module="windowsml",
            extra="npu-winml",
            hardware_vendor="amd",
            name="AMD NPU",
            platform="win32",
        ),
    )
}
_NPU_TARGETS = {"intel": "openvino-npu", "qualcomm": "qnn-htp", "amd": "winml-npu"}


def resolve_target(device: str, npus: tuple[NpuHardware, ...]) -> ProviderTarget:
    """The target a placement's device id means: a target's own id, or "npu0" by its vendor.

    Raises DeviceUnavailable for an id that means nothing here.
    """
    if device in TARGETS:
        return TARGETS[device]
    for npu in npus:
        if npu.id == device:
            return TARGETS[_NPU_TARGETS[npu.vendor]]
    raise DeviceUnavailable(device=device, reason="no_such_device", known=sorted(TARGETS))


@dataclass(frozen=True)
class Fact:
    """One fact of a preflight. `ok` is None where an earlier fact made the check pointless.

    `code` and `facts` say what was found or is missing; `app.wording.explain` words them.
    """

    name: FactName
    ok: bool | None
    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Preflight:
    """The five facts about one target, in order. `install` is the package to install where the
    provider is what is missing."""

    target: str
    facts: tuple[Fact, ...]
    install: str = ""

    @property
    def usable(self) -> bool:
        return all(fact.ok for fact in self.facts)

    @property
    def to_be_tested(self) -> bool:
        """Whether everything but the self-test holds."""
        return all(fact.ok for fact in self.facts if fact.name != "self_test")

    @property
    def missing(self) -> Fact | None:
        """The first fact that is not so."""
        return next((fact for fact in self.facts if not fact.ok), None)

    def fact(self, name: FactName) -> Fact:
        return next(fact for fact in self.facts if fact.name == name)

    def with_fact(self, fact: Fact) -> "Preflight":
        """The same facts with one replaced."""
        facts = tuple(fact if each.name == fact.name else each for each in self.facts)
        return replace(self, facts=facts)


def static_facts(
    target: ProviderTarget, npus: tuple[NpuHardware, ...], memory_left: int
) -> Preflight:
    """Hardware, driver, provider package and memory, as far as files alone show.

    `memory_left`: bytes this process may still use. `self_test` is left unknown: only a child
    process can run it.
    """
    npu = next((npu for npu in npus if npu.vendor == target.hardware_vendor), None)
    installed = installed_version(target.module, target.distribution)
    hardware, driver = _hardware_facts(target, npu)
    there = target.platform in ("", sys.platform)
    if installed:
        provider = Fact("provider", True, "installed", {"version": installed})
    elif there:
        provider = Fact("provider", False, "not_installed", {"package": target.distribution})
    else:
        provider = Fact("provider", False, "not_for_this_system", {"package": target.distribution})
    memory = memory_fact(memory_left)
    facts = (hardware, driver, provider, memory, Fact("self_test", None, "not_run"))
    return Preflight(target.id, facts, target.extra if there and not installed else "")


def memory_fact(left: int, cap: int | None = None) -> Fact:
    """Whether a body can be compiled and held at all: `left` bytes of main memory, and no more than
    `cap` where the device reports one. What a model takes is up to the plan."""
    most = left if cap is None else min(left, cap)
    facts = {"bytes": most, "needed": SELF_TEST_BYTES}
    if most < SELF_TEST_BYTES:
        return Fact("memory", False, "too_little_memory", facts)
    return Fact("memory", True, "shared_with_host" if cap is None else "device_memory", facts)


def _hardware_facts(target: ProviderTarget, npu: NpuHardware | None) -> tuple[Fact, Fact]:
    if not target.hardware_vendor:
        code = "simulated" if target.simulated else "found_by_provider"
        return Fact("hardware", True, code), Fact("driver", True, "not_needed")
    if npu is None:
        missing = Fact("hardware", False, "not_present", {"vendor": target.hardware_vendor})
        return missing, Fact("driver", None, "no_hardware")
    hardware = Fact("hardware", True, "present", {"vendor": npu.vendor, "node": npu.node})
    if not npu.driver:
        wanted = DRIVERS[npu.vendor]
        return hardware, Fact("driver", False, "not_loaded", {"driver": wanted})
    if not npu.accessible:
        facts = {"driver": npu.driver, "node": npu.node}
        return hardware, Fact("driver", False, "no_permission", facts)
    return hardware, Fact("driver", True, "loaded", {"driver": npu.driver})


def installed_version(module: str, distribution: str) -> str:
    """The version of a package whose module can be imported here, else an empty text."""
    if importlib.util.find_spec(module) is None:
        return ""
    from importlib import metadata  # brings email and zipfile: not for the start of the window

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""

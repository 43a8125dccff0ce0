"""NPU hardware read from files or listed, and the facts of a preflight that need no engine."""

import sys
from pathlib import Path

import pytest

from runtime.backends.onnx.devices import provider_devices
from runtime.errors import DeviceUnavailable
from runtime.machine.npus import ListedHardware, find_npus, npus_listed
from runtime.machine.providers import (
    FACT_NAMES,
    SELF_TEST_BYTES,
    TARGETS,
    ProviderTarget,
    memory_fact,
    resolve_target,
    static_facts,
)

MEMORY = 16_000_000_000
ABSENT = ProviderTarget(
    id="absent",
    kind="NPU",
    library="OpenVINO",
    provider="NoExecutionProvider",
    distribution="no-such-distribution",
    module="no_such_module",
    extra="npu-openvino",
    hardware_vendor="intel",
)


def _system(root: Path, vendor: str, driver: str | None, *, node: bool = True) -> Path:
    device = root / "sys/class/accel/accel0/device"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    if driver:
        target = root / "sys/bus/pci/drivers" / driver
        target.mkdir(parents=True)
        (device / "driver").symlink_to(target)
    if node:
        (root / "dev/accel").mkdir(parents=True)
        (root / "dev/accel/accel0").write_text("")
    return root


def test_an_intel_npu_with_its_driver(tmp_path: Path) -> None:
    (npu,) = find_npus(_system(tmp_path, "0x8086", "intel_vpu"))
    assert (npu.id, npu.vendor, npu.driver, npu.accessible) == ("npu0", "intel", "intel_vpu", True)
    assert resolve_target("npu0", (npu,)).id == "openvino-npu"


def test_an_amd_npu_goes_through_windows_ml(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x1022", "amdxdna"))
    assert resolve_target("npu0", npus).id == "winml-npu"


def test_a_qualcomm_npu_by_its_device_file(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/fastrpc-cdsp").write_text("")
    (npu,) = find_npus(tmp_path)
    assert (npu.vendor, npu.driver) == ("qualcomm", "fastrpc")
    assert resolve_target(npu.id, (npu,)).id == "qnn-htp"


def test_npus_of_a_list_as_windows_gives_it() -> None:
    listed = (
        ListedHardware("CPU", 0x8086, 0),
        ListedHardware("GPU", 0x8086, 0x7D55),
        ListedHardware("NPU", 0x8086, 0x643E, {"Description": "Intel(R) AI Boost"}),
        ListedHardware("NPU", 0x4D4F4351, 0x0C36, {"Description": "Hexagon(TM) NPU"}),
        ListedHardware("NPU", 0x1022, 0x17F0),
        ListedHardware("NPU", 0x1234, 1),
    )
    npus = npus_listed(listed)
    assert [(npu.id, npu.vendor, npu.node) for npu in npus] == [
        ("npu0", "intel", "Intel(R) AI Boost"),
        ("npu1", "qualcomm", "Hexagon(TM) NPU"),
        ("npu2", "amd", "device 0x17f0"),
    ]
    targets = [resolve_target(npu.id, npus).id for npu in npus]
    assert targets == ["openvino-npu", "qnn-htp", "winml-npu"]
    facts = static_facts(TARGETS["openvino-npu"], npus, MEMORY)
    assert (facts.fact("hardware").ok, facts.fact("driver").ok) == (True, True)


@pytest.mark.skipif(sys.platform == "win32", reason="its package is for Windows")
def test_an_amd_npu_elsewhere_is_not_told_to_install_windows_packages(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x1022", "amdxdna"))
    facts = static_facts(TARGETS["winml-npu"], npus, MEMORY)
    assert (facts.missing and facts.missing.code) == "not_for_this_system"
    assert facts.install == ""
    (device,) = (d for d in provider_devices(npus, frozenset(), MEMORY, MEMORY) if d.id == "npu0")
    assert device.unavailable_reason == "provider:not_for_this_system"


@pytest.mark.parametrize(
    ("left", "cap", "ok", "code"),
    [
        (MEMORY, None, True, "shared_with_host"),
        (SELF_TEST_BYTES, None, True, "shared_with_host"),
        (SELF_TEST_BYTES - 1, None, False, "too_little_memory"),
        (MEMORY, 4 << 30, True, "device_memory"),
        (MEMORY, SELF_TEST_BYTES - 1, False, "too_little_memory"),
    ],
)
def test_memory_is_compared_with_what_is_left_and_what_the_device_has(
    left: int, cap: int | None, ok: bool, code: str
) -> None:
    fact = memory_fact(left, cap)
    assert (fact.ok, fact.code) == (ok, code)
    assert fact.facts["bytes"] == min(left, cap or left)


def test_too_little_memory_is_a_missing_fact(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x8086", "intel_vpu"))
    facts = static_facts(TARGETS["openvino-npu"], npus, 1 << 20)
    assert facts.fact("memory").ok is False
    assert not facts.to_be_tested


def test_a_machine_without_any(tmp_path: Path) -> None:
    assert find_npus(tmp_path) == ()
    with pytest.raises(DeviceUnavailable) as caught:
        resolve_target("npu0", ())
    assert caught.value.facts["reason"] == "no_such_device"


def test_no_hardware_is_the_first_missing_fact() -> None:
    preflight = static_facts(TARGETS["openvino-npu"], (), MEMORY)
    assert [fact.name for fact in preflight.facts] == list(FACT_NAMES)
    assert preflight.missing is not None
    assert (preflight.missing.name, preflight.missing.code) == ("hardware", "not_present")
    assert preflight.fact("driver").ok is None
    assert not preflight.usable


def test_a_missing_driver_is_named(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x8086", None))
    driver = static_facts(TARGETS["openvino-npu"], npus, MEMORY).fact("driver")
    assert (driver.ok, driver.code, driver.facts["driver"]) == (False, "not_loaded", "intel_vpu")


def test_a_device_file_without_permission_is_named(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x8086", "intel_vpu", node=False))
    driver = static_facts(TARGETS["openvino-npu"], npus, MEMORY).fact("driver")
    assert (driver.ok, driver.code) == (False, "no_permission")
    assert str(driver.facts["node"]).endswith("dev/accel/accel0")


def test_a_missing_package_says_what_to_install(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x8086", "intel_vpu"))
    preflight = static_facts(ABSENT, npus, MEMORY)
    assert preflight.missing is not None
    assert preflight.missing.name == "provider"
    assert preflight.missing.facts == {"package": "no-such-distribution"}
    assert preflight.install == "npu-openvino"


def test_an_npu_without_its_driver_is_listed_with_the_reason(tmp_path: Path) -> None:
    npus = find_npus(_system(tmp_path, "0x8086", None))
    device = next(d for d in provider_devices(npus, frozenset(), MEMORY, MEMORY // 2))
    assert (device.id, device.kind) == ("npu0", "NPU")
    assert device.unavailable_reason == "driver:not_loaded"


def test_stand_ins_are_used_only_when_they_are_named() -> None:
    """Where their plug-ins are installed: the simulator, and the processor through OpenVINO."""
    for device in provider_devices((), frozenset(), MEMORY, MEMORY // 2):
        assert device.on_request
        assert TARGETS[device.id].on_request
    assert not TARGETS["openvino-npu"].on_request
    assert not TARGETS["qnn-htp"].on_request

"""Devices found in /proc and /sys, and the reason for each that cannot be used."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runtime.backends.genai.devices import cuda_devices, devices
from runtime.devices import Device, Surroundings
from runtime.machine.host import cpu_device, memory_limit
from runtime.tasks.probe import hardware_gpus, reached
from tests.helpers.toy_engine import ENGINE

CUDA = Device("cuda0", "GPU", "CUDA", "a GPU", 24, 20)
HERE = Surroundings((), Device("cpu", "CPU", "CPU", "host", 24, 20))


def pci_device(root: Path, address: str, vendor: str, kind: str) -> Path:
    folder = root / "bus" / "pci" / "devices" / address
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(vendor + "\n")
    (folder / "class").write_text(kind + "\n")
    (folder / "device").write_text("0x2331\n")
    return folder


def test_this_machine_has_a_usable_processor() -> None:
    cpu = cpu_device()
    assert (cpu.id, cpu.kind, cpu.usable) == ("cpu", "CPU", True)
    assert 1 <= cpu.cores <= cpu.threads
    assert 0 < cpu.memory_free <= cpu.memory_total


def test_graphics_hardware_is_listed_with_its_reason(tmp_path: Path) -> None:
    gpu = pci_device(tmp_path, "0000:01:00.0", "0x10de", "0x030200")
    (tmp_path / "nvidia").mkdir()
    (gpu / "driver").symlink_to(tmp_path / "nvidia")
    pci_device(tmp_path, "0000:02:00.0", "0x8086", "0x020000")  # a network card
    pci_device(tmp_path, "0000:03:00.0", "0x1234", "0x030000")  # a virtual display
    (found,) = hardware_gpus(tmp_path)
    assert found.id == "gpu-0000:01:00.0"
    assert found.unavailable_reason == "engine_lacks_gpu"
    assert not found.usable
    assert found.facts == {"vendor": "NVIDIA", "driver": "nvidia"}


def test_cuda_devices_that_nvidia_smi_lists() -> None:
    listing = (
        "0, NVIDIA H100 80GB HBM3, 81559, 80000\n"
        "1, NVIDIA GB10, [N/A], [N/A]\n"
        "2, NVIDIA RTX A2000, 12GB, edition, 12282, 4096\n\n"
    )
    first, second = cuda_devices(listing)
    assert (first.id, first.kind, first.library) == ("cuda0", "GPU", "CUDA")
    assert (first.memory_total, first.memory_free) == (81559 << 20, 80000 << 20)
    assert (second.id, second.name) == ("cuda2", "NVIDIA RTX A2000, 12GB, edition")
    assert cuda_devices("NVIDIA-SMI has failed") == []


def test_without_genai_s_cuda_package_nothing_is_asked() -> None:
    assert devices([CUDA], HERE) == []


def lists_cuda(found: Sequence[Device], here: Surroundings) -> list[Device]:
    return [CUDA]


def takes_over(found: Sequence[Device], here: Surroundings) -> list[Device]:
    own = Device("npu0", "NPU", "none", f"beside {here.cpu.name}", 1, 1)
    return [*(device for device in found if device.library == "CUDA"), own]


def test_a_device_that_several_engines_reach_is_listed_once() -> None:
    engines = (
        replace(ENGINE, name="first", devices=f"{__name__}:lists_cuda"),
        replace(ENGINE, name="second", devices=f"{__name__}:takes_over"),
        replace(ENGINE, name="third"),
    )
    cuda, npu = reached(engines, HERE)
    assert cuda == replace(CUDA, engines=("first", "second"))
    assert (npu.id, npu.name, npu.engines) == ("npu0", "beside host", ("second",))


def test_memory_limits_of_control_groups(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("2147483648\n")
    assert memory_limit(tmp_path) == 1 << 31
    (tmp_path / "memory.max").unlink()
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text(str((1 << 63) - 4096))
    assert memory_limit(tmp_path) is None


def test_nothing_is_found_where_there_is_nothing(tmp_path: Path) -> None:
    assert hardware_gpus(tmp_path) == []

"""Runs as values: what a plan may count on while a model is loaded, and what is recorded."""

from pathlib import Path

from app.runs import LoadedModel, without
from app.targets import Target
from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.plan import DeviceMemory, LayerRange, MemoryEstimate, Placement, Plan

PLACEMENT = Placement("llamacpp", (LayerRange("cuda0", 0, 3),), "cuda0", 4096)
MEMORY = MemoryEstimate((DeviceMemory("cuda0", 10, 2, 1), DeviceMemory("cpu", 5, 0, 1)))
LOADED = LoadedModel(
    Target("m", Path("m.gguf"), None),
    Plan(PLACEMENT, MEMORY, None, "fits", ()),
    LoadReport("llamacpp", "1", 4096, 0.1, {}),
    None,
)


def device(name: str, total: int, free: int) -> Device:
    return Device(name, "GPU" if name != "cpu" else "CPU", "x", name, total, free)


def test_the_loaded_model_makes_room_for_the_next() -> None:
    devices = (device("cuda0", 24, 8), device("cuda1", 24, 24), device("cpu", 64, 40))
    freed = without(LOADED, devices)
    assert [d.memory_free for d in freed] == [21, 24, 46]


def test_no_device_has_more_free_than_it_has() -> None:
    (freed,) = without(LOADED, (device("cuda0", 24, 20),))
    assert freed.memory_free == 24

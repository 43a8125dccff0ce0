"""Runs as values: what a plan may count on while a model is loaded, and what is recorded."""

from pathlib import Path

from app.runs import LoadedModel, missed, ran_on, without
from app.targets import Target
from runtime.backend import LoadReport
from runtime.devices import Device
from runtime.plan import DeviceMemory, Interval, LayerRange, MemoryEstimate, Placement, Plan

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


def test_a_run_misses_its_range_from_below_only() -> None:
    promised = Interval(10.0, 12.0, 14.0)
    assert missed(promised, 9.9, 16)
    assert not missed(promised, 10.1, 16)
    assert not missed(promised, 30.0, 100)
    assert not missed(promised, 1.0, 15)
    assert not missed(None, 1.0, 100)


def test_the_engine_tells_where_the_blocks_really_are() -> None:
    def report(**buffers: int) -> LoadReport:
        return LoadReport(
            "llamacpp", "1", 4096, 0.1, {n: {"weights": b} for n, b in buffers.items()}
        )

    assert ran_on(report(CUDA0=10, CPU_Mapped=5), PLACEMENT) == "cuda0"
    assert ran_on(report(CPU_Mapped=5, CPU_REPACK=9), PLACEMENT) == "cpu"
    assert ran_on(report(), PLACEMENT) == "cuda0"

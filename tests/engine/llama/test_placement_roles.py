"""Where each role really is: the plan's weights and cache against the engine's own buffer report.

RPC servers on loopback are the devices beside the CPU: the engine treats them as it does a GPU.
Not skipped where the engine has no RPC part: a checkout builds it with one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.devices import Device
from runtime.machine import rpc
from runtime.model.info import ModelInfo, inspect
from runtime.plan import LayerRange, Placement
from runtime.planning.memory import estimate
from runtime.process.client import Worker
from tests.helpers.rpc_servers import rpc_server
from tests.helpers.shapes import write_small_gguf

ROUNDING = 12_000  # bytes: the engine reports hundredths of a MiB, and the last norm has no role
N_CTX = 512


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Device ids of two servers."""
    home = tmp_path_factory.mktemp("servers")
    with rpc_server(home / "a") as (first, _), rpc_server(home / "b") as (second, _):
        yield rpc.PREFIX + first, rpc.PREFIX + second


@pytest.fixture(scope="module")
def untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with an LM head of its own, in a format that the processor does not repack: repacked
    weights are reported twice."""
    return write_small_gguf(tmp_path_factory.mktemp("untied") / "untied.gguf", "Q4_1", tied=False)


@pytest.fixture(params=["tied", "untied"])
def model(request: pytest.FixtureRequest, starter_gguf: Path, untied: Path) -> Path:
    return starter_gguf if request.param == "tied" else untied


def reported(path: Path, placement: Placement) -> dict[str, tuple[int, int]]:
    """device -> bytes of (weights, KV cache) in the engine's report; the CPU's buffers added
    up."""
    worker = Worker.start()
    try:
        buffers = worker.load(str(path), placement).buffers
    finally:
        worker.close()
    found: dict[str, tuple[int, int]] = {}
    for name, parts in buffers.items():
        device = rpc.PREFIX + name.partition("[")[2].rstrip("]") if "[" in name else "cpu"
        weights, cache = found.get(device, (0, 0))
        found[device] = (weights + parts.get("weights", 0), cache + parts.get("kv_cache", 0))
    return found


def promised(info: ModelInfo, placement: Placement) -> dict[str, tuple[int, int]]:
    """The same of the plan."""
    names = dict.fromkeys([*(part.device for part in placement.layers), "cpu"])
    devices = [Device(name, "GPU", "", "", 0, 0) for name in names]
    memory = estimate(info.shape, info.weights, placement, devices)
    return {part.device: (part.weights, part.kv_cache) for part in memory.devices}


def check(path: Path, layers: tuple[LayerRange, ...], head: str) -> dict[str, tuple[int, int]]:
    placement = Placement("llamacpp", layers, head, N_CTX, n_threads=1, n_threads_batch=1)
    found, plan = reported(path, placement), promised(inspect(path), placement)
    assert found.keys() == plan.keys()
    for device, (weights, cache) in plan.items():
        assert found[device][0] == pytest.approx(weights, abs=ROUNDING), device
        assert found[device][1] == pytest.approx(cache, abs=ROUNDING), device
    return found


def test_the_head_goes_with_the_blocks_or_stays_and_the_embeddings_never_leave(
    model: Path, servers: tuple[str, str]
) -> None:
    info = inspect(model)
    device, last = servers[0], info.shape.block_count - 1
    whole = (LayerRange(device, 0, last),)
    blocks = sum(info.weights.blocks)
    full, split = check(model, whole, device), check(model, whole, "cpu")
    assert split[device][0] == pytest.approx(blocks, abs=ROUNDING)
    assert full[device][0] == pytest.approx(blocks + info.weights.lm_head_read, abs=ROUNDING)
    assert full["cpu"][0] == pytest.approx(info.weights.embedding, abs=ROUNDING)
    here = info.weights.embedding + info.weights.lm_head  # one table where they are tied
    assert split["cpu"][0] == pytest.approx(here, abs=ROUNDING)


def test_two_devices_hold_the_blocks_they_were_given(model: Path, servers: tuple[str, str]) -> None:
    last = inspect(model).shape.block_count - 1
    halves = (LayerRange(servers[0], 0, last // 2), LayerRange(servers[1], last // 2 + 1, last))
    check(model, halves, servers[1])
    uneven = (LayerRange(servers[0], 0, 0), LayerRange(servers[1], 1, last))
    check(model, uneven, "cpu")


def test_the_cpu_and_two_devices_share_the_blocks(model: Path, servers: tuple[str, str]) -> None:
    last = inspect(model).shape.block_count - 1
    parts = (
        LayerRange("cpu", 0, 0),
        LayerRange(servers[0], 1, last // 2),
        LayerRange(servers[1], last // 2 + 1, last),
    )
    check(model, parts, "cpu")

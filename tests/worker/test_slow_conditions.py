"""Conditions made bad by what the operating system gives, seen by the sampler, named first."""

import mmap
import os
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from runtime.machine.conditions import Conditions, ConditionsSampler
from runtime.plan import LayerRange, Placement, PlanModel
from runtime.planning.bandwidth import (
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
)
from runtime.planning.diagnosis import Run, diagnose
from runtime.planning.speed import SpeedModel
from runtime.shape import weight_bytes
from tests.helpers import shapes
from tests.helpers.busy import burning

SIZE = 64 << 20


def first_cause(conditions: Conditions, slower: float) -> str:
    """The cause named first for a run that was so many times slower than planned."""
    points = (CurvePoint(1 << 20, 2e10), CurvePoint(1 << 30, 2e10))
    cores = conditions.cores
    curves = (Curve(cores, points),)
    costs = ThreadCosts(
        cores, 2e-6, {"64": 1e-10, "128": 1e-10}, {"64": 1e-11, "128": 1e-11}, {"Q4_0": 1e11}
    )
    host = DeviceProfile("cpu", curves, {"Q4_0": curves}, (costs,))
    speed = SpeedModel(BandwidthProfile({}, "", "full", 0.0, (host,)))
    shape = shapes.SMOLLM2_135M
    model = PlanModel(shape, weight_bytes(shape, "Q4_0"), block_format="Q4_0")
    layers = (LayerRange("cpu", 0, shape.block_count - 1),)
    placed = Placement("llamacpp", layers, "cpu", 2048, n_threads=cores, n_threads_batch=cores)
    found = diagnose(Run(model, placed, slower, 1.0, 10.0, cores), conditions, speed)
    return found.causes[0].code if found.causes else ""


def watch(pid: int, seconds: float) -> Conditions:
    sampler = ConditionsSampler(pid)
    sampler.start()
    time.sleep(seconds)
    return sampler.stop()


def alone(conditions: Conditions) -> Conditions:
    """The same without whatever else this machine did meanwhile."""
    return replace(conditions, other_load_cores=0.0)


def test_busy_cores_are_named() -> None:
    with burning(psutil.cpu_count() or 1):
        conditions = watch(os.getpid(), 0.6)
    assert conditions.other_load_cores > 0.5
    assert first_cause(conditions, 3.0) == "other_load"


def test_weights_that_come_from_disk_are_named(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    with path.open("wb") as written:
        written.write(os.urandom(SIZE))
        os.fsync(written.fileno())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        mapped.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        sampler = ConditionsSampler(os.getpid())
        sampler.start()
        for _ in range(4):
            assert sum(mapped[::4096]) > 0
            mapped.madvise(mmap.MADV_DONTNEED)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        conditions = sampler.stop()
    if conditions.read_bytes == 0:
        pytest.skip("this file system keeps its files in memory, or does not count what is read")
    assert conditions.read_bytes > 3 * SIZE
    assert first_cause(alone(conditions), 3.0) == "cold_file"


def test_a_processor_quota_is_named() -> None:
    group = Path("/sys/fs/cgroup/cpu") / f"stillroom-test-{os.getpid()}"
    with burning(1) as pids:
        try:
            group.mkdir()
            (group / "cpu.cfs_quota_us").write_text("5000")  # 5 % of a core
            (group / "cgroup.procs").write_text(str(pids[0]))
        except OSError:
            pytest.skip("no control group can be made here")
        conditions = watch(pids[0], 0.8)
    group.rmdir()
    assert conditions.throttled_share is not None
    assert conditions.throttled_share > 0.3
    assert first_cause(alone(conditions), 5.0) == "cpu_quota"

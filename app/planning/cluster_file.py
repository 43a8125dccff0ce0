"""Reads the file that describes a cluster: TOML or JSON, in the units that people write."""

import json
import tomllib
from pathlib import Path

import msgspec

from app.errors import SettingsError
from runtime.plan import KvCacheType
from runtime.planning.cluster import Cluster, Workload


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """GB are 10^9 bytes; rates are GB/s in each direction; latencies are microseconds."""

    gpus_per_machine: int
    gpu_memory_gb: float
    gpu_bandwidth_gbs: float
    machines: int = 1
    gpu: str = "GPU"
    link_gbs: float = 64.0  # PCIe 5
    link_latency_us: float = 12.0
    network_gbs: float = 12.5  # 100 Gbit/s
    network_latency_us: float = 30.0
    weights: str = "FP8"
    context: int = 32768
    sequences: int = 1
    kv_cache: KvCacheType = "f16"


def read_cluster(path: Path) -> tuple[Cluster, Workload]:
    """The machines, and what is to run on them. Raises SettingsError naming what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        file = msgspec.convert(data, _File, strict=False)
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(
            path=str(path), key="cluster", reason="bad_cluster", detail=str(error)
        ) from error
    cluster = Cluster(
        machines=file.machines,
        gpus=file.gpus_per_machine,
        memory=round(file.gpu_memory_gb * 1e9),
        bandwidth=file.gpu_bandwidth_gbs * 1e9,
        link=file.link_gbs * 1e9,
        link_seconds=file.link_latency_us * 1e-6,
        network=file.network_gbs * 1e9,
        network_seconds=file.network_latency_us * 1e-6,
        gpu=file.gpu,
    )
    return cluster, Workload(file.weights, file.context, file.sequences, file.kv_cache)

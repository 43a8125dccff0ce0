"""What a model takes, and how fast it would decode, on many GPUs: tensor and pipeline parallel.

    step = weights read by one GPU / its bandwidth + launches + all-reduces of each block
           + attention's cache + hand-overs from stage to stage, added up over the stages

Tensor parallel ranks of a stage share every matrix; stages share the blocks. MLA's cache is one
latent for all heads, so each rank of a stage holds the whole of it. For servers like vLLM, which
this program does not run: nothing here was measured on such a cluster, and the interval is wide.
Knows no engine and no file.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from runtime.engine import StepCosts
from runtime.errors import DoesNotFit, InvalidRequest, Suggestion
from runtime.plan import Interval, KvCacheType
from runtime.planning.speed import operations_per_block
from runtime.shape import ModelShape, WeightBytes, kv_cache_bytes, weight_bytes

MEMORY_SHARE = 0.9  # of a GPU, vLLM's default --gpu-memory-utilization
GPU_RESERVE = 4_000_000_000  # bytes on each GPU: context, NCCL's buffers, activations, graphs
# Shares of the peak bandwidth, seconds per kernel in a recorded graph: what GPUs are known for.
READ_SHARE = Interval(0.35, 0.55, 0.75)
LAUNCH_SECONDS = Interval(2e-6, 3.5e-6, 6e-6)
REDUCES_PER_BLOCK = 2  # after attention and after the feed-forward part
ACTIVATION_BYTES = 2  # of one value that crosses a link

# What a checkpoint's weights are stored in, as ggml formats by role of the same size.
FORMATS: dict[str, dict[str, str]] = {
    "FP8": {"default": "I8", "embedding": "BF16", "lm_head": "BF16"},
    "BF16": {"default": "BF16"},
    "INT4": {"default": "Q4_0", "embedding": "BF16", "lm_head": "BF16"},
}


@dataclass(frozen=True)
class Cluster:
    """Identical machines with identical GPUs. Bytes, bytes per second (each way), and seconds."""

    machines: int
    gpus: int  # in each machine
    memory: int
    bandwidth: float
    link: float  # between two GPUs of a machine
    link_seconds: float  # of a small all-reduce within a machine
    network: float  # between machines, for each GPU
    network_seconds: float
    gpu: str = "GPU"

    @property
    def total(self) -> int:
        return self.machines * self.gpus


@dataclass(frozen=True)
class Workload:
    """What is to run: weights (of FORMATS), sequences at a time, and tokens of context of each."""

    weights: str = "FP8"
    n_ctx: int = 32768
    sequences: int = 1
    kv_type: KvCacheType = "f16"


@dataclass(frozen=True)
class Split:
    """One way to split a model. Bytes are those of the fullest GPU.

    decode_tps is one sequence's tokens per second, total_tps all sequences' together.
    longest is how many tokens all sequences together may hold.
    """

    tensor: int
    pipeline: int
    weights: int
    kv_cache: int
    reserve: int
    memory: int
    longest: int
    decode_tps: Interval
    total_tps: Interval

    @property
    def needed(self) -> int:
        return self.weights + self.kv_cache + self.reserve

    @property
    def fits(self) -> bool:
        return self.needed <= self.memory * MEMORY_SHARE


@dataclass(frozen=True)
class ClusterPlan:
    """The fastest split that fits, the others by speed, and those that do not fit."""

    cluster: Cluster
    workload: Workload
    chosen: Split
    alternatives: tuple[Split, ...]
    refused: tuple[Split, ...]


def plan_cluster(shape: ModelShape, cluster: Cluster, workload: Workload) -> ClusterPlan:
    """Plan every way to use all GPUs. Raises DoesNotFit with the machines that would do as its
    suggestion, InvalidRequest for an impossible workload or cluster."""
    _check(shape, cluster, workload)
    splits = list(_splits(shape, cluster, workload))
    if not splits:
        raise InvalidRequest(
            field="cluster", reason="no_split", value=shape.block_count, maximum=cluster.total
        )
    fitting = sorted(
        (each for each in splits if each.fits), key=lambda s: s.total_tps.median, reverse=True
    )
    if not fitting:
        least = min(splits, key=lambda split: split.needed)
        room = int(cluster.memory * MEMORY_SHARE)
        suggestion: Suggestion = {"machines": machines_needed(shape, cluster, workload)}
        raise DoesNotFit(
            device=cluster.gpu, needed=least.needed, available=room, suggestion=suggestion
        )
    refused = tuple(each for each in splits if not each.fits)
    return ClusterPlan(cluster, workload, fitting[0], tuple(fitting[1:]), refused)


def machines_needed(shape: ModelShape, cluster: Cluster, workload: Workload) -> int | None:
    """The fewest machines of the cluster's kind that hold the model; None when not even one for
    each block does."""
    for count in range(cluster.machines + 1, shape.block_count + 1):
        larger = replace(cluster, machines=count)
        if any(split.fits for split in _splits(shape, larger, workload)):
            return count
    return None


def _check(shape: ModelShape, cluster: Cluster, workload: Workload) -> None:
    if workload.weights not in FORMATS:
        raise InvalidRequest(
            field="weights", reason="one_of", value=workload.weights, choices=list(FORMATS)
        )
    if not 0 < workload.n_ctx <= shape.context_length:
        raise InvalidRequest(
            field="n_ctx",
            reason="beyond_training",
            value=workload.n_ctx,
            maximum=shape.context_length,
        )
    sizes = {**asdict(cluster), "sequences": workload.sequences}
    del sizes["gpu"]
    for name, value in sizes.items():
        if value <= 0:
            raise InvalidRequest(field=name, reason="above_zero", value=value)


def _splits(shape: ModelShape, cluster: Cluster, workload: Workload) -> Iterator[Split]:
    """Tensor parallel within a machine, or over all of them; stages over the rest."""
    weights = weight_bytes(shape, FORMATS[workload.weights])
    for tensor in range(1, cluster.total + 1):
        whole = cluster.total % tensor == 0 and shape.head_count % tensor == 0
        within = cluster.gpus % tensor == 0 or tensor % cluster.gpus == 0
        pipeline = cluster.total // tensor
        if whole and within and pipeline <= shape.block_count:
            yield _split(shape, weights, cluster, workload, tensor, pipeline)


def _split(
    shape: ModelShape,
    weights: WeightBytes,
    cluster: Cluster,
    workload: Workload,
    tensor: int,
    pipeline: int,
) -> Split:
    stages = stage_blocks(shape.block_count, pipeline)
    held = [
        sum(weights.blocks[i] for i in stage)
        + (weights.embedding if stage[0] == 0 else 0)
        + (weights.lm_head_read if stage[-1] == shape.block_count - 1 else 0)
        for stage in stages
    ]
    longest_stage = max(map(len, stages))
    shared = 1 if shape.attention == "MLA" else min(tensor, shape.head_count_kv)
    kv_type = workload.kv_type
    cache = kv_cache_bytes(
        shape, workload.n_ctx, kv_type, kv_type, workload.sequences, longest_stage
    )
    per_token = cache / (workload.n_ctx * workload.sequences * shared)
    held_by_one = max(held) // tensor
    room = cluster.memory * MEMORY_SHARE - held_by_one - GPU_RESERVE
    one = _step(shape, weights, cluster, workload, tensor, pipeline, 1)
    # With as many sequences as stages or more, every stage works on its share of them at once.
    groups = min(pipeline, workload.sequences)
    batch = -(-workload.sequences // groups)
    many = _step(shape, weights, cluster, workload, tensor, pipeline, batch)
    return Split(
        tensor=tensor,
        pipeline=pipeline,
        weights=held_by_one,
        kv_cache=cache // shared,
        reserve=GPU_RESERVE,
        memory=cluster.memory,
        longest=max(0, int(room / per_token)),
        decode_tps=_rate(one if workload.sequences == 1 else many, 1),
        total_tps=_rate(many, workload.sequences),
    )


def stage_blocks(count: int, stages: int) -> list[range]:
    """Blocks of each stage, as even as they go, the longer ones in the middle, because the first
    and last hold embeddings and LM head."""
    base, rest = divmod(count, stages)
    first = (stages - rest) // 2
    ends, at = [], 0
    for index in range(stages):
        length = base + (first <= index < first + rest)
        ends.append(range(at, at + length))
        at += length
    return ends


def _step(
    shape: ModelShape,
    weights: WeightBytes,
    cluster: Cluster,
    workload: Workload,
    tensor: int,
    pipeline: int,
    batch: int,
) -> Interval:
    """Seconds for `batch` sequences to pass all stages once, at half the context's depth."""
    read = sum(weights.blocks_active) - sum(_experts(shape, weights))
    read += sum(_experts(shape, weights)) * _distinct(shape, batch) + weights.lm_head_read
    shared = 1 if shape.attention == "MLA" else min(tensor, shape.head_count_kv)
    kv_type = workload.kv_type
    cache = kv_cache_bytes(shape, max(1, workload.n_ctx // 2), kv_type, kv_type, batch) / shared
    seconds = (read / tensor + cache) / cluster.bandwidth
    launches = shape.block_count * operations_per_block(shape, StepCosts())
    values = shape.embedding_length * ACTIVATION_BYTES * batch
    across = tensor > cluster.gpus
    link = cluster.network if across else cluster.link
    wait = cluster.network_seconds if across else cluster.link_seconds
    reduce = (wait + 2 * (tensor - 1) / tensor * values / link) if tensor > 1 else 0.0
    between = (pipeline - 1) * (cluster.network_seconds + values / cluster.network)
    passed = shape.block_count * REDUCES_PER_BLOCK * reduce + between
    return Interval(
        seconds / READ_SHARE.high + launches * LAUNCH_SECONDS.low + passed,
        seconds / READ_SHARE.median + launches * LAUNCH_SECONDS.median + passed,
        seconds / READ_SHARE.low + launches * LAUNCH_SECONDS.high + passed,
    )


def _experts(shape: ModelShape, weights: WeightBytes) -> list[float]:
    """Bytes of the routed experts that one token reads, by block: what is held beyond what is read
    is the rest of them."""
    if not shape.expert_count:
        return [0.0]
    used = shape.expert_used_count / shape.expert_count
    pairs = zip(weights.blocks, weights.blocks_active, strict=True)
    return [(held - active) * used / (1 - used) for held, active in pairs]


def _distinct(shape: ModelShape, batch: int) -> float:
    """How many times one token's experts a batch reads, if each token draws its own at random."""
    if not shape.expert_count:
        return 1.0
    used = shape.expert_used_count / shape.expert_count
    return (1 - (1 - used) ** batch) / used


def _rate(seconds: Interval, tokens: int) -> Interval:
    return Interval(tokens / seconds.high, tokens / seconds.median, tokens / seconds.low)

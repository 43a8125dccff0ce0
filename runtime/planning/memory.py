"""Memory that a placement takes on each device, by the formula of its engine.

Knows which engine's formula to ask, and tables of it over contexts and batches. The formulas are in
`runtime/backends/<engine>/memory_formula.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from runtime import registry
from runtime.devices import Device
from runtime.plan import KvCacheType, LayerRange, MemoryEstimate, Placement, PlanModel
from runtime.shape import ModelShape, WeightBytes


def estimate(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    devices: Sequence[Device],
    *,
    n_outputs: int | None = None,
    block_format: str = "",
) -> MemoryEstimate:
    """Memory per device of `placement`; see `runtime.engine.MemoryFormula`."""
    formula = registry.engine(placement.engine).memory
    return formula(
        shape, weights, placement, devices, n_outputs=n_outputs, block_format=block_format
    )


@dataclass(frozen=True)
class MemoryCell:
    """Peak bytes on the host for one batch of sequences at one context and KV-cache type.

    `total` must be free; `mapped` bytes of the file are shown by the system in addition, and
    reclaimed when memory is short.
    """

    batch: int
    n_ctx: int
    kv_type: KvCacheType
    kv_cache: int
    total: int
    mapped: int = 0

    @property
    def resident(self) -> int:
        """Resident memory of the process at its peak, as the system shows it."""
        return self.total + self.mapped


def memory_table(
    model: PlanModel,
    batches: Sequence[int] = (1, 2, 4, 8, 16),
    contexts: Sequence[int] = (1024, 2048, 4096, 8192, 16384, 32768),
    kv_types: Sequence[KvCacheType] = ("f16", "q8_0"),
) -> tuple[MemoryCell, ...]:
    """Peak memory over batch x context x KV type, each cell what a plan on the CPU would need.

    The layout of the tables in the DeepSeek LLM paper (appendix: 7B with MHA, 67B with GQA).
    Contexts beyond the model's own are left out, and so are batches and types that its engine does
    not have; the table of a model that no engine reads is empty.
    """
    readers, cells = registry.reading(model.formats), []
    if not readers:
        return ()
    engine = readers[0]
    for kv_type in dict.fromkeys(map(engine.kv_type, kv_types)):
        for batch in batches if engine.parallel else [1]:
            for n_ctx in contexts:
                if n_ctx > model.longest_context:
                    continue
                placed = _on_cpu(engine.name, model.shape, n_ctx, kv_type, batch)
                memory = engine.memory(
                    model.shape, model.weights, placed, (_HOST,), block_format=model.block_format
                )
                host = memory.devices[0]
                cells.append(
                    MemoryCell(batch, n_ctx, kv_type, host.kv_cache, host.total, host.mapped)
                )
    return tuple(cells)


_HOST = Device("cpu", "CPU", "CPU", "host", 0, 0)


def _on_cpu(
    engine: str, shape: ModelShape, n_ctx: int, kv_type: KvCacheType, sequences: int
) -> Placement:
    return Placement(
        engine=engine,
        layers=(LayerRange("cpu", 0, shape.block_count - 1),),
        lm_head_device="cpu",
        n_ctx=n_ctx,
        kv_type_k=kv_type,
        kv_type_v=kv_type,
        sequences=sequences,
    )

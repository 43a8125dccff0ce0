"""An engine as data: what planning, timing, the server and the wording need to know of one.

Knows the questions. Each engine has its answers in `runtime/backends/<engine>/descriptor.py`, which
imports no engine library, so that the window's process can read it. `runtime.registry`
knows which engines exist; the protocols of `runtime.backend` say what a loaded one can do.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runtime.devices import Device, Surroundings
from runtime.plan import KvCacheType, MemoryEstimate, Placement
from runtime.shape import ModelShape, WeightBytes

# What of a model an engine puts on an accelerator: nothing; its blocks, compiled in a fixed shape,
# never the LM head; all blocks of one device, with or without the head; any blocks, on several
# devices together too.
Offload = Literal["none", "compiled", "whole", "blocks"]


class MemoryFormula(Protocol):
    """Bytes by device, from shape and weight bytes alone."""

    def __call__(
        self,
        shape: ModelShape,
        weights: WeightBytes,
        placement: Placement,
        devices: Sequence[Device],
        *,
        n_outputs: int | None = None,
        block_format: str = "",
    ) -> MemoryEstimate:
        """Memory of `placement` on those of `devices` it uses, the host always among them.

        `n_outputs`: tokens of a micro-batch that get logits, by default one a sequence.
        `block_format`: the blocks' weight format, e.g. "Q4_0" or "int4-b32".
        """
        ...


class Kernel(Protocol):
    """Which measured product weights are read with."""

    def __call__(self, block_format: str, measured: Collection[str], *, beside_gpu: bool) -> str:
        """The product's name for weights in `block_format`. `measured`: products the device was
        profiled with; `beside_gpu`: on the processor while a GPU has other parts."""
        ...


class DeviceLister(Protocol):
    """Finds the devices an engine reaches, in a child process; every engine reaches the CPU."""

    def __call__(self, found: Sequence[Device], here: Surroundings) -> list[Device]:
        """The devices beside the CPU; their `engines` are filled in afterwards. `found`: those that
        engines before it reach, to be given back where it reaches them too."""
        ...


def _own_kernel(block_format: str, measured: Collection[str], *, beside_gpu: bool) -> str:
    return block_format


def _no_rest(shape: ModelShape, kv_type: str) -> int:
    return 0


def _never(block_format: str) -> bool:
    return False


@dataclass(frozen=True)
class StepCosts:
    """Seconds and shares of a step beside its weights, before calibration.

    The values here were measured with llama.cpp and stand for any engine until its own are known:
    a coefficient of each is learnt from finished runs.
    """

    sampling_seconds: float = 4e-9  # per vocabulary entry: 0.6 ms at 152k, with top-k and top-p
    device_sampling_seconds: float = 1.1e-9  # where the chain runs on the GPU that has the logits
    transfer_seconds: float = 30e-6  # per change of device in a step, with its synchronisation
    operations_per_block: int = 24  # graph operations of a dense block with flash attention
    # A batch's operations are launched one by one on a GPU, where a decode step replays a
    # recording: 16 to 17 us each over three shapes (benchmarks/results/gpu-placements.json).
    batch_launch_seconds: float = 16.5e-6
    fused_share: float = 0.55  # of the operations are left on a GPU, whose library joins neighbours
    offloaded_from: int = 32  # tokens of a batch from which the processor's blocks are lent the GPU
    copied_share: float = 0.7  # of the host-to-device rate: pages of a mapped file are not pinned


@dataclass(frozen=True)
class EngineDescriptor:
    """One engine. The first four fields say what it is, the others what it does.

    `name` is its name in settings, saved files and on the command line, `title` what a person
    reads. `module` has `open_engine() -> runtime.backend.Backend` and is imported in child
    processes only. `distribution` is the installed package whose version a timing holds for.
    """

    name: str
    title: str
    module: str
    formats: tuple[str, ...]  # containers it reads: "gguf", "onnx" ...
    memory: MemoryFormula
    distribution: str = ""
    offered: bool = True  # in settings and on the command line
    # Engines it gives way to, where they read the same model, unless it is asked for by name.
    yields_to: frozenset[str] = frozenset()

    # -- planning
    # The types its KV cache can have, with what attention costs over each beside f16. The first is
    # taken where none, or one that is not among them, is asked for.
    kv_types: Mapping[KvCacheType, float] = field(default_factory=lambda: {"f16": 1.0})
    kv_rest: Callable[[ModelShape, str], int] = _no_rest  # values that blocks of a type leave over
    micro_batches: tuple[int, ...] = (512,)  # the default, then those tried where it does not fit
    offload: Offload = "none"
    tunes_threads: bool = False  # decodes with fewer threads than cores where that is faster
    process_bytes: int = 0  # of the host, once for a process however many models it holds
    device_bytes: int = 0  # of each accelerator, before anything of a model: driver, libraries
    # "module:function" `(path, placement) -> MemoryReport` that asks the engine itself without
    # allocating anything; "" where it cannot tell.
    simulator: str = ""
    drafts: bool = False  # takes `Placement.draft`
    parallel: bool = False  # answers `Placement.sequences` requests at a time (SharedBackend)

    # -- speed
    kernel: Kernel = _own_kernel
    costs: StepCosts = StepCosts()
    maps_weights: Callable[[str], bool] = _never  # steps read weights of a format from the file
    devices: str = ""  # "module:function" of its DeviceLister
    times_gpus: bool = False  # the profiler times the GPUs that it reaches
    driver_plugins: bool = False  # drivers run in its process: a crash is its device's fault

    # -- quantizing
    evaluator: str = ""  # module with `open_evaluator(path, threads, context)`
    several_builds: bool = False  # builds of one model differ in kind, so that all are timed

    def kv_type(self, asked: KvCacheType | None) -> KvCacheType:
        """The type its cache has where `asked` is wanted."""
        return asked if asked is not None and asked in self.kv_types else next(iter(self.kv_types))

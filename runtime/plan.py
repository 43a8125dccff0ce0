"""Plans as values: where each part of a model goes, the memory it takes, the speed expected.

Knows no policy: `runtime.planning.placement` makes plans, `runtime.planning.memory` and
`runtime.planning.speed` fill them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from runtime.shape import ModelShape, WeightBytes

Policy = Literal["auto", "split", "full"]
TYPICAL_PROMPT = 256
TYPICAL_ANSWER = 3000  # tokens an R1 distill thinks and answers with on a maths question
KvCacheType = Literal["f16", "q8_0", "q4_0", "f32"]


@dataclass(frozen=True)
class Reason:
    """Why a plan is as it is: a code and its facts; `app.wording.explain` words it."""

    code: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """A predicted figure with its 80 % interval, all in the same unit."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class LayerRange:
    """Blocks first..last (inclusive, counted from 0) on one device."""

    device: str
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """What an engine needs to know to load a model. Input embeddings are always on the CPU."""

    engine: str  # its name in `runtime.registry`
    layers: tuple[LayerRange, ...]
    lm_head_device: str
    n_ctx: int
    n_batch: int = 2048
    n_ubatch: int = 512
    kv_type_k: KvCacheType = "f16"
    kv_type_v: KvCacheType = "f16"
    n_threads: int = 1
    n_threads_batch: int = 1
    flash_attention: bool = True
    sequences: int = 1
    draft: str = ""  # file of the draft model, which runs on the CPU

    @property
    def blocks_off_cpu(self) -> int:
        return sum(part.last - part.first + 1 for part in self.layers if part.device != "cpu")

    @property
    def accelerators(self) -> str:
        """The devices that hold blocks beside the CPU, joined: "cuda0+cuda1"; "" for none."""
        return "+".join(dict.fromkeys(r.device for r in self.layers if r.device != "cpu"))


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes a plan takes on one device.

    `mapped` bytes are pages of the model file that stay resident beside a repacked copy: they show
    in the process's resident set, but the system takes them back when memory is short, so they do
    not decide whether a plan fits.
    """

    device: str
    weights: int
    kv_cache: int
    compute_buffer: int
    overhead: int = 0  # process, runtime libraries, tokenizer: host memory only
    available: int = 0  # free on the device when planned
    mapped: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.compute_buffer + self.overhead

    @property
    def resident(self) -> int:
        """What the system shows at the peak."""
        return self.total + self.mapped


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory per device; `exact` when the engine itself reported it without allocating."""

    devices: tuple[DeviceMemory, ...]
    exact: bool = False

    @property
    def total(self) -> int:
        return sum(device.total for device in self.devices)

    @property
    def host_resident(self) -> int:
        """What the system shows of the process on the host at its peak, mapped pages included."""
        return sum(device.resident for device in self.devices if device.device == "cpu")


@dataclass(frozen=True)
class SpeedEstimate:
    """Predicted tokens per second. `decode_at_depth` maps context tokens to tok/s, 0 and the whole
    context among them."""

    prefill_tps: Interval
    decode_tps: Interval
    decode_at_depth: dict[int, Interval]
    basis: Literal["bandwidth", "calibrated", "measured"]
    first_token: Interval | None = None  # seconds, after TYPICAL_PROMPT tokens
    answer: Interval | None = None  # seconds for TYPICAL_ANSWER tokens after that; None: no room

    def at_depth(self, depth: float) -> Interval:
        """Tokens per second with so many cached ones: a step's time grows evenly between depths."""
        known = sorted(self.decode_at_depth)
        high = next((each for each in known if each >= depth), known[-1])
        low = max((each for each in known if each <= depth), default=high)
        share = min(1.0, (depth - low) / (high - low)) if high > low else 0.0
        ends = self.decode_at_depth[low], self.decode_at_depth[high]

        def between(figure: str) -> float:
            first, last = (1 / getattr(end, figure) for end in ends)
            return float(1 / (first + share * (last - first)))

        return Interval(between("low"), between("median"), between("high"))


@dataclass(frozen=True)
class Alternative:
    """A plan that was not chosen, and why."""

    placement: Placement
    memory_total: int
    decode_tps: Interval | None
    reason: Reason


@dataclass(frozen=True)
class PlanRequest:
    """What the user fixed; None leaves the choice to the planner.

    `device` is a Device id. `n_ctx` is the context of each of `sequences` sequences.
    """

    policy: Policy = "auto"
    device: str | None = None
    n_ctx: int | None = None
    kv_type: KvCacheType | None = None
    engine: str | None = None
    n_threads: int | None = None
    sequences: int = 1
    n_ubatch: int | None = None


@dataclass(frozen=True)
class Plan:
    """A placement with predictions: memory within 5 % or 200 MB, speed within its interval.
    `request` is what it was made for."""

    placement: Placement
    memory: MemoryEstimate
    speed: SpeedEstimate | None
    fits: Literal["fits", "tight"]
    reasons: tuple[Reason, ...]
    alternatives: tuple[Alternative, ...] = ()
    request: PlanRequest = field(default_factory=PlanRequest)


@dataclass(frozen=True)
class PlanModel:
    """What a plan must know of a model: from a file's header or from a catalog entry alone.

    `formats` are the containers at hand ("gguf", "onnx", "genai"); `block_format` names the blocks'
    weight format ("Q4_0", "Q4_K", "int4-b32" ...); `reasoning` models get a longer context.
    `exact_weights` is False when the bytes were worked out from the shape instead of read.
    `context_limit` is the longest context the file can run where that is less than the model's,
    else 0; `compiled_contexts` are those of its fixed-shape bodies, which NPUs need.
    """

    shape: ModelShape
    weights: WeightBytes
    formats: tuple[str, ...] = ("gguf",)
    block_format: str = ""
    reasoning: bool = False
    exact_weights: bool = True
    context_limit: int = 0
    compiled_contexts: tuple[int, ...] = ()

    @property
    def longest_context(self) -> int:
        trained = self.shape.context_length
        return min(trained, self.context_limit) if self.context_limit else trained


class SpeedPredictor(Protocol):
    """Predicts a placement's speed; None when nothing is known about one of its devices."""

    def predict(self, model: PlanModel, placement: Placement) -> SpeedEstimate | None: ...

"""Tokens per second before the first run, from a shape, a placement and a bandwidth profile.

    decode step = weights read / rate at that working set + operations x cost of one
                  + attention over the cached tokens + sampling + transfers between devices
    prefill     = multiply-adds / measured rate + attention

Each term is multiplied by its calibration coefficient and the sum carries an 80 % interval. Works
from a catalog entry alone (weight bytes from the shape). Knows engines by their descriptors, whose
prices it takes; runs nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from runtime import registry
from runtime.devices import Device
from runtime.engine import StepCosts
from runtime.machine import rpc
from runtime.plan import (
    TYPICAL_ANSWER,
    TYPICAL_PROMPT,
    Interval,
    Placement,
    PlanModel,
    Reason,
    SpeedEstimate,
)
from runtime.planning.bandwidth import BandwidthProfile, DeviceProfile
from runtime.planning.calibration import UNCALIBRATED, Calibration, Observation
from runtime.shape import (
    ModelShape,
    active_parameter_count,
    head_format,
    kv_bytes_per_token,
    outer_tensors,
    padded_context,
    parameter_count,
)

DEPTHS = (0, 4096, 16384, 32768)
RPC_DOUBTED = 3.0  # the same for servers whose processor and memory were not measured
DOUBTED = 1.3  # factor by which intervals widen where the profile is doubtful


@dataclass(frozen=True)
class Link:
    """The link to an RPC server: round trip in seconds, bytes per second."""

    round_trip: float
    rate: float


def link_of(device: Device) -> Link:
    """The link of an RPC server's device, as measured when it was found."""
    facts = device.facts
    return Link(float(facts["round_trip_us"]) * 1e-6, float(facts["bytes_per_second"]))


@dataclass(frozen=True)
class SpeedModel:
    """Predicts placements on one machine from its profile and what was learnt there.

    A placement that uses a device without measurements has no prediction.
    """

    profile: BandwidthProfile
    calibration: Calibration = UNCALIBRATED
    links: Mapping[str, Link] = field(default_factory=dict)

    def linked(self, devices: Iterable[Device]) -> "SpeedModel":
        """The model with the links of RPC servers as they were measured. A server's own speed
        is not known: it is assumed to match this machine's processor, with a wide
        interval."""
        servers = [device for device in devices if device.kind == "RPC" and device.usable]
        return replace(self, links={server.id: link_of(server) for server in servers})

    def predict(self, model: PlanModel, placement: Placement) -> SpeedEstimate | None:
        """Prefill of a 512-token prompt, decode at each of DEPTHS in the context and at its end."""
        if not self.can_predict(placement):
            return None
        depths = [*(depth for depth in DEPTHS if depth < placement.n_ctx), placement.n_ctx]
        decode = {depth: self.decode_tps(model, placement, depth) for depth in depths}
        prompt = min(512, placement.n_ctx)
        learnt = self.calibration.observations(placement.engine) > 0
        return SpeedEstimate(
            prefill_tps=_rate(self._prefill(model, placement, prompt), prompt),
            decode_tps=decode[0],
            decode_at_depth=decode,
            basis="calibrated" if learnt else "bandwidth",
            first_token=self._prefill(model, placement, min(TYPICAL_PROMPT, placement.n_ctx)),
            answer=self.answer_seconds(model, placement)
            if TYPICAL_PROMPT + TYPICAL_ANSWER <= placement.n_ctx
            else None,
        )

    def can_predict(self, placement: Placement) -> bool:
        """Whether the placement's engine is there and every device of it was measured."""
        return registry.known(placement.engine) and not self._missing(placement)

    def _missing(self, placement: Placement) -> tuple[str, ...]:
        return self.profile.missing(d for d in _devices(placement) if d not in self.links)

    def reasons(self, placement: Placement) -> tuple[Reason, ...]:
        """Why a placement has no prediction, or a less certain one."""
        missing = self._missing(placement)
        if missing:
            return (Reason("device_unmeasured", {"device": ", ".join(missing)}),)
        if any(device in self.links for device in _devices(placement)):
            return (Reason("rpc_speed_assumed"),)
        return () if self.profile.trusted else (Reason("speed_doubtful"),)

    def _seconds(self, engine: str, terms: Mapping[str, float]) -> Interval:
        found = self.calibration.seconds(engine, terms)
        doubt = 1.0 if self.profile.trusted else DOUBTED
        if any(key.startswith("link@") for key in terms):
            doubt *= RPC_DOUBTED
        return Interval(found.low / doubt, found.median, found.high * doubt)

    def decode_tps(self, model: PlanModel, placement: Placement, depth: int = 0) -> Interval:
        """Tokens per second with `depth` tokens in the cache. Raises ValueError for an unmeasured
        device."""
        terms = self.decode_terms(model, placement, depth)
        return _rate(self._seconds(placement.engine, terms), 1)

    def time_to_first_token(
        self, model: PlanModel, placement: Placement, prompt_tokens: int
    ) -> Interval:
        """Seconds from a prompt without cached tokens to its first new token."""
        return self._prefill(model, placement, prompt_tokens)

    def answer_seconds(
        self,
        model: PlanModel,
        placement: Placement,
        answer_tokens: int = TYPICAL_ANSWER,
        prompt_tokens: int = TYPICAL_PROMPT,
    ) -> Interval:
        """Seconds for a whole answer: prefill, then every token at its own depth."""
        first = self._prefill(model, placement, prompt_tokens)
        middle = prompt_tokens + answer_tokens // 2
        step = self._seconds(placement.engine, self.decode_terms(model, placement, middle))
        return Interval(
            first.low + answer_tokens * step.low,
            first.median + answer_tokens * step.median,
            first.high + answer_tokens * step.high,
        )

    def _prefill(self, model: PlanModel, placement: Placement, tokens: int) -> Interval:
        terms = self.prefill_terms(model, placement, tokens)
        return self._seconds(placement.engine, terms)

    def decode_terms(
        self, model: PlanModel, placement: Placement, depth: float
    ) -> dict[str, float]:
        """Seconds of each part of one decode step, before calibration."""
        shape, terms, engine = model.shape, _Terms(), registry.engine(placement.engine)
        blocks, costs = _blocks(placement), engine.costs
        for device, indices in blocks.items():
            profile, threads = self._device(device), _threads(device, placement)
            weights = sum(model.weights.blocks_active[index] for index in indices)
            head = model.weights.lm_head_read if device == placement.lm_head_device else 0
            cache = kv_bytes_per_token(shape, placement.kv_type_k, placement.kv_type_v)
            working_set = weights + head + cache * depth * len(indices) / shape.block_count
            on_host = device == "cpu" and len(blocks) > 1
            name = engine.kernel(model.block_format, profile.products, beside_gpu=on_host)
            rate = profile.read_rate(name, working_set, threads)
            if on_host:
                terms.add("host_weights", device, weights / rate)
            else:
                terms.add("weights", device, weights / rate, profile.measured_format(name))
            cost = profile.cost(threads)
            left = 1.0 if device == "cpu" else costs.fused_share
            operations = left * len(indices) * operations_per_block(shape, costs)
            terms.add("operations", device, operations * cost.operation_seconds)
            if device == "cpu":
                cells = _cells_waited_for(depth, threads)
                attention = len(indices) * _attention_products(shape, cells)
                attention *= engine.kv_types.get(placement.kv_type_k, 1.0)
                cached = cache * cells / shape.block_count
                seconds = attention * cost.attention_seconds(shape.key_length, cached)
            else:  # there, reading the cache is the limit, not arithmetic
                cells = _attended(shape, depth)
                read = cache * cells * len(indices) / shape.block_count
                seconds = read / profile.read_rate("F16", read, threads)
            terms.add("attention", device, seconds, _head_kind(shape))
        self._add_head(terms, model, placement, blocks)
        changes = len(blocks) + (placement.lm_head_device not in blocks) - 1
        if any(device != "cpu" for device in (*blocks, placement.lm_head_device)):
            terms.add("transfer", "cpu", (changes + 1) * costs.transfer_seconds)
        self._add_links(terms, shape, placement, 1)
        drawn_on = placement.lm_head_device
        on_cpu = drawn_on == "cpu"
        each = costs.sampling_seconds if on_cpu else costs.device_sampling_seconds
        terms.add("sampling", drawn_on, shape.vocab_size * each)
        return terms.seconds

    def _add_head(
        self,
        terms: "_Terms",
        model: PlanModel,
        placement: Placement,
        blocks: Mapping[str, tuple[int, ...]],
    ) -> None:
        device, nbytes = placement.lm_head_device, model.weights.lm_head_read
        profile = self._device(device)
        name = head_format(model.shape, nbytes, model.block_format) or model.block_format
        on_host = device == "cpu" and bool(set(blocks) - {"cpu"})
        kernel = registry.engine(placement.engine).kernel
        name = kernel(name, profile.products, beside_gpu=on_host)
        beside = sum(model.weights.blocks_active[index] for index in blocks.get(device, ()))
        if on_host:
            rate = profile.read_rate(name, nbytes, placement.n_threads)
            terms.add("host_head", device, nbytes / rate)
            return
        rate = profile.read_rate(name, nbytes + beside, _threads(device, placement))
        terms.add("weights", device, nbytes / rate, profile.measured_format(name))

    def prefill_terms(
        self, model: PlanModel, placement: Placement, tokens: int, depth: int = 0
    ) -> dict[str, float]:
        """Seconds of each part of evaluating `tokens` after `depth` cached ones, and of drawing the
        first new token, before calibration."""
        shape, terms, engine = model.shape, _Terms(), registry.engine(placement.engine)
        per_block = _block_parameters(shape) / shape.block_count
        batches = -(-tokens // placement.n_ubatch)
        blocks = _blocks(placement)
        if min(tokens, placement.n_ubatch) >= engine.costs.offloaded_from:
            blocks = self._add_gpu_offload(terms, model, engine.costs, blocks, batches)
        for device, indices in blocks.items():
            profile, threads = self._device(device), _threads(device, placement, prefill=True)
            operations = 2.0 * per_block * len(indices) * tokens
            name = engine.kernel(model.block_format, profile.products, beside_gpu=False)
            rate = profile.prefill_rate(name, threads)
            variant = profile.measured_format(name) + (f"/{threads}" if threads else "")
            terms.add("prefill", device, operations / rate, variant)
            cost = profile.cost(threads)
            attention = tokens * len(indices) * _attention_products(shape, depth + tokens / 2)
            each = cost.attention_seconds(shape.key_length, prefill=True)
            terms.add("prefill_attention", device, attention * each, _head_kind(shape))
            if device != "cpu":
                launches = batches * len(indices) * operations_per_block(shape, engine.costs)
                each = launches * engine.costs.batch_launch_seconds
                terms.add("prefill_operations", device, each)
            # However short the prompt, every micro-batch reads the weights once.
            read = sum(model.weights.blocks_active[index] for index in indices)
            floor = read / profile.read_rate(name, read, threads) * batches
            key = terms.key("prefill", device, variant)
            terms.seconds[key] = max(terms.seconds[key], floor)
        self._add_head(terms, model, placement, _blocks(placement))
        self._add_links(terms, shape, placement, tokens)
        terms.add("sampling", "cpu", shape.vocab_size * engine.costs.sampling_seconds)
        return terms.seconds

    def _add_links(
        self, terms: "_Terms", shape: ModelShape, placement: Placement, tokens: int
    ) -> None:
        """What crosses to RPC servers: the activations of each token there and back for each
        micro-batch, and the logits where the head is there."""
        batches = -(-tokens // placement.n_ubatch)
        for device in _devices(placement):
            link = self.links.get(device)
            if link is not None:
                nbytes = 2 * 4 * shape.embedding_length * tokens
                nbytes += 4 * shape.vocab_size * (device == placement.lm_head_device)
                seconds = 2 * batches * link.round_trip + nbytes / link.rate
                terms.add("link", device, seconds)

    def _add_gpu_offload(
        self,
        terms: "_Terms",
        model: PlanModel,
        costs: StepCosts,
        blocks: dict[str, tuple[int, ...]],
        batches: int,
    ) -> dict[str, tuple[int, ...]]:
        """Where a prompt's blocks are evaluated: the processor's share is copied to the last GPU
        for each micro-batch (ggml's operation offload)."""
        gpu = next((device for device in reversed(blocks) if device != "cpu"), "cpu")
        copy = self._device(gpu).host_copy * costs.copied_share
        if "cpu" not in blocks or not copy:
            return blocks
        nbytes = sum(model.weights.blocks_active[index] for index in blocks["cpu"]) * batches
        terms.add("prefill_copy", gpu, nbytes / copy)
        rest = {device: indices for device, indices in blocks.items() if device != "cpu"}
        return {**rest, gpu: (*blocks["cpu"], *rest[gpu])}

    def decode_observation(
        self, model: PlanModel, placement: Placement, depth: float, decode_tps: float
    ) -> Observation:
        """What a finished generation teaches: `depth` is the mean number of cached tokens."""
        terms = self.decode_terms(model, placement, depth)
        return Observation(placement.engine, terms, 1 / decode_tps)

    def prefill_observation(
        self, model: PlanModel, placement: Placement, tokens: int, seconds: float
    ) -> Observation:
        """What a finished prefill of `tokens` uncached tokens teaches."""
        terms = self.prefill_terms(model, placement, tokens)
        return Observation(placement.engine, terms, seconds)

    def _device(self, device: str) -> DeviceProfile:
        profile = self.profile.device("cpu" if device in self.links else device)
        if profile is None:
            raise ValueError(f"{device} was not measured")
        return profile


class _Terms:
    """Seconds by term, adding up what falls on the same one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @staticmethod
    def key(kind: str, device: str, variant: str = "") -> str:
        return f"{kind}:{variant}@{device}" if variant else f"{kind}@{device}"

    def add(self, kind: str, device: str, seconds: float, variant: str = "") -> None:
        key = self.key(kind, device, variant)
        self.seconds[key] = self.seconds.get(key, 0.0) + seconds


def _devices(placement: Placement) -> tuple[str, ...]:
    used = ("cpu", placement.lm_head_device, *(part.device for part in placement.layers))
    return tuple(dict.fromkeys(used))


def _rate(seconds: Interval, tokens: int) -> Interval:
    return Interval(tokens / seconds.high, tokens / seconds.median, tokens / seconds.low)


def _threads(device: str, placement: Placement, *, prefill: bool = False) -> int:
    if device != "cpu" and not rpc.address_of(device):
        return 0
    return placement.n_threads_batch if prefill else placement.n_threads


def _blocks(placement: Placement) -> dict[str, tuple[int, ...]]:
    blocks: dict[str, tuple[int, ...]] = {}
    for part in placement.layers:
        known = blocks.get(part.device, ())
        blocks[part.device] = (*known, *range(part.first, part.last + 1))
    return blocks


def operations_per_block(shape: ModelShape, costs: StepCosts) -> int:
    """Graph operations of one block's decode step."""
    count = costs.operations_per_block
    count += 3 * shape.attention_bias + 2 * shape.qk_norm
    count += 12 * (shape.attention == "MLA") + 12 * bool(shape.expert_count)
    return count


def _attention_products(shape: ModelShape, depth: float) -> float:
    """Multiply-adds of one block's attention of one token over `depth` cached ones."""
    if shape.attention == "MLA":
        length = 2 * shape.kv_lora_rank + shape.rope_dimension_count
    else:
        length = shape.key_length + shape.value_length
    return _attended(shape, depth) * shape.head_count * length


def _attended(shape: ModelShape, depth: float) -> float:
    """Cached tokens that one token attends to."""
    cells = max(1.0, depth)
    return min(cells, shape.sliding_window) if shape.sliding_window else cells


def _head_kind(shape: ModelShape) -> str:
    """Heads that the engine's vector code covers whole, and those that it does not."""
    return "whole" if shape.key_length % 128 == 0 else "part"


def _cells_waited_for(depth: float, threads: int) -> float:
    """Cached tokens that a step's time depends on.

    The engine deals the padded cache out to its threads in equal parts; the thread without empty
    cells in its part determines the time. One thread skips the empty ones.
    """
    return depth if threads == 1 else padded_context(max(1, round(depth)))


def _block_parameters(shape: ModelShape) -> float:
    """Parameters of all blocks that one token passes through."""
    head = shape.embedding_length * shape.vocab_size
    if shape.expert_count:
        return active_parameter_count(shape) - head
    return parameter_count(shape) - sum(t.parameters for t in outer_tensors(shape))

"""Memory that a placement takes on each device, from shape and weight bytes alone.

Knows how llama.cpp lays out its KV cache and compute buffer, and what its host process needs.
Knows no file and no engine: exact figures come from the engine itself (`memory`, allocation
simulated).
"""

from collections.abc import Sequence

from quant.formats import FORMATS
from runtime.devices import Device
from runtime.plan import DeviceMemory, MemoryEstimate, Placement
from runtime.shape import (
    ModelShape,
    WeightBytes,
    base_format,
    head_format,
    kv_cache_bytes,
    kv_values_per_token,
    padded_context,
)

HOST_OVERHEAD = 75_000_000  # interpreter, engine libraries, graph structures
TOKENIZER_BYTES = 300  # per vocabulary entry: texts, scores, merges and their tables
# Formats the engine copies into another order for its processor kernels (x86 with AVX2 and ARM).
REPACKED = frozenset({"Q4_0", "Q4_K", "IQ4_NL", "MXFP4"})
# Driver context, its libraries' workspaces and captured graphs: 619 to 638 MB over eight placements
# with CUDA 13 on an H100 (benchmarks/results/gpu-placements.txt).
GPU_OVERHEAD = 625_000_000


def kv_head_rest(shape: ModelShape, kv_type: str) -> int:
    """Values of a head that whole blocks of a KV-cache type leave over; the engine takes the type
    only where that is 0 (src/llama-context.cpp, `llama_init_from_model`)."""
    if shape.attention == "MLA":  # one latent head for all
        heads = (shape.kv_lora_rank + shape.rope_dimension_count, shape.kv_lora_rank)
    else:
        heads = (shape.key_length, shape.value_length)
    block_size = FORMATS[kv_type.upper()].block_size
    return max(length % block_size for length in heads)


def compute_buffer_bytes(
    shape: ModelShape,
    n_ubatch: int = 512,
    n_ctx: int = 4096,
    flash_attention: bool = True,
    *,
    n_outputs: int = 1,
    type_k: str = "f16",
) -> int:
    """Bytes of the engine's scratch memory for one micro-batch.

    The largest of three moments of the graph: inside the feed-forward part, inside attention, and
    at the logits. `n_outputs` is how many tokens of a micro-batch get logits (`n_outputs_max` of
    the context; left at 0 there it is all of them, and logits then take n_ubatch x vocabulary).
    Terms found by matching the engine's own report over dense, GQA, MLA and expert models,
    contexts 512 to 16384 and micro-batches 128 and 512.
    """
    tokens, cells = n_ubatch, padded_context(n_ctx)
    mask = cells * (2 if flash_attention else 4)
    attention, mask_attention = _attention_moment(shape, cells, flash_attention)
    inner = 4 * _feed_forward_values(shape, flash_attention, type_k) + mask
    attention_bytes = 4 * attention + mask_attention
    outputs = min(n_outputs, tokens)
    logits = outputs * 4 * (shape.vocab_size + 2 * shape.embedding_length)
    return max(tokens * (max(inner, attention_bytes) + 20), logits)


def _feed_forward_values(shape: ModelShape, flash_attention: bool, type_k: str) -> int:
    """Values per token alive inside the feed-forward part: gate, up, product, residual."""
    width = shape.embedding_length
    if flash_attention:
        beside = shape.head_count * shape.key_length if type_k == "f16" else 0
    else:
        beside = sum(kv_values_per_token(shape))
    if shape.attention == "MLA":
        beside = width
    dense = 3 * shape.feed_forward_length + 3 * width + beside
    if not shape.expert_count:
        return dense
    used = shape.expert_used_count
    routed = 2 * used * (width + shape.expert_feed_forward_length) + 2 * width
    return max(routed, dense) if shape.leading_dense_block_count else routed


def _attention_moment(shape: ModelShape, cells: int, flash_attention: bool) -> tuple[int, int]:
    """Values per token alive inside attention, and bytes of its mask per token."""
    width, heads = shape.embedding_length, shape.head_count
    if shape.attention == "MLA":
        latent = shape.kv_lora_rank
        per_head = 2 * latent + shape.rope_dimension_count + shape.key_length + shape.value_length
        values = heads * per_head + 4 * width
    else:
        values = 5 * width + sum(kv_values_per_token(shape))
    if flash_attention:
        # Without a score matrix, plain attention never exceeds the feed-forward part.
        return (values if shape.attention == "MLA" else 0), 2 * cells
    return values + heads * cells, 4 * cells


def output_buffer_bytes(shape: ModelShape, sequences: int = 1) -> int:
    """Bytes of the logits handed to the sampler, on the host."""
    return 4 * shape.vocab_size * sequences


def estimate(
    shape: ModelShape,
    weights: WeightBytes,
    placement: Placement,
    devices: Sequence[Device],
    *,
    n_outputs: int | None = None,
    block_format: str = "",
) -> MemoryEstimate:
    """Memory per device of `placement`; devices it does not use are left out, the host never is.

    With `block_format`, what the engine repacks for the processor is counted as it loads it: a
    mapped file beside the repacked copy.
    """
    outputs = placement.sequences if n_outputs is None else n_outputs
    blocks = blocks_per_device(placement)
    used = {"cpu", placement.lm_head_device, *blocks}
    compute = compute_buffer_bytes(
        shape,
        placement.n_ubatch,
        placement.n_ctx,
        placement.flash_attention,
        n_outputs=outputs,
        type_k=placement.kv_type_k,
    )
    free = {device.id: device.memory_free for device in devices}
    order = [device.id for device in devices if device.id in used]
    return MemoryEstimate(
        tuple(
            DeviceMemory(
                device=device,
                weights=_weights_on(device, weights, placement, blocks),
                kv_cache=kv_cache_bytes(
                    shape,
                    placement.n_ctx,
                    placement.kv_type_k,
                    placement.kv_type_v,
                    placement.sequences,
                    blocks=len(blocks.get(device, ())),
                ),
                compute_buffer=_compute_on(device, shape, placement, blocks, compute, outputs),
                overhead=_overhead(device, shape, weights, placement),
                available=free[device],
                mapped=_mapped(weights, blocks, block_format) if device == "cpu" else 0,
            )
            for device in order
        )
    )


def _overhead(device: str, shape: ModelShape, weights: WeightBytes, placement: Placement) -> int:
    if device != "cpu":
        return GPU_OVERHEAD
    total = HOST_OVERHEAD + TOKENIZER_BYTES * shape.vocab_size
    tied_on_host = not weights.lm_head and placement.lm_head_device == "cpu"
    if tied_on_host and head_format(shape, weights.embedding) in REPACKED:
        total += weights.embedding  # rows are looked up in one copy, products use the repacked one
    return total


def _mapped(weights: WeightBytes, blocks: dict[str, list[int]], block_format: str) -> int:
    """Bytes of the file that stay mapped although the processor uses a repacked copy."""
    if base_format(block_format) not in REPACKED or not blocks.get("cpu"):
        return 0
    return sum(weights.blocks[index] for index in blocks["cpu"]) + weights.lm_head


def blocks_per_device(placement: Placement) -> dict[str, list[int]]:
    """The blocks of a placement, by device."""
    blocks: dict[str, list[int]] = {}
    for part in placement.layers:
        blocks.setdefault(part.device, []).extend(range(part.first, part.last + 1))
    return blocks


def _weights_on(
    device: str, weights: WeightBytes, placement: Placement, blocks: dict[str, list[int]]
) -> int:
    total = sum(weights.blocks[index] for index in blocks.get(device, ()))
    if device == placement.lm_head_device:
        # A tied table is needed twice when the LM head leaves the host.
        total += weights.other + (weights.lm_head if device == "cpu" else weights.lm_head_read)
    if device == "cpu":
        total += weights.embedding
    return total


def _compute_on(
    device: str,
    shape: ModelShape,
    placement: Placement,
    blocks: dict[str, list[int]],
    whole: int,
    outputs: int,
) -> int:
    logits = output_buffer_bytes(shape, outputs) if device == "cpu" else 0
    if device in blocks:
        return whole + logits
    # Embedding rows cross the host once per micro-batch; a lone LM head needs its own logits.
    head = 4 * outputs * shape.vocab_size if device == placement.lm_head_device else 0
    return 4 * placement.n_ubatch * shape.embedding_length + head + logits

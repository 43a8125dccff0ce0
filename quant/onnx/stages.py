"""The three stage graphs of the split pipeline for CPU and GPU: embeddings, body, LM head.

The body is dynamic in its sequence length and keeps its KV cache in place (GroupQueryAttention with
past and present in one buffer). Knows graphs; nothing of files or quantization.
"""

from quant.onnx.graph import GraphBuilder
from quant.onnx.spec import DecoderSpec
from quant.onnx.store import StoredTensor
from quant.onnx.weights import BlockWeights, DecoderWeights, StoredMatrix

ACCURACY_LEVEL = 4  # int8 activations: the fast kernels of every recent CPU


def matmul(graph: GraphBuilder, x: str, matrix: StoredMatrix, name: str) -> str:
    """x [.., k] times the matrix: a MatMulNBits node [.., n]."""
    inputs = [
        x,
        graph.weight(f"{name}.packed", matrix.packed),
        graph.weight(f"{name}.scales", matrix.scales.reshaped(matrix.n * matrix.blocks)),
    ]
    if matrix.zeros is not None:
        flat = matrix.zeros.reshaped(matrix.n * matrix.zeros.shape[1])
        inputs.append(graph.weight(f"{name}.zeros", flat))
    if matrix.bias is not None:
        inputs += [""] * (5 - len(inputs)) + [graph.weight(f"{name}.bias", matrix.bias)]
    return graph.microsoft(
        "MatMulNBits",
        inputs,
        f"{name}.out",
        K=matrix.k,
        N=matrix.n,
        bits=4,
        block_size=matrix.block,
        accuracy_level=ACCURACY_LEVEL,
    )


def rms_norm(graph: GraphBuilder, x: str, scale: StoredTensor, epsilon: float, name: str) -> str:
    """Root-mean-square normalisation over the last axis."""
    return graph.node(
        "SimplifiedLayerNormalization",
        [x, graph.weight(f"{name}.scale", scale)],
        f"{name}.out",
        axis=-1,
        epsilon=epsilon,
        stash_type=1,
    )


def silu_gate(graph: GraphBuilder, gate: str, up: str, name: str) -> str:
    """silu(gate) * up."""
    sigmoid = graph.node("Sigmoid", [gate], f"{name}.sigmoid")
    silu = graph.node("Mul", [gate, sigmoid], f"{name}.silu")
    return graph.node("Mul", [silu, up], f"{name}.gated")


def embeddings_graph(spec: DecoderSpec, weights: DecoderWeights, location: str) -> GraphBuilder:
    """input_ids [batch, sequence] int64 -> inputs_embeds [batch, sequence, hidden]."""
    graph = GraphBuilder("embeddings", location)
    table = weights.embedding
    ids = graph.input("input_ids", "int64", ["batch", "sequence"])
    padded = table.blocks * table.block
    inputs = [
        graph.weight("table.packed", table.packed.reshaped(table.n, padded // 2)),
        ids,
        graph.weight("table.scales", table.scales),
    ]
    if table.zeros is not None:
        inputs.append(graph.weight("table.zeros", table.zeros))
    exact = padded == spec.embedding_length
    rows = graph.microsoft(
        "GatherBlockQuantized",
        inputs,
        "inputs_embeds" if exact else "padded_embeds",
        bits=4,
        block_size=table.block,
        gather_axis=0,
        quantize_axis=1,
    )
    if not exact:
        cut = [graph.integers(n) for n in (0, spec.embedding_length, -1)]
        graph.node("Slice", [rows, *cut], "inputs_embeds")
    graph.output("inputs_embeds", "float32", ["batch", "sequence", spec.embedding_length])
    return graph


def lm_head_graph(spec: DecoderSpec, weights: DecoderWeights, location: str) -> GraphBuilder:
    """hidden_states [batch, sequence, hidden] -> logits [batch, 1, vocab] of the last position."""
    graph = GraphBuilder("lm_head", location)
    hidden = graph.input("hidden_states", "float32", ["batch", "sequence", spec.embedding_length])
    end = graph.integers(2**31 - 1)
    last = graph.node("Slice", [hidden, graph.integers(-1), end, graph.integers(1)], "last")
    logits = matmul(graph, last, weights.lm_head, "lm_head")
    graph.node("Identity", [logits], "logits")
    graph.output("logits", "float32", ["batch", 1, spec.vocab_size])
    return graph


def body_graph(spec: DecoderSpec, weights: DecoderWeights, location: str) -> GraphBuilder:
    """inputs_embeds and attention_mask -> hidden_states after the final norm, KV cache in place."""
    graph = GraphBuilder("body", location)
    x = graph.input("inputs_embeds", "float32", ["batch", "sequence", spec.embedding_length])
    mask = graph.input("attention_mask", "int64", ["batch", "total"])
    lengths = _lengths(graph, mask)
    caches = (graph.weight("cos", weights.cos), graph.weight("sin", weights.sin))
    graph.output("hidden_states", "float32", ["batch", "sequence", spec.embedding_length])
    residual = x
    normed = rms_norm(
        graph, x, weights.blocks[0].attention_norm, spec.rms_epsilon, "block.0.attention_norm"
    )
    for index, block in enumerate(weights.blocks):
        last = index + 1 == len(weights.blocks)
        next_norm = weights.output_norm if last else weights.blocks[index + 1].attention_norm
        attention = _attention(graph, spec, block, index, normed, (*lengths, *caches))
        normed, residual = _add_and_norm(
            graph, attention, residual, block.feed_forward_norm, spec, f"block.{index}.ffn_norm"
        )
        down = _feed_forward(graph, spec, block, f"block.{index}", normed)
        normed, residual = _add_and_norm(
            graph, down, residual, next_norm, spec, f"block.{index + 1}.attention_norm"
        )
    graph.node("Identity", [normed], "hidden_states")
    return graph


def _lengths(graph: GraphBuilder, mask: str) -> tuple[str, str]:
    """Total positions minus one [batch] and total [], int32, as GroupQueryAttention asks."""
    counted = graph.node("ReduceSum", [mask, graph.integers(1)], "mask.count", keepdims=0)
    minus_one = graph.node("Sub", [counted, graph.integers(1)], "mask.last")
    last = graph.node("Cast", [minus_one], "seqlens_k", to=6)
    shape = graph.node("Shape", [mask], "mask.shape", start=1, end=2)
    scalar = graph.node("Squeeze", [shape], "mask.total")
    return last, graph.node("Cast", [scalar], "total_length", to=6)


def _add_and_norm(
    graph: GraphBuilder,
    x: str,
    residual: str,
    scale: StoredTensor,
    spec: DecoderSpec,
    name: str,
) -> tuple[str, str]:
    """(normalised sum, sum) of the stream and what a layer adds to it."""
    total = f"{name}.sum"
    normed = graph.microsoft(
        "SkipSimplifiedLayerNormalization",
        [residual, x, graph.weight(f"{name}.scale", scale)],
        [f"{name}.out", "", "", total],
        epsilon=spec.rms_epsilon,
    )
    return normed, total


def _attention(
    graph: GraphBuilder,
    spec: DecoderSpec,
    block: BlockWeights,
    index: int,
    x: str,
    positions: tuple[str, str, str, str],
) -> str:
    name = f"block.{index}.attention"
    qkv = matmul(graph, x, block.qkv, f"{name}.qkv")
    query, key, value = qkv, "", ""
    if block.q_norm is not None and block.k_norm is not None:
        sizes = graph.integers(spec.q_rows, spec.kv_rows, spec.kv_rows)
        parts = [f"{name}.q", f"{name}.k", f"{name}.v"]
        graph.node("Split", [qkv, sizes], parts, axis=-1)
        query = _head_norm(graph, spec, parts[0], block.q_norm, spec.q_rows, f"{name}.q_norm")
        key = _head_norm(graph, spec, parts[1], block.k_norm, spec.kv_rows, f"{name}.k_norm")
        value = parts[2]
    dims: list[int | str] = ["batch", spec.head_count_kv, "past", spec.head_length]
    past = [graph.input(f"past_key_values.{index}.{p}", "float32", dims) for p in ("key", "value")]
    present = [f"present.{index}.{p}" for p in ("key", "value")]
    for output in present:
        total: list[int | str] = ["batch", spec.head_count_kv, "present", spec.head_length]
        graph.output(output, "float32", total)
    attended = graph.microsoft(
        "GroupQueryAttention",
        [query, key, value, *past, *positions],
        [f"{name}.out", *present],
        num_heads=spec.head_count,
        kv_num_heads=spec.head_count_kv,
        scale=spec.head_length**-0.5,
        do_rotary=1,
        rotary_interleaved=0,
    )
    return matmul(graph, attended, block.attention_output, f"{name}.o")


def _head_norm(
    graph: GraphBuilder, spec: DecoderSpec, x: str, scale: StoredTensor, width: int, name: str
) -> str:
    """Normalise each head of x [batch, sequence, width] by itself."""
    heads = graph.node("Reshape", [x, graph.integers(0, 0, -1, spec.head_length)], f"{name}.heads")
    normed = rms_norm(graph, heads, scale, spec.rms_epsilon, name)
    return graph.node("Reshape", [normed, graph.integers(0, 0, width)], f"{name}.flat")


def _feed_forward(
    graph: GraphBuilder, spec: DecoderSpec, block: BlockWeights, name: str, x: str
) -> str:
    both = matmul(graph, x, block.gate_up, f"{name}.gate_up")
    width = spec.feed_forward_length
    parts = [f"{name}.gate", f"{name}.up"]
    graph.node("Split", [both, graph.integers(width, width)], parts, axis=-1)
    gated = silu_gate(graph, parts[0], parts[1], name)
    return matmul(graph, gated, block.down, f"{name}.down")

"""The transformer body with every shape fixed, in standard operators, as NPU compilers want it.

One graph evaluates `rows` positions against a cache of `context` positions held by the host:
attention is matrix products and a softmax, rotary positions and the mask come in as inputs, new
keys and values go out for the host to store. No operator falls outside what QNN's and OpenVINO's
execution providers take (GroupQueryAttention and SkipSimplifiedLayerNormalization do).
"""

from dataclasses import dataclass, replace

import numpy as np

from quant.onnx.graph import GraphBuilder
from quant.onnx.spec import DecoderSpec
from quant.onnx.stages import matmul, rms_norm, silu_gate
from quant.onnx.store import StoredTensor
from quant.onnx.weights import BlockWeights, DecoderWeights, StoredMatrix


@dataclass(frozen=True)
class StaticShape:
    """Positions evaluated at once, and positions of cache beside them."""

    rows: int
    context: int

    @property
    def filename(self) -> str:
        return f"body_static_r{self.rows}_c{self.context}.onnx"


def static_body_graph(
    spec: DecoderSpec,
    weights: DecoderWeights,
    location: str,
    shape: StaticShape,
    blocks: int | None = None,
) -> GraphBuilder:
    """Inputs, all float32: inputs_embeds [1, rows, hidden]; mask [1, 1, group * rows,
    context + rows], 0 or a large negative number, the rows repeated for each query head of a KV
    head; cos, sin [1, 1, rows, head]; past.i.k and past.i.v [1, kv_heads, context, head].
    Outputs: hidden_states [1, rows, hidden]; new.i.k and new.i.v [1, kv_heads, rows, head].

    `blocks` cuts the model to its first blocks, for a self-test.
    """
    graph = GraphBuilder(f"body_r{shape.rows}_c{shape.context}", location)
    group = spec.head_count // spec.head_count_kv
    x = graph.input("inputs_embeds", "float32", [1, shape.rows, spec.embedding_length])
    graph.input("mask", "float32", [1, 1, group * shape.rows, shape.context + shape.rows])
    for name in ("cos", "sin"):
        graph.input(name, "float32", [1, 1, shape.rows, spec.head_length])
    graph.output("hidden_states", "float32", [1, shape.rows, spec.embedding_length])
    for index, block in enumerate(weights.blocks[:blocks]):
        name = f"block.{index}"
        normed = _norm(graph, spec, x, block.attention_norm, f"{name}.attention_norm")
        attended = _attention(graph, spec, block, index, normed, shape)
        x = graph.node("Add", [x, attended], f"{name}.middle")
        normed = _norm(graph, spec, x, block.feed_forward_norm, f"{name}.ffn_norm")
        width = spec.feed_forward_length
        gate = matmul(graph, normed, block.gate_up.rows(0, width), f"{name}.gate")
        up = matmul(graph, normed, block.gate_up.rows(width, width), f"{name}.up")
        down = matmul(graph, silu_gate(graph, gate, up, name), block.down, f"{name}.down")
        x = graph.node("Add", [x, down], f"{name}.end")
    normed = _norm(graph, spec, x, weights.output_norm, "output_norm")
    graph.node("Identity", [normed], "hidden_states")
    return graph


def _norm(graph: GraphBuilder, spec: DecoderSpec, x: str, scale: StoredTensor, name: str) -> str:
    return rms_norm(graph, x, scale, spec.rms_epsilon, name)


def _attention(
    graph: GraphBuilder,
    spec: DecoderSpec,
    block: BlockWeights,
    index: int,
    x: str,
    shape: StaticShape,
) -> str:
    name = f"block.{index}"
    q_rows, kv_rows = spec.q_rows, spec.kv_rows
    parts = (
        ("q", 0, q_rows, spec.head_count),
        ("k", q_rows, kv_rows, spec.head_count_kv),
        ("v", q_rows + kv_rows, kv_rows, spec.head_count_kv),
    )
    q, k, v = (
        _heads(
            graph,
            spec,
            _biased(graph, x, block.qkv.rows(first, rows), f"{name}.{part}"),
            heads,
            shape.rows,
        )
        for part, first, rows, heads in parts
    )
    if block.q_norm is not None and block.k_norm is not None:
        q = _norm(graph, spec, q, block.q_norm, f"{name}.q_norm")
        k = _norm(graph, spec, k, block.k_norm, f"{name}.k_norm")
    q = _rotate(graph, spec, q, f"{name}.q_rope")
    k = _rotate(graph, spec, k, f"{name}.k_rope")
    keys = _cached(graph, spec, k, f"{index}.k", shape)
    values = _cached(graph, spec, v, f"{index}.v", shape)
    mixed = _mixed(graph, spec, (q, keys, values), name, shape)
    heads = graph.integers(1, spec.head_count, shape.rows, spec.head_length)
    mixed = graph.node("Reshape", [mixed, heads], f"{name}.mixed_heads")
    mixed = graph.node("Transpose", [mixed], f"{name}.mixed_rows", perm=[0, 2, 1, 3])
    flat = graph.node(
        "Reshape", [mixed, graph.integers(1, shape.rows, q_rows)], f"{name}.mixed_flat"
    )
    return matmul(graph, flat, block.attention_output, f"{name}.o")


def _mixed(
    graph: GraphBuilder,
    spec: DecoderSpec,
    inputs: tuple[str, str, str],
    name: str,
    shape: StaticShape,
) -> str:
    """Values weighted by the softmax of the scores: softmax(q k^T / sqrt(d) + mask) v.

    Query heads that share a KV head become rows of one matrix: no key is ever repeated.
    """
    q, keys, values = inputs
    group = spec.head_count // spec.head_count_kv
    grouped = graph.integers(1, spec.head_count_kv, group * shape.rows, spec.head_length)
    q = graph.node("Reshape", [q, grouped], f"{name}.q_grouped")
    keys_t = graph.node("Transpose", [keys], f"{name}.keys_t", perm=[0, 1, 3, 2])
    scores = graph.node("MatMul", [q, keys_t], f"{name}.scores")
    scale = graph.constant("attention.scale", np.array([spec.head_length**-0.5], np.float32))
    scaled = graph.node("Mul", [scores, scale], f"{name}.scaled")
    masked = graph.node("Add", [scaled, "mask"], f"{name}.masked")
    shares = graph.node("Softmax", [masked], f"{name}.shares", axis=-1)
    return graph.node("MatMul", [shares, values], f"{name}.mixed")


def _biased(graph: GraphBuilder, x: str, matrix: StoredMatrix, name: str) -> str:
    """x times the matrix, its bias added by a node of its own: QNN takes no bias input."""
    product = matmul(graph, x, replace(matrix, bias=None), name)
    if matrix.bias is None:
        return product
    bias = graph.weight(f"{name}.bias", matrix.bias)
    return graph.node("Add", [product, bias], f"{name}.biased")


def _heads(graph: GraphBuilder, spec: DecoderSpec, x: str, heads: int, rows: int) -> str:
    """[1, rows, heads * head] -> [1, heads, rows, head]."""
    split = graph.node("Reshape", [x, graph.integers(1, rows, heads, spec.head_length)], f"{x}.4d")
    return graph.node("Transpose", [split], f"{x}.heads", perm=[0, 2, 1, 3])


def _rotate(graph: GraphBuilder, spec: DecoderSpec, x: str, name: str) -> str:
    """x * cos + rotate_half(x) * sin."""
    half = spec.head_length // 2
    parts = [f"{name}.low", f"{name}.high"]
    graph.node("Split", [x, graph.integers(half, half)], parts, axis=-1)
    negative = graph.node("Neg", [parts[1]], f"{name}.negative")
    turned = graph.node("Concat", [negative, parts[0]], f"{name}.turned", axis=-1)
    along = graph.node("Mul", [x, "cos"], f"{name}.along")
    across = graph.node("Mul", [turned, "sin"], f"{name}.across")
    return graph.node("Add", [along, across], f"{name}.out")


def _cached(graph: GraphBuilder, spec: DecoderSpec, new: str, key: str, shape: StaticShape) -> str:
    """The host's cache followed by the new positions; the new ones are also an output."""
    head, kv = spec.head_length, spec.head_count_kv
    past = graph.input(f"past.{key}", "float32", [1, kv, shape.context, head])
    out = f"new.{key}"
    graph.node("Identity", [new], out)
    graph.output(out, "float32", [1, kv, shape.rows, head])
    return graph.node("Concat", [past, new], f"all.{key}", axis=2)

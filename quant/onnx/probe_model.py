"""A one-block body with random weights, for asking an execution provider to compute something.

Knows the exporter's parts; small enough to be compiled in a second or two.
"""

from pathlib import Path

import numpy as np

from quant.onnx.blocks import quantize_rows
from quant.onnx.manifest import StaticBody
from quant.onnx.spec import DecoderSpec
from quant.onnx.static_body import StaticShape, static_body_graph
from quant.onnx.store import WeightFile
from quant.onnx.weights import BlockWeights, DecoderWeights, StoredMatrix
from quant.rope import RopeScaling

PROBE_SPEC = DecoderSpec(
    architecture="llama",
    block_count=1,
    embedding_length=128,
    feed_forward_length=256,
    head_count=4,
    head_count_kv=2,
    head_length=32,
    vocab_size=32,
    context_length=32,
    rms_epsilon=1e-6,
    rope_theta=10000.0,
    rope_scaling=RopeScaling(),
    tied_embeddings=True,
    attention_bias=False,
    qk_norm=False,
)
_BLOCK = 32
_WEIGHTS = "probe.data"
_SHAPES = (StaticShape(4, 32), StaticShape(1, 32))


def write_probe_bodies(folder: Path) -> tuple[StaticBody, StaticBody]:
    """Write the prefill and the decode graph with their weights into `folder`."""
    spec, random = PROBE_SPEC, np.random.default_rng(1)
    with WeightFile(folder / _WEIGHTS) as file:

        def matrix(n: int, k: int) -> StoredMatrix:
            weights = random.standard_normal((n, k)).astype(np.float32) / np.float32(k**0.5)
            rows = quantize_rows(weights, _BLOCK, method="round")
            return StoredMatrix(n, k, _BLOCK, file.append(rows.packed), file.append(rows.scales))

        hidden, width = spec.embedding_length, spec.feed_forward_length
        ones = file.append(np.ones(hidden, np.float32))
        block = BlockWeights(
            attention_norm=ones,
            qkv=matrix(spec.q_rows + 2 * spec.kv_rows, hidden),
            q_norm=None,
            k_norm=None,
            attention_output=matrix(hidden, spec.q_rows),
            feed_forward_norm=ones,
            gate_up=matrix(2 * width, hidden),
            down=matrix(hidden, width),
        )
        table = matrix(spec.vocab_size, hidden)
        weights = DecoderWeights(table, (block,), ones, table, ones, ones)
        file.finish()
    for shape in _SHAPES:
        static_body_graph(spec, weights, _WEIGHTS, shape).save(folder / shape.filename)
    wide, single = (StaticBody(shape.filename, shape.rows, shape.context) for shape in _SHAPES)
    return wide, single

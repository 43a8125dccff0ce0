"""Whether tokens evaluated together have the same logits, bit for bit, however many they are.

onnxruntime has kernels of their own for a single row: MatMulNBits leaves the zero point out of the
integers instead of out of the sum (its AVX2 kernels, at 4 bits), GroupQueryAttention multiplies a
vector by a matrix instead of two matrices. A lone token's hidden state differs from that in a
batch in the last bits; activations rounded to 8 bits make that 0.1 to 1.5 in a logit. Two rows and
more go through the same arithmetic on the processors that were tried, but no one promises it. So
it is tested with the kernels, weights and shapes at hand: the body's first block and the LM head.

Knows graphs and arrays; nothing of tokens or drafts.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from runtime.backends.onnx.bodies import DynamicBody, FloatArray
from runtime.backends.onnx.native import ort, run_options
from runtime.backends.onnx.session import cpu_session_of
from runtime.model.onnx_folder import OnnxFolder

ROWS = (4, 8, 16)  # at once, each compared with pairs of rows
_DEEPEST = 4096  # cached positions: enough for every way of sharing out attention


def rows_agree(folder: OnnxFolder, lm_head: ort.InferenceSession, threads: int, n_ctx: int) -> bool:
    """Whether rows are computed alike in pairs and in each of ROWS, with `threads` threads."""
    spec = replace(folder.manifest.spec, block_count=1)
    random, longest = np.random.default_rng(0), ROWS[-1]
    deepest = min(n_ctx, _DEEPEST)
    if deepest < 2 * longest:
        return False
    session = cpu_session_of(_first_block(folder), folder.path / folder.manifest.body, threads)
    body = DynamicBody(session, spec, deepest)
    embeds = random.standard_normal((1, longest, spec.embedding_length)).astype(np.float32)
    for position in (0, deepest - longest - 1):
        body.fill(random, position)
        pairs = np.concatenate([_beside_itself(body, embeds, position, i) for i in range(longest)])
        for rows in ROWS:
            together = body.evaluate(embeds[:, :rows], position, run_options())[0]
            if not np.array_equal(together, pairs[:rows]):
                return False
    hidden = embeds[0, :, None]
    logits = [lm_head.run(None, {"hidden_states": hidden[:rows]})[0] for rows in (2, *ROWS)]
    return all(np.array_equal(found, logits[-1][: len(found)]) for found in logits)


def _beside_itself(body: DynamicBody, embeds: FloatArray, position: int, row: int) -> FloatArray:
    """Hidden state [1, hidden] of one row after those before it, evaluated twice at once."""
    pair = np.repeat(embeds[:, row : row + 1], 2, axis=1)
    return body.evaluate(pair, position + row, run_options())[0, :1]


def _first_block(folder: OnnxFolder) -> bytes:
    """The body's graph cut after its first block, over the same weight file."""
    path: Path = folder.path / folder.manifest.body
    model = onnx.load(path, load_external_data=False)
    graph = model.graph
    norms = [node for node in graph.node if node.op_type == "SkipSimplifiedLayerNormalization"]
    end = norms[1]  # the first follows the attention, the second the feed-forward network
    nodes = list(graph.node)[: list(graph.node).index(end) + 1]
    renamed = {end.output[0]: "hidden_states"}
    for node in nodes:
        node.output[:] = [renamed.get(name, name) for name in node.output]
    used = {name for node in nodes for name in node.input}
    made = {name for node in nodes for name in node.output}
    kept = onnx.helper.make_graph(
        nodes,
        "first_block",
        [item for item in graph.input if item.name in used],
        [item for item in graph.output if item.name in made],
        [item for item in graph.initializer if item.name in used],
    )
    del model.graph.node[:]
    model.graph.CopyFrom(kept)
    return bytes(model.SerializeToString())

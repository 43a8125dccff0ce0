"""Blocks we write decode bit for bit as every engine decodes them, whatever weights they hold.

GGUF blocks: by the gguf library and by ggml's C code. ONNX blocks: by onnxruntime, both where rows
are gathered and where they are multiplied.
"""

import ctypes
from typing import Any

import llama_cpp._ggml
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from gguf.constants import GGMLQuantizationType
from gguf.quants import dequantize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import TensorProto, helper, numpy_helper

from quant.blocks.blockwise import ROUNDINGS, SEARCHES
from quant.blocks.encoders import Encoder, decode
from quant.blocks.native import open_native
from quant.checkpoint.storable import refuse_unstorable
from quant.errors import NonFiniteWeights
from quant.onnx.blocks import PackedRows, dequantize_rows, quantize_rows
from quant.onnx.graph import MICROSOFT
from quant.recipe import Method

F32 = npt.NDArray[np.float32]

LARGEST = 65504.0
SPECIAL = [0.0, -0.0, 2.0**-149, -(2.0**-140), 2.0**-126, 2.0**-24, -(2.0**-15), LARGEST, -LARGEST]
VALUES = st.one_of(st.floats(-LARGEST, LARGEST, width=32), st.sampled_from(SPECIAL))
FORMATS = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]


def rows_of(*lengths: int) -> st.SearchStrategy[F32]:
    return st.tuples(st.integers(1, 4), st.sampled_from(lengths)).flatmap(
        lambda shape: arrays(np.float32, shape, elements=VALUES, fill=st.sampled_from(SPECIAL))
    )


def decode_with_ggml(name: str, blocks: npt.NDArray[np.uint8], count: int) -> F32:
    out, data = np.empty(count, np.float32), np.ascontiguousarray(blocks)
    library = llama_cpp._ggml.libggml
    function = getattr(library, f"dequantize_row_{name.replace('Q', 'q', 1)}")
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
    function(data.ctypes.data, out.ctypes.data, count)
    return out


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "llama.cpp") for name in FORMATS),
        *((name, "round") for name in ROUNDINGS),
        *((name, "search") for name in SEARCHES),
    ],
)
@settings(max_examples=20, deadline=None)
@given(rows=rows_of(256, 512))
def test_gguf_blocks(name: str, method: Method, rows: F32) -> None:
    blocks = Encoder(method, open_native()).encode(name, rows)
    decoded = decode(name, blocks, rows.shape[1])
    assert np.isfinite(decoded).all()
    assert decoded.tobytes() == dequantize(blocks, GGMLQuantizationType[name]).tobytes()
    assert decoded.tobytes() == decode_with_ggml(name, blocks, rows.size).tobytes()


def computed(
    op: str, names: list[str], inputs: dict[str, Any], free: dict[str, Any], **attributes: Any
) -> Any:
    """What onnxruntime computes with one node: `inputs` are constants of the graph, `free` are
    not; `names` puts them in the operator's order."""
    node = helper.make_node(op, names, ["y"], domain=MICROSOFT, **attributes)
    graph = helper.make_graph(
        [node],
        "blocks",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for name, v in free.items()
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in inputs.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, free)[0]


def gathered(packed: PackedRows, block: int) -> F32:
    """All rows as GatherBlockQuantized, the embeddings' operator, gives them."""
    n = len(packed.packed)
    table = {"data": packed.packed.reshape(n, -1), "scales": packed.scales}
    if packed.zeros is not None:
        table["zeros"] = packed.zeros
    ids = {"ids": np.arange(n, dtype=np.int64)}
    layout = {"bits": 4, "block_size": block, "gather_axis": 0, "quantize_axis": 1}
    names = ["data", "ids", *list(table)[1:]]
    result: F32 = computed("GatherBlockQuantized", names, table, ids, **layout)
    return result


def multiplied(packed: PackedRows, block: int, k: int) -> F32:
    """All rows as MatMulNBits, every other matrix's operator, multiplies them: times one in
    float32, since the product's int8 inputs would round the one."""
    n = len(packed.packed)
    matrix = {"data": packed.packed, "scales": packed.scales.reshape(-1)}
    if packed.zeros is not None:
        matrix["zeros"] = packed.zeros.reshape(-1)
    layout = {"bits": 4, "block_size": block, "K": k, "N": n}
    one = {"x": np.eye(k, dtype=np.float32)}
    result = computed("MatMulNBits", ["x", *matrix], matrix, one, **layout)
    rows: F32 = np.ascontiguousarray(result.T)
    return rows


@pytest.mark.parametrize("method", ["round", "search"])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("block", [32, 64, 128])
@settings(max_examples=8, deadline=None)
@given(rows=rows_of(1, 32, 96, 100, 256))
def test_onnx_blocks(block: int, symmetric: bool, method: Any, rows: F32) -> None:
    k = rows.shape[1]
    packed = quantize_rows(rows, block, symmetric=symmetric, method=method)
    decoded = dequantize_rows(packed, k)
    assert np.isfinite(decoded).all()
    assert gathered(packed, block)[:, :k].tobytes() == decoded.tobytes()
    # A sum with zeros turns -0 into 0 and nothing else.
    assert multiplied(packed, block, k).tobytes() == (decoded + np.float32(0)).tobytes()


@settings(max_examples=20, deadline=None)
@given(
    rows=rows_of(32, 96),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 65536.0, -3e38]),
    where=st.integers(0, 31),
    block=st.sampled_from([32, 64, 128]),
)
def test_what_no_block_can_hold_is_refused_by_name(
    rows: F32, bad: float, where: int, block: int
) -> None:
    rows[-1, where] = bad
    with pytest.raises(NonFiniteWeights) as caught:
        quantize_rows(rows, block, tensor="blk.3.ffn_up.weight")
    assert caught.value.facts == {"tensor": "blk.3.ffn_up.weight", "count": 1}
    for name in FORMATS:
        with pytest.raises(NonFiniteWeights) as caught:
            refuse_unstorable("blk.3.ffn_up.weight", rows, name)
        assert caught.value.facts == {"tensor": "blk.3.ffn_up.weight", "count": 1}

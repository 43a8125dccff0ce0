"""Timed 4-bit products of onnxruntime, as the ONNX engine's folders compute them.

Loads that engine, so job processes only. Knows graphs of products in a temporary folder and how
long one run takes; knows no schedule and no model.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from quant.formats import FORMATS, BlockFormat
from quant.onnx.blocks import quantize_rows
from quant.onnx.graph import GraphBuilder
from quant.onnx.stages import matmul
from quant.onnx.store import WeightFile
from quant.onnx.weights import StoredMatrix
from runtime.backends.onnx.descriptor import PRODUCTS, REFERENCE_PRODUCT
from runtime.backends.onnx.native import ort
from runtime.backends.onnx.session import cpu_session
from runtime.planning.bandwidth import Curve, CurvePoint
from runtime.tasks.profile_kernels import settled

WIDTH = 2048
_WEIGHTS = "products.data"
_ROWS = 256  # quantized once and repeated: matrices differ by the row that they begin with


def matrix_bytes(block_format: BlockFormat) -> int:
    """Packed weights, 32-bit scales and zero points of one matrix."""
    zeros = block_format.name.endswith("-asym")
    blocks = WIDTH // block_format.block_size
    return WIDTH * (WIDTH // 2 + 4 * blocks + zeros * -(-blocks // 2))


class BlockProducts:
    """Chains of 4-bit products over matrices of WIDTH x WIDTH, in files below `folder`.

    Each matrix has its own bytes in its own order, so that a chain's working set is what it reads:
    onnxruntime packs matrices of equal content once.
    """

    def __init__(self, folder: Path, most: int, block_format: BlockFormat) -> None:
        """Write the weights of `most` matrices, at most _ROWS."""
        self._folder, block = folder, block_format.block_size
        random = np.random.default_rng(0)
        weights = random.standard_normal((_ROWS, WIDTH)).astype(np.float32) / np.float32(WIDTH**0.5)
        symmetric = not block_format.name.endswith("-asym")
        rows = quantize_rows(weights, block, symmetric=symmetric, method="round")
        zeros = [] if rows.zeros is None else [rows.zeros]
        parts: list[npt.NDArray[Any]] = [rows.packed, rows.scales, *zeros]
        self._matrices: list[StoredMatrix] = []
        with WeightFile(folder / _WEIGHTS) as file:
            for number in range(min(most, _ROWS)):
                turned = (np.roll(part, number, 0) for part in parts)
                stored = [
                    file.append(np.tile(part, (WIDTH // _ROWS, *[1] * (part.ndim - 1))))
                    for part in turned
                ]
                self._matrices.append(StoredMatrix(WIDTH, WIDTH, block, *stored))
            file.finish()

    def session(self, matrices: int, threads: int) -> ort.InferenceSession:
        """The first `matrices` one after another, as the engine opens its stages."""
        graph = GraphBuilder("products", _WEIGHTS)
        value = graph.input("x", "float32", ("batch", WIDTH))
        for index, matrix in enumerate(self._matrices[:matrices]):
            value = matmul(graph, value, matrix, f"m{index}")
        graph.output(value, "float32", ("batch", WIDTH))
        path = self._folder / f"{matrices}.onnx"
        graph.save(path)
        return cpu_session(path, threads)


def seconds_of(session: ort.InferenceSession, batch: int, at_least: float) -> float:
    """Median wall seconds of one run with `batch` vectors."""
    vectors = {"x": np.ones((batch, WIDTH), dtype=np.float32)}

    def run(repeats: int) -> float:
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            session.run(None, vectors)
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    return settled(run, at_least)


Measured = tuple[tuple[Curve, ...], dict[int, float]]  # read rates; operations/s by threads


def all_products(
    threads: Sequence[int], sizes: Sequence[int], brief: int, batch: int, seconds: float
) -> dict[str, Measured]:
    """Every block format: the reference over `sizes` bytes with each thread count, the others once,
    over `brief` bytes with the most threads, as the ratio to it."""
    reference = block_products(FORMATS[REFERENCE_PRODUCT], threads, sizes, batch, seconds)
    most = max(threads)
    found = {REFERENCE_PRODUCT: reference}
    for name in PRODUCTS[1:]:
        curves, flops = block_products(FORMATS[name], (most,), (brief,), batch, seconds)
        found[name] = _in_ratio(reference, curves[0].points[0], flops[most], most)
    return found


def _in_ratio(reference: Measured, point: CurvePoint, flops: float, threads: int) -> Measured:
    """The reference scaled to what another format did with `threads` threads."""
    curves, rates = reference
    known = next(curve for curve in curves if curve.threads == threads)
    ratio = point.bytes_per_second / known.at(point.working_set)
    scaled = []
    for curve in curves:
        here = CurvePoint(point.working_set, ratio * curve.at(point.working_set))
        scaled.append(curve.through(here))
    return tuple(scaled), {n: rate * flops / rates[threads] for n, rate in rates.items()}


def block_products(
    block_format: BlockFormat,
    threads: Sequence[int],
    sizes: Sequence[int],
    batch: int,
    seconds: float,
) -> Measured:
    """Read rates over working sets of `sizes` bytes, and operations per second with `batch` vectors
    by thread count. Raises CorruptFile where onnxruntime refuses the graphs, OSError for a full
    disk."""
    size = matrix_bytes(block_format)
    counts = [max(1, min(_ROWS, wanted // size)) for wanted in sizes]
    curves, flops = [], {}
    with TemporaryDirectory(prefix="stillroom-profile-") as folder:
        products = BlockProducts(Path(folder), max(2, max(counts)), block_format)
        for n_threads in threads:
            points = []
            for count in counts:
                session = products.session(count, n_threads)
                nbytes = count * size
                points.append(CurvePoint(nbytes, nbytes / seconds_of(session, 1, seconds)))
            curves.append(Curve(n_threads, tuple(points)))
            few = products.session(2, n_threads)
            operations = 2.0 * batch * WIDTH * WIDTH * 2
            flops[n_threads] = operations / min(seconds_of(few, batch, 0.0) for _ in range(2))
    return tuple(curves), flops

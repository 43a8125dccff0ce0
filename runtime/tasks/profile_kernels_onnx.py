"""Timed 4-bit products of onnxruntime, as the ONNX engine's folders compute them.

Loads that engine, so job processes only. Knows graphs of products in a temporary folder and how
long one run takes; knows no schedule and no model.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from quant.onnx.blocks import quantize_rows
from quant.onnx.graph import GraphBuilder
from quant.onnx.stages import matmul
from quant.onnx.store import WeightFile
from quant.onnx.weights import StoredMatrix
from runtime.backends.onnx.native import ort
from runtime.backends.onnx.session import cpu_session
from runtime.planning.bandwidth import Curve, CurvePoint
from runtime.tasks.profile_kernels import settled

WIDTH = 2048
BLOCK = 32
MATRIX_BYTES = WIDTH * WIDTH // 2 + 4 * WIDTH * WIDTH // BLOCK  # packed weights, float32 scales
_WEIGHTS = "products.data"


class BlockProducts:
    """Chains of 4-bit products over matrices of WIDTH x WIDTH, in files below `folder`.

    Each matrix has its own bytes in its own order, so that a chain's working set is what it reads:
    onnxruntime packs matrices of equal content once.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """Write the weights of `most` matrices."""
        self._folder = folder
        random = np.random.default_rng(0)
        weights = random.standard_normal((WIDTH, WIDTH)).astype(np.float32) / np.float32(WIDTH**0.5)
        rows = quantize_rows(weights, BLOCK, method="round")
        self._matrices: list[StoredMatrix] = []
        with WeightFile(folder / _WEIGHTS) as file:
            for number in range(most):
                packed, scales = (np.roll(part, number, 0) for part in (rows.packed, rows.scales))
                stored = file.append(packed), file.append(scales)
                self._matrices.append(StoredMatrix(WIDTH, WIDTH, BLOCK, *stored))
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


def block_products(
    threads: Sequence[int], sizes: Sequence[int], batch: int, seconds: float
) -> tuple[tuple[Curve, ...], dict[int, float]]:
    """Read rates over working sets of `sizes` bytes, and operations per second with `batch` vectors
    by thread count. Raises CorruptFile where onnxruntime refuses the graphs, OSError for a full
    disk."""
    counts = [max(1, size // MATRIX_BYTES) for size in sizes]
    curves, flops = [], {}
    with TemporaryDirectory(prefix="stillroom-profile-") as folder:
        products = BlockProducts(Path(folder), max(counts))
        for n_threads in threads:
            points = []
            for count in counts:
                session = products.session(count, n_threads)
                nbytes = count * MATRIX_BYTES
                points.append(CurvePoint(nbytes, nbytes / seconds_of(session, 1, seconds)))
            curves.append(Curve(n_threads, tuple(points)))
            few = products.session(2, n_threads)
            operations = 2.0 * batch * WIDTH * WIDTH * 2
            flops[n_threads] = operations / min(seconds_of(few, batch, 0.0) for _ in range(2))
    return tuple(curves), flops

"""Timed kernels for the bandwidth profiler: a plain read, and the engine's own products.

Loads the engine's tensor library, so job processes only. Knows how to run one kernel at one working
set and thread count and how long it took; knows no schedule, no machine and no model.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native

_F16, _F32 = 1, 0
_POINTER = ctypes.c_void_p
_CPU_DEVICE = 0
_GRAPH_SIZE = 16384
ATTENTION_BLOCKS = 12
_UNIT_SCALE = 127  # the power of two that an MXFP4 block's first byte gives, plus 127
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "ggml_new_tensor_2d": (_POINTER, (_POINTER, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)),
    "ggml_new_tensor_4d": (_POINTER, (_POINTER, ctypes.c_int, *[ctypes.c_int64] * 4)),
    "ggml_mul_mat": (_POINTER, (_POINTER, _POINTER, _POINTER)),
    "ggml_flash_attn_ext": (_POINTER, (*[_POINTER] * 5, *[ctypes.c_float] * 3)),
    "ggml_permute": (_POINTER, (_POINTER, _POINTER, *[ctypes.c_int] * 4)),
    "ggml_new_graph_custom": (_POINTER, (_POINTER, ctypes.c_size_t, ctypes.c_bool)),
    "ggml_build_forward_expand": (None, (_POINTER, _POINTER)),
    "ggml_nbytes": (ctypes.c_size_t, (_POINTER,)),
    "ggml_free": (None, (_POINTER,)),
    "ggml_tensor_overhead": (ctypes.c_size_t, ()),
    "ggml_graph_overhead_custom": (ctypes.c_size_t, (ctypes.c_size_t, ctypes.c_bool)),
    "ggml_gallocr_new": (_POINTER, (_POINTER,)),
    "ggml_gallocr_alloc_graph": (ctypes.c_bool, (_POINTER, _POINTER)),
    "ggml_gallocr_free": (None, (_POINTER,)),
    "ggml_backend_alloc_ctx_tensors_from_buft": (_POINTER, (_POINTER, _POINTER)),
    "ggml_backend_buft_alloc_buffer": (_POINTER, (_POINTER, ctypes.c_size_t)),
    "ggml_backend_buffer_free": (None, (_POINTER,)),
    "ggml_backend_tensor_set": (None, (_POINTER, _POINTER, ctypes.c_size_t, ctypes.c_size_t)),
    "ggml_backend_tensor_get": (None, (_POINTER, _POINTER, ctypes.c_size_t, ctypes.c_size_t)),
    "ggml_backend_graph_compute": (ctypes.c_int, (_POINTER, _POINTER)),
    "ggml_backend_dev_count": (ctypes.c_size_t, ()),
    "ggml_backend_dev_get": (_POINTER, (ctypes.c_size_t,)),
    "ggml_backend_dev_type": (ctypes.c_int, (_POINTER,)),
    "ggml_backend_dev_name": (ctypes.c_char_p, (_POINTER,)),
    "ggml_backend_dev_init": (_POINTER, (_POINTER, ctypes.c_char_p)),
    "ggml_backend_dev_buffer_type": (_POINTER, (_POINTER,)),
    "ggml_backend_dev_backend_reg": (_POINTER, (_POINTER,)),
    "ggml_backend_dev_supports_op": (ctypes.c_bool, (_POINTER, _POINTER)),
    "ggml_backend_reg_get_proc_address": (_POINTER, (_POINTER, ctypes.c_char_p)),
    "ggml_backend_free": (None, (_POINTER,)),
}


class _InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


class _TensorHead(ctypes.Structure):
    """The first members of struct ggml_tensor: enough to give a tensor a buffer."""

    _fields_ = (("type", ctypes.c_int), ("buffer", ctypes.c_void_p))


class Ggml:
    """The engine's tensor library with typed functions, one device and its backend.

    `device` is an engine device name such as "CPU" or "CUDA0", in any case: ids are in lower case.
    Raises OSError when the library is missing and ValueError for an unknown device.
    """

    def __init__(self, device: str = "CPU", threads: int = 1) -> None:
        llama_native.start_engine()
        for name, (result, arguments) in _SIGNATURES.items():
            setattr(self, name, llama_native.function(name, result, *arguments))
        self._init = llama_native.function("ggml_init", _POINTER, _InitParams)
        self.device = self._device(device)
        self.backend = self.ggml_backend_dev_init(self.device, None)
        self.buffer_type: int = self.ggml_backend_dev_buffer_type(self.device)
        self.set_threads(threads)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def _device(self, name: str) -> int:
        for index in range(self.ggml_backend_dev_count()):
            device: int = self.ggml_backend_dev_get(index)
            if self.ggml_backend_dev_name(device).decode().lower() == name.lower():
                return device
        raise ValueError(f"no device {name}")

    def set_threads(self, threads: int) -> None:
        """Threads of later computations; devices without threads ignore it."""
        if self.ggml_backend_dev_type(self.device) == _CPU_DEVICE:
            address = self._special("ggml_backend_set_n_threads") or 0
            ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_int)(address)(self.backend, threads)

    def _special(self, name: str) -> int | None:
        """Address of a function that only some devices have, None for the others."""
        registry = self.ggml_backend_dev_backend_reg(self.device)
        address: int | None = self.ggml_backend_reg_get_proc_address(registry, name.encode())
        return address

    def context(self, tensors: int) -> int:
        """A context for `tensors` tensor headers and one graph, without data."""
        size = tensors * self.ggml_tensor_overhead()
        size += self.ggml_graph_overhead_custom(_GRAPH_SIZE, False) + 65536
        made: int = self._init(_InitParams(size, None, True))
        return made

    def weight_buffer_type(self, block_format: int, columns: int, rows: int) -> int:
        """Where the engine itself would put such a matrix: a repacking buffer when it has one."""
        address = self._special("ggml_backend_dev_get_extra_bufts")
        if not address:
            return self.buffer_type
        extra = ctypes.CFUNCTYPE(ctypes.POINTER(_POINTER), _POINTER)(address)(self.device)
        index = 0
        while extra and extra[index]:
            found: int = extra[index]
            if self._supports(found, block_format, columns, rows):
                return found
            index += 1
        return self.buffer_type

    def _supports(self, buffer_type: int, block_format: int, columns: int, rows: int) -> bool:
        context = self.context(8)
        weight = self.ggml_new_tensor_2d(context, block_format, columns, rows)
        vector = self.ggml_new_tensor_2d(context, _F32, columns, 512)
        product = self.ggml_mul_mat(context, weight, vector)
        buffer = self.ggml_backend_buft_alloc_buffer(buffer_type, 0)
        ctypes.cast(weight, ctypes.POINTER(_TensorHead)).contents.buffer = buffer
        supported = bool(self.ggml_backend_dev_supports_op(self.device, product))
        self.ggml_backend_buffer_free(buffer)
        self.ggml_free(context)
        return supported

    def close(self) -> None:
        self.ggml_backend_free(self.backend)


def quiet_engine() -> None:
    """Discard the engine's log: it prints a line for every repacked matrix."""
    native.llama_log_set(_DROP, ctypes.c_void_p(0))


def _drop(_level: int, _text: bytes, _user_data: object) -> None:
    """Receives the engine's log lines."""


# The engine keeps the address for the life of the process.
_DROP = native.llama_log_callback(_drop)


class _Graph:
    """A graph that can be computed again and again, with the memory it needs."""

    def __init__(self, ggml: Ggml, context: int, outputs: Sequence[int]) -> None:
        self._ggml, self._context = ggml, context
        self._graph = ggml.ggml_new_graph_custom(context, _GRAPH_SIZE, False)
        for output in outputs:
            ggml.ggml_build_forward_expand(self._graph, output)
        self._allocator = ggml.ggml_gallocr_new(ggml.buffer_type)
        if not ggml.ggml_gallocr_alloc_graph(self._allocator, self._graph):
            raise MemoryError("the graph's scratch memory could not be allocated")

    def seconds(self, repeats: int) -> float:
        """Median wall seconds of one computation."""
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            if self._ggml.ggml_backend_graph_compute(self._ggml.backend, self._graph):
                raise RuntimeError("the engine could not compute the graph")
            times.append(time.perf_counter() - start)
        return float(np.median(times))

    def close(self) -> None:
        self._ggml.ggml_gallocr_free(self._allocator)
        self._ggml.ggml_free(self._context)


class Products:
    """`count` matrices of one block format, multiplied one after another as a decode step does.

    Each matrix has `columns` x `rows` values of random blocks; `seconds` uses the first ones that
    make up a working set, so one allocation serves the whole curve.
    """

    def __init__(
        self, ggml: Ggml, block_format: str, count: int, columns: int = 2048, rows: int = 2048
    ) -> None:
        self._ggml = ggml
        kind = int(GGMLQuantizationType[block_format])
        self._columns, self.count = columns, count
        self._context = ggml.context(count)
        self._weights = [
            ggml.ggml_new_tensor_2d(self._context, kind, columns, rows) for _ in range(count)
        ]
        self._buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(
            self._context, ggml.weight_buffer_type(kind, columns, rows)
        )
        if not self._buffer:
            raise MemoryError("the working set could not be allocated")
        self.matrix_bytes = int(ggml.ggml_nbytes(self._weights[0]))
        self.matrix_values = columns * rows
        self._filled = 0
        self._block = random_blocks(block_format, columns * rows)

    def _fill(self, count: int) -> None:
        data = self._block.ctypes.data_as(_POINTER)
        for weight in self._weights[self._filled : count]:
            self._ggml.ggml_backend_tensor_set(weight, data, 0, self.matrix_bytes)
        self._filled = max(self._filled, count)

    def seconds(self, matrices: int, batch: int = 1, at_least: float = 0.1) -> float:
        """Median wall seconds to multiply the first `matrices` with `batch` vectors each."""
        self._fill(matrices)
        ggml = self._ggml
        context = ggml.context(matrices * 2 + 8)
        vectors = ggml.ggml_new_tensor_2d(context, _F32, self._columns, batch)
        outputs = [ggml.ggml_mul_mat(context, w, vectors) for w in self._weights[:matrices]]
        graph = _Graph(ggml, context, outputs)
        ones = np.ones(self._columns * batch, dtype=np.float32)
        ggml.ggml_backend_tensor_set(vectors, ones.ctypes.data_as(_POINTER), 0, ones.nbytes)
        result = settled(graph.seconds, at_least)
        graph.close()
        return result

    def close(self) -> None:
        self._ggml.ggml_backend_buffer_free(self._buffer)
        self._ggml.ggml_free(self._context)


def attention_seconds(
    ggml: Ggml,
    cells: int,
    batch: int = 1,
    heads: int = 16,
    kv_heads: int = 4,
    length: int = 128,
    at_least: float = 0.1,
) -> float:
    """Median wall seconds of one block's attention of `batch` tokens over `cells` cached ones.

    ATTENTION_BLOCKS caches laid out as the engine's are read in turn: a single one would stay in
    the processor's nearest cache, as no model's does.
    """
    context = ggml.context(8 * ATTENTION_BLOCKS + 8)
    query = ggml.ggml_new_tensor_4d(context, _F32, length, batch, heads, 1)
    mask = ggml.ggml_new_tensor_4d(context, _F16, cells, batch, 1, 1)
    scale = ctypes.c_float(length**-0.5)
    zero = ctypes.c_float(0.0)
    outputs, caches = [], []
    for _ in range(ATTENTION_BLOCKS):
        pair = [
            ggml.ggml_new_tensor_4d(context, _F16, length, kv_heads, cells, 1) for _ in range(2)
        ]
        caches += pair
        key, value = (ggml.ggml_permute(context, tensor, 0, 2, 1, 3) for tensor in pair)
        outputs.append(
            ggml.ggml_flash_attn_ext(context, query, key, value, mask, scale, zero, zero)
        )
    graph = _Graph(ggml, context, outputs)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal(length * batch * heads, dtype=np.float32)
    cached = rng.standard_normal(length * cells * kv_heads, dtype=np.float32).astype(np.float16)
    empty = np.zeros(cells * batch, dtype=np.float16)
    contents: list[tuple[int, npt.NDArray[np.generic]]] = [(query, rows), (mask, empty)]
    contents += [(cache, cached) for cache in caches]
    for tensor, data in contents:
        ggml.ggml_backend_tensor_set(tensor, data.ctypes.data_as(_POINTER), 0, data.nbytes)
    result = settled(graph.seconds, at_least)
    graph.close()
    return result / ATTENTION_BLOCKS


def copy_seconds(ggml: Ggml, nbytes: int, repeats: int = 5) -> float:
    """Median wall seconds to copy `nbytes` from host memory to the device."""
    context = ggml.context(2)
    tensor = ggml.ggml_new_tensor_2d(context, _F32, nbytes // 4, 1)
    buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, ggml.buffer_type)
    data = np.zeros(nbytes // 4, dtype=np.float32)
    data[:] = 1.0
    times = []
    probe = np.zeros(1, dtype=np.float32)
    for _ in range(repeats):
        start = time.perf_counter()
        ggml.ggml_backend_tensor_set(tensor, data.ctypes.data_as(_POINTER), 0, data.nbytes)
        # Reading back one value waits for the copy to have really ended.
        ggml.ggml_backend_tensor_get(tensor, probe.ctypes.data_as(_POINTER), data.nbytes - 4, 4)
        times.append(time.perf_counter() - start)
    ggml.ggml_backend_buffer_free(buffer)
    ggml.ggml_free(context)
    return float(np.median(times))


def settled(seconds: Callable[[int], float], at_least: float) -> float:
    """Warm up, then the median over about `at_least` seconds, three runs or more."""
    warm = seconds(1)
    return seconds(max(3, min(2000, int(at_least / max(warm, 1e-6)))))


class PlainRead:
    """`memory` (written before: untouched pages are not mapped) read by `threads` threads at once,
    each its own part, with almost no arithmetic."""

    def __init__(self, memory: "npt.NDArray[np.uint8]", threads: int) -> None:
        self.threads = threads
        words = memory[: memory.size // 8 * 8].view(np.uint64)
        self._parts = np.array_split(words, threads)

    def bytes_per_second(self, seconds: float) -> float:
        """Sustained over `seconds`: all parts read over and over, in chunks that stop together."""
        counts = [0] * self.threads
        begin = threading.Barrier(self.threads + 1)
        ends = [0.0] * self.threads

        def work(index: int) -> None:
            part = self._parts[index]
            pieces = np.array_split(part, max(1, part.nbytes // (32 << 20)))
            begin.wait()
            stop = time.perf_counter() + seconds
            while time.perf_counter() < stop:
                for piece in pieces:
                    np.bitwise_or.reduce(piece)
                    counts[index] += piece.nbytes
                    if time.perf_counter() >= stop:
                        break
            ends[index] = time.perf_counter()

        workers = [threading.Thread(target=work, args=(i,)) for i in range(self.threads)]
        for worker in workers:
            worker.start()
        begin.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        return sum(counts) / (max(ends) - start)


def random_blocks(block_format: str, values: int) -> npt.NDArray[np.uint8]:
    """`values` weights in a ggml format: random quants, scales small and finite."""
    kind = GGMLQuantizationType[block_format]
    per_block, nbytes = GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(0)
    if block_format == "F16":
        return rng.standard_normal(values, dtype=np.float32).astype(np.float16).view(np.uint8)
    if block_format == "F32":
        return rng.standard_normal(values, dtype=np.float32).view(np.uint8)
    # Any byte below 0x3c keeps every half-precision scale finite and small, wherever it lies.
    blocks: npt.NDArray[np.uint8] = rng.integers(
        0, 0x3C, values // per_block * nbytes, dtype=np.uint8
    )
    if block_format == "MXFP4":  # scales so small that products are denormal would be slow
        blocks.reshape(-1, nbytes)[:, 0] = _UNIT_SCALE
    return blocks

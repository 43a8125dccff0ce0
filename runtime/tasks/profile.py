"""The profiling job: which kernels to time, at which working sets and thread counts, how long.

Runs in a child process (it loads the engine). Knows the schedules and the test for other load;
results are values of `runtime.planning.bandwidth`.
"""

import importlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import psutil

from runtime.backends.onnx.descriptor import REFERENCE_PRODUCT as ONNX_PRODUCT
from runtime.errors import EngineError
from runtime.machine.cores import available_cores, thread_counts
from runtime.planning.bandwidth import (
    ATTENTION_CELLS,
    ATTENTION_KV_HEADS,
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
    cache_facts,
    cache_levels,
    machine_fingerprint,
    spread_of,
)
from runtime.process.job_values import ProfileArgs, ReadRateAnswer, ReadRateArgs
from runtime.progress import OnProgress, Progress
from runtime.tasks.profile_kernels import (
    Ggml,
    PlainRead,
    Products,
    attention_seconds,
    copy_seconds,
    quiet_engine,
)

logger = logging.getLogger(__name__)

MIB = 2**20
BUSY_CORES = 0.15  # other processes' share of one core above which figures are not trusted
HOST = "cpu"
REFERENCE_FORMAT = "Q4_0"
HEAD_LENGTHS = (64, 128)
GPU_ATTENTION_CELLS = 16384
GPU_ATTENTION_BATCH = 512  # a whole micro-batch: fewer rows leave a GPU half idle
GPU_FORMATS = ("Q4_0", "Q4_K", "Q8_0", "F16")
# Formats that downloads have beside those: timed at one size, where they are read from memory.
BRIEF_FORMATS = ("Q4_1", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4")
GPU_BRIEF_SIZE = 512  # MiB


@dataclass(frozen=True)
class Schedule:
    """How much to measure. Sizes are working sets in MiB; seconds are per reading.

    A machine whose last-level cache is as large gets another size, CACHE_TIMES that cache but
    `largest` at most: beyond it is what models are read at. BRIEF_FORMATS that are not among
    `formats`, and all but one of onnxruntime's, are timed at `brief_size` only: their curves are
    the reference's, scaled.
    """

    plain_sizes: tuple[int, ...]
    product_sizes: tuple[int, ...]
    other_sizes: tuple[int, ...]
    formats: tuple[str, ...]
    seconds: float
    repeats: int
    attention_cells: tuple[int, ...]
    onnx_sizes: tuple[int, ...]
    largest: int
    brief_size: int
    prefill_batch: int  # tokens; what a prompt costs for each hardly changes above fifty


CACHE_TIMES = 4
BRIEF_CACHE_TIMES, LARGEST_BRIEF = 2, 192

QUICK = Schedule(
    plain_sizes=(1, 4, 32, 128, 256),
    product_sizes=(4, 32, 128, 256),
    other_sizes=(32, 192),
    formats=("Q8_0", "Q4_K"),
    seconds=0.04,
    repeats=5,
    attention_cells=ATTENTION_CELLS[:1],
    onnx_sizes=(),
    largest=384,
    brief_size=64,
    prefill_batch=64,
)
FULL = Schedule(
    plain_sizes=(1, 4, 16, 64, 256, 1024),
    product_sizes=(2, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024),
    other_sizes=(8, 32, 64, 128, 256, 512),
    formats=("Q4_1", "Q4_K", "Q6_K", "Q8_0", "F16"),
    seconds=0.12,
    repeats=9,
    attention_cells=ATTENTION_CELLS,
    onnx_sizes=(8, 64, 256),
    largest=4096,
    brief_size=64,
    prefill_batch=512,
)


def beyond_caches(schedule: Schedule, caches: Mapping[int, int]) -> Schedule:
    """The schedule with sizes that reach beyond the last of some caches (bytes by level)."""
    last = max(caches.values(), default=0) // MIB
    top = min(CACHE_TIMES * last, schedule.largest)
    brief = min(BRIEF_CACHE_TIMES * last, LARGEST_BRIEF)

    def reaching(sizes: tuple[int, ...]) -> tuple[int, ...]:
        return (*sizes, top) if top > max(sizes) else sizes

    return replace(
        schedule,
        plain_sizes=reaching(schedule.plain_sizes),
        product_sizes=reaching(schedule.product_sizes),
        brief_size=max(brief, schedule.brief_size),
    )


class OtherLoad:
    """Cores that other processes kept busy since this was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), self._others()

    @staticmethod
    def _others() -> float:
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return float(sum(times) - idle - guests - time.process_time())

    def cores(self) -> float:
        elapsed = time.perf_counter() - self._start[0]
        return max(0.0, (self._others() - self._start[1]) / max(elapsed, 1e-9))


def profile_job(args: ProfileArgs, on_progress: OnProgress) -> BandwidthProfile:
    """Profile this machine."""
    caches = cache_levels()
    schedule = beyond_caches(FULL if args.mode == "full" else QUICK, caches)
    names = [name.lower() for name in args.devices]
    quiet_engine()
    load = OtherLoad()
    time.sleep(0.3)  # load before we begin is not ours
    before = load.cores()
    load = OtherLoad()
    steps = _Steps(on_progress, _step_count(schedule, names))
    devices, spread = [], 0.0
    for name in names:
        try:
            profile, readings = _profile_device(name, schedule, steps)
        except (MemoryError, RuntimeError, ValueError):
            if name == HOST:
                raise
            continue  # an accelerator that cannot be timed now is missing from the profile
        devices.append(profile)
        spread = max(spread, spread_of(readings))
    busy = max(before, load.cores())
    doubts = ["busy"] if busy > BUSY_CORES else []
    if spread > 0.15:
        doubts.append("unsteady")
    return BandwidthProfile(
        fingerprint=machine_fingerprint(f"llama-cpp-python {version('llama-cpp-python')}"),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mode=args.mode,
        spread=spread,
        devices=tuple(devices),
        doubts=tuple(doubts),
        facts={"other_load_cores": busy, **cache_facts(caches)},
    )


def read_rate_job(args: ReadRateArgs, _on_progress: OnProgress) -> ReadRateAnswer:
    """The best of three readings: other load can only lower one."""
    reader = PlainRead(np.ones(args.nbytes, dtype=np.uint8), args.threads)
    return ReadRateAnswer(max(reader.bytes_per_second(0.15) for _ in range(3)))


class _Steps:
    """Counts steps done and reports them."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0

    def next(self, detail: str) -> None:
        self._done += 1
        done = min(self._done, self._total)
        self._on_progress(Progress("profile", done, self._total, "steps", detail))


def _step_count(schedule: Schedule, names: Sequence[str]) -> int:
    counts = len(thread_counts(available_cores()))
    brief = len(_brief_formats(schedule.formats))
    host = counts * (2 + len(schedule.formats)) + counts + brief + 1
    gpu = len(GPU_FORMATS) + len(_brief_formats(GPU_FORMATS)) + 1
    return sum(host if name == HOST else gpu for name in names)


def _brief_formats(measured: Sequence[str]) -> list[str]:
    """What is timed at one size: the formats of downloads that are not `measured` whole."""
    return [name for name in BRIEF_FORMATS if name not in measured]


def _profile_device(
    name: str, schedule: Schedule, steps: _Steps
) -> tuple[DeviceProfile, list[float]]:
    return _profile_cpu(schedule, steps) if name == HOST else _profile_gpu(name, schedule, steps)


def _profile_cpu(schedule: Schedule, steps: _Steps) -> tuple[DeviceProfile, list[float]]:
    ggml = Ggml(HOST)
    counts = thread_counts(available_cores())
    free = psutil.virtual_memory().available // 4
    plain = []
    memory = np.ones(min(max(schedule.plain_sizes) * MIB, free), dtype=np.uint8)
    for threads in counts:
        plain.append(Curve(threads, _plain_points(schedule, threads, memory)))
        steps.next("plain read")
    del memory
    products: dict[str, tuple[Curve, ...]] = {}
    flops: dict[int, dict[str, float]] = {threads: {} for threads in counts}
    readings = _time_whole(ggml, schedule, counts, free, products, flops, steps)
    for block_format in _brief_formats(schedule.formats):
        _time_brief(ggml, block_format, schedule, free, products, flops)
        steps.next(block_format)
    add_onnx_products(schedule, counts, products, flops)
    steps.next(ONNX_PRODUCT)
    costs = [_thread_costs(ggml, threads, schedule, flops[threads], steps) for threads in counts]
    ggml.close()
    return DeviceProfile("cpu", tuple(plain), products, tuple(costs)), readings


def _time_whole(
    ggml: Ggml,
    schedule: Schedule,
    counts: Sequence[int],
    free: int,
    products: dict[str, tuple[Curve, ...]],
    flops: dict[int, dict[str, float]],
    steps: _Steps,
) -> list[float]:
    """Whole curves of the reference and the schedule's formats; repeated readings of the
    reference."""
    readings: list[float] = []
    for block_format in (REFERENCE_FORMAT, *schedule.formats):
        reference = block_format == REFERENCE_FORMAT
        sizes = schedule.product_sizes if reference else schedule.other_sizes
        kernel = _products(ggml, block_format, min(max(sizes) * MIB, free))
        curves = []
        for threads in counts:
            ggml.set_threads(threads)
            curves.append(Curve(threads, _product_points(kernel, sizes, schedule.seconds)))
            flops[threads][block_format] = _prefill_flops(kernel, schedule.prefill_batch)
            steps.next(block_format)
        if reference:
            part = max(1, kernel.count // 4)
            readings = [kernel.seconds(part, 1, 0.02) for _ in range(schedule.repeats)]
        products[block_format] = tuple(curves)
        kernel.close()
    return readings


def _time_brief(
    ggml: Ggml,
    block_format: str,
    schedule: Schedule,
    free: int,
    products: dict[str, tuple[Curve, ...]],
    flops: dict[int, dict[str, float]],
    started_in: float = 0.0,
) -> None:
    """One format at the brief size, at every thread count of the reference's curves."""
    size = schedule.brief_size
    kernel = _products(ggml, block_format, min(size * MIB, free))
    curves = []
    for reference in products[REFERENCE_FORMAT]:
        ggml.set_threads(reference.threads)
        (point,) = _product_points(kernel, (size,), schedule.seconds, started_in)
        curves.append(reference.through(point))
        rate = _prefill_flops(kernel, schedule.prefill_batch, matrices=1)
        flops[reference.threads][block_format] = rate
    products[block_format] = tuple(curves)
    kernel.close()


def add_onnx_products(
    schedule: Schedule,
    counts: Sequence[int],
    products: dict[str, tuple[Curve, ...]],
    flops: dict[int, dict[str, float]],
) -> None:
    """The other engine's products beside llama.cpp's, where that engine is installed."""
    sizes = sorted({size * MIB for size in (*schedule.onnx_sizes, schedule.brief_size)})
    brief = schedule.brief_size * MIB
    try:
        onnx = importlib.import_module("runtime.tasks.profile_kernels_onnx")
        found = onnx.all_products(counts, sizes, brief, QUICK.prefill_batch, QUICK.seconds)
    except (ImportError, OSError, EngineError):
        logger.exception("onnxruntime's products were not timed")
        return
    for name, (curves, rates) in found.items():
        products[name] = curves
        for threads in counts:
            flops[threads][name] = rates[threads]


def _profile_gpu(name: str, schedule: Schedule, steps: _Steps) -> tuple[DeviceProfile, list[float]]:
    ggml = Ggml(name)
    operation = _operation_seconds(ggml, schedule)
    products: dict[str, tuple[Curve, ...]] = {}
    flops: dict[int, dict[str, float]] = {0: {}}
    readings: list[float] = []
    for block_format in GPU_FORMATS:
        kernel = _products(ggml, block_format, 2048 * MIB, columns=4096, rows=4096)
        points = _product_points(
            kernel, (16, 64, 256, 1024, 2048), schedule.seconds, started_in=operation
        )
        products[block_format] = (Curve(0, points),)
        flops[0][block_format] = _prefill_flops(kernel, FULL.prefill_batch)
        if block_format == REFERENCE_FORMAT:
            readings = [kernel.seconds(kernel.count, 1, 0.02) for _ in range(schedule.repeats)]
        kernel.close()
        steps.next(f"{name} {block_format}")
    brief = replace(schedule, brief_size=GPU_BRIEF_SIZE, prefill_batch=FULL.prefill_batch)
    for block_format in _brief_formats(GPU_FORMATS):
        _time_brief(ggml, block_format, brief, 2048 * MIB, products, flops, operation)
        steps.next(f"{name} {block_format}")
    costs = _thread_costs(ggml, 0, schedule, flops[0], steps)
    copy = 256 * MIB
    profile = DeviceProfile(
        name.lower(), (), products, (costs,), host_copy=copy / copy_seconds(ggml, copy)
    )
    ggml.close()
    return profile, readings


def _plain_points(
    schedule: Schedule, threads: int, memory: "npt.NDArray[np.uint8]"
) -> tuple[CurvePoint, ...]:
    """The better of two readings at each size: other load can only lower one."""
    points: dict[int, CurvePoint] = {}
    for size in schedule.plain_sizes:
        part = memory[: size * MIB]
        reader = PlainRead(part, threads)
        rate = max(reader.bytes_per_second(schedule.seconds / 2) for _ in range(2))
        points[part.size] = CurvePoint(part.size, rate)
    return tuple(points.values())


def _products(
    ggml: Ggml, block_format: str, nbytes: int, columns: int = 2048, rows: int = 2048
) -> Products:
    one = Products(ggml, block_format, 1, columns, rows)
    count = max(1, nbytes // one.matrix_bytes)
    one.close()
    return Products(ggml, block_format, count, columns, rows)


def _product_points(
    kernel: Products, sizes: Sequence[int], seconds: float, started_in: float = 0.0
) -> tuple[CurvePoint, ...]:
    """The curve of one format; `started_in` seconds of each product are its start, not its reading,
    and are counted as an operation of their own."""
    points: dict[int, CurvePoint] = {}
    for size in sizes:
        matrices = max(1, min(kernel.count, round(size * MIB / kernel.matrix_bytes)))
        nbytes = matrices * kernel.matrix_bytes
        whole = kernel.seconds(matrices, 1, seconds)
        reading = max(whole - matrices * started_in, whole / 4)
        points[nbytes] = CurvePoint(nbytes, nbytes / reading)
    return tuple(points[key] for key in sorted(points))


def _prefill_flops(kernel: Products, batch: int, matrices: int = 2) -> float:
    """Operations per second, the better of two readings: a reading can be too low, not too high."""
    matrices = min(matrices, kernel.count)
    operations = 2.0 * batch * kernel.matrix_values * matrices
    return operations / min(kernel.seconds(matrices, batch, 0.0) for _ in range(2))


def _thread_costs(
    ggml: Ggml, threads: int, schedule: Schedule, flops: dict[str, float], steps: _Steps
) -> ThreadCosts:
    ggml.set_threads(threads)
    operation = _operation_seconds(ggml, schedule)
    # A GPU needs a long cache before its cores are busy.
    near, *far = schedule.attention_cells if threads else (GPU_ATTENTION_CELLS,)
    batch = 64 if threads else GPU_ATTENTION_BATCH

    def attention(cells: int, batch: int, seconds: float) -> dict[str, float]:
        return {
            str(length): _attention_product(ggml, cells, batch, length, seconds)
            for length in HEAD_LENGTHS
        }

    decode = attention(near, 1, schedule.seconds)
    prefill = attention(far[0] // 2 if far else near, batch, 0.0)
    beyond = attention(far[0], 1, schedule.seconds) if far else {}
    steps.next("attention")
    return ThreadCosts(threads, operation, decode, prefill, flops, beyond)


def _attention_product(ggml: Ggml, cells: int, batch: int, length: int, seconds: float) -> float:
    """Seconds of one multiply-add of one block's attention."""
    heads = 16
    whole = attention_seconds(ggml, cells, batch, heads, ATTENTION_KV_HEADS, length, seconds)
    return whole / (cells * heads * 2 * length * batch)


def _operation_seconds(ggml: Ggml, schedule: Schedule) -> float:
    """Seconds of a product too small to take any: what starting and ending one costs."""
    tiny = Products(ggml, "Q8_0", 400, 64, 64)
    seconds = tiny.seconds(400, 1, schedule.seconds) / 400
    tiny.close()
    return seconds

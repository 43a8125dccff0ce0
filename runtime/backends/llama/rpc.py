"""llama.cpp's RPC servers: starts the stock one, and makes those of others into devices.

Imports the native library, so worker and job processes only. The RPC part is a library of its own
or inside the engine, as that was built.
"""

import ctypes
import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from runtime.backends.llama import native as llama_native
from runtime.devices import Device
from runtime.errors import BackendUnavailable, DeviceUnavailable
from runtime.machine import rpc
from runtime.machine.cores import available_cores
from runtime.process.cpu_library import engine_folder
from runtime.process.job_values import Nothing, RpcServerArgs
from runtime.progress import OnProgress, Progress

# On macOS the name ends in .so where the engine loads its parts by itself, else in .dylib.
_NAMES = {"win32": ("ggml-rpc.dll",)}.get(sys.platform, ("libggml-rpc.so", "libggml-rpc.dylib"))
_PROBE_BYTES = 2_000_000
_PROBE_ROUNDS = 3
_F32 = 0


class _InitParams(ctypes.Structure):
    """struct ggml_init_params."""

    _fields_ = (
        ("mem_size", ctypes.c_size_t),
        ("mem_buffer", ctypes.c_void_p),
        ("no_alloc", ctypes.c_bool),
    )


def _function(name: str, restype: object, *argtypes: object) -> Callable[..., Any]:
    """A function of the RPC part. Raises BackendUnavailable where the engine has none."""
    llama_native.start_engine()
    try:
        return llama_native.function(name, restype, *argtypes)
    except StopIteration:
        found = getattr(_library(), name)
        found.restype, found.argtypes = restype, list(argtypes)
        made: Callable[..., Any] = found
        return made


@functools.cache
def _library() -> ctypes.CDLL:
    folder = engine_folder()
    found = (folder / name for name in _NAMES) if folder else iter(())
    path = next((path for path in found if path.is_file()), None)
    if path is None:
        raise BackendUnavailable(backend="RPC", reason="built_without_it")
    return ctypes.CDLL(str(path))


def handles(device_ids: list[str]) -> dict[str, int]:
    """Handles of devices that are those of RPC servers, by id. Raises DeviceUnavailable."""
    found: dict[str, int] = {}
    for address in dict.fromkeys(filter(None, map(rpc.address_of, device_ids))):
        found.update(_server_devices(address))
    return found


def _server_devices(address: str) -> dict[str, int]:
    if not rpc.is_responding(address):  # the engine would wait, or end the process
        raise DeviceUnavailable(device=rpc.PREFIX + address, reason="rpc_unreachable")
    pointer = ctypes.c_void_p
    registry = _function("ggml_backend_rpc_add_server", pointer, ctypes.c_char_p)(address.encode())
    if not registry:
        raise DeviceUnavailable(device=rpc.PREFIX + address, reason="rpc_not_understood")
    count = _function("ggml_backend_reg_dev_count", ctypes.c_size_t, pointer)(registry)
    get = _function("ggml_backend_reg_dev_get", pointer, pointer, ctypes.c_size_t)
    return {
        f"{rpc.PREFIX}{address}" + (f"/{index}" if index else ""): get(registry, index)
        for index in range(count)
    }


def rpc_devices(addresses: Sequence[str]) -> list[Device]:
    """The devices of each server with their memory and link, or why it cannot be used."""
    found: list[Device] = []
    for address in addresses:
        try:
            for identity, handle in _server_devices(address).items():
                found.append(_device(identity, handle))
        except (DeviceUnavailable, BackendUnavailable) as error:
            reason = error.reason
            found.append(_described(rpc.PREFIX + address, 0, 0, reason, {}))
    return found


def _device(identity: str, handle: int) -> Device:
    size = ctypes.c_size_t
    memory = _function("ggml_backend_dev_memory", None, ctypes.c_void_p,
                       ctypes.POINTER(size), ctypes.POINTER(size))  # fmt: skip
    free, total = size(), size()
    memory(handle, ctypes.byref(free), ctypes.byref(total))
    seconds, rate = measure_link(handle)
    link = f", round trip {seconds * 1e6:.0f} µs, {rate / 1e9:.2f} GB/s"
    facts = {"round_trip_us": f"{seconds * 1e6:.0f}", "bytes_per_second": f"{rate:.0f}"}
    return _described(identity, free.value, total.value, "", facts, link)


def _described(
    identity: str, free: int, total: int, why: str, facts: dict[str, str], link: str = ""
) -> Device:
    return Device(
        id=identity,
        kind="RPC",
        library="RPC",
        name=f"llama.cpp RPC server{link}",
        memory_total=total,
        memory_free=free,
        unavailable_reason=why,
        on_request=True,
        facts=facts,
    )


def measure_link(handle: int) -> tuple[float, float]:
    """Seconds of the quickest round trip, and bytes per second towards a device.

    A tensor of 2 MB is sent and its first value read back, as a step's activations are.
    """
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    kind = _function("ggml_backend_dev_buffer_type", pointer, pointer)(handle)
    buffer = _function("ggml_backend_buft_alloc_buffer", pointer, pointer, size)(kind, _PROBE_BYTES)
    if not buffer:
        raise DeviceUnavailable(device="rpc", reason="rpc_not_understood")
    context = _function("ggml_init", pointer, _InitParams)(_InitParams(1 << 16, None, True))
    tensor = _function("ggml_new_tensor_1d", pointer, pointer, ctypes.c_int, ctypes.c_int64)(
        context, _F32, _PROBE_BYTES // 4
    )
    base = _function("ggml_backend_buffer_get_base", pointer, pointer)(buffer)
    _function("ggml_backend_tensor_alloc", ctypes.c_int, pointer, pointer, pointer)(
        buffer, tensor, base
    )
    put = _function("ggml_backend_tensor_set", None, pointer, pointer, size, size)
    get = _function("ggml_backend_tensor_get", None, pointer, pointer, size, size)
    data, value = ctypes.create_string_buffer(_PROBE_BYTES), ctypes.create_string_buffer(4)

    def timed(work: Callable[..., Any], source: Any, nbytes: int) -> float:
        started = time.perf_counter()
        work(tensor, source, 0, nbytes)
        if work is put:
            get(tensor, value, 0, 4)
        return time.perf_counter() - started

    put(tensor, data, 0, 4)
    trip = min(timed(get, value, 4) for _ in range(_PROBE_ROUNDS))
    sent = min(timed(put, data, _PROBE_BYTES) for _ in range(_PROBE_ROUNDS))
    _function("ggml_free", None, pointer)(context)
    _function("ggml_backend_buffer_free", None, pointer)(buffer)
    return trip, _PROBE_BYTES / max(sent - trip, 1e-9)


def rpc_server_job(args: RpcServerArgs, on_progress: OnProgress) -> Nothing:
    """The stock server on every GPU of this machine, or on its processor; runs until its process is
    ended, and answers only where it ended by itself."""
    found = llama_native.devices()
    gpus = [device.handle for device in found if device.kind in (1, 2)]
    used = gpus or [device.handle for device in found if device.kind == 0]
    start = _function("ggml_backend_rpc_start_server", None, ctypes.c_char_p, ctypes.c_char_p,
                      ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p)  # fmt: skip
    array = (ctypes.c_void_p * len(used))(*used)
    threads = args.threads or available_cores()
    on_progress(Progress("serve", 0, None, "steps"))
    start(args.address.encode(), None, threads, len(used), array)
    return Nothing()

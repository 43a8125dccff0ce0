"""Opens inference sessions: on the CPU, or strictly on one execution provider.

A session asked of a provider either runs wholly there or fails with the reason: onnxruntime by
itself would retry on the CPU and say nothing. Knows graphs as files; nothing of what they compute.
"""

import hashlib
import importlib
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from quant.files import hash_file
from runtime.backends.onnx.native import ort
from runtime.errors import CorruptFile, DeviceUnavailable
from runtime.machine.providers import ProviderTarget

# The whole graph on the provider, or no session at all.
_STRICT = "session.disable_cpu_ep_fallback"
# Where a graph that is no file has its weights.
_EXTERNAL_DATA = "session.model_external_initializers_file_folder_path"
_CONTEXT_GRAPH = "body.onnx"
_DIGEST = "body.sha256"
# What a provider may tell of its device that a compiled body depends on, by OpenVINO's names; the
# others change from one minute to the next, or with the folder it is installed in.
_IDENTITY = (
    "FULL_DEVICE_NAME", "DEVICE_ARCHITECTURE", "NPU_DRIVER_VERSION", "NPU_COMPILER_VERSION",
    "version",
)  # fmt: skip
_MEMORY = "NPU_DEVICE_TOTAL_MEM_SIZE"
_LIBRARY = "library_path"  # which onnxruntime adds to what a plug-in's device tells
_NAME_HELD = "already registered"  # in onnxruntime's words: its status says only that it failed


@dataclass(frozen=True)
class CompiledCache:
    """Where compiled bodies are kept: one folder per provider version, device and graph content."""

    root: Path
    content: str  # digest of the exported folder

    def folder(self, target: ProviderTarget, graph: Path, device: str) -> Path:
        """The folder for one graph; another provider version, changed weights or another `device`
        (its `device_identity`) give another."""
        identity = "\n".join(
            (
                target.id,
                version(target.distribution),
                ort.__version__,
                repr(sorted(target.options.items())),
                device,
                self.content,
                graph.name,
            )
        )
        return self.root / f"{target.id}-{hashlib.sha256(identity.encode()).hexdigest()[:24]}"


def cpu_session(path: Path, threads: int) -> ort.InferenceSession:
    """A session on the CPU. Raises CorruptFile with the file's name."""
    return _open_on_cpu(str(path), _options(threads), path)


def cpu_session_of(graph: bytes, path: Path, threads: int) -> ort.InferenceSession:
    """As `cpu_session`, of a graph made from the one at `path`, whose weights lie beside that."""
    options = _options(threads)
    options.add_session_config_entry(_EXTERNAL_DATA, str(path.parent))
    return _open_on_cpu(graph, options, path)


def _open_on_cpu(
    graph: str | bytes, options: ort.SessionOptions, path: Path
) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a class of its own per status code
        raise CorruptFile(path=str(path), reason="refused", detail=str(error)) from error


def expect_inputs(
    session: ort.InferenceSession, expected: Mapping[str, Sequence[int | None]], path: Path
) -> None:
    """Check a graph's inputs against the manifest: names, and dimensions where both are fixed.

    Raises CorruptFile naming the graph's file.
    """
    found = {item.name: tuple(item.shape) for item in session.get_inputs()}
    for name in sorted(set(found) | set(expected)):
        wanted, got = tuple(expected.get(name, ())), found.get(name, ())
        same = len(wanted) == len(got) and all(
            not (isinstance(a, int) and isinstance(b, int)) or a == b
            for a, b in zip(wanted, got, strict=True)
        )
        if not same:
            raise CorruptFile(
                path=str(path),
                reason="graph_input",
                key=name,
                found=str(list(got)),
                wanted=str(list(wanted)),
            )


def provider_session(
    path: Path, target: ProviderTarget, threads: int, cache: CompiledCache | None = None
) -> ort.InferenceSession:
    """A session with every node on the target's provider; compiled once where a cache is given.

    Raises DeviceUnavailable: reason "provider_not_installed", "provider_failed_to_load",
    "no_such_device" or "compile_failed", with the provider's words as `detail`.
    """
    device = provider_device(target)
    if cache is None:
        return _strict_session(path, target, device, threads, {})
    folder = cache.folder(target, path, device_identity(target, device))
    if _is_whole(folder):
        with suppress(DeviceUnavailable):  # compiled by a driver since replaced
            return _strict_session(folder / _CONTEXT_GRAPH, target, device, threads, {})
    shutil.rmtree(folder, ignore_errors=True)
    return _compile(path, target, device, threads, folder)


def device_identity(target: ProviderTarget, device: ort.OrtEpDevice) -> str:
    """What a body compiled for a device depends on beside the provider: which device it is, and its
    driver's version. NPU drivers of Linux are parts of the kernel."""
    told = {key: str(value) for key, value in dict(device.ep_metadata).items() if key in _IDENTITY}
    hardware = device.device
    parts = [f"{hardware.vendor_id:#x}", f"{hardware.device_id:#x}", repr(sorted(told.items()))]
    parts.append(str(dict(hardware.metadata).get("Description", "")))
    if target.hardware_vendor:
        parts.append(platform.release())
    return "; ".join(parts)


def device_memory(target: ProviderTarget) -> int | None:
    """Bytes of memory the target's device tells it can use, None where it tells none.

    Raises DeviceUnavailable as `provider_session`.
    """
    told = dict(provider_device(target).ep_metadata).get(_MEMORY, "")
    return int(told) if told.isdecimal() else None


def _compile(
    path: Path, target: ProviderTarget, device: ort.OrtEpDevice, threads: int, folder: Path
) -> ort.InferenceSession:
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    except OSError:  # a read-only model folder: compile at every load
        return _strict_session(path, target, device, threads, {})
    try:
        settings = {
            "ep.context_enable": "1",
            "ep.context_file_path": str(partial / _CONTEXT_GRAPH),
            "ep.context_embed_mode": "1",
        }
        session = _strict_session(path, target, device, threads, settings)
        if (partial / _CONTEXT_GRAPH).is_file():
            digest = hash_file(partial / _CONTEXT_GRAPH)
            (partial / _DIGEST).write_text(digest, encoding="ascii")
            os.replace(partial, folder)
        return session
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether a compiled body is there with the bytes it was written with: its weights are in it,
    and a damaged one may load and compute nonsense."""
    try:
        wanted = (folder / _DIGEST).read_text(encoding="ascii")
        return hash_file(folder / _CONTEXT_GRAPH) == wanted
    except (OSError, UnicodeDecodeError):
        return False


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Three sessions take turns: pools that spin while they wait would take each other's cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _strict_session(
    path: Path,
    target: ProviderTarget,
    device: ort.OrtEpDevice,
    threads: int,
    settings: dict[str, str],
) -> ort.InferenceSession:
    options = _options(threads)
    options.add_session_config_entry(_STRICT, "1")
    for key, value in settings.items():
        options.add_session_config_entry(key, value)
    options.add_provider_for_devices([device], dict(target.options))
    try:
        session = ort.InferenceSession(str(path), options)
    except Exception as error:  # see cpu_session
        raise DeviceUnavailable(
            device=target.id, reason="compile_failed", detail=str(error), path=str(path)
        ) from error
    session.disable_fallback()
    if session.get_providers()[0] != device.ep_name:
        raise DeviceUnavailable(
            device=target.id,
            reason="compile_failed",
            detail=", ".join(session.get_providers()),
            path=str(path),
        )
    return session


def provider_device(target: ProviderTarget) -> ort.OrtEpDevice:
    """The provider's device for the target, its library registered.

    Raises DeviceUnavailable as `provider_session`.
    """
    library = _register(target)
    for device in ort.get_ep_devices():
        metadata = dict(device.ep_metadata)
        if _is_of(device, target.provider, library) and all(
            metadata.get(key) == value for key, value in target.match.items()
        ):
            if target.hardware_vendor and device.device.type != ort.OrtHardwareDeviceType.NPU:
                continue
            return device
    raise DeviceUnavailable(device=target.id, reason="no_such_device")


def _is_of(device: ort.OrtEpDevice, provider: str, library: str) -> bool:
    """Whether a listed device is the provider's. Some libraries call their provider by the name
    they are registered under, so the library's path decides where the list has it."""
    path = dict(device.ep_metadata).get(_LIBRARY)
    return bool(device.ep_name == provider if path is None else path == library)


def _register(target: ProviderTarget) -> str:
    """Have the target's provider library registered, once in this process; its path."""
    try:
        plugin = importlib.import_module(target.module)
    except ImportError as error:
        raise DeviceUnavailable(
            device=target.id,
            reason="provider_not_installed",
            detail=str(error),
            package=target.distribution,
        ) from error
    try:
        path = library_path(target, plugin)
        register_library(target.provider, path)
    except DeviceUnavailable:
        raise
    except Exception as error:  # see cpu_session
        raise DeviceUnavailable(
            device=target.id, reason="provider_failed_to_load", detail=str(error)
        ) from error
    return path


_registered: set[str] = set()  # libraries that this process gave onnxruntime, which keeps them


def register_library(name: str, path: str) -> None:
    """Register a provider library with onnxruntime under `name`, unless it is registered already.

    A registered library may list no device (OpenVINO's lists no processor but Intel's), so the list
    of devices does not tell which libraries are registered, and onnxruntime has no other list.
    Where another library holds the name, this one gets a name made from its path.

    Raises onnxruntime's own exception where the library does not load.
    """
    listed = {dict(device.ep_metadata).get(_LIBRARY) for device in ort.get_ep_devices()}
    if path in _registered or path in listed:
        return
    try:
        ort.register_execution_provider_library(name, path)
    except Exception as error:  # see cpu_session
        if _NAME_HELD not in str(error):
            raise
        own = f"{name}-{hashlib.sha256(path.encode()).hexdigest()[:12]}"
        ort.register_execution_provider_library(own, path)
    _registered.add(path)


def library_path(target: ProviderTarget, plugin: ModuleType) -> str:
    """The provider's shared library: from its own package, or from Windows ML's catalog.

    The catalog's calls follow its documentation; they could not be tried where this was written.
    """
    if target.module != "windowsml":
        return str(plugin.get_library_path())
    for provider in plugin.EpCatalog().find_all_providers():
        if provider.name == target.provider:
            provider.ensure_ready()
            return str(provider.library_path)
    raise DeviceUnavailable(device=target.id, reason="no_such_device")

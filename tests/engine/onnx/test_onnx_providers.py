"""Bodies on execution providers: wholly there, compiled once, self-tested, never quietly the CPU.

OpenVINO's CPU device and the Qualcomm HTP simulator stand in for NPUs this machine lacks; the tests
of a provider whose optional package is missing are skipped, and say so.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quant.checkpoint.sources import open_source
from quant.onnx.export import ExportOptions, export_onnx
from quant.recipe import recipe_named
from runtime.backends.onnx import backend as onnx_backend
from runtime.backends.onnx.backend import COMPILED, OnnxBackend
from runtime.backends.onnx.hardware import hardware
from runtime.backends.onnx.preflight import (
    preflight,
    preflight_job,
    preflight_targets_job,
    self_test,
)
from runtime.backends.onnx.session import (
    CompiledCache,
    cpu_session,
    device_identity,
    provider_device,
    provider_session,
)
from runtime.errors import ContextOverflow, DeviceUnavailable, UnsupportedModel
from runtime.machine.providers import FACT_NAMES, TARGETS, Fact, ProviderTarget
from runtime.model.onnx_folder import open_folder
from runtime.process.job_values import Nothing, PreflightArgs
from runtime.progress import CancelToken, ignore_progress
from tests.helpers.onnx_models import TINY_CONTEXT, export_tiny, greedy, placement
from tests.helpers.providers import needs, provider, runs_here
from tests.helpers.tiny_checkpoints import PROMPT

BOTH = [provider("openvino-cpu"), provider("qnn-simulator")]
on_each = pytest.mark.parametrize("device", BOTH, indirect=True)  # which has to run here
of_each = pytest.mark.parametrize("device", BOTH)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    return runs_here(request.param)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("providers")
    made: dict[str, Path] = {}

    def model(kind: str) -> Path:
        if kind not in made:
            made[kind] = export_tiny(root, kind)
        return made[kind]

    return model


def load(folder: Path, device: str, **options: Any) -> OnnxBackend:
    backend = OnnxBackend()
    backend.load(str(folder), placement(device, **options), ignore_progress, CancelToken())
    return backend


@on_each
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_tokens_equal_the_cpu_body_s(models: Callable[[str], Path], device: str, kind: str) -> None:
    """Every node on the provider (fallback is disabled), prefill in padded slices, then decode."""
    folder = models(kind)
    wanted = greedy(load(folder, "cpu"), PROMPT, 6)
    assert greedy(load(folder, device), PROMPT, 6) == wanted


@on_each
def test_larger_blocks_with_zero_points_compute_the_same_tokens(
    device: str, tmp_path: Path
) -> None:
    """As the recipe onnx-q4-fast has them, here of 64 weights: this model's rows are no longer."""
    folder = export_tiny(tmp_path, "qwen3", "onnx-q4-b64-asym")
    wanted = greedy(load(folder, "cpu"), PROMPT, 6)
    assert greedy(load(folder, device), PROMPT, 6) == wanted


def test_padded_rows_get_no_body_for_an_npu(models: Callable[[str], Path], tmp_path: Path) -> None:
    """QNN refuses to compile them and OpenVINO computes other tokens."""
    folder = open_folder(export_tiny(tmp_path, "qwen2", "onnx-q4-b128"))
    assert folder.manifest.static_bodies == ()
    whole = open_folder(models("qwen2"))
    padded = replace(whole, manifest=replace(whole.manifest, block_size=128))
    with pytest.raises(UnsupportedModel, match=r"reason='padded_rows', .*found=128"):
        padded.static_pair(TINY_CONTEXT)


@on_each
def test_a_rewound_fixed_shape_body_gives_the_same_tokens(
    models: Callable[[str], Path], device: str
) -> None:
    backend = load(models("llama"), device)
    wanted = greedy(backend, PROMPT, 4)
    backend.truncate(3)
    backend.prefill(PROMPT[3:], ignore_progress, CancelToken())
    assert backend.sample() == wanted[0]


@on_each
def test_a_body_is_compiled_once(
    models: Callable[[str], Path], device: str, tmp_path: Path
) -> None:
    folder = open_folder(models("llama"))
    target, graph = TARGETS[device], folder.path / folder.static_pair(TINY_CONTEXT)[1].file
    cache = CompiledCache(tmp_path, folder.manifest.digest)
    provider_session(graph, target, 1, cache)
    (compiled,) = tmp_path.iterdir()
    written = {path.name: path.stat().st_mtime_ns for path in compiled.iterdir()}
    assert "body.onnx" in written
    session = provider_session(graph, target, 1, cache)
    assert session.get_providers()[0] == target.provider
    assert {path.name: path.stat().st_mtime_ns for path in compiled.iterdir()} == written


@on_each
def test_a_damaged_compiled_body_is_compiled_again(
    models: Callable[[str], Path], device: str, tmp_path: Path
) -> None:
    folder = open_folder(models("llama"))
    target, graph = TARGETS[device], folder.path / folder.static_pair(TINY_CONTEXT)[1].file
    cache = CompiledCache(tmp_path, folder.manifest.digest)
    provider_session(graph, target, 1, cache)
    (compiled,) = tmp_path.iterdir()
    data = bytearray((compiled / "body.onnx").read_bytes())
    data[len(data) // 2] ^= 0xFF  # among the weights: it might well load
    (compiled / "body.onnx").write_bytes(data)
    provider_session(graph, target, 1, cache)
    assert (compiled / "body.onnx").read_bytes() != data


@needs("openvino-cpu")
def test_other_weights_or_settings_have_another_cache(tmp_path: Path) -> None:
    target = TARGETS["openvino-cpu"]
    graph, cache = Path("body.onnx"), CompiledCache(tmp_path, "a")
    one = cache.folder(target, graph, "NPU 4000, driver 1")
    assert one == cache.folder(target, graph, "NPU 4000, driver 1")
    assert one != cache.folder(target, graph, "NPU 4000, driver 2")
    assert one != CompiledCache(tmp_path, "b").folder(target, graph, "NPU 4000, driver 1")
    other = replace(target, options={"x": "1"})
    assert one != cache.folder(other, graph, "NPU 4000, driver 1")
    assert one != cache.folder(target, Path("other.onnx"), "NPU 4000, driver 1")


@dataclass
class _Hardware:
    vendor_id: int = 0x8086
    device_id: int = 0x643E
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass
class _EpDevice:
    ep_metadata: dict[str, str]
    device: _Hardware = field(default_factory=_Hardware)


def test_a_device_is_known_by_what_its_compiled_bodies_depend_on() -> None:
    target = TARGETS["openvino-npu"]
    told = {"NPU_DRIVER_VERSION": "1", "NPU_DEVICE_ALLOC_MEM_SIZE": "5", "library_path": "/a"}
    one = device_identity(target, _EpDevice(told))
    assert one == device_identity(target, _EpDevice({**told, "library_path": "/b"}))
    assert one == device_identity(target, _EpDevice({**told, "NPU_DEVICE_ALLOC_MEM_SIZE": "9"}))
    assert one != device_identity(target, _EpDevice({**told, "NPU_DRIVER_VERSION": "2"}))
    assert one != device_identity(target, _EpDevice(told, _Hardware(device_id=0x7D1D)))


@on_each
def test_another_version_of_the_provider_compiles_again(
    device: str, models: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = open_folder(models("llama")), TARGETS[device]
    graph = folder.path / folder.static_pair(TINY_CONTEXT)[1].file
    cache = CompiledCache(tmp_path / "compiled", folder.manifest.digest)
    provider_session(graph, target, 1, cache)
    newer = tmp_path / "packages" / f"{target.module}-99.0.dist-info"
    newer.mkdir(parents=True)
    (newer / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {target.distribution}\nVersion: 99.0\n"
    )
    monkeypatch.syspath_prepend(str(newer.parent))
    provider_session(graph, target, 1, cache)
    assert len(list((tmp_path / "compiled").iterdir())) == 2


@on_each
def test_five_facts_about_a_working_provider(device: str) -> None:
    facts = preflight(TARGETS[device])
    assert facts.usable
    assert facts.fact("self_test").code == "passed"
    cosine = facts.fact("self_test").facts["cosine"]
    assert isinstance(cosine, float)
    assert cosine > 0.999


def test_hardware_that_is_not_there_is_reported_not_tried() -> None:
    result = preflight_job(PreflightArgs("qnn-htp"), ignore_progress)
    assert result.fact("hardware").ok is False
    assert result.fact("self_test").ok is None


@of_each
def test_what_is_installed_is_to_be_tested(device: str) -> None:
    listed = preflight_targets_job(Nothing(), ignore_progress).preflights
    facts = {each.target: {f.name: f.ok for f in each.facts} for each in listed}
    assert facts[device] == dict.fromkeys(FACT_NAMES[:-1], True) | {"self_test": None}


def test_onnxruntime_lists_the_processor_as_hardware() -> None:
    """The list that NPUs are found in on Windows has this form everywhere."""
    assert "CPU" in {each.kind for each in hardware()}


class _Wrong:
    """A session whose numbers are off, as a broken compiler's are."""

    def __init__(self, session: Any, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self._session, self._change = session, change

    def run(self, names: list[str], feeds: dict[str, Any], options: Any) -> list[np.ndarray]:
        hidden, *rest = self._session.run(names, feeds, options)
        return [self._change(hidden), *rest]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda hidden: hidden[..., ::-1].copy(), "wrong_numbers"),
        (lambda hidden: hidden * np.float32(np.nan), "not_finite"),
        (lambda hidden: hidden * 0, "wrong_numbers"),
    ],
)
def test_wrong_numbers_fail_the_self_test(
    change: Callable[[np.ndarray], np.ndarray], code: str
) -> None:
    def open_session(path: Path, _target: ProviderTarget) -> Any:
        return _Wrong(cpu_session(path, 1), change)

    fact = self_test(TARGETS["qnn-simulator"], open_session)
    assert (fact.ok, fact.code) == (False, code)


def test_right_numbers_pass_the_self_test() -> None:
    fact = self_test(TARGETS["qnn-simulator"], lambda path, _target: cpu_session(path, 1))
    assert fact.ok
    assert fact.facts["cosine"] == pytest.approx(1.0)


def test_a_provider_without_its_package_says_so(models: Callable[[str], Path]) -> None:
    absent = replace(
        TARGETS["openvino-cpu"], provider="AbsentExecutionProvider", module="no_such_module"
    )
    folder = open_folder(models("llama"))
    graph = folder.path / folder.static_pair(TINY_CONTEXT)[1].file
    with pytest.raises(DeviceUnavailable) as caught:
        provider_session(graph, absent, 1)
    assert caught.value.facts["reason"] == "provider_not_installed"
    facts = preflight(absent)
    assert (facts.missing and facts.missing.code) == "not_installed"
    assert facts.install == "npu-openvino"


@of_each
def test_a_provider_whose_library_does_not_load_says_so(
    device: str, models: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package is there, its library is no library."""
    broken = tmp_path / "libbroken.so"
    broken.write_bytes(b"\x7fELF but not really")
    monkeypatch.setattr("runtime.backends.onnx.session.library_path", lambda *_: str(broken))
    target = replace(TARGETS[device], provider="BrokenExecutionProvider")
    folder = open_folder(models("llama"))
    with pytest.raises(DeviceUnavailable) as caught:
        provider_session(folder.path / folder.static_pair(TINY_CONTEXT)[1].file, target, 1)
    assert caught.value.facts["reason"] == "provider_failed_to_load"
    missing = preflight(target).missing
    assert missing is not None
    assert (missing.name, missing.code) == ("provider", "provider_failed_to_load")


@of_each
def test_a_library_that_lists_no_device_is_registered_once(device: str) -> None:
    """OpenVINO's lists none on a processor that is not Intel's, for every question anew."""
    target = replace(TARGETS[device], match={"no provider": "tells this"})
    for _ in range(2):
        with pytest.raises(DeviceUnavailable) as caught:
            provider_device(target)
        assert caught.value.facts["reason"] == "no_such_device"
    missing = preflight(target).missing
    assert missing is not None
    assert (missing.name, missing.code) == ("provider", "no_such_device")


_NAME_TAKEN = """
from runtime.backends.onnx.native import ort
import onnxruntime_ep_openvino, onnxruntime_qnn
first, second = onnxruntime_ep_openvino.get_library_path(), onnxruntime_qnn.get_library_path()
ort.register_execution_provider_library("QNNExecutionProvider", first)
ort.register_execution_provider_library("OpenVINOExecutionProvider", second)
from runtime.backends.onnx.session import provider_device, register_library
from runtime.backends.onnx.preflight import preflight
from runtime.machine.providers import TARGETS
target = TARGETS["qnn-simulator"]
assert preflight(target).usable, preflight(target)
register_library("OpenVINOExecutionProvider", first)
register_library("OpenVINOExecutionProvider", first)
assert dict(provider_device(target).ep_metadata)["library_path"] == second
"""


@needs("openvino-cpu")
@needs("qnn-simulator")
def test_a_name_that_another_library_holds_is_no_failure() -> None:
    """In a process of its own: a registration lasts as long as its process."""
    done = subprocess.run(
        [sys.executable, "-c", _NAME_TAKEN], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("device", [provider("qnn-simulator")])
def test_a_graph_the_provider_does_not_take_whole_is_refused(
    device: str, models: Callable[[str], Path]
) -> None:
    """The dynamic body's attention runs on no NPU; the CPU must not step in."""
    folder = models("llama")
    with pytest.raises(DeviceUnavailable) as caught:
        provider_session(folder / "body.onnx", TARGETS[device], 1)
    assert caught.value.facts["reason"] == "compile_failed"


@of_each
def test_loading_stops_where_the_self_test_fails(
    device: str, models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Fact("self_test", False, "wrong_numbers", {"cosine": 0.1})
    monkeypatch.setattr(onnx_backend, "self_test", lambda _target: failed)
    with pytest.raises(DeviceUnavailable) as caught:
        load(models("llama"), device)
    assert caught.value.facts["reason"] == "self_test:wrong_numbers"


@on_each
def test_a_context_longer_than_compiled_is_refused(
    device: str, models: Callable[[str], Path]
) -> None:
    with pytest.raises(ContextOverflow) as caught:
        load(models("llama"), device, n_ctx=TINY_CONTEXT + 1)
    assert caught.value.facts == {"n_tokens": TINY_CONTEXT + 1, "n_ctx": TINY_CONTEXT}


@on_each
def test_a_folder_without_fixed_shapes_says_so(device: str, tmp_path: Path) -> None:
    export_tiny(tmp_path, "llama")
    source, target = open_source(tmp_path / "llama-hf"), tmp_path / "dynamic"
    options = ExportOptions(static_shapes=())
    export_onnx(source, target, recipe_named("onnx-q4-b32"), lambda *_: None, options)
    with pytest.raises(UnsupportedModel):
        load(target, device)


@on_each
def test_the_second_load_takes_the_compiled_body(
    device: str, models: Callable[[str], Path]
) -> None:
    folder = models("llama3")

    def files() -> dict[str, tuple[int, int]]:
        """Inode and time of change of every compiled file: a new one has another inode."""
        found = [path for path in (folder / COMPILED).rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}

    load(folder, device)
    compiled = files()
    assert len([path for path in compiled if path.endswith("body.onnx")]) == 2
    load(folder, device)
    assert files() == compiled

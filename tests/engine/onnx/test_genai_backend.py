"""Stock onnxruntime-genai as a backend: the same tokens; folders from elsewhere are checked."""

import itertools
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.backends.genai.backend import GenaiBackend, next_slice
from runtime.backends.onnx.backend import OnnxBackend
from runtime.devices import Device
from runtime.errors import (
    CorruptFile,
    DeviceUnavailable,
    InvalidRequest,
    ModelFileError,
    OutOfMemory,
)
from runtime.machine.providers import installed_version
from runtime.model.genai_files import RECORD
from runtime.model.info import inspect
from runtime.plan import PlanModel
from runtime.planning.placement import plan
from runtime.progress import CancelToken, Progress, ignore_progress
from tests.helpers import tiny_checkpoints
from tests.helpers.onnx_models import (
    GREEDY,
    edited,
    export_tiny,
    greedy,
    make_monolithic,
    placement,
)
from tests.helpers.tiny_checkpoints import PROMPT

NO_CUDA = pytest.mark.skipif(
    bool(installed_version("onnxruntime_genai", "onnxruntime-genai-cuda")), reason="CUDA is here"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Exports each tiny model once."""
    root = tmp_path_factory.mktemp("genai")
    made: dict[str, Path] = {}

    def model(kind: str) -> Path:
        if kind not in made:
            made[kind] = export_tiny(root, kind)
        return made[kind]

    return model


def load(folder: Path) -> OnnxBackend:
    backend = OnnxBackend()
    backend.load(str(folder), placement(), ignore_progress, CancelToken())
    return backend


def load_genai(folder: Path) -> GenaiBackend:
    backend = GenaiBackend()
    backend.load(str(folder), placement(engine="genai"), ignore_progress, CancelToken())
    return backend


@pytest.mark.parametrize("token", [-1, tiny_checkpoints.VOCAB, 10**9])
def test_token_ids_outside_the_vocabulary_are_refused(
    models: Callable[[str], Path], token: int
) -> None:
    backend = load_genai(models("llama"))
    with pytest.raises(InvalidRequest):
        backend.prefill([5, token], ignore_progress, CancelToken())
    with pytest.raises(InvalidRequest):
        backend.decode(token)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        pytest.param("cuda0", "provider_failed_to_load", marks=NO_CUDA),
        pytest.param("cuda1", "provider_failed_to_load", marks=NO_CUDA),
        ("vulkan0", "no_such_device"),
        ("npu0", "no_such_device"),
    ],
)
def test_a_device_that_genai_does_not_reach_is_refused_not_replaced(
    monolithic: Path, device: str, reason: str
) -> None:
    with pytest.raises(DeviceUnavailable) as caught:
        GenaiBackend().load(
            str(monolithic), placement(device, engine="genai"), ignore_progress, CancelToken()
        )
    assert (caught.value.facts["device"], caught.value.facts["reason"]) == (device, reason)


def test_genai_generates_the_same_tokens(models: Callable[[str], Path]) -> None:
    assert greedy(load_genai(models("qwen2")), PROMPT, 8) == greedy(
        load(models("qwen2")), PROMPT, 8
    )


def test_genai_says_how_much_of_its_cache_remains(models: Callable[[str], Path]) -> None:
    """A pipeline cannot be rewound: all is evaluated again, and the caller knows."""
    backend = load_genai(models("llama"))
    wanted = greedy(backend, PROMPT, 4)
    kept = backend.truncate(6)
    assert kept in (0, 6)
    backend.set_sampling(GREEDY, PROMPT)
    backend.prefill(PROMPT[kept:], ignore_progress, CancelToken())
    assert backend.sample() == wanted[0]


def test_genai_runs_and_rewinds_a_monolithic_folder(
    models: Callable[[str], Path], tmp_path: Path
) -> None:
    """One graph, as people have them from elsewhere; no manifest of ours."""
    backend = load_genai(make_monolithic(models("qwen2"), tmp_path / "one"))
    wanted = greedy(load(models("qwen2")), PROMPT, 6)
    assert greedy(backend, PROMPT, 6) == wanted
    assert backend.truncate(6) == 6
    backend.set_sampling(GREEDY, PROMPT)
    backend.prefill(PROMPT[6:], ignore_progress, CancelToken())
    assert backend.sample() == wanted[0]


def test_genai_refuses_damaged_weights_of_a_folder_with_checksums(
    models: Callable[[str], Path], tmp_path: Path
) -> None:
    """By itself it takes them, and prints the same token for ever."""
    folder = tmp_path / "copy"
    shutil.copytree(models("llama"), folder)
    data = bytearray((folder / "weights.data").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (folder / "weights.data").write_bytes(data)
    with pytest.raises(CorruptFile) as caught:
        load_genai(folder)
    assert caught.value.facts["path"] == str(folder / "weights.data")


@pytest.fixture(scope="module")
def monolithic(models: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_monolithic(models("qwen2"), tmp_path_factory.mktemp("monolithic") / "one")


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", 1), ("num_hidden_layers", 3), ("head_size", 16),
     ("num_key_value_heads", 4), ("hidden_size", "wide"), ("filename", None)],
)  # fmt: skip
def test_a_monolithic_folder_that_lies_about_its_graph_is_refused(
    monolithic: Path, tmp_path: Path, field: str, value: object
) -> None:
    """Of these genai itself takes a wrong layer count silently."""

    def edit(data: dict[str, Any]) -> None:
        data["model"]["decoder"][field] = value

    folder = edited(monolithic, tmp_path / "copy", "genai_config.json", edit)
    for read in (inspect, load_genai):
        with pytest.raises(CorruptFile) as caught:
            read(folder)
        assert caught.value.facts["path"] == str(folder / "genai_config.json")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": {}}', '{"model": {"type": "llama"}}'])
def test_a_damaged_genai_configuration_is_named(
    monolithic: Path, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(monolithic, folder)
    (folder / "genai_config.json").write_text(text)
    for read in (inspect, load_genai):
        with pytest.raises(CorruptFile) as caught:
            read(folder)
        assert caught.value.facts["path"] == str(folder / "genai_config.json")


def _model(**changes: object) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["model"].update(changes)


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        pytest.param("genai_config.json", edit, id=name)
        for name, edit in (
            ("unknown type", _model(type="nonsense")),
            ("unknown key", _model(surprise=1)),
            ("unknown section", lambda data: data.update(surprise=1)),
            ("unknown search option", lambda data: data["search"].update(surprise=1)),
            ("vocabulary too large", _model(vocab_size=tiny_checkpoints.VOCAB + 1)),
            ("vocabulary too small", _model(vocab_size=tiny_checkpoints.VOCAB - 1)),
            ("negative vocabulary", _model(vocab_size=-5)),
            ("end token outside the vocabulary", _model(eos_token_id=tiny_checkpoints.VOCAB)),
            ("negative end token", _model(eos_token_id=[-1])),
            ("context beyond int32", _model(context_length=10**12)),
        )
    ]
    + [
        pytest.param("tokenizer_config.json", edit, id=name)
        for name, edit in (
            ("unknown tokenizer class", lambda data: data.update(tokenizer_class="Surprise")),
        )
    ]
    + [
        pytest.param("tokenizer.json", edit, id=name)
        for name, edit in (
            ("vocabulary without tokens", lambda data: data["model"].update(vocab={})),
            ("vocabulary that is none", lambda data: data["model"].update(vocab=[1, 2])),
            ("added token that is none", lambda data: data.update(added_tokens=[5])),
        )
    ],
)
def test_a_monolithic_folder_s_nonsense_is_named(
    monolithic: Path, tmp_path: Path, name: str, edit: Callable[[dict[str, Any]], None]
) -> None:
    folder = edited(monolithic, tmp_path / "copy", name, edit)
    with pytest.raises(ModelFileError) as caught:
        load_genai(folder)
    assert caught.value.facts["path"] == str(folder / name)


def test_a_context_that_memory_cannot_hold_is_told(monolithic: Path, tmp_path: Path) -> None:
    folder = edited(
        monolithic, tmp_path / "copy", "genai_config.json", _model(context_length=10**9)
    )
    where = placement(engine="genai", n_ctx=10**9)
    with pytest.raises(OutOfMemory) as caught:
        GenaiBackend().load(str(folder), where, ignore_progress, CancelToken())
    assert caught.value.facts["device"] == "cpu"


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "name",
    ["weights.data", "model.onnx", "tokenizer.json", "tokenizer_config.json", "genai_config.json"],
)
def test_a_folder_from_elsewhere_is_held_to_what_it_was(
    monolithic: Path, tmp_path: Path, name: str
) -> None:
    """Nobody wrote down its hashes, so the first load does."""
    folder = tmp_path / "copy"
    shutil.copytree(monolithic, folder)
    load_genai(folder)
    load_genai(folder)
    _flip_a_bit(folder / name)
    with pytest.raises(CorruptFile) as caught:
        load_genai(folder)
    assert caught.value.facts["path"] == str(folder / name)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_record_of_hashes_is_named(monolithic: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(monolithic, folder)
    (folder / RECORD).write_text(text)
    with pytest.raises(CorruptFile) as caught:
        load_genai(folder)
    assert caught.value.facts["path"] == str(folder / RECORD)


def test_a_folder_that_did_not_load_is_not_recorded(monolithic: Path, tmp_path: Path) -> None:
    folder = edited(monolithic, tmp_path / "copy", "genai_config.json", _model(type="nonsense"))
    with pytest.raises(ModelFileError):
        load_genai(folder)
    assert not (folder / RECORD).exists()


@pytest.mark.parametrize(
    "name", ["model.onnx", "weights.data", "tokenizer.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "short"])
def test_a_damaged_file_of_a_monolithic_folder_is_named(
    monolithic: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(monolithic, folder)
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[: len(data) // 2] if damage == "short" else b"")
    with pytest.raises(CorruptFile) as caught:
        load_genai(folder)
    assert caught.value.facts["path"] == str(path)


def test_a_monolithic_folder_is_inspected_and_planned(
    models: Callable[[str], Path], monolithic: Path
) -> None:
    """Sizes by role and the shape, from the graph without its weights."""
    info, ours = inspect(monolithic), inspect(models("qwen2"))
    assert info.format == "genai"
    assert (info.shape.block_count, info.shape.vocab_size) == (2, tiny_checkpoints.VOCAB)
    assert info.weights.blocks == ours.weights.blocks
    assert info.weights.embedding == ours.weights.embedding
    assert info.parameters == pytest.approx(ours.parameters, rel=0.02)
    model = PlanModel(info.shape, info.weights, formats=("genai",))
    host = Device("cpu", "CPU", "CPU", "host", 1 << 34, 1 << 34, cores=1)
    assert plan(model, [host]).placement.engine == "genai"


@pytest.mark.parametrize(
    ("size", "seconds", "wanted"),
    [(32, 0.001, 64), (128, 0.3, 64), (512, 0.01, 512), (32, 0.8, 32), (64, 9.0, 32)],
)
def test_slices_of_a_prompt_are_short_but_not_wasteful(
    size: int, seconds: float, wanted: int
) -> None:
    """A slow model keeps 32 tokens an evaluation: fewer would cost as much each."""
    assert next_slice(size, seconds) == wanted


def test_a_slow_genai_model_takes_its_prompt_in_few_evaluations(
    models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that makes every evaluation look as slow as a large model's."""
    ticks = itertools.count()
    backend = load_genai(models("llama"))
    seen: list[Progress] = []
    clock = "runtime.backends.genai.backend.time.perf_counter"
    monkeypatch.setattr(clock, lambda: next(ticks) * 0.8)
    backend.prefill([5] * 60, seen.append, CancelToken())
    assert [progress.done for progress in seen] == [32, 60]


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("whole", [False, True])
def test_genai_computes_with_the_threads_of_the_plan(
    models: Callable[[str], Path], monolithic: Path, whole: bool, threads: int
) -> None:
    """In every stage of a pipeline that multiplies matrices: body and LM head. The caller's thread
    is one of each pool."""
    folder, pools = (monolithic, 1) if whole else (models("llama"), 2)
    load_genai(folder)  # what the module itself starts once
    before = len(os.listdir("/proc/self/task"))
    backend = GenaiBackend()
    where = replace(placement(engine="genai"), n_threads=threads)
    backend.load(str(folder), where, ignore_progress, CancelToken())
    assert len(os.listdir("/proc/self/task")) - before == (threads - 1) * pools
    backend.unload()

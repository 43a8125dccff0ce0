"""Exported folders: complete or absent, described truly, verified byte by byte."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from quant.checkpoint.sources import open_source
from quant.errors import (
    CorruptCheckpoint,
    IncompatibleShape,
    InvalidRecipe,
    NonFiniteWeights,
    NotEnoughDisk,
    QuantError,
    UnsupportedFormat,
)
from quant.json_types import Json
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.manifest import MANIFEST, check_sizes, read_manifest, verify
from quant.onnx.spec import spec_from_config, spec_from_gguf
from quant.onnx.static_body import StaticShape
from quant.recipe import recipe_named
from quant.rope import RopeScaling, frequencies
from runtime.model.info import inspect
from tests.helpers import tiny_checkpoints

B32 = recipe_named("onnx-q4-b32")
OPTIONS = ExportOptions(static_shapes=(StaticShape(4, 64), StaticShape(1, 64)), threads=1)


def ignore(_done: int, _total: int, _name: str) -> None:
    pass


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.write_checkpoint(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture
def folder(checkpoint: Path, tmp_path: Path) -> Path:
    export_onnx(open_source(checkpoint), tmp_path / "model", B32, ignore, OPTIONS)
    return tmp_path / "model"


def test_a_folder_is_whole_and_verifies(folder: Path) -> None:
    manifest = read_manifest(folder)
    verify(folder, manifest, lambda _count: None)
    listed = set(manifest.files) | {MANIFEST}
    assert {path.name for path in folder.iterdir()} == listed
    for name in ("embeddings.onnx", "body.onnx", "lm_head.onnx", "body_static_r4_c64.onnx"):
        assert onnx.load(folder / name).graph.initializer  # with its data from the weight file


def test_the_model_is_described_as_the_runtime_reads_it(folder: Path) -> None:
    info = inspect(folder)
    assert info.format == "onnx"
    assert info.shape.block_count == tiny_checkpoints.BLOCKS
    assert info.shape.tied_embeddings
    assert info.weights.lm_head == 0
    assert info.weights.total == pytest.approx(info.file_size, rel=1)
    assert info.chat_template == tiny_checkpoints.TEMPLATE


def test_tied_weights_are_stored_once(folder: Path) -> None:
    def location(name: str, tensor: str) -> dict[str, str]:
        graph = onnx.load(folder / name, load_external_data=False).graph
        found = next(item for item in graph.initializer if item.name == tensor)
        return {entry.key: entry.value for entry in found.external_data}

    table = location("embeddings.onnx", "table.packed")
    assert table == location("lm_head.onnx", "lm_head.packed")
    assert int(table["length"]) == tiny_checkpoints.VOCAB * tiny_checkpoints.HIDDEN // 2


def test_the_report_counts_bits_and_errors(checkpoint: Path, tmp_path: Path) -> None:
    report = export_onnx(open_source(checkpoint), tmp_path / "m", B32, ignore, OPTIONS)
    matrices = [tensor for tensor in report.tensors if tensor.target_format == "onnx-q4-b32"]
    assert [8 * tensor.nbytes / tensor.elements for tensor in matrices] == [5.0] * len(matrices)
    assert all(tensor.rmse == 0 for tensor in matrices)  # the weights are exact in 4 bits
    files = [path for path in (tmp_path / "m").iterdir() if path.name != MANIFEST]
    assert report.target_bytes == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("recipe", ["onnx-q4-b64", "onnx-q4-b128", "onnx-q4-b32-asym"])
def test_other_blocks_and_zero_points_export(checkpoint: Path, tmp_path: Path, recipe: str) -> None:
    report = export_onnx(
        open_source(checkpoint), tmp_path / "m", recipe_named(recipe), ignore, OPTIONS
    )
    padded = recipe == "onnx-q4-b128"  # rows of 64 fill half a block of 128
    assert report.notices == (("rows_padded",) if padded else ())


def test_importance_is_found_under_its_gguf_name(tmp_path: Path) -> None:
    random = np.random.default_rng(6)

    def noise(tensors: dict[str, np.ndarray]) -> None:
        for name, tensor in tensors.items():
            if tensor.ndim == 2:
                tensors[name] = random.standard_normal(tensor.shape).astype(np.float32)

    source = open_source(_damaged(tmp_path / "noise", noise))
    weights = np.ones(tiny_checkpoints.HIDDEN, np.float32)
    weights[:4] = 1000
    importance = {"blk.0.ffn_up.weight": weights}
    search = recipe_named("onnx-q4-b32-search")
    plain = export_onnx(source, tmp_path / "plain", search, ignore, OPTIONS)
    options = replace(OPTIONS, importance=importance)
    weighted = export_onnx(source, tmp_path / "weighted", search, ignore, options)
    changed = [
        one.name
        for one, other in zip(plain.tensors, weighted.tensors, strict=True)
        if one.rmse != other.rmse
    ]
    assert changed == ["model.layers.0.mlp.up_proj.weight"]
    assert (plain.importance, weighted.importance) == (False, True)
    for role, error in plain.error_by_role.items():
        assert error < plain.plain_error_by_role[role]
    required = replace(search, importance="required")
    with pytest.raises(InvalidRecipe):
        export_onnx(source, tmp_path / "x", required, ignore, OPTIONS)


def test_progress_never_falls_and_ends_at_its_total(checkpoint: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export_onnx(
        open_source(checkpoint),
        tmp_path / "m",
        B32,
        lambda done, total, _name: seen.append((done, total)),
        OPTIONS,
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]
    assert len({total for _, total in seen}) == 1


class Stopped(Exception):
    pass


def test_a_failed_export_keeps_the_folder_that_was_there(checkpoint: Path, folder: Path) -> None:
    before = read_manifest(folder).digest

    def stop(done: int, _total: int, _name: str) -> None:
        if done > 5:
            raise Stopped

    with pytest.raises(Stopped):
        export_onnx(open_source(checkpoint), folder, recipe_named("onnx-q4-b64"), stop, OPTIONS)
    assert read_manifest(folder).digest == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_full_disk_is_known_beforehand(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("quant.onnx.export.shutil.disk_usage", lambda _path: usage)
    with pytest.raises(NotEnoughDisk) as caught:
        export_onnx(open_source(checkpoint), tmp_path / "m", B32, ignore, OPTIONS)
    assert caught.value.facts["available"] == 1000
    assert list(tmp_path.iterdir()) == []


def _damaged(folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    tensors = tiny_checkpoints.tensors_of("llama")
    change(tensors)
    tiny_checkpoints.write_checkpoint(folder, "llama")
    tiny_checkpoints.write_safetensors(folder / "model.safetensors", tensors)
    return folder


def test_not_a_number_is_refused_with_the_tensor_s_name(tmp_path: Path) -> None:
    def spoil(tensors: dict[str, np.ndarray]) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"][3, 4] = np.nan

    source = open_source(_damaged(tmp_path / "bad", spoil))
    with pytest.raises(NonFiniteWeights) as caught:
        export_onnx(source, tmp_path / "m", B32, ignore, OPTIONS)
    assert caught.value.facts["tensor"] == "model.layers.1.mlp.up_proj.weight"
    assert not (tmp_path / "m").exists()


def test_a_shape_that_contradicts_the_configuration_is_refused(tmp_path: Path) -> None:
    def cut(tensors: dict[str, np.ndarray]) -> None:
        name = "model.layers.0.self_attn.k_proj.weight"
        tensors[name] = tensors[name][:-1]

    with pytest.raises(IncompatibleShape):
        export_onnx(
            open_source(_damaged(tmp_path / "bad", cut)), tmp_path / "m", B32, ignore, OPTIONS
        )


def test_a_gguf_recipe_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe):
        export_onnx(open_source(checkpoint), tmp_path / "m", recipe_named("q4_0"), ignore)


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt_neox"},
        {"use_sliding_window": True},
        {"hidden_act": "gelu"},
        {"rope_scaling": {"rope_type": "longrope", "factor": 4.0}},
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale_all_dim": 0.7}},
    ],
)
def test_what_the_graphs_cannot_express_is_refused(change: dict[str, object]) -> None:
    config = {**tiny_checkpoints.config_of("qwen2"), **change}
    with pytest.raises(UnsupportedFormat):
        spec_from_config(config, path="x", tied=False)


def test_mixture_of_experts_in_gguf_is_refused() -> None:
    fields: dict[str, Json] = {"general.architecture": "llama", "llama.expert_count": 8}
    with pytest.raises(UnsupportedFormat):
        spec_from_gguf(fields, path="x", vocab_size=1, tied=False, attention_bias=False)


def test_rope_scalings_change_the_frequencies_as_published() -> None:
    spec = spec_from_config(tiny_checkpoints.config_of("llama3"), path="x", tied=False)
    theta, length = spec.rope_theta, spec.head_length
    plain = frequencies(theta, length, RopeScaling())
    scaled = frequencies(theta, length, spec.rope_scaling)
    assert scaled[0] == plain[0]  # short wavelengths stay
    assert scaled[-1] == pytest.approx(plain[-1] / 8)  # long ones are divided by the factor
    linear = frequencies(theta, length, RopeScaling("linear", 4.0))
    np.testing.assert_allclose(linear, plain / 4)


@pytest.mark.parametrize("damage", ["missing", "short", "flipped"])
@pytest.mark.parametrize("name", ["weights.data", "body.onnx", "tokenizer.json"])
def test_a_damaged_file_is_named(folder: Path, damage: str, name: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    manifest = read_manifest(folder)
    with pytest.raises(CorruptCheckpoint) as caught:
        verify(folder, manifest, lambda _count: None)
    assert caught.value.facts["path"] == str(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": "other"}',
        '{"format": "stillroom-onnx", "version": 99}',
        '{"format": "stillroom-onnx", "version": 1}',
        '{"format": "stillroom-onnx", "version": 1, "spec": []}',
    ],
)
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(QuantError) as caught:
        read_manifest(folder)
    assert caught.value.facts["path"] == str(folder / MANIFEST)


def test_a_manifest_may_not_name_files_elsewhere(folder: Path) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    data["files"]["../outside"] = data["files"]["body.onnx"]
    (folder / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(CorruptCheckpoint, match="outside_folder"):
        read_manifest(folder)


def test_sizes_alone_catch_a_truncated_download(folder: Path) -> None:
    (folder / "weights.data").write_bytes(b"")
    with pytest.raises(CorruptCheckpoint, match=r"weights\.data"):
        check_sizes(folder, read_manifest(folder))

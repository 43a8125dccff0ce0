"""The built-in catalog is sound, and a damaged one is refused by entry and field."""

import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.errors import CatalogError
from app.library.catalog import default_path, load_catalog, starter
from runtime.model.info import inspect_gguf_bytes
from runtime.shape import active_parameter_count, parameter_count

DATA = Path(__file__).parents[3] / "data"
HEADER = DATA / "deepseek-r1-distill-qwen-7b-q4_k_m.header.gguf.xz"
EXPECTED = {
    "smollm2-135m-instruct",
    "deepseek-r1-distill-qwen-1.5b",
    "deepseek-r1-distill-qwen-7b",
    "deepseek-r1-distill-qwen-14b",
    "deepseek-r1-distill-qwen-32b",
    "deepseek-r1-distill-llama-8b",
    "deepseek-r1-distill-llama-70b",
    "deepseek-r1-0528-qwen3-8b",
    "deepseek-llm-7b-chat",
    "deepseek-llm-67b-chat",
    "deepseek-v2-lite-chat",
    "deepseek-v2.5",
    "deepseek-v3",
    "deepseek-r1",
}
CATALOG = {entry.id: entry for entry in load_catalog(default_path())}


def test_holds_the_family() -> None:
    assert set(CATALOG) == EXPECTED


def test_shape_of_the_7b_is_the_real_files() -> None:
    header = lzma.decompress(HEADER.read_bytes())
    info = inspect_gguf_bytes(header, "r1.gguf", 4_683_073_952)
    rotary = info.shape.rope_dimension_count or info.shape.key_length  # absent when it is all
    expected = replace(info.shape, rope_dimension_count=rotary)
    assert CATALOG["deepseek-r1-distill-qwen-7b"].shape == expected


def test_attention_kinds() -> None:
    kinds = {name: CATALOG[name].shape.attention for name in EXPECTED}
    assert kinds["deepseek-llm-7b-chat"] == "MHA"
    assert kinds["deepseek-llm-67b-chat"] == "GQA"
    assert kinds["deepseek-v2-lite-chat"] == kinds["deepseek-r1"] == "MLA"


# Published totals: safetensors metadata of the base models, and DeepSeek's READMEs for experts.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("deepseek-r1-distill-qwen-1.5b", 1.78),
        ("deepseek-r1-distill-qwen-7b", 7.62),
        ("deepseek-r1-distill-qwen-14b", 14.8),
        ("deepseek-r1-distill-qwen-32b", 32.8),
        ("deepseek-r1-distill-llama-8b", 8.03),
        ("deepseek-r1-distill-llama-70b", 70.6),
        ("deepseek-r1-0528-qwen3-8b", 8.19),
        ("deepseek-v2.5", 236),
        ("deepseek-v3", 671),
    ],
)
def test_shapes_add_up_to_the_published_size(name: str, billions: float) -> None:
    assert parameter_count(CATALOG[name].shape) == pytest.approx(billions * 1e9, rel=0.005)
    assert CATALOG[name].parameters == parameter_count(CATALOG[name].shape)


@pytest.mark.parametrize("name", ["deepseek-v2-lite-chat", "deepseek-v2.5", "deepseek-r1"])
def test_active_parameters_are_those_of_the_experts_used(name: str) -> None:
    entry = CATALOG[name]
    assert entry.active_parameters < entry.parameters / 5
    assert active_parameter_count(entry.shape) == pytest.approx(entry.active_parameters, rel=0.03)


def test_starter_comes_from_a_pinned_wheel() -> None:
    entry = starter(CATALOG.values())
    assert entry is not None
    assert entry.id == "smollm2-135m-instruct"
    assert entry.demonstration
    assert entry.source is not None
    assert entry.source.size == 98_362_432
    assert len(entry.source.sha256) == len(entry.source.wheel_sha256) == 64
    assert entry.sampling is not None
    assert (entry.sampling.temperature, entry.sampling.top_p) == (0.2, 0.9)


def test_distills_follow_the_rules_of_r1() -> None:
    distills = [entry for entry in CATALOG.values() if entry.distilled]
    assert len(distills) == 7
    for entry in distills:
        assert entry.chat.kind == "reasoning"
        assert entry.chat.force_think
        assert entry.sampling is not None
        assert (entry.sampling.temperature, entry.sampling.top_p) == (0.6, 0.95)
    folding = {entry.id for entry in distills if entry.chat.fold_system}
    assert "deepseek-r1-0528-qwen3-8b" not in folding
    assert len(folding) == 6


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = to

    return change


def _drop(*path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


SMALL = "deepseek-r1-distill-qwen-1.5b"


@pytest.mark.parametrize(
    ("change", "entry", "where"),
    [
        (_drop("models", 1, "licence"), SMALL, "licence"),
        (_drop("models", 1, "shape", "head_count"), SMALL, "shape.head_count"),
        (_drop("models", 1, "id"), "1", "id"),
        (_set("models", 1, "id", to="Not An Id"), "Not An Id", "id"),
        (_set("models", 1, "id", to="smollm2-135m-instruct"), "smollm2-135m-instruct", "id"),
        (_set("models", 1, "colour", to="red"), SMALL, "colour"),
        (_set("models", 1, "shape", "block_count", to="28"), SMALL, "shape.block_count"),
        (_set("models", 1, "sampling", "temperature", to=9), SMALL, "sampling.temperature"),
        (_set("models", 1, "repositories", "gguf", to="no slash"), SMALL, "repositories.gguf"),
        (_set("models", 1, "repositories", to={}), SMALL, "repositories"),
        (_set("models", 1, "parameters", to=7_000_000_000), SMALL, "parameters"),
        (_set("models", 1, "active_parameters", to=1_000_000), SMALL, "active_parameters"),
        (_set("models", 1, "shape", "head_count_kv", to=5), SMALL, "parameters"),
        (_set("models", 1, "chat", "kind", to="oracle"), SMALL, "chat.kind"),
        (
            _set("models", 0, "source", "sha256", to="0"),
            "smollm2-135m-instruct",
            "source.sha256",
        ),
        (
            _set("models", 0, "source", "member", to="../x"),
            "smollm2-135m-instruct",
            "source.member",
        ),
        (_set("models", to=[]), "", "models"),
        (_set("version", to=2), "", "version"),
    ],
)
def test_damage_is_named(
    tmp_path: Path, change: Callable[[Any], None], entry: str, where: str
) -> None:
    data = json.loads(default_path().read_text(encoding="utf-8"))
    change(data)
    path = tmp_path / "models.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    facts = caught.value.facts
    assert (facts["entry"], facts["field"]) == (entry, where)
    assert facts["path"] == str(path)
    assert facts["reason"]


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        load_catalog(tmp_path / "none.json")
    path = tmp_path / "broken.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CatalogError):
        load_catalog(path)

"""Weights that are quantized already: what is said of them, and where the full ones are."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.hub.values import RemoteFile, RepoDetails
from app.library.catalog import load_catalog, starter
from app.library.folder import InstalledModel
from app.library.targets import Target
from app.quantizing.requantizing import loses_again, official_weights, requantizing
from app.wording.explain import explain
from quant.gguf.export import quantize_gguf
from quant.recipe import recipe_named
from runtime.model.info import inspect
from tests.helpers.checkpoints import write_checkpoint

INSTALLED = InstalledModel(
    "mine", Path("mine.gguf"), "gguf", 1, "", "maker/Some-GGUF", None, None, "", None
)
DETAILS = RepoDetails(
    "maker/Some-GGUF", "c0", "", False, None, ("owner/Some",),
    ("gguf", "base_model:owner/Some", "base_model:quantized:owner/Some"),
    None, None, None, None, None, None, (RemoteFile("maker/Some-GGUF", "c0", "s-Q4_0.gguf", 1),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "found"), [("q4_k_m", "Q5_0"), ("q8_0", "Q8_0"), ("f16", None), ("bf16", None)]
)
def test_the_header_tells_the_format_of_most_weights(
    tmp_path: Path, recipe: str, found: str | None
) -> None:
    """Rows of 64 weights: what Q4_K_M asks for falls back on blocks of 32."""
    file = tmp_path / "m.gguf"
    quantize_gguf(write_checkpoint("qwen2", tmp_path / "m"), file, recipe_named(recipe))
    told = requantizing(Target("m", file, None), inspect, lambda _: None)
    assert (told and told.format) == found


def test_a_folder_of_safetensors_is_not_even_opened(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    assert requantizing(Target("m", folder, None), lambda _: pytest.fail("opened"), nothing) is None


def nothing(_repo: str) -> None:
    return None


def test_the_catalog_knows_the_official_weights() -> None:
    entry = starter(load_catalog())
    target = Target("mine", Path("mine.gguf"), entry, INSTALLED)
    assert official_weights(target, nothing) == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_the_hub_said_what_a_repository_was_quantized_from() -> None:
    target = Target("mine", Path("mine.gguf"), None, INSTALLED)
    asked = []

    def known(repo: str) -> RepoDetails:
        asked.append(repo)
        return DETAILS

    assert official_weights(target, known) == "owner/Some"
    assert asked == ["maker/Some-GGUF"]
    assert official_weights(target, nothing) is None
    assert official_weights(Target("x", Path("x.gguf"), None), known) is None


def test_a_model_that_was_only_trained_from_another_is_not_that_one() -> None:
    trained = replace(DETAILS, tags=("gguf", "base_model:finetune:owner/Some"))
    target = Target("mine", Path("mine.gguf"), None, INSTALLED)
    assert official_weights(target, lambda _: trained) is None
    own = RemoteFile("maker/Some-GGUF", "c0", "model.safetensors", 1)
    both = replace(trained, files=(*trained.files, own))
    assert official_weights(target, lambda _: both) == "maker/Some-GGUF"


def test_widening_loses_nothing() -> None:
    assert not loses_again(recipe_named("f16"))
    assert loses_again(recipe_named("q8_0"))
    assert loses_again(recipe_named("onnx-q4-b32"))


def test_the_error_offers_the_official_weights(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    quantize_gguf(write_checkpoint("qwen2", tmp_path / "m"), file, recipe_named("q4_0"))
    installed = replace(INSTALLED, path=file)
    for known, words in ((lambda _: DETAILS, "stillroom pull hub:owner/Some"), (nothing, "Start")):
        found = requantizing(Target("m", file, None, installed), inspect, known)
        assert found is not None
        told = explain(found.error())
        assert "m.gguf is already quantized" in told.sentence
        assert "Q4_0" in told.sentence
        assert words in told.hint
        assert "--requantize" in told.hint

"""Recipes applied to whole checkpoints: formats by role, reports, and nothing left half done."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from quant.checkpoint.sources import open_gguf
from quant.errors import (
    AlreadyQuantized,
    IncompatibleShape,
    InvalidRecipe,
    NonFiniteWeights,
    NotEnoughDisk,
)
from quant.formats import FORMATS, format_named, nbytes
from quant.gguf.export import open_view, quantize_gguf
from quant.gguf.importance import read_importance, write_importance
from quant.json_types import Json
from quant.quality.weight_error import weight_errors
from quant.recipe import (
    RECIPES,
    FormatOverride,
    QuantRecipe,
    fallback_for,
    is_sensitive_block,
    recipe_from_json,
    recipe_named,
    uniform,
)
from quant.roles import TensorRole, role_of
from tests.helpers.checkpoints import (
    tensors_of,
    write_checkpoint,
    write_safetensors,
    write_tokenizer,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint("qwen2", tmp_path_factory.mktemp("source") / "m")


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint("deepseek_v2", tmp_path_factory.mktemp("source") / "m")


# -- recipes ----------------------------------------------------------------------------------


def test_q4_0_holds_every_matrix_embeddings_and_head_included(
    checkpoint: Path, tmp_path: Path
) -> None:
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_0"))
    for tensor in open_gguf(tmp_path / "q.gguf"):
        assert tensor.format == ("Q4_0" if len(tensor.shape) > 1 else "F32"), tensor.name
    assert report.bits_per_weight_by_role["embedding"] == 4.5
    assert report.bits_per_weight_by_role["lm_head"] == 4.5
    assert report.target_bytes == (tmp_path / "q.gguf").stat().st_size
    assert 0.05 < report.error_by_role["attention"] < 0.15
    assert report.fallbacks == ()


def test_wider_head_recipe_widens_the_head_only(checkpoint: Path, tmp_path: Path) -> None:
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_0-q8head"))
    formats = {tensor.name: tensor.target_format for tensor in report.tensors}
    assert formats["output.weight"] == "Q8_0"
    assert formats["token_embd.weight"] == "Q4_0"


def test_tied_table_takes_the_wider_format(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen3", tmp_path / "m")
    report = quantize_gguf(folder, tmp_path / "q.gguf", recipe_named("q4_0-q8head"))
    formats = {tensor.name: tensor.target_format for tensor in report.tensors}
    assert formats["token_embd.weight"] == "Q8_0"
    assert "output.weight" not in formats


def test_row_that_no_block_divides_falls_back_and_is_reported(
    checkpoint: Path, tmp_path: Path
) -> None:
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_k_m"))
    fallbacks = {tensor.name: tensor for tensor in report.fallbacks}
    assert fallbacks["blk.0.attn_q.weight"].target_format == "Q5_0"
    assert fallbacks["blk.0.attn_q.weight"].fallback_from == "Q4_K"
    assert fallbacks["output.weight"].target_format == "Q8_0"


@pytest.mark.parametrize(
    ("wanted", "row", "got"),
    [
        ("Q4_K", 512, "Q4_K"),
        ("Q4_K", 544, "Q5_0"),
        ("Q4_K", 540, "F16"),
        ("Q4_0", 48, "F16"),
        ("onnx-q4-b128", 576, "onnx-q4-b128"),
    ],
)
def test_fallback_rule(wanted: str, row: int, got: str) -> None:
    assert fallback_for(wanted, row) == got


def test_mixture_keeps_its_router_and_stacks_its_experts(mixture: Path, tmp_path: Path) -> None:
    report = quantize_gguf(mixture, tmp_path / "q.gguf", recipe_named("q4_0"))
    formats = {tensor.name: tensor.target_format for tensor in report.tensors}
    roles = {tensor.name: tensor.role for tensor in report.tensors}
    assert formats["blk.1.ffn_gate_inp.weight"] == "F32"
    assert formats["blk.1.ffn_up_exps.weight"] == "Q4_0"
    assert roles["blk.1.ffn_up_exps.weight"] is TensorRole.EXPERT
    assert roles["blk.1.ffn_up_shexp.weight"] is TensorRole.FEED_FORWARD
    assert open_gguf(tmp_path / "q.gguf")["blk.1.ffn_up_exps.weight"].shape == (4, 64, 64)


def test_override_by_pattern_and_block(checkpoint: Path, tmp_path: Path) -> None:
    recipe = QuantRecipe(
        "own", uniform("Q4_0"), overrides=(FormatOverride(r"attn_v\.weight$", "Q8_0"),)
    )
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe)
    formats = {tensor.name: tensor.target_format for tensor in report.tensors}
    assert formats["blk.1.attn_v.weight"] == "Q8_0"
    assert formats["blk.1.attn_k.weight"] == "Q4_0"


def test_sensitive_blocks_of_thirty() -> None:
    chosen = [index for index in range(30) if is_sensitive_block(index, 30)]
    assert chosen == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]


def test_recipe_from_json_is_the_recipe() -> None:
    recipe = recipe_from_json(
        {"name": "mine", "formats": {"default": "Q4_K", "lm_head": "Q6_K"}, "method": "llama.cpp"}
    )
    assert recipe.formats[TensorRole.LM_HEAD] == "Q6_K"
    assert recipe.formats[TensorRole.EXPERT] == "Q4_K"
    assert recipe_from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "formats"),
        ({"formats": {"default": "Q9"}}, "formats.default"),
        ({"formats": {"head": "Q4_0"}}, "formats.head"),
        ({"formats": {"default": "Q4_0", "lm_head": "onnx-q4-b32"}}, "formats"),
        ({"formats": {"default": "Q4_0"}, "method": "magic"}, "method"),
        ({"formats": {"default": "Q4_0"}, "importance": "maybe"}, "importance"),
        ({"formats": {"default": "Q4_0"}, "colour": 1}, "colour"),
        ({"formats": {"default": "Q4_0"}, "overrides": [{"pattern": "("}]}, "overrides.pattern"),
        ({"formats": {"default": "Q4_0"}, "overrides": [{"format": "Q4_0"}]}, "overrides"),
        ({"formats": {"default": "Q4_0"}, "overrides": 5}, "overrides"),
    ],
)
def test_recipe_with_a_fault_names_the_field(data: dict[str, Json], field: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        recipe_from_json(data)
    assert caught.value.facts["field"] == field


def test_recipes_that_cannot_be_followed_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRecipe, match="for_onnx"):
        quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("onnx-q4-b32"))
    demanding = QuantRecipe("d", uniform("Q4_0"), importance="required")
    with pytest.raises(InvalidRecipe, match="needs_importance"):
        quantize_gguf(checkpoint, tmp_path / "q.gguf", demanding)
    with pytest.raises(InvalidRecipe, match="field='name', reason='not_known'"):
        recipe_named("q3_x")


def test_requantizing_can_be_forbidden(checkpoint: Path, tmp_path: Path) -> None:
    quantize_gguf(checkpoint, tmp_path / "q8.gguf", recipe_named("q8_0"))
    strict = QuantRecipe("strict", uniform("Q4_0"), allow_requantize=False)
    with pytest.raises(AlreadyQuantized):
        quantize_gguf(tmp_path / "q8.gguf", tmp_path / "q4.gguf", strict)
    quantize_gguf(tmp_path / "q8.gguf", tmp_path / "q4.gguf", recipe_named("q4_0"))
    assert open_gguf(tmp_path / "q4.gguf")["blk.0.attn_q.weight"].format == "Q4_0"


def test_the_report_as_json_has_the_derived_figures(checkpoint: Path, tmp_path: Path) -> None:
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_k_m"))
    data = report.to_json()
    assert data["bits_per_weight"] == report.bits_per_weight
    assert data["error_by_role"] == report.error_by_role
    assert data["fallbacks"] == [tensor.name for tensor in report.fallbacks]


def test_sizes_are_the_formats_own() -> None:
    for name in ("Q4_0", "Q4_K", "Q6_K", "F16", "onnx-q4-b32"):
        block = format_named(name)
        assert nbytes(name, 10 * block.block_size) == 10 * block.block_bytes
    assert FORMATS["onnx-q4-b128"].bits_per_weight == 4.25
    assert FORMATS["Q4_0"].bits_per_weight == 4.5


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("token_embd.weight", TensorRole.EMBEDDING),
        ("output.weight", TensorRole.LM_HEAD),
        ("output_norm.weight", TensorRole.NORM),
        ("blk.3.attn_q_norm.weight", TensorRole.NORM),
        ("blk.3.attn_kv_a_mqa.weight", TensorRole.ATTENTION),
        ("blk.3.ffn_gate_inp.weight", TensorRole.OTHER),
        ("blk.3.ffn_down_exps.weight", TensorRole.EXPERT),
        ("blk.3.ffn_down_shexp.weight", TensorRole.FEED_FORWARD),
        ("rope_freqs.weight", TensorRole.OTHER),
        ("model.layers.3.mlp.experts.12.up_proj.weight", TensorRole.EXPERT),
        ("model.layers.3.mlp.gate.weight", TensorRole.OTHER),
        ("model.layers.3.mlp.gate_proj.weight", TensorRole.FEED_FORWARD),
        ("model.layers.3.self_attn.k_norm.weight", TensorRole.NORM),
        ("lm_head.weight", TensorRole.LM_HEAD),
    ],
)
def test_roles(name: str, role: TensorRole) -> None:
    assert role_of(name) is role


# -- methods and importance -------------------------------------------------------------------


def test_search_beats_rounding_in_the_report(checkpoint: Path, tmp_path: Path) -> None:
    plain = quantize_gguf(checkpoint, tmp_path / "r.gguf", recipe_named("q4_0-round"))
    found = quantize_gguf(checkpoint, tmp_path / "s.gguf", recipe_named("q4_0-search"))
    native = quantize_gguf(checkpoint, tmp_path / "n.gguf", recipe_named("q4_0"))
    for role in ("attention", "feed_forward", "embedding", "lm_head"):
        assert found.error_by_role[role] < plain.error_by_role[role]
        assert found.plain_error_by_role[role] == plain.error_by_role[role]
    assert plain.plain_error_by_role == {}
    assert found.target_bytes == plain.target_bytes == native.target_bytes
    assert (tmp_path / "r.gguf").read_bytes() == (tmp_path / "n.gguf").read_bytes()


def test_weight_errors_agree_with_the_report(checkpoint: Path, tmp_path: Path) -> None:
    report = quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_0"))
    errors = weight_errors(open_view(checkpoint), open_view(tmp_path / "q.gguf"))
    assert errors["attention"] == pytest.approx(report.error_by_role["attention"], rel=0.1)


def test_importance_file_round_trip_and_unreached_experts(tmp_path: Path) -> None:
    sums = {"blk.0.ffn_up_exps.weight": np.array([[4.0, 8.0], [0.0, 0.0]], np.float32)}
    counts = {"blk.0.ffn_up_exps.weight": np.array([2.0, 0.0], np.float32)}
    write_importance(tmp_path / "i.gguf", sums, counts, "text", 512)
    found = read_importance(tmp_path / "i.gguf")["blk.0.ffn_up_exps.weight"]
    assert found.tolist() == [[2.0, 4.0], [2.0, 4.0]]


def test_importance_of_the_wrong_width_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    importance = {"blk.0.attn_q.weight": np.ones(63, np.float32)}
    with pytest.raises(IncompatibleShape, match="attn_q"):
        quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_0"), importance=importance)
    assert list(tmp_path.iterdir()) == []


def test_each_expert_is_weighed_by_its_own_importance(mixture: Path, tmp_path: Path) -> None:
    name = "blk.1.ffn_up_exps.weight"
    importance = {name: np.ones((4, 64), np.float32)}
    importance[name][2, ::2] = 1000
    for target, weights in (("plain", None), ("weighed", importance)):
        recipe = recipe_named("q4_0-search")
        quantize_gguf(mixture, tmp_path / target, recipe, importance=weights)
    plain, weighed = (
        open_gguf(tmp_path / t)[name].values().astype(np.float64) for t in ("plain", "weighed")
    )
    source = next(t for t in open_view(mixture).tensors if t.name == name)
    truth = np.concatenate([source.rows(e * 64, e * 64 + 64) for e in range(4)]).reshape(4, 64, 64)

    def error(values: np.ndarray, expert: int) -> float:
        return float(((values - truth)[expert, :, ::2] ** 2).sum())

    assert error(weighed, 2) < 0.9 * error(plain, 2)


# -- values that have no block ----------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("recipe", ["q4_0", "q4_0-search", "q8_0", "f16"])
def test_weights_without_a_block_are_refused_by_name(
    value: float, recipe: str, tmp_path: Path
) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    tensors = tensors_of("qwen2")
    tensors["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    write_safetensors(folder / "model.safetensors", tensors)
    with pytest.raises(NonFiniteWeights) as caught:
        quantize_gguf(folder, tmp_path / "q.gguf", RECIPES[recipe])
    assert caught.value.facts["tensor"] == "blk.1.ffn_up.weight"
    assert caught.value.facts["count"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


# -- nothing half done ------------------------------------------------------------------------


class Stop(Exception):
    pass


def test_progress_never_falls_and_ends_whole(checkpoint: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    quantize_gguf(
        checkpoint,
        tmp_path / "q.gguf",
        recipe_named("q4_0"),
        lambda done, total, name: calls.append((done, total)),
    )
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1] == len(open_gguf(tmp_path / "q.gguf").tensors)


def test_too_small_a_disk_is_refused_before_the_first_byte(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr("quant.gguf.writer.shutil.disk_usage", lambda _: Usage)
    with pytest.raises(NotEnoughDisk) as caught:
        quantize_gguf(checkpoint, tmp_path / "q.gguf", recipe_named("q4_0"))
    assert caught.value.facts["available"] == 1000
    assert list(tmp_path.iterdir()) == []


def test_other_write_errors_pass_through(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        quantize_gguf(checkpoint, tmp_path / "missing" / "q.gguf", recipe_named("q4_0"))


def test_cancel_is_heard_within_200_ms_of_work(tmp_path: Path) -> None:
    """The longest stretch between two calls, on a matrix many slabs tall."""
    folder = tmp_path / "m"
    write_checkpoint("qwen2", folder)
    tensors = tensors_of("qwen2")
    tall = np.random.default_rng(0).standard_normal((60_000, 64)).astype(np.float32)
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tall
    write_safetensors(folder / "model.safetensors", tensors)
    config = (
        (folder / "config.json").read_text().replace('"vocab_size": 300', '"vocab_size": 60000')
    )
    (folder / "config.json").write_text(config)
    write_tokenizer("qwen2", folder)
    times: list[float] = []
    quantize_gguf(
        folder,
        tmp_path / "q.gguf",
        recipe_named("q4_0-search"),
        lambda *_: times.append(time.process_time()),
    )
    assert len(times) > 30
    # Two threads at work, so 400 ms of processor time are 200 ms of waiting.
    assert max(b - a for a, b in itertools.pairwise(times)) < 0.4

"""Which format is taken, on profiles of machines with known kernels."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from app.hub.values import RemoteFile, RepoDetails, Variant
from app.library.catalog import entry_named, load_catalog
from app.planning.formats import Formats, recipes_for, recommended, usual_recipe
from app.quantizing.forecast import expected, planned
from quant.formats import Family
from quant.recipe import RECIPES, QuantRecipe
from runtime.devices import Device
from runtime.plan import PlanModel
from runtime.planning.bandwidth import (
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
)
from runtime.planning.format_choice import FormatRanking, Wish
from runtime.planning.placement import plan
from runtime.planning.speed import SpeedModel
from runtime.shape import ModelShape
from tests.helpers import shapes

GIB = 2**30
CATALOG = load_catalog()
R1_1_5B = entry_named(CATALOG, "deepseek-r1-distill-qwen-1.5b")
# Bytes per second of two threads. The first: an Intel machine with AVX-512, by the decode rates of
# the 1.5B shape in benchmarks/results/prediction-cpu-2.txt. The second: every format at one rate.
AVX512 = {"Q4_0": 9e9, "Q8_0": 15e9, "Q4_K": 17.5e9, "Q6_K": 12e9, "onnx-q4-b32": 15.5e9,
          "onnx-q4-b128-asym": 17.5e9}  # fmt: skip
LEVEL = dict.fromkeys(AVX512, 10e9)


def speeds(rates: Mapping[str, float]) -> SpeedModel:
    curves: dict[str, tuple[Curve, ...]] = {
        name: (Curve(2, (CurvePoint(GIB, rate), CurvePoint(2 * GIB, rate))),)
        for name, rate in rates.items()
    }
    near = {"64": 1e-10, "128": 1e-10}
    cost = ThreadCosts(2, 1e-6, near, near, dict.fromkeys(rates, 1e11))
    host = DeviceProfile("cpu", (), curves, (cost,))
    return SpeedModel(BandwidthProfile({}, "", "full", 0.02, (host,)))


def formats(
    rates: Mapping[str, float] | None, wish: Wish = "balanced", memory: float = 16, threads: int = 2
) -> Formats:
    free = round(memory * GIB)
    host = Device("cpu", "CPU", "CPU", "host", free, free, cores=2, threads=2)
    speed = speeds(rates) if rates is not None else None
    return Formats(lambda model: plan(model, [host], None, speed), CATALOG, wish, threads=threads)


def variant(label: str, size: float) -> Variant:
    file = RemoteFile("o/m", "c" * 40, f"m-{label}.gguf", round(size * 1e9), "0" * 64)
    return Variant(label, "gguf", (file,))


# The sizes that the files of an 1.5B model have.
FILES = tuple(
    variant(label, size)
    for label, size in (
        ("Q2_K", 0.75), ("Q4_0", 1.07), ("Q4_K_M", 1.12), ("Q6_K", 1.46), ("Q8_0", 1.89),
        ("BF16", 3.56),
    )
)  # fmt: skip


def details(parameters: int | None = None) -> RepoDetails:
    return RepoDetails(
        "o/m", "c" * 40, "", False, None, (), (), None, None, None, parameters, None, None, ()
    )


def first(ranking: FormatRanking) -> str:
    return ranking.formats[0].candidate.label


def taken(
    wanted: Formats, shape: ModelShape, family: Family | None = None, below: int | None = None
) -> QuantRecipe:
    return recommended(wanted.of_recipes(shape, family, below=below))[0]


def test_download_takes_what_peers_give_where_its_kernel_is_fast() -> None:
    ranking = formats(AVX512).of_variants(FILES, R1_1_5B.shape)
    assert first(ranking) == "Q4_K_M"
    decode = {p.label: p.decode_tps.median for p in ranking.points}
    assert decode["Q4_K_M"] > 1.5 * decode["Q4_0"]  # 19.4 and 10.2 were measured
    assert [p.label for p in ranking.points if p.chosen] == ["Q4_K_M"]
    chosen = formats(AVX512).choose_variant(FILES, details(), R1_1_5B)
    assert chosen.label == "Q4_K_M"


def test_the_wish_moves_along_the_frontier() -> None:
    fast = {**LEVEL, "Q4_0": 20e9}
    labels = {
        wish: first(formats(fast, wish).of_variants(FILES, R1_1_5B.shape))
        for wish in ("fast", "balanced", "faithful")
    }
    assert labels == {"fast": "Q4_0", "balanced": "Q4_K_M", "faithful": "Q4_K_M"}
    quicker = {name: 5 * rate for name, rate in fast.items()}
    assert first(formats(quicker, "faithful").of_variants(FILES, R1_1_5B.shape)) in ("Q6_K", "Q8_0")


def test_what_does_not_fit_is_not_taken() -> None:
    ranking = formats({**LEVEL, "Q4_K": 1e9}, "faithful", 1.6).of_variants(FILES, R1_1_5B.shape)
    assert [f.candidate.label for f in ranking.formats if not f.candidate.context][-1] == "BF16"
    assert ranking.chosen is not None


def test_before_a_machine_is_measured_download_takes_the_peers_default() -> None:
    for wish in ("fast", "balanced", "faithful"):
        chosen = formats(None, wish).choose_variant(FILES, details(), R1_1_5B)
        assert chosen.label == "Q4_K_M"


def test_a_repository_the_catalog_does_not_know_is_judged_by_its_size() -> None:
    wanted = formats(AVX512)
    assert wanted.choose_variant(FILES, details(1_780_000_000), None).label == "Q4_K_M"
    assert wanted.choose_variant(FILES, details(None), None).label == "Q4_K_M"
    assert wanted.choose_variant(FILES[3:], details(None), None).label == "Q6_K"


def test_a_recipe_is_chosen_by_the_same_rules() -> None:
    recipe, reason = recommended(formats(AVX512).of_recipes(R1_1_5B.shape))
    peer = formats(AVX512).of_recipes(R1_1_5B.shape).peer_loss
    assert peer is not None
    loss = reason.facts["loss"]
    assert isinstance(loss, dict)
    assert loss["median"] <= 1.05 * peer.median
    fast = taken(formats(AVX512, "fast"), R1_1_5B.shape)
    speed = formats(AVX512).make_plan(planned(R1_1_5B.shape, recipe)).speed
    faster = formats(AVX512).make_plan(planned(R1_1_5B.shape, fast)).speed
    assert speed is not None
    assert faster is not None
    assert faster.decode_tps.median >= speed.decode_tps.median


def test_recipes_of_one_family_and_of_those_an_architecture_has() -> None:
    assert taken(formats(AVX512), R1_1_5B.shape, "onnx").family == "onnx"
    gemma = replace(R1_1_5B.shape, architecture="gemma3")
    assert {recipe.family for recipe in recipes_for(gemma)} == {"gguf"}
    slow_gguf = {**dict.fromkeys(AVX512, 1e9), "onnx-q4-b32": 1e11, "onnx-q4-b128-asym": 1e11}
    assert taken(formats(slow_gguf, "fast"), R1_1_5B.shape).family == "onnx"
    assert taken(formats(slow_gguf, "fast"), gemma).family == "gguf"
    experts = {recipe.family for recipe in recipes_for(shapes.DEEPSEEK_V2_LITE)}
    assert experts == {"gguf"}
    assert usual_recipe().name == "q4_k_m"
    assert usual_recipe("onnx").family == "onnx"


def test_recipes_whose_blocks_would_be_padded_are_no_candidates() -> None:
    names = {recipe.name for recipe in recipes_for(shapes.SMOLLM2_135M, "onnx")}
    assert "onnx-q4-b32-search" in names
    assert not [name for name in names if "b128" in name or name == "onnx-q4-fast"]


def test_what_would_not_be_smaller_than_its_source_is_no_candidate() -> None:
    """The starter is a Q4_1 file, and its rows of 576 weights make Q4_K_M larger than that."""
    shape = shapes.SMOLLM2_135M
    source = planned(shape, RECIPES["q4_1"]).weights.total
    ranking = formats(AVX512).of_recipes(shape, below=source)
    names = [each.candidate.label for each in ranking.formats]
    assert "q4_0" in names
    assert not {"q4_1", "q4_k_m", "q8_0"} & set(names)
    assert taken(formats(None), shape, below=source).name == "q4_0"
    assert formats(AVX512).of_recipes(shape, below=1).formats == ()


def test_timing_needs_the_formats_and_not_the_care() -> None:
    made = formats(AVX512).for_each_family(R1_1_5B.shape)
    assert [recipe.family for recipe in made] == ["gguf", "onnx"]
    assert [recipe.method for recipe in made] == ["llama.cpp", "round"]
    assert {recipe.importance for recipe in made} == {"ignored"}
    gemma = replace(R1_1_5B.shape, architecture="gemma3")
    assert [recipe.family for recipe in formats(AVX512).for_each_family(gemma)] == ["gguf"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_planned_recipe_has_the_size_it_is_forecast(name: str) -> None:
    shape, recipe = R1_1_5B.shape, RECIPES[name]
    model: PlanModel = planned(shape, recipe)
    assert model.weights.total == pytest.approx(expected(shape, recipe, 2).size, rel=0.01)
    assert model.formats == (recipe.family,)


def test_a_catalog_model_is_planned_as_what_download_would_take() -> None:
    assert formats(AVX512).recipe_of(R1_1_5B).name == "q4_k_m"
    assert formats({**LEVEL, "Q4_0": 20e9}, "fast").recipe_of(R1_1_5B).name == "q4_0"
    assert formats(None).recipe_of(R1_1_5B).name == "q4_k_m"

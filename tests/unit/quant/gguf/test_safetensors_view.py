"""safetensors to GGUF: equal, bit for bit, to what llama.cpp's own converter makes.

The golden file was written by tests/golden/make_gguf_golden.py with that converter.
"""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quant.checkpoint.sources import open_gguf, open_source
from quant.errors import (
    CorruptCheckpoint,
    IncompatibleShape,
    MissingTensor,
    QuantError,
    UnsupportedFormat,
)
from quant.gguf.export import open_view, quantize_gguf
from quant.onnx.checkpoint import open_checkpoint
from quant.recipe import QuantRecipe, recipe_named, uniform
from tests.helpers.checkpoints import KINDS, PRE_TOKENIZERS, config_of, write_checkpoint

GOLDEN = json.loads(
    (Path(__file__).parents[3] / "data" / "gguf_golden.json").read_text(encoding="utf-8")
)
RECIPES = {
    "f32": QuantRecipe("f32", uniform("F32")),
    "f16": recipe_named("f16"),
    "bf16": recipe_named("bf16"),
}


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, list) and len(ours) > 20:
        return bool(hashlib.sha256(json.dumps(ours).encode()).hexdigest() == theirs)
    if isinstance(ours, float) or isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-7)
    return bool(ours == theirs)


@pytest.mark.parametrize("outtype", list(RECIPES))
@pytest.mark.parametrize("kind", KINDS)
def test_conversion_equals_the_reference(kind: str, outtype: str, tmp_path: Path) -> None:
    folder = write_checkpoint(kind, tmp_path / f"Tiny-{kind}")
    target = tmp_path / "out.gguf"
    quantize_gguf(folder, target, RECIPES[outtype])
    written, golden = open_gguf(target), GOLDEN[kind][outtype]

    tensors = {
        tensor.name: [
            tensor.format,
            list(tensor.shape),
            hashlib.sha256(tensor.raw.tobytes()).hexdigest(),
        ]
        for tensor in written
    }
    assert tensors == golden["tensors"]
    assert written.header is not None
    assert set(written.metadata) == set(golden["metadata"])
    for key, (types, value) in golden["metadata"].items():
        ours = written.header.value_types[key]
        assert [t for t in ours if t != -1] == types, key
        assert same(written.metadata[key], value), key


def test_shards_in_any_order_convert_alike(tmp_path: Path) -> None:
    whole = write_checkpoint("qwen2", tmp_path / "Tiny-qwen2")
    parts = write_checkpoint("qwen2", tmp_path / "parts" / "Tiny-qwen2", shards=3)
    digests = []
    for index, folder in enumerate((whole, parts)):
        target = tmp_path / f"{index}.gguf"
        quantize_gguf(folder, target, RECIPES["bf16"])
        digests.append({t.name: t.raw.tobytes() for t in open_gguf(target)})
    assert digests[0] == digests[1]


def test_pre_tokenizers_are_recognised(tmp_path: Path) -> None:
    for kind, name in PRE_TOKENIZERS.items():
        view = open_view(write_checkpoint(kind, tmp_path / kind))
        assert view.metadata["tokenizer.ggml.pre"].value == name


def test_line_ends_in_a_pattern_may_be_escaped_or_not(tmp_path: Path) -> None:
    folder = write_checkpoint("deepseek_llm", tmp_path / "m")
    data = json.loads((folder / "tokenizer.json").read_text())
    first = data["pre_tokenizer"]["pretokenizers"][0]
    assert first["pattern"]["Regex"] == r"[\r\n]"
    first["pattern"]["Regex"] = "[\r\n]"
    (folder / "tokenizer.json").write_text(json.dumps(data))
    assert open_view(folder).metadata["tokenizer.ggml.pre"].value == "deepseek-llm"


def edit(path: Path, **changes: Any) -> None:
    data = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del data[key]
        else:
            data[key] = value
    path.write_text(json.dumps(data))


def both(folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """The two readers of a checkpoint: as a GGUF file to be, and as the decoder ONNX takes."""
    return lambda: open_view(folder), lambda: open_checkpoint(open_source(folder))


def refused_with(error: QuantError, folder: Path, *named: str) -> None:
    """The error names the file where one is to blame, and one of `named`."""
    facts = error.facts
    assert str(facts.get("path", folder)).startswith(str(folder))
    told = " ".join(str(facts.get(key)) for key in ("tensor", "key", "found", "detail"))
    assert any(name in told for name in named), facts


# kind, what is changed in config.json, and the fields or tensors of which one must be named
HUGE = 10**10
BROKEN_CONFIGS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("qwen2", {"num_hidden_layers": "two"}, ("num_hidden_layers",)),
    ("qwen2", {"num_hidden_layers": 10**9}, ("num_hidden_layers", "model.layers.2.")),
    ("qwen2", {"num_hidden_layers": True}, ("num_hidden_layers",)),
    ("qwen2", {"num_attention_heads": None}, ("num_attention_heads",)),
    ("qwen2", {"num_attention_heads": "x"}, ("num_attention_heads",)),
    ("qwen2", {"num_attention_heads": 0}, ("num_attention_heads",)),
    ("qwen2", {"num_key_value_heads": [2]}, ("num_key_value_heads",)),
    ("qwen2", {"num_key_value_heads": 4}, ("k_proj", "q_proj")),
    ("qwen2", {"hidden_size": None}, ("hidden_size",)),
    ("qwen2", {"hidden_size": 64.5}, ("hidden_size",)),
    ("qwen2", {"hidden_size": 65}, ("embed", "token_embd", "k_proj")),
    ("qwen2", {"intermediate_size": {}}, ("intermediate_size",)),
    ("qwen2", {"head_dim": HUGE}, ("head_dim",)),
    ("qwen2", {"head_dim": 10**6}, ("k_proj", "q_proj")),
    ("qwen2", {"vocab_size": 10**12}, ("vocab_size",)),
    ("qwen2", {"vocab_size": 200}, ("embed", "token_embd")),
    ("qwen2", {"max_position_embeddings": "many"}, ("max_position_embeddings",)),
    ("qwen2", {"max_position_embeddings": 10**4000}, ("max_position_embeddings",)),
    ("qwen2", {"rms_norm_eps": "small"}, ("rms_norm_eps",)),
    ("qwen2", {"rms_norm_eps": -1}, ("rms_norm_eps",)),
    ("qwen2", {"rope_theta": [1]}, ("rope_theta",)),
    ("qwen2", {"rope_theta": 0}, ("rope_theta",)),
    ("qwen2", {"rope_theta": 10**4000}, ("rope_theta",)),
    ("qwen2", {"rope_scaling": "yarn"}, ("rope_scaling",)),
    ("qwen2", {"rope_scaling": [1, 2]}, ("rope_scaling",)),
    ("qwen2", {"rope_parameters": 7}, ("rope_parameters",)),
    ("qwen2", {"rope_scaling": {"type": "sideways", "factor": 2}}, ("rope", "sideways")),
    ("qwen2", {"rope_scaling": {"type": ["linear"]}}, ("rope_type",)),
    ("qwen2", {"rope_scaling": {"type": "linear", "factor": "x"}}, ("rope_scaling.factor",)),
    ("qwen2", {"rope_scaling": {"type": "linear", "factor": 1e-320}}, ("rope_scaling.factor",)),
    ("qwen2", {"rope_scaling": {"type": "yarn", "factor": 2}}, ("original_max_position",)),
    ("llama3", {"head_dim": HUGE}, ("head_dim",)),
    ("llama3", {"head_dim": 10**6}, ("k_proj", "q_proj")),
    ("llama3", {"num_attention_heads": 7}, ("k_proj", "q_proj", "num_key_value_heads", "head_dim")),
    ("llama3", {"rope_scaling": {"type": "llama3", "factor": "x"}}, ("rope_scaling.factor",)),
    ("llama3", {"rope_scaling": {"type": "llama3", "factor": 0}}, ("rope_scaling.factor",)),
    (
        "llama3",
        {"rope_scaling": {"rope_type": "llama3", "high_freq_factor": 1}},
        ("high_freq_factor",),
    ),
]


@pytest.mark.parametrize("reader", [0, 1], ids=["gguf", "onnx"])
@pytest.mark.parametrize(("kind", "changes", "named"), BROKEN_CONFIGS)
def test_config_that_contradicts_the_tensors_is_refused(
    kind: str, changes: dict[str, Any], named: tuple[str, ...], reader: int, tmp_path: Path
) -> None:
    folder = write_checkpoint(kind, tmp_path / "model")
    edit(folder / "config.json", **changes)
    with pytest.raises(QuantError) as caught:
        both(folder)[reader]()
    refused_with(caught.value, folder, *named)


# What only the GGUF view reads, or reads otherwise.
BROKEN_FOR_GGUF: list[tuple[str, dict[str, Any], type[QuantError], str]] = [
    ("qwen2", {"architectures": ["ExoticForCausalLM"]}, UnsupportedFormat, "ExoticForCausalLM"),
    ("qwen2", {"architectures": {"a": 1}}, UnsupportedFormat, "None"),
    ("qwen2", {"num_hidden_layers": 1}, CorruptCheckpoint, "model.layers.1."),
    ("deepseek_v2", {"n_routed_experts": 5}, MissingTensor, "experts.4."),
    ("deepseek_v2", {"qk_nope_head_dim": 31}, IncompatibleShape, "kv_b_proj"),
    ("deepseek_v2", {"qk_rope_head_dim": "x"}, CorruptCheckpoint, "qk_rope_head_dim"),
    ("deepseek_v2", {"scoring_func": "magic"}, CorruptCheckpoint, "scoring_func"),
    ("deepseek_v2", {"scoring_func": ["x"]}, CorruptCheckpoint, "scoring_func"),
    ("deepseek_v2", {"first_k_dense_replace": -1}, CorruptCheckpoint, "first_k_dense_replace"),
    ("deepseek_v2", {"routed_scaling_factor": "x"}, CorruptCheckpoint, "routed_scaling_factor"),
]


@pytest.mark.parametrize(("kind", "changes", "error", "named"), BROKEN_FOR_GGUF)
def test_config_that_no_gguf_can_be_made_of_is_refused(
    kind: str, changes: dict[str, Any], error: type[QuantError], named: str, tmp_path: Path
) -> None:
    folder = write_checkpoint(kind, tmp_path / "model")
    edit(folder / "config.json", **changes)
    with pytest.raises(error) as caught:
        open_view(folder)
    refused_with(caught.value, folder, named)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("given", "factor", "multiplier"),
    [
        ({}, None, None),
        ({"attn_factor": 0.8782488562869419}, 0.8782488562869419, 0.8782488562869419),
        ({"attention_factor": 1.0}, 1.0, 1 / (0.1 * math.log(4) + 1)),
        ({"attention_factor": 1.0, "attn_factor": 3.0}, 1.0, 1 / (0.1 * math.log(4) + 1)),
        ({"attention_factor": None, "attn_factor": 0.5}, 0.5, 0.5),
    ],
    ids=["none", "DeepSeek-R1-0528-Qwen3-8B", "transformers", "both", "null"],
)
def test_yarn_attention_factor_is_kept_under_either_name(
    given: dict[str, Any], factor: float | None, multiplier: float | None, tmp_path: Path
) -> None:
    """llama.cpp's converter takes attention_factor or else attn_factor; its engine multiplies by
    rope.scaling.attn_factor and reads the converter's key for none of our architectures."""
    folder = write_checkpoint("qwen3", tmp_path / "m")
    edit(folder / "config.json", rope_scaling={**YARN, **given})
    metadata = open_view(folder).metadata
    scaling = {
        key.removeprefix("qwen3.rope.scaling."): value.value
        for key, value in metadata.items()
        if key.startswith("qwen3.rope.scaling.")
    }
    wanted = {"type": "yarn", "factor": 4.0, "original_context_length": 32768}
    if factor is not None:
        wanted |= {"yarn_attn_factor": factor, "attn_factor": pytest.approx(multiplier)}
    assert scaling == wanted


def test_unknown_pre_tokenizer_is_refused_not_guessed(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "model")
    edit(folder / "tokenizer.json", pre_tokenizer={"type": "Whitespace"})
    with pytest.raises(UnsupportedFormat) as caught:
        open_view(folder)
    assert "Whitespace" in str(caught.value.found)


def test_tokenizer_with_impossible_ids_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "model")
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"]["vocab"]["a"] = 1 << 40
    (folder / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(CorruptCheckpoint) as caught:
        open_view(folder)
    assert caught.value.path.endswith("tokenizer.json")


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    "card",
    [
        "name: [unclosed",
        "language: [en, [fr, [de]]]",
        LAUGHS + "language: [en, *j]",
        LAUGHS + "license: *j",
    ],
)
def test_hostile_model_card_is_refused_in_no_time(card: str, tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    (folder / "README.md").write_text(f"---\n{card}\n---\nA model.\n")
    with pytest.raises(CorruptCheckpoint):
        open_view(folder)


def test_model_card_gives_licence_and_languages(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "m")
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: [en, zh]\n---\n")
    metadata = open_view(folder).metadata
    assert metadata["general.license"].value == "mit"
    assert metadata["general.languages"].value == ["en", "zh"]


def test_the_configs_are_what_the_names_say() -> None:
    assert config_of("deepseek_v3")["quantization_config"]["quant_method"] == "fp8"
    assert config_of("llama3")["rope_scaling"]["rope_type"] == "llama3"

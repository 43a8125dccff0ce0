"""safetensors to GGUF: equal, bit for bit, to what llama.cpp's own converter makes.

The golden file was written by tests/helpers/make_gguf_golden.py with that converter.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from checkpoints import KINDS, PRE_TOKENIZERS, config_of, write_checkpoint

from quant.errors import CorruptCheckpoint, MissingTensor, QuantError, UnsupportedFormat
from quant.gguf import open_view, quantize_gguf
from quant.recipe import QuantRecipe, recipe_named, uniform
from quant.sources import open_gguf

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "data" / "gguf_golden.json").read_text(encoding="utf-8")
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


BROKEN_CONFIGS: list[tuple[str, dict[str, Any], type[QuantError]]] = [
    ("qwen2", {"architectures": ["ExoticForCausalLM"]}, UnsupportedFormat),
    ("qwen2", {"architectures": {"a": 1}}, UnsupportedFormat),
    ("qwen2", {"num_hidden_layers": "two"}, CorruptCheckpoint),
    ("qwen2", {"num_hidden_layers": 10**9}, CorruptCheckpoint),
    ("qwen2", {"num_hidden_layers": 1}, CorruptCheckpoint),
    ("qwen2", {"num_attention_heads": None}, CorruptCheckpoint),
    ("qwen2", {"vocab_size": 10**12}, QuantError),
    ("qwen2", {"vocab_size": 200}, QuantError),
    ("qwen2", {"hidden_size": 65}, QuantError),
    ("qwen2", {"rms_norm_eps": "small"}, CorruptCheckpoint),
    ("qwen2", {"rope_scaling": {"type": "sideways", "factor": 2}}, CorruptCheckpoint),
    ("llama3", {"num_attention_heads": 7}, QuantError),
    ("deepseek_v2", {"n_routed_experts": 5}, MissingTensor),
    ("deepseek_v2", {"qk_nope_head_dim": 31}, QuantError),
    ("deepseek_v2", {"scoring_func": "magic"}, CorruptCheckpoint),
]


@pytest.mark.parametrize(("kind", "changes", "error"), BROKEN_CONFIGS)
def test_config_that_contradicts_the_tensors_is_refused(
    kind: str, changes: dict[str, Any], error: type[QuantError], tmp_path: Path
) -> None:
    folder = write_checkpoint(kind, tmp_path / "model")
    edit(folder / "config.json", **changes)
    with pytest.raises(error):
        open_view(folder)


def test_unknown_pre_tokenizer_is_refused_not_guessed(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "model")
    edit(folder / "tokenizer.json", pre_tokenizer={"type": "Whitespace"})
    with pytest.raises(UnsupportedFormat) as caught:
        open_view(folder)
    assert "Whitespace" in caught.value.facts["detail"]


def test_tokenizer_with_impossible_ids_is_refused(tmp_path: Path) -> None:
    folder = write_checkpoint("qwen2", tmp_path / "model")
    data = json.loads((folder / "tokenizer.json").read_text())
    data["model"]["vocab"]["a"] = 1 << 40
    (folder / "tokenizer.json").write_text(json.dumps(data))
    with pytest.raises(CorruptCheckpoint) as caught:
        open_view(folder)
    assert caught.value.facts["path"].endswith("tokenizer.json")


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

"""Small random safetensors checkpoints of every architecture the GGUF converter covers.

Each has what makes its architecture special (rope scaling, biases, head norms, MLA, experts, fp8
block scales, a multi-token prediction block) at sizes of a few hundred kilobytes. Made from a
frozen random stream: the same bytes on every machine.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]

VOCAB, WORDS = 300, ("he", "el", "ll", "lo", "th", "in", "er", "an", "re", "on")
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
KINDS = (
    "llama3",
    "deepseek_llm",
    "qwen2",
    "qwen3",
    "deepseek_v2",
    "deepseek_v2_lite",
    "deepseek_v3",
)
# What llama.cpp calls the pre-tokenizer of each kind's tokenizer.json.
PRE_TOKENIZERS = {
    "llama3": "llama-bpe",
    "deepseek_llm": "deepseek-llm",
    "qwen2": "deepseek-r1-qwen",
    "qwen3": "qwen2",
    "deepseek_v2": "deepseek-llm",
    "deepseek_v2_lite": "deepseek-llm",
    "deepseek_v3": "deepseek-v3",
}

_COMMON = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": VOCAB,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "bos_token_id": 266,
    "eos_token_id": 267,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
_MLA = {
    "kv_lora_rank": 32,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
    "moe_intermediate_size": 64,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "num_key_value_heads": 4,
    "rope_theta": 10000.0,
}
_YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 64,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
}
_V2 = {
    **_MLA,
    "architectures": ["DeepseekV2ForCausalLM"],
    "model_type": "deepseek_v2",
    "q_lora_rank": 48,
    "scoring_func": "softmax",
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "norm_topk_prob": False,
    "rope_scaling": _YARN,
}
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "llama3": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_key_value_heads": 2,
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "deepseek_llm": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_key_value_heads": 4,
        "rope_theta": 10000.0,
    },
    "qwen2": {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "num_key_value_heads": 2,
        "rope_theta": 10000.0,
        "use_sliding_window": False,
    },
    "qwen3": {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "num_key_value_heads": 2,
        "head_dim": 32,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": True,
    },
    "deepseek_v2": _V2,
    # The engine knows a V2-Lite, which has no query compression, by its 27 blocks.
    "deepseek_v2_lite": {**_V2, "q_lora_rank": None, "num_hidden_layers": 27},
    "deepseek_v3": {
        **_MLA,
        "architectures": ["DeepseekV3ForCausalLM"],
        "model_type": "deepseek_v3",
        "hidden_size": 192,
        "q_lora_rank": 48,
        "scoring_func": "sigmoid",
        "n_group": 2,
        "topk_group": 1,
        "routed_scaling_factor": 2.5,
        "norm_topk_prob": True,
        "num_nextn_predict_layers": 1,
        "rope_scaling": _YARN,
        "quantization_config": {
            "quant_method": "fp8",
            "fmt": "e4m3",
            "weight_block_size": [128, 128],
        },
    },
}


def config_of(kind: str) -> dict[str, Any]:
    """config.json of one of KINDS."""
    return {**_COMMON, **CONFIGS[kind]}


def shapes_of(kind: str) -> dict[str, tuple[int, ...]]:
    """Hugging Face tensor names and shapes."""
    config = config_of(kind)
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (vocab, hidden)}
    extra = config.get("num_nextn_predict_layers", 0)
    for block in range(config["num_hidden_layers"] + extra):
        prefix = f"model.layers.{block}."
        shapes[prefix + "input_layernorm.weight"] = (hidden,)
        attention = _mla(config) if "kv_lora_rank" in config else _attention(kind, config)
        shapes.update({prefix + "self_attn." + name: shape for name, shape in attention.items()})
        shapes[prefix + "post_attention_layernorm.weight"] = (hidden,)
        shapes.update({prefix + "mlp." + name: s for name, s in _mlp(config, block).items()})
        if block >= config["num_hidden_layers"]:
            shapes[prefix + "eh_proj.weight"] = (hidden, 2 * hidden)
    shapes["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, hidden)
    return shapes


def _attention(kind: str, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, heads, kv = (
        config[k] for k in ("hidden_size", "num_attention_heads", "num_key_value_heads")
    )
    head = config.get("head_dim") or hidden // heads
    shapes: dict[str, tuple[int, ...]] = {
        "q_proj.weight": (heads * head, hidden),
        "k_proj.weight": (kv * head, hidden),
        "v_proj.weight": (kv * head, hidden),
        "o_proj.weight": (hidden, heads * head),
    }
    if kind == "qwen2":
        for name, rows in (("q", heads), ("k", kv), ("v", kv)):
            shapes[f"{name}_proj.bias"] = (rows * head,)
    if kind == "qwen3":
        shapes["q_norm.weight"] = shapes["k_norm.weight"] = (head,)
    return shapes


def _mla(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    hidden, heads, rank = (
        config[k] for k in ("hidden_size", "num_attention_heads", "kv_lora_rank")
    )
    nope, rope, value = (config[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    shapes: dict[str, tuple[int, ...]] = {}
    if config["q_lora_rank"]:
        shapes["q_a_proj.weight"] = (config["q_lora_rank"], hidden)
        shapes["q_a_layernorm.weight"] = (config["q_lora_rank"],)
        shapes["q_b_proj.weight"] = (heads * (nope + rope), config["q_lora_rank"])
    else:
        shapes["q_proj.weight"] = (heads * (nope + rope), hidden)
    shapes["kv_a_proj_with_mqa.weight"] = (rank + rope, hidden)
    shapes["kv_a_layernorm.weight"] = (rank,)
    shapes["kv_b_proj.weight"] = (heads * (nope + value), rank)
    shapes["o_proj.weight"] = (hidden, heads * value)
    return shapes


def _mlp(config: Mapping[str, Any], block: int) -> dict[str, tuple[int, ...]]:
    hidden = config["hidden_size"]

    def three(prefix: str, width: int) -> dict[str, tuple[int, ...]]:
        return {
            f"{prefix}gate_proj.weight": (width, hidden),
            f"{prefix}up_proj.weight": (width, hidden),
            f"{prefix}down_proj.weight": (hidden, width),
        }

    if "n_routed_experts" not in config or block < config["first_k_dense_replace"]:
        return three("", config["intermediate_size"])
    shapes: dict[str, tuple[int, ...]] = {"gate.weight": (config["n_routed_experts"], hidden)}
    if config["scoring_func"] == "sigmoid":
        shapes["gate.e_score_correction_bias"] = (config["n_routed_experts"],)
    for expert in range(config["n_routed_experts"]):
        shapes.update(three(f"experts.{expert}.", config["moe_intermediate_size"]))
    shapes.update(three("shared_experts.", config["moe_intermediate_size"]))
    return shapes


def tensors_of(kind: str) -> dict[str, Array]:
    """Tensors as stored: bfloat16, with fp8 matrices and their block scales for deepseek_v3."""
    random = np.random.RandomState(sum(map(ord, kind)))
    fp8 = "quantization_config" in config_of(kind)
    tensors: dict[str, Array] = {}
    for name, shape in shapes_of(kind).items():
        values = random.standard_normal(shape).astype(np.float32) * np.float32(0.05)
        if name.endswith("norm.weight"):
            values += 1
        quantized = fp8 and len(shape) == 2 and "_proj" in name
        if quantized:
            grid = tuple(-(-size // 128) for size in shape)
            scale = (0.01 + random.rand(*grid)).astype(np.float32) / 100
            tensors[name] = (values * 100).astype(ml_dtypes.float8_e4m3fn)
            tensors[name + "_scale_inv"] = scale
        elif name.endswith("e_score_correction_bias"):
            tensors[name] = values
        else:
            tensors[name] = values.astype(ml_dtypes.bfloat16)
    return tensors


_DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3"}


def write_safetensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """One safetensors file."""
    header: dict[str, Any] = {}
    offset = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def write_checkpoint(kind: str, folder: Path, shards: int = 1) -> Path:
    """A whole Hugging Face folder; with `shards` > 1 an index and as many files."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = tensors_of(kind)
    if shards == 1:
        write_safetensors(folder / "model.safetensors", tensors)
    else:
        names = list(tensors)
        weight_map = {}
        for index in range(shards):
            file = f"model-{index + 1:05d}-of-{shards:05d}.safetensors"
            part = {name: tensors[name] for name in names[index::shards]}
            write_safetensors(folder / file, part)
            weight_map.update(dict.fromkeys(part, file))
        index_text = json.dumps({"metadata": {}, "weight_map": weight_map})
        (folder / "model.safetensors.index.json").write_text(index_text)
    (folder / "config.json").write_text(json.dumps(config_of(kind), indent=1))
    write_tokenizer(kind, folder)
    return folder


def byte_characters() -> list[str]:
    """The printable character that byte-level BPE writes for each byte (GPT-2's table)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = iter(range(256, 512))
    return [chr(byte) if byte in kept else chr(next(moved)) for byte in range(256)]


def write_tokenizer(kind: str, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json of a byte-level BPE with ten merges."""
    vocabulary = {character: index for index, character in enumerate(byte_characters())}
    vocabulary.update({word: 256 + index for index, word in enumerate(WORDS)})
    added = ["<|begin|>", "<|end|>", "<|endoftext|>", "<think>"]
    if kind == "qwen2":
        added.append("<｜User｜>")
    entries = [
        {
            "id": len(vocabulary) + index,
            "content": text,
            "special": index < 3,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
        }
        for index, text in enumerate(added)
    ]
    tokenizer = {
        "version": "1.0",
        "added_tokens": entries,
        "normalizer": None,
        "pre_tokenizer": _pre_tokenizer(PRE_TOKENIZERS[kind]),
        "post_processor": None,
        "decoder": {
            "type": "ByteLevel",
            "add_prefix_space": True,
            "trim_offsets": True,
            "use_regex": True,
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocabulary,
            "merges": [f"{word[0]} {word[1]}" for word in WORDS],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin|>",
        "eos_token": "<|end|>",
        "add_bos_token": kind.startswith("deepseek"),
        "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _pre_tokenizer(name: str) -> dict[str, Any]:
    def split(pattern: str) -> dict[str, Any]:
        return {
            "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False,
        }  # fmt: skip

    steps = {
        "llama-bpe": [split(LLAMA3_SPLIT)],
        "qwen2": [split(QWEN2_SPLIT)],
        "deepseek-r1-qwen": [split(QWEN2_SPLIT)],
        "deepseek-llm": [
            split(r"[\r\n]"),
            split(r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+"),
            split(r"\s?[!-/:-~]+"),
            split(r"\s+$"),
            split(r"[一-龥ࠀ-一가-퟿]+"),
            {"type": "Digits", "individual_digits": True},
        ],
        "deepseek-v3": [
            split(r"\p{N}{1,3}"),
            split(r"[一-龥぀-ゟ゠-ヿ]+"),
            split(r"[!-/:-~]?[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|\s*[\r\n]+|\s+"),
        ],
    }[name]
    last = {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False,
    }  # fmt: skip
    return {"type": "Sequence", "pretokenizers": [*steps, last]}

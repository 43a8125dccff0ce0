"""Tiny Hugging Face checkpoints: random weights that 4-bit blocks of 32 hold exactly.

Every block of 32 weights is (q - 8) * scale with integer q and one q at the extreme, so an exporter
that is right loses nothing, and its outputs can be compared closely with any other implementation.
Made from a frozen random stream: the same bytes on every machine.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, WIDTH, HEADS, KV_HEADS, HEAD, BLOCKS, VOCAB = 64, 128, 4, 2, 32, 2, 288
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>")
END_OF_TURN = 257
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PROMPT = (5, 17, 99, 200, 3, 42, 256, 77, 140, 11, 64, 250)

Array = np.ndarray[Any, Any]

CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "llama": {"model_type": "llama", "rope_theta": 10000.0, "tie_word_embeddings": True},
    "llama3": {
        "model_type": "llama",
        "rope_theta": 500000.0,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        "tie_word_embeddings": False,
    },
    "qwen2": {"model_type": "qwen2", "rope_theta": 10000.0, "tie_word_embeddings": False},
    "qwen3": {"model_type": "qwen3", "rope_theta": 1000000.0, "tie_word_embeddings": True},
}
_CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}


def config_of(kind: str) -> dict[str, Any]:
    """config.json of one of CONFIGS."""
    own = CONFIGS[kind]
    return {
        "architectures": [_CLASSES[own["model_type"]]],
        "hidden_size": HIDDEN,
        "intermediate_size": WIDTH,
        "num_hidden_layers": BLOCKS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD,
        "vocab_size": VOCAB,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-6,
        "hidden_act": "silu",
        "bos_token_id": 258,
        "eos_token_id": END_OF_TURN,
        "torch_dtype": "float32",
        **own,
    }


def tensors_of(kind: str) -> dict[str, Array]:
    """Hugging Face tensor names -> float32 weights."""
    config, random = config_of(kind), np.random.RandomState(len(kind) * 1000 + ord(kind[-1]))
    model_type = config["model_type"]
    q_rows, kv_rows = HEADS * HEAD, KV_HEADS * HEAD

    def matrix(rows: int, columns: int, size: float) -> Array:
        q = random.randint(0, 16, (rows, columns // 32, 32)).astype(np.float32)
        q[..., 0] = 0
        scale = np.float32(2.0) ** random.randint(-1, 2, (rows, columns // 32, 1)) * size
        return ((q - 8) * scale).reshape(rows, columns).astype(np.float32)

    def vector(length: int, center: float) -> Array:
        return (center + 0.1 * random.standard_normal(length)).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN, 0.125)}
    for i in range(BLOCKS):
        block = f"model.layers.{i}"
        tensors[f"{block}.input_layernorm.weight"] = vector(HIDDEN, 1.0)
        tensors[f"{block}.post_attention_layernorm.weight"] = vector(HIDDEN, 1.0)
        for name, rows in (("q", q_rows), ("k", kv_rows), ("v", kv_rows)):
            tensors[f"{block}.self_attn.{name}_proj.weight"] = matrix(rows, HIDDEN, 2.0**-6)
            if model_type == "qwen2":
                tensors[f"{block}.self_attn.{name}_proj.bias"] = vector(rows, 0.0)
            if model_type == "qwen3" and name != "v":
                tensors[f"{block}.self_attn.{name}_norm.weight"] = vector(HEAD, 1.0)
        tensors[f"{block}.self_attn.o_proj.weight"] = matrix(HIDDEN, q_rows, 2.0**-6)
        tensors[f"{block}.mlp.gate_proj.weight"] = matrix(WIDTH, HIDDEN, 2.0**-6)
        tensors[f"{block}.mlp.up_proj.weight"] = matrix(WIDTH, HIDDEN, 2.0**-6)
        tensors[f"{block}.mlp.down_proj.weight"] = matrix(HIDDEN, WIDTH, 2.0**-6)
    tensors["model.norm.weight"] = vector(HIDDEN, 1.0)
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = matrix(VOCAB, HIDDEN, 2.0**-5)
    return tensors


def write_checkpoint(folder: Path, kind: str) -> Path:
    """A folder with config.json, model.safetensors and tokenizer files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tensors_of(kind))
    (folder / "config.json").write_text(json.dumps(config_of(kind)), encoding="utf-8")
    write_tokenizer(folder)
    return folder


def write_safetensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """float32 tensors in one safetensors file."""
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + tensor.nbytes],
        }
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())


def byte_characters() -> list[str]:
    """The character that stands for each byte in byte-level vocabularies (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def write_tokenizer(folder: Path) -> None:
    """A byte-level tokenizer without merges: token id = byte; SPECIAL follow from 256."""
    vocab = {char: byte for byte, char in enumerate(byte_characters())}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    added = [
        {
            "id": 256 + place,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": not text.endswith("think>"),
        }
        for place, text in enumerate(SPECIAL)
    ]
    document: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {**level, "use_regex": True},
        "post_processor": None,
        "decoder": {**level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab | {text: 256 + place for place, text in enumerate(SPECIAL)},
            "merges": [],
        },
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "bos_token": "<|endoftext|>",
        "chat_template": TEMPLATE,
    }
    (folder / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")

"""Byte-level BPE tokenizers: from tokenizer.json to GGUF metadata.

Recognises the pre-tokenizer by its own description and refuses one it does not know: a wrong one
would split text differently and silently degrade a model. Runs no tokenizer.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf

from quant.checkpoint.safetensors import read_json
from quant.errors import CorruptCheckpoint, UnsupportedFormat

_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# Tokens that are control tokens even where the file does not mark them special.
_CONTROL_PAIRS = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
_CONTROL_WORDS = frozenset({"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
_GRANITE_VOCABULARY = 49152


def add_tokenizer(
    writer: gguf.GGUFWriter, folder: Path, architecture: str, config: Mapping[str, Any]
) -> None:
    """Add tokens, their types, merges, special tokens and the chat template.

    Raises UnsupportedFormat for another kind of tokenizer, CorruptCheckpoint for a broken one.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UnsupportedFormat(path=str(folder), reason="no_tokenizer")
    tokenizer = read_json(path)
    settings = {}
    if (folder / "tokenizer_config.json").is_file():
        settings = read_json(folder / "tokenizer_config.json")
    model = tokenizer.get("model") or {}
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback"):
        raise UnsupportedFormat(
            path=str(path), reason="tokenizer_model", found=str(model.get("type", "BPE"))[:40]
        )
    tokens, types = _tokens(path, tokenizer, int(config["vocab_size"]))
    prefix = settings.get("add_prefix_space")
    if architecture == "llama" and prefix is not None:
        writer.add_add_space_prefix(prefix)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer_of(path, tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    gguf.SpecialVocab(folder, load_merges=True).add_to_gguf(writer, quiet=True)
    if architecture == "llama" and int(config["vocab_size"]) == _GRANITE_VOCABULARY:
        writer.add_add_bos_token(False)


def _tokens(path: Path, tokenizer: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Token texts and types by id; unused ids are padded up to the embedding table's rows."""
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise CorruptCheckpoint(path=str(path), reason="no_vocabulary")
    added = {entry["content"]: entry for entry in tokenizer.get("added_tokens") or ()}
    ids = {**vocabulary, **{text: entry["id"] for text, entry in added.items()}}
    by_id: dict[int, str] = {}
    for text, number in ids.items():
        if type(number) is not int or not 0 <= number < size:
            raise CorruptCheckpoint(
                path=str(path),
                reason="token_id",
                key=text[:40],
                found=str(number)[:20],
                wanted=size,
            )
        by_id[number] = text
    tokens, types = [], []
    for number in range(size):
        text, kind = _token(by_id.get(number), number, added)
        tokens.append(text)
        types.append(int(kind))
    return tokens, types


def _token(
    text: str | None, number: int, added: Mapping[str, Mapping[str, Any]]
) -> tuple[str, gguf.TokenType]:
    if text is None:
        return f"[PAD{number}]", gguf.TokenType.UNUSED
    if text not in added:
        return text, gguf.TokenType.NORMAL
    if added[text].get("special") or _looks_special(text):
        return text, gguf.TokenType.CONTROL
    return text.replace("\u2581", " "), gguf.TokenType.USER_DEFINED


def _looks_special(text: str) -> bool:
    return text in _CONTROL_WORDS or any(
        text.startswith(first) and text.endswith(last) for first, last in _CONTROL_PAIRS
    )


def pre_tokenizer_of(path: Path, tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name of the pre-tokenizer that tokenizer.json describes. Raises
    UnsupportedFormat for one that is not known."""
    steps = list(_steps(tokenizer.get("pre_tokenizer")))
    splits = [step[1] for step in steps if step[0] == "Split"]
    kinds = [step[0] for step in steps]
    if splits == [_QWEN2]:
        distilled = any(e["content"] == "<｜User｜>" for e in tokenizer.get("added_tokens") or ())
        return "deepseek-r1-qwen" if distilled else "qwen2"
    if splits == [_LLAMA3]:
        return "llama-bpe"
    if splits and splits[0] == r"\p{N}{1,3}" and len(splits) == 3:
        return "deepseek-v3"
    if splits and splits[0] == r"[\r\n]" and "Digits" in kinds:
        if any(split.startswith(r"\s?[A-Za-zµ") for split in splits):
            return "deepseek-llm"
        if r"\s?\p{L}+" in splits:
            return "deepseek-coder"
    if not splits and kinds == ["Digits", "ByteLevel"]:
        return "smollm"
    if not splits and kinds == ["ByteLevel"]:
        return "gpt-2"
    raise UnsupportedFormat(
        path=str(path),
        reason="pre_tokenizer",
        found=json.dumps(tokenizer.get("pre_tokenizer"))[:200],
    )


def _steps(description: Any) -> Iterator[tuple[str, str]]:
    """(type, pattern) of each step of a pre-tokenizer, sequences flattened."""
    if not isinstance(description, dict):
        return
    if description.get("type") == "Sequence":
        for inner in description.get("pretokenizers") or ():
            yield from _steps(inner)
        return
    pattern = description.get("pattern")
    text = str(pattern.get("Regex", "")) if isinstance(pattern, dict) else ""
    # Some files hold line ends as such, others as escapes; they mean the same.
    yield str(description.get("type")), text.replace("\r", r"\r").replace("\n", r"\n")

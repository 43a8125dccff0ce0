"""Byte-level BPE tokenizers: from tokenizer.json to GGUF metadata.

Recognises the pre-tokenizer by its own description and refuses one it does not know: a wrong one
would split text differently and silently degrade a model. Runs no tokenizer.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import gguf

from quant.checkpoint.safetensors import read_json
from quant.checkpoint.tokenizer_json import AddedToken, added_tokens
from quant.errors import CorruptCheckpoint, UnsupportedFormat
from quant.fields import Fields
from quant.json_types import Json

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
    writer: gguf.GGUFWriter, folder: Path, architecture: str, config: Mapping[str, Json]
) -> None:
    """Add tokens, their types, merges, special tokens and the chat template.

    Raises UnsupportedFormat for another kind of tokenizer, CorruptCheckpoint for a broken one.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise UnsupportedFormat(path=str(folder), reason="no_tokenizer")
    tokenizer = _object(path)
    model = tokenizer.get("model") or {}
    if not isinstance(model, dict):
        raise CorruptCheckpoint(path=str(path), reason="no_tokenizer_model")
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback"):
        raise UnsupportedFormat(
            path=str(path), reason="tokenizer_model", found=str(model.get("type", "BPE"))[:40]
        )
    size = Fields(config, str(folder / "config.json")).count("vocab_size")
    tokens, types = _tokens(path, tokenizer, size)
    settings = folder / "tokenizer_config.json"
    prefix = _object(settings).get("add_prefix_space") if settings.is_file() else None
    if architecture == "llama" and prefix is not None:
        writer.add_add_space_prefix(prefix)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer_of(path, tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    gguf.SpecialVocab(folder, load_merges=True).add_to_gguf(writer, quiet=True)
    if architecture == "llama" and size == _GRANITE_VOCABULARY:
        writer.add_add_bos_token(False)


def _object(path: Path) -> dict[str, Json]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise CorruptCheckpoint(path=str(path), reason="not_object")
    return document


def _tokens(path: Path, tokenizer: Mapping[str, Json], size: int) -> tuple[list[str], list[int]]:
    """Token texts and types by id; unused ids are padded up to the embedding table's rows."""
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise CorruptCheckpoint(path=str(path), reason="no_vocabulary")
    added = {token.content: token for token in added_tokens(tokenizer)}
    ids = {**vocabulary, **{text: token.id for text, token in added.items()}}
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
    text: str | None, number: int, added: Mapping[str, AddedToken]
) -> tuple[str, gguf.TokenType]:
    if text is None:
        return f"[PAD{number}]", gguf.TokenType.UNUSED
    if text not in added:
        return text, gguf.TokenType.NORMAL
    if added[text].special or _looks_special(text):
        return text, gguf.TokenType.CONTROL
    return text.replace("\u2581", " "), gguf.TokenType.USER_DEFINED


def _looks_special(text: str) -> bool:
    return text in _CONTROL_WORDS or any(
        text.startswith(first) and text.endswith(last) for first, last in _CONTROL_PAIRS
    )


def pre_tokenizer_of(path: Path, tokenizer: Mapping[str, Json]) -> str:
    """llama.cpp's name of the pre-tokenizer that tokenizer.json describes. Raises
    UnsupportedFormat for one that is not known."""
    steps = list(_steps(tokenizer.get("pre_tokenizer")))
    splits = [step[1] for step in steps if step[0] == "Split"]
    kinds = [step[0] for step in steps]
    if splits == [_QWEN2]:
        distilled = any(token.content == "<｜User｜>" for token in added_tokens(tokenizer))
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


def _steps(description: Json) -> Iterator[tuple[str, str]]:
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

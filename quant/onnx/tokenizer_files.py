"""Tokenizer files of an exported folder: copied from a checkpoint, or rebuilt from GGUF metadata.

Byte-level BPE only: that is what the supported models use. Knows the `tokenizer.json` layout of
Hugging Face's tokenizers; runs no tokenizer.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quant.checkpoint.tokenizer_json import added_tokens
from quant.errors import CorruptCheckpoint, UnsupportedFormat
from quant.fields import Fields
from quant.json_types import Json

CHAT_TEMPLATE = "chat_template.jinja"
_COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    CHAT_TEMPLATE,
)
_LARGEST_ID = 2**31 - 1
_CONTROL, _USER_DEFINED, _UNUSED = 3, 4, 5
_END_OF_TURN = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
)

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# GGUF `tokenizer.ggml.pre` -> (regular expression of the split, "digits" or "gpt2"; normalizer)
_PRE_TOKENIZERS: Mapping[str, tuple[str, str | None]] = {
    "smollm": ("digits", None),
    "gpt-2": ("gpt2", None),
    "default": ("gpt2", None),
    "qwen2": (rf"{_WORDS}|\p{{N}}|{_REST}", "NFC"),
    "deepseek-r1-qwen": (rf"{_WORDS}|\p{{N}}|{_REST}", "NFC"),
    "llama-bpe": (rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}", None),
    "llama3": (rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}", None),
}


_GGML = "tokenizer.ggml."
_GGUF_KEYS = {"chat_template": "tokenizer.chat_template"}


@dataclass(frozen=True)
class TokenizerFacts:
    """What a runner must know beside the files."""

    bos_token_id: int | None
    end_token_ids: tuple[int, ...]


def copy_from_checkpoint(source: Path, target: Path, config: Mapping[str, Json]) -> TokenizerFacts:
    """Copy a Hugging Face checkpoint's tokenizer files; facts from its configuration files."""
    if not (source / "tokenizer.json").is_file():
        raise UnsupportedFormat(path=str(source), reason="no_tokenizer")
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    generation = source / "generation_config.json"
    given = ((generation, _json_or_empty(generation)), (source / "config.json", config))
    ends = [token for path, values in given for token in _token_ids(values, "eos_token_id", path)]
    bos = [token for path, values in given for token in _token_ids(values, "bos_token_id", path)]
    ends += _ends_named(_added_tokens(source / "tokenizer.json"))
    return TokenizerFacts(bos[0] if bos else None, tuple(dict.fromkeys(ends)))


def _token_ids(values: Mapping[str, Json], key: str, path: Path) -> list[int]:
    """The one or several token ids under `key`, none where it is absent or null."""
    value = values.get(key)
    found = value if isinstance(value, list) else [] if value is None else [value]
    ids = [token for token in found if type(token) is int and 0 <= token <= _LARGEST_ID]
    if len(ids) < len(found):
        raise Fields(values, str(path)).wrong(key, "not_token_id")
    return ids


@contextmanager
def _blaming(path: str) -> Iterator[None]:
    """Whatever a value of the wrong kind breaks is the fault of the file at `path`."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        detail = f"{type(error).__name__}: {str(error)[:100]}"
        raise CorruptCheckpoint(path=path, reason="impossible_value", detail=detail) from error


def read_chat_template(folder: Path) -> str | None:
    """The chat template in a folder's tokenizer files, None where there is none.

    A list of named templates yields the one called "default".
    """
    if (folder / CHAT_TEMPLATE).is_file():
        return (folder / CHAT_TEMPLATE).read_text(encoding="utf-8")
    template = _json_or_empty(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        entries = [entry for entry in template if isinstance(entry, dict)]
        named = {str(entry.get("name")): entry.get("template") for entry in entries}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _json_or_empty(path: Path) -> dict[str, Json]:
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptCheckpoint(
            path=str(path), reason="bad_json", detail=str(error)[:120]
        ) from error
    return data if isinstance(data, dict) else {}


def _added_tokens(path: Path) -> dict[str, int]:
    with _blaming(str(path)):
        return {token.content: token.id for token in added_tokens(_json_or_empty(path))}


def _ends_named(tokens: Mapping[str, int]) -> list[int]:
    return [tokens[name] for name in _END_OF_TURN if name in tokens]


def rebuild_from_gguf(metadata: Mapping[str, Json], target: Path, *, path: str) -> TokenizerFacts:
    """Write tokenizer.json, tokenizer_config.json and the chat template from GGUF metadata.

    Raises UnsupportedFormat for a tokenizer that is not byte-level BPE or an unknown
    pre-tokenizer: a wrong split would silently change every prompt. Raises CorruptCheckpoint.
    """
    with _blaming(path):
        return _rebuilt(metadata, target, path)


class _GgufTokenizer(msgspec.Struct, rename=lambda name: _GGUF_KEYS.get(name, _GGML + name)):
    """The metadata of a GGUF file that describe its tokenizer."""

    tokens: list[str]
    token_type: list[int] | None = None
    merges: list[str] = []
    bos_token_id: int | None = None
    eos_token_id: int | None = None
    eot_token_id: int | None = None
    chat_template: str = ""


def _rebuilt(metadata: Mapping[str, Json], target: Path, path: str) -> TokenizerFacts:
    model, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "default")
    if model != "gpt2":
        raise UnsupportedFormat(path=path, reason="tokenizer_model", found=str(model)[:40])
    if pre not in _PRE_TOKENIZERS:
        raise UnsupportedFormat(path=path, reason="pre_tokenizer", found=str(pre)[:40])
    given = msgspec.convert(metadata, _GgufTokenizer)
    tokens = given.tokens
    kinds = given.token_type or [1] * len(tokens)
    added = {
        token: (index, kind == _CONTROL)
        for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind in (_CONTROL, _USER_DEFINED)
    }
    vocab = {
        token: index
        for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind != _UNUSED and token not in added
    }
    document = _tokenizer_json(str(pre), vocab, added, given.merges)
    _dump(target / "tokenizer.json", document)
    bos, eos = given.bos_token_id, given.eos_token_id
    config: dict[str, Json] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": int(1e9),
    }
    for key, token in (("bos_token", bos), ("eos_token", eos)):
        if token is not None:
            config[key] = tokens[token]
    if given.chat_template:
        config["chat_template"] = given.chat_template
        (target / CHAT_TEMPLATE).write_text(given.chat_template, encoding="utf-8")
    _dump(target / "tokenizer_config.json", config)
    ends = [token for token in (eos, given.eot_token_id) if token is not None]
    ends += _ends_named({name: index for name, (index, control) in added.items() if control})
    return TokenizerFacts(bos, tuple(dict.fromkeys(ends)))


def _tokenizer_json(
    pre: str,
    vocab: Mapping[str, int],
    added: Mapping[str, tuple[int, bool]],
    merges: list[str],
) -> dict[str, Json]:
    split, normalizer = _PRE_TOKENIZERS[pre]
    first: dict[str, Json] | None = None
    if split == "digits":
        first = {"type": "Digits", "individual_digits": True}
    elif split != "gpt2":
        first = {
            "type": "Split",
            "pattern": {"Regex": split},
            "behavior": "Isolated",
            "invert": False,
        }
    own_regex = split in ("digits", "gpt2")
    level: dict[str, Json] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": own_regex,
    }
    sequence: dict[str, Json] = {"type": "Sequence", "pretokenizers": [first, level]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": index,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": control,
            }
            for token, (index, control) in added.items()
        ],
        "normalizer": {"type": normalizer} if normalizer else None,
        "pre_tokenizer": level if first is None else sequence,
        "post_processor": None,
        "decoder": {**level, "add_prefix_space": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre in ("llama-bpe", "llama3"),
            "vocab": dict(vocab) | {token: index for token, (index, _) in added.items()},
            "merges": list(merges),
        },
    }


def _dump(path: Path, document: Mapping[str, Json]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")

"""The tokenizer of an ONNX folder: onnxruntime-genai encodes, a table of bytes decodes.

Pieces are raw bytes, often a part of a character, which genai's own decoder hides; so they come
from the vocabulary in `tokenizer.json`. Knows byte-level BPE and SentencePiece-like vocabularies;
no template is rendered here.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from quant.checkpoint.tokenizer_json import added_tokens
from quant.json_types import Json
from quant.onnx.tokenizer_files import read_chat_template
from runtime.backends.onnx.native import genai
from runtime.errors import CorruptFile, TokenizerFailed, UnsupportedModel

if TYPE_CHECKING:
    import onnxruntime_genai

REASONING_TAGS = ("<think>", "</think>")
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_level_table() -> dict[str, int]:
    """Character -> byte of byte-level BPE vocabularies (GPT-2's `bytes_to_unicode`): printable
    bytes stand for themselves, the others are moved past U+0100 in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table |= {chr(0x100 + place): byte for place, byte in enumerate(others)}
    return table


class OnnxTokenizer:
    """Tokenizer of one folder. Special tokens are text only when they are reasoning tags."""

    def __init__(self, folder: Path, end_tokens: Iterable[int], bos: int | None, n_vocab: int):
        path = folder / "tokenizer.json"
        document = _read(path)
        self._native = _open(folder)
        try:
            self._special = _special_tokens(document)
            self._pieces = _pieces(document, self._special)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile(
                path=str(path), reason="impossible_value", detail=f"{type(error).__name__}: {error}"
            ) from error
        self._ends = frozenset(end_tokens)
        self._null = [token for token, piece in self._pieces.items() if piece == b"\0"][:1]
        self.n_vocab = n_vocab
        names = {index: text for text, index in self._special.items()}
        self.bos_text = names.get(bos, "") if bos is not None else ""
        self.eos_text = next((names[end] for end in end_tokens if end in names), "")
        self.chat_template = read_chat_template(folder)
        # Some tokenizer files add BOS by themselves; what they add to nothing is no text.
        self.added = [int(token) for token in self._native.encode("")]
        self._split = _special_pattern(self._special)

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        """Token ids of `text`. Special tokens written in it are cut in two unless asked for."""
        if parse_special or self._split is None:
            return self._encode(text)
        tokens: list[int] = []
        for piece in self._split.split(text):
            if piece in self._special:
                tokens += self._encode(piece[:1]) + self._encode(piece[1:])
            elif piece:
                tokens += self._encode(piece)
        return tokens

    def _encode(self, text: str) -> list[int]:
        """Encode, NUL characters apart: the native call ends a text at the first one."""
        tokens: list[int] = []
        for place, part in enumerate(text.split("\0")):
            tokens += self._null if place else ()
            tokens += self._native_tokens(part) if part else ()
        return tokens

    def _native_tokens(self, text: str) -> list[int]:
        try:
            tokens = [int(token) for token in self._native.encode(text)]
        except RuntimeError as error:
            raise TokenizerFailed(length=len(text)) from error
        added = len(self.added)
        return tokens[added:] if added and tokens[:added] == self.added else tokens

    def piece(self, token: int) -> bytes:
        """The bytes of a token; none for control tokens and ids beyond the vocabulary."""
        return self._pieces.get(token, b"")

    def is_end(self, token: int) -> bool:
        return token in self._ends


def _open(folder: Path) -> "onnxruntime_genai.Tokenizer":
    """genai's tokenizer. It reads two files and does not always say which one it refuses."""
    settings = folder / "tokenizer_config.json"
    _object(settings)
    try:
        return genai().Tokenizer(str(folder))
    except RuntimeError as error:
        detail = str(error)
        if "tokenizer class" in detail:
            raise UnsupportedModel(path=str(settings), reason="refused", detail=detail) from error
        raise CorruptFile(
            path=str(folder / "tokenizer.json"), reason="refused", detail=detail
        ) from error


def _read(path: Path) -> dict[str, Json]:
    document = _object(path)
    if not isinstance(document.get("model"), dict):
        raise CorruptFile(path=str(path), reason="no_tokenizer_model")
    return document


def _object(path: Path) -> dict[str, Json]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptFile(path=str(path), reason="unreadable", detail=str(error)) from error
    if not isinstance(document, dict):
        raise CorruptFile(path=str(path), reason="not_object")
    return document


def _special_tokens(document: dict[str, Json]) -> dict[str, int]:
    """Added tokens: text -> id."""
    return {token.content: token.id for token in added_tokens(document)}


def _special_pattern(special: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted(special, key=len, reverse=True)
    if not longest_first:
        return None
    return re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")


class _Model(msgspec.Struct):
    """Token -> id of byte-level BPE, or (token, score) by id of SentencePiece."""

    vocab: dict[str, int] | list[tuple[str, float]] = {}


def _pieces(document: dict[str, Json], special: dict[str, int]) -> dict[int, bytes]:
    vocab = msgspec.convert(document["model"], _Model).vocab
    entries: Sequence[tuple[str, int]] = (
        list(vocab.items())
        if isinstance(vocab, dict)
        else [(text, index) for index, (text, _score) in enumerate(vocab)]
    )
    if not entries:
        raise ValueError("its vocabulary is empty")
    decode = _byte_level_piece if _is_byte_level(document) else _sentencepiece_piece
    pieces = {index: decode(text) for text, index in entries}
    control = {token.content for token in added_tokens(document) if token.special}
    for text, index in special.items():
        shown = text not in control or text in REASONING_TAGS
        pieces[index] = text.encode("utf-8") if shown else b""
    return pieces


def _is_byte_level(document: dict[str, Json]) -> bool:
    return '"ByteLevel"' in json.dumps(document.get("decoder")) + json.dumps(
        document.get("pre_tokenizer")
    )


_BYTES = byte_level_table()


def _byte_level_piece(text: str) -> bytes:
    if all(char in _BYTES for char in text):
        return bytes(_BYTES[char] for char in text)
    return text.encode("utf-8")


def _sentencepiece_piece(text: str) -> bytes:
    match = _BYTE_TOKEN.fullmatch(text)
    if match:
        return bytes([int(match[1], 16)])
    return text.replace("\u2581", " ").encode("utf-8")

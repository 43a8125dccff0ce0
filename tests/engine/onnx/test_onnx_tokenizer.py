"""The tokenizer of an ONNX folder against llama.cpp's, and its pieces against the text itself."""

import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llama_cpp
import pytest

from quant.checkpoint.gguf_header import read_header
from quant.checkpoint.sources import open_source
from quant.errors import UnsupportedFormat
from quant.onnx.tokenizer_files import rebuild_from_gguf
from runtime.backends.onnx.tokenizer import OnnxTokenizer
from runtime.errors import CorruptFile
from tests.helpers import tiny_checkpoints

HARD = (
    "Hello, world!",
    "  two  spaces\n\n\tand a tab ",
    "数学 1234567.89 — naïve café",
    "🙂👩‍👩‍👧‍👦 emoji",
    "def f(x):\n    return x**2  # 平方\n",
    "I'll we've they'd I'LL",
    "\r\n\r\n  x",
    "한국어 텍스트 Straße",
    "<|im_start|>user\nhi<|im_end|>\n",
    "<｜User｜>hi<｜Assistant｜><think>\nok</think>",
)


DATA = Path(__file__).parents[2] / "data"
# What llama.cpp makes of each text of HARD with the vocabulary of DeepSeek-R1-Distill-Qwen-7B
# (`llama_cpp.Llama(GGUF, vocab_only=True).tokenize(TEXT, add_bos=False, special=True)`).
DISTILL_TOKENS = json.loads((DATA / "onnx" / "distill_tokens.json").read_text(encoding="utf-8"))


def write_genai_config(folder: Path) -> None:
    """The least that genai's tokenizer asks for beside the tokenizer files."""
    config = {"model": {"type": "llama", "vocab_size": 10, "context_length": 64, "decoder": {}}}
    (folder / "genai_config.json").write_text(json.dumps(config))


def rebuilt(metadata: Mapping[str, Any], folder: Path) -> OnnxTokenizer:
    write_genai_config(folder)
    facts = rebuild_from_gguf(metadata, folder, path="model.gguf")
    n_vocab = len(metadata["tokenizer.ggml.tokens"])
    return OnnxTokenizer(folder, facts.end_token_ids, facts.bos_token_id, n_vocab)


@pytest.fixture(scope="module")
def starter(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> OnnxTokenizer:
    return rebuilt(open_source(starter_gguf).metadata, tmp_path_factory.mktemp("starter"))


def test_the_starter_s_tokens_equal_llama_cpp_s(starter: OnnxTokenizer, starter_gguf: Path) -> None:
    reference = llama_cpp.Llama(str(starter_gguf), vocab_only=True, verbose=False)
    for text in HARD:
        wanted = reference.tokenize(text.encode(), add_bos=False, special=True)
        assert starter.encode(text, parse_special=True) == wanted, text


def test_the_distills_tokens_equal_llama_cpp_s(tmp_path: Path) -> None:
    """The real tokenizer of DeepSeek-R1-Distill-Qwen, 152k entries."""
    packed = DATA / "deepseek-r1-distill-qwen-7b-q4_k_m.header.gguf.xz"
    header = read_header(lzma.decompress(packed.read_bytes()))
    tokenizer = rebuilt(header.metadata, tmp_path)
    for text, wanted in zip(HARD, DISTILL_TOKENS, strict=True):
        assert tokenizer.encode(text, parse_special=True) == wanted, text
    assert (tokenizer.bos_text, tokenizer.eos_text) == (
        "<｜begin▁of▁sentence｜>",
        "<｜end▁of▁sentence｜>",
    )
    (think,) = tokenizer.encode("<think>", parse_special=True)
    assert tokenizer.piece(think) == b"<think>"
    assert tokenizer.chat_template is not None


@pytest.mark.parametrize("text", [*HARD[:8], "\x00\x07 control \x00", "\x00"])
def test_pieces_are_the_bytes_of_the_text(starter: OnnxTokenizer, text: str) -> None:
    tokens = starter.encode(text, parse_special=True)
    assert b"".join(map(starter.piece, tokens)) == text.encode()


def test_special_tokens_in_a_text_are_text(starter: OnnxTokenizer) -> None:
    text = "a<|im_end|>b<|im_start|>"
    plain = starter.encode(text, parse_special=False)
    assert not any(map(starter.is_end, plain))
    assert b"".join(map(starter.piece, plain)) == text.encode()
    assert any(map(starter.is_end, starter.encode(text, parse_special=True)))


def test_a_checkpoint_s_own_files_are_understood(tmp_path: Path) -> None:
    tiny_checkpoints.write_tokenizer(tmp_path)
    write_genai_config(tmp_path)
    tokenizer = OnnxTokenizer(tmp_path, (tiny_checkpoints.END_OF_TURN,), 258, 288)
    assert tokenizer.chat_template == tiny_checkpoints.TEMPLATE
    assert tokenizer.is_end(tiny_checkpoints.END_OF_TURN)
    assert (tokenizer.bos_text, tokenizer.eos_text) == ("<|endoftext|>", "<|im_end|>")
    assert tokenizer.piece(tiny_checkpoints.END_OF_TURN) == b""
    assert tokenizer.piece(259) == b"<think>"
    assert tokenizer.piece(287) == b""  # beyond the vocabulary, within the padded table


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 3}'])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, text: str) -> None:
    tiny_checkpoints.write_tokenizer(tmp_path)
    write_genai_config(tmp_path)
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CorruptFile) as caught:
        OnnxTokenizer(tmp_path, (0,), None, 288)
    assert caught.value.facts["path"] == str(tmp_path / "tokenizer.json")


@pytest.mark.parametrize(
    "change", [{"tokenizer.ggml.model": "llama"}, {"tokenizer.ggml.pre": "some-new-split"}]
)
def test_a_tokenizer_we_cannot_rebuild_is_refused(
    starter_gguf: Path, tmp_path: Path, change: dict[str, str]
) -> None:
    """A wrong split would silently change every prompt."""
    metadata = {**open_source(starter_gguf).metadata, **change}
    with pytest.raises(UnsupportedFormat):
        rebuild_from_gguf(metadata, tmp_path, path="model.gguf")
    assert list(tmp_path.iterdir()) == []

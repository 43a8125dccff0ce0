"""A GGUF file's tokenizer through llama.cpp: text to ids, ids to bytes.

Knows vocabulary calls only; bytes become text in the token loop.
"""

import ctypes

from runtime.backends.llama.binding import native
from runtime.errors import TokenizerFailed

_PIECE_BYTES = 256
REASONING_TAGS = ("<think>", "</think>")


class LlamaTokenizer:
    """Tokenizer of a loaded model. `piece` is cached: it is called for every token shown."""

    def __init__(self, model: native.llama_model_p, vocab: native.llama_vocab_p) -> None:
        self._vocab = vocab
        self.n_vocab = int(native.llama_vocab_n_tokens(vocab))
        self.bos_text = self._token_text(native.llama_vocab_bos(vocab))
        self.eos_text = self._token_text(native.llama_vocab_eos(vocab))
        template = native.llama_model_chat_template(model, None)
        adds_bos = native.llama_vocab_get_add_bos(vocab)
        # what a text begins with that no template wrote
        self.text_prefix = (int(native.llama_vocab_bos(vocab)),) if adds_bos else ()
        self.chat_template = template.decode("utf-8", "replace") if template else None
        self._pieces: dict[int, bytes] = {}
        self._buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        self._shown_tags = {
            ids[0]
            for tag in REASONING_TAGS
            if len(ids := self.encode(tag, parse_special=True)) == 1
        }

    def encode(self, text: str, *, parse_special: bool) -> list[int]:
        raw = text.encode("utf-8")
        size = len(raw) + 8
        tokens = (ctypes.c_int32 * size)()
        count = native.llama_tokenize(
            self._vocab, raw, len(raw), tokens, size, False, parse_special
        )
        if count < 0:
            raise TokenizerFailed(length=len(raw))
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        cached = self._pieces.get(token)
        if cached is None:
            special = token in self._shown_tags
            cached = self._pieces[token] = self._native_piece(token, special)
        return cached

    def is_end(self, token: int) -> bool:
        return bool(native.llama_vocab_is_eog(self._vocab, token))

    def _native_piece(self, token: int, special: bool) -> bytes:
        length = native.llama_token_to_piece(
            self._vocab, token, self._buffer, _PIECE_BYTES, 0, special
        )
        if length >= 0:
            return self._buffer.raw[:length]
        buffer = ctypes.create_string_buffer(-length)
        native.llama_token_to_piece(self._vocab, token, buffer, -length, 0, special)
        return buffer.raw

    def _token_text(self, token: int) -> str:
        if token < 0:
            return ""
        text = native.llama_vocab_get_text(self._vocab, token)
        return text.decode("utf-8", "replace") if text else ""

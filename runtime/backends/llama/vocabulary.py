"""A GGUF file's vocabulary as llama.cpp reads it, to tell whether one model can draft for another.

Only tokens that mean something count: the sizes of embedding tables are rounded up, and differently
for sizes of one family (151,936 and 152,064 rows for the same 151,665 tokens of the R1 distills of
Qwen). Converters fill up with tokens of the type "unused". Imports the native library, so job
processes only. Loads no weights.
"""

import ctypes

from runtime.answer.speculation import Vocabulary, vocabulary_mismatch
from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native
from runtime.errors import CorruptFile
from runtime.process.job_values import VocabulariesAnswer, VocabulariesArgs
from runtime.progress import OnProgress

_VALUE_BYTES = 256
_KIND_KEYS = (b"tokenizer.ggml.model", b"tokenizer.ggml.pre")


def read_vocabulary(path: str) -> Vocabulary:
    """The vocabulary of a file without its padding at the end. Raises CorruptFile."""
    log = llama_native.NativeLog()
    llama_native.start_engine()
    params = native.llama_model_default_params()
    params.vocab_only = True
    model = native.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise CorruptFile(path=path, reason="refused", detail=" ".join(log.errors[-1:]) or None)
    vocab = native.llama_model_get_vocab(model)
    size = int(native.llama_vocab_n_tokens(vocab))
    while size and native.llama_vocab_get_attr(vocab, size - 1) & native.LLAMA_TOKEN_ATTR_UNUSED:
        size -= 1
    texts = (native.llama_vocab_get_text(vocab, token) or b"" for token in range(size))
    found = Vocabulary(
        kind="/".join(_metadata(model, key) for key in _KIND_KEYS),
        size=size,
        bos=int(native.llama_vocab_bos(vocab)),
        eos=int(native.llama_vocab_eos(vocab)),
        tokens=tuple(text.decode("utf-8", "replace") for text in texts),
    )
    native.llama_model_free(model)
    return found


def _metadata(model: native.llama_model_p, key: bytes) -> str:
    buffer = ctypes.create_string_buffer(_VALUE_BYTES)
    native.llama_model_meta_val_str(model, key, buffer, _VALUE_BYTES)
    return buffer.value.decode("utf-8", "replace")


def compare_vocabularies_job(
    args: VocabulariesArgs, _on_progress: OnProgress
) -> VocabulariesAnswer:
    """Whether one model can draft for the other. Raises CorruptFile."""
    target, draft = read_vocabulary(str(args.target)), read_vocabulary(str(args.draft))
    return VocabulariesAnswer(vocabulary_mismatch(target, draft))

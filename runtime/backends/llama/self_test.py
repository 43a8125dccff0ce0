"""Whether one of the engine's CPU libraries works here: its own score, and a token evaluated.

Imports the native library, so job processes only. The model is made on the spot: one block of
random weights in the usual formats, so nothing need be installed.
"""

import ctypes
import math
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf.constants import GGUFValueType

from quant.blocks.blockwise import round_q4_0, round_q8_0
from quant.gguf.writer import GgufValue, TensorSlot, write_gguf
from runtime.backends.llama import native as llama_native
from runtime.backends.llama.binding import native
from runtime.errors import BackendUnavailable, CorruptFile, EvaluationFailed
from runtime.process.cpu_library import VARIABLE
from runtime.process.job_values import (
    LibrariesAnswer,
    LibrariesArgs,
    LibraryAnswer,
    LibraryArgs,
)
from runtime.progress import OnProgress

_WIDTH, _HEADS, _VOCABULARY = 256, 4, 256
_PROMPT_TOKENS = 32  # enough for the kernels of many rows; the token after it takes those of one


def score_cpu_libraries_job(args: LibrariesArgs, _on_progress: OnProgress) -> LibrariesAnswer:
    """The engine's own score of each library."""
    return LibrariesAnswer({path: _score(path) for path in args.libraries})


def _score(path: str) -> int:
    try:
        return int(ctypes.CDLL(path).ggml_backend_score())
    except (OSError, AttributeError):  # not loadable, or no library of this kind
        return 0


def check_cpu_library_job(args: LibraryArgs, _on_progress: OnProgress) -> LibraryAnswer:
    """Evaluate a prompt and a token with a library.

    Raises BackendUnavailable when the library does not register, EvaluationFailed when the numbers
    it gives are not finite.
    """
    os.environ[VARIABLE] = args.library
    llama_native.start_engine()
    with tempfile.TemporaryDirectory(prefix="stillroom-selftest-") as folder:
        path = Path(folder) / "selftest.gguf"
        write_gguf(path, _metadata(), _slots(), lambda slot: [_weights(slot)])
        model = _load(str(path))
    return LibraryAnswer(_evaluate(model))  # may end the process: the file is deleted before


def _load(path: str) -> native.llama_model_p:
    params = native.llama_model_default_params()
    params.use_mmap = False
    model = native.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise CorruptFile(path=path, reason="refused")
    return model


def _evaluate(model: native.llama_model_p) -> int:
    params = native.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 2 * _PROMPT_TOKENS
    context = native.llama_init_from_model(model, params)
    if not context:
        raise BackendUnavailable(backend="llamacpp", reason="no_context")
    token = 0
    for tokens in (list(range(_PROMPT_TOKENS)), [token]):
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        code = native.llama_decode(context, native.llama_batch_get_one(array, len(tokens)))
        logits = native.llama_get_logits(context)[:_VOCABULARY] if code == 0 else [math.nan]
        if not all(map(math.isfinite, logits)):
            raise EvaluationFailed(code=code, tokens=len(tokens), log="")
        token = int(np.argmax(logits))
    native.llama_free(context)
    native.llama_model_free(model)
    return token


def _metadata() -> dict[str, GgufValue]:
    counts = {
        "context_length": 2 * _PROMPT_TOKENS, "embedding_length": _WIDTH, "block_count": 1,
        "feed_forward_length": _WIDTH, "attention.head_count": _HEADS, "vocab_size": _VOCABULARY,
        "rope.dimension_count": _WIDTH // _HEADS,
    }  # fmt: skip
    values = {f"llama.{key}": GgufValue(GGUFValueType.UINT32, n) for key, n in counts.items()}
    epsilon = GgufValue(GGUFValueType.FLOAT32, 1e-5)
    return {
        "general.architecture": GgufValue(GGUFValueType.STRING, "llama"),
        "tokenizer.ggml.model": GgufValue(GGUFValueType.STRING, "none"),
        "llama.attention.layer_norm_rms_epsilon": epsilon,
        **values,
    }


def _slots() -> list[TensorSlot]:
    square = (_WIDTH, _WIDTH)
    parts = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    norms = ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm")
    return [
        *(TensorSlot(f"{name}.weight", square, "Q8_0") for name in ("token_embd", "output")),
        *(TensorSlot(f"blk.0.{part}.weight", square, "Q4_0") for part in parts),
        *(TensorSlot(f"{name}.weight", (_WIDTH,), "F32") for name in norms),
    ]


def _weights(slot: TensorSlot) -> npt.NDArray[np.generic]:
    if slot.format == "F32":
        return np.ones(slot.shape, np.float32)
    rows = np.random.default_rng(0).standard_normal(slot.shape, np.float32) / np.float32(16)
    return round_q4_0(rows) if slot.format == "Q4_0" else round_q8_0(rows)

"""Logits of whole texts from an exported ONNX folder, for quality reports.

Knows the stages; `runtime.tasks.evaluation` opens it. Job processes only.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.backends.onnx.bodies import DynamicBody
from runtime.backends.onnx.native import run_options
from runtime.backends.onnx.session import cpu_session
from runtime.backends.onnx.tokenizer import OnnxTokenizer
from runtime.errors import ContextOverflow
from runtime.model.onnx_folder import OnnxFolder, open_folder
from runtime.progress import CancelToken, ignore_progress

F32 = npt.NDArray[np.float32]

_ROWS = 128  # positions evaluated at once, logits kept of them: 78 MB at a vocabulary of 152k


class OnnxEvaluator:
    """An exported folder on the CPU, scoring windows that each begin with an empty cache."""

    def __init__(self, folder: OnnxFolder, threads: int, context: int) -> None:
        manifest = folder.manifest
        self._spec, self._context = manifest.spec, context
        self.n_vocab = manifest.spec.vocab_size
        self._embeddings = cpu_session(folder.path / manifest.embeddings, 1)
        self._lm_head = cpu_session(folder.path / manifest.lm_head, threads)
        session = cpu_session(folder.path / manifest.body, threads)
        self._body: DynamicBody | None = DynamicBody(session, manifest.spec, context)
        ends, bos = manifest.end_token_ids, manifest.bos_token_id
        self._tokenizer = OnnxTokenizer(folder.path, ends, bos, self.n_vocab)

    def tokenize(self, text: str) -> list[int]:
        """Token ids of a text, special tokens as plain text, BOS where the tokenizer adds one."""
        return [*self._tokenizer.added, *self._tokenizer.encode(text, parse_special=False)]

    def logits(self, tokens: Sequence[int], first: int) -> Iterator[F32]:
        """Logits after each of tokens[first:] as blocks [n, n_vocab]. Raises ContextOverflow."""
        assert self._body is not None
        if len(tokens) > self._context:
            raise ContextOverflow(n_tokens=len(tokens), n_ctx=self._context)
        for start in range(0, len(tokens), _ROWS):
            ids = np.asarray(tokens[start : start + _ROWS], np.int64)[None]
            embeds = self._embeddings.run(None, {"input_ids": ids})[0]
            hidden = self._body.evaluate(embeds, start, run_options())
            wanted = hidden[0, max(0, first - start) :]
            if len(wanted):
                # The head projects the last position of each sequence: one sequence per row.
                rows = self._lm_head.run(None, {"hidden_states": wanted[:, None]})[0]
                yield rows[:, 0]

    def close(self) -> None:
        self._body = self._lm_head = self._embeddings = None


def open_evaluator(path: Path, threads: int, context: int) -> OnnxEvaluator:
    """Verify and open a folder for windows of up to `context` tokens. Raises EngineError."""
    folder = open_folder(path)
    if context > folder.manifest.rope_context:
        raise ContextOverflow(n_tokens=context, n_ctx=folder.manifest.rope_context)
    folder.verify(ignore_progress, CancelToken())
    return OnnxEvaluator(folder, threads, context)

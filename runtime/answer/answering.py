"""One answer at a time from a loaded model: prompt, token loop, stream, stats.

Combines the engine-free parts around one Backend inside the worker. Knows no pipe and no process.
"""

from pathlib import Path

from runtime.answer.decoding import LoopLimits, TokenLoop
from runtime.answer.kv_state import SavedState, SavingBackend, StateFolder
from runtime.answer.streaming import AnswerStream, OnChunks, stats_of
from runtime.backend import Backend, ThreadedBackend
from runtime.errors import InvalidRequest
from runtime.generation import GenerationRequest, GenerationStats
from runtime.progress import CancelToken, OnProgress
from runtime.prompt.chat_profile import ChatProfile
from runtime.prompt.prompting import Prompter


class Answerer:
    """Answers requests with one loaded model, keeping its cache between them."""

    def __init__(self, backend: Backend, n_ctx: int) -> None:
        self._backend = backend
        self._loop = TokenLoop(backend)
        self._n_ctx = n_ctx
        self._prompter = Prompter(backend.tokenizer)

    def count(self, request: GenerationRequest, profile: ChatProfile | None) -> int:
        """Prompt tokens of a request."""
        chosen = self._prompter.profile(request, profile)
        return len(self._prompter.tokens(self._prompter.prepare(request, chosen)))

    def answer(
        self,
        request: GenerationRequest,
        profile: ChatProfile | None,
        on_chunks: OnChunks,
        on_progress: OnProgress,
        cancel: CancelToken,
    ) -> GenerationStats:
        """Generate one answer.

        Raises InvalidRequest, ContextOverflow, TemplateFailed, Cancelled (in prefill).
        """
        if request.grammar or request.logprobs is not None:
            field = "grammar" if request.grammar else "logprobs"
            raise InvalidRequest(field=field, reason="not_offered")
        chosen = self._prompter.profile(request, profile)
        prompt = self._prompter.prepare(request, chosen)
        stream = AnswerStream(request, chosen, prompt, on_chunks)
        limits = LoopLimits.of(request, self._n_ctx)
        outcome = self._loop.generate(
            self._prompter.tokens(prompt),
            request.sampling,
            limits,
            stream.take,
            on_progress,
            cancel,
        )
        stream.finish()
        backend = self._backend
        threads = backend.mean_threads() if isinstance(backend, ThreadedBackend) else 0.0
        return stats_of(request.id, outcome, stream, backend.stage_seconds(), threads)

    def save_state(self, folder: StateFolder, name: str, key: str) -> SavedState | None:
        """Save the cache to disk; None when there is none or saving failed."""
        backend, cached = self._backend, self._loop.cached

        def write(path: Path) -> int:
            assert isinstance(backend, SavingBackend)
            if not backend.save_state(path, cached):
                raise OSError("the engine could not write its state")
            return len(cached)

        if not cached or not isinstance(backend, SavingBackend):
            return None
        return folder.save(name, key, write)

    def restore_state(self, folder: StateFolder, name: str, key: str) -> int:
        """Replace the cache by a saved one; returns its tokens, 0 when none can be used."""
        backend, loop = self._backend, self._loop

        def read(path: Path) -> int:
            assert isinstance(backend, SavingBackend)
            loop.cached = backend.load_state(path)
            return len(loop.cached)

        if not isinstance(backend, SavingBackend):
            return 0
        return folder.load(name, key, read)

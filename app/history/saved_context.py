"""Keeps the KV state of conversations: saved when one is left, restored when it is entered again.

Knows which conversation the worker's cache belongs to and what a state depends on. Losing a state
costs time, never an answer: every failure here means that the prompt is evaluated again.
"""

import logging
from pathlib import Path

from runtime.answer.kv_state import StateFolder, settings_key, state_name
from runtime.backend import LoadReport
from runtime.errors import EngineError
from runtime.generation import GenerationStats
from runtime.plan import Placement
from runtime.process.client import Worker

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 4_000_000_000  # bytes of all states together
WORTH_SAVING = 256  # tokens; fewer are faster to evaluate again than to read


def context_key(model: str, placement: Placement, report: LoadReport) -> str:
    """What a state depends on: the model's identity (SHA-256, or path and time of a file), the
    engine's build and the layout of the KV cache."""
    return settings_key(
        {
            "model": model,
            "engine": report.engine,
            "version": report.engine_version,
            "kv": (placement.kv_type_k, placement.kv_type_v, placement.flash_attention),
        }
    )


class SavedContexts:
    """The states in one folder and the conversation that is in the worker now.

    Not thread-safe: the session calls it while it holds the worker.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._conversation: str | None = None
        self._tokens = 0
        self._saved = 0

    def enter(self, worker: Worker, key: str, conversation: str | None) -> None:
        """Restore the cache of `conversation` into the worker, where it was saved."""
        if conversation == self._conversation:
            return
        self.leave(worker, key)
        self._conversation = conversation
        if conversation is None:
            return
        try:
            name = state_name(conversation)
            self._tokens = self._saved = worker.restore_state(self._folder, name, key)
        except EngineError:
            logger.exception("a saved context could not be restored")

    def record_growth(self, stats: GenerationStats) -> None:
        """Take note of what an answer added to the cache."""
        self._tokens = stats.prompt_tokens + stats.generated_tokens

    def leave(self, worker: Worker, key: str) -> None:
        """Save the state of the conversation that is in the worker, if it is worth it."""
        conversation, tokens, saved = self._conversation, self._tokens, self._saved
        self.forget()
        if conversation is None or tokens < WORTH_SAVING or tokens == saved or not worker.alive:
            return
        try:
            worker.save_state(self._folder, state_name(conversation), key, self._limit)
        except EngineError:
            logger.exception("a context could not be saved")

    def remove(self, conversation: str) -> None:
        """Delete the saved state of a conversation: it contains the conversation's text."""
        StateFolder(self._folder, self._limit).forget(state_name(conversation))
        if conversation == self._conversation:
            self.forget()

    def forget(self) -> None:
        """The worker's cache is gone or belongs to no conversation."""
        self._conversation, self._tokens, self._saved = None, 0, 0

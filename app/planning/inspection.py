"""What a model's header says, read once per file by a child process, and what a planner needs.

Keeps what it read while the file stays as it is. Plans nothing.
"""

import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from app.library.catalog import CatalogEntry
from runtime.model.info import ModelInfo
from runtime.plan import PlanModel, Reason
from runtime.process.client import run_job
from runtime.process.job_table import COMPARE_VOCABULARIES, INSPECT
from runtime.process.job_values import InspectArgs, VocabulariesArgs
from runtime.prompt.chat_profile import thinks
from runtime.shape import weight_bytes

DEFAULT_FORMAT = "Q4_0"  # assumed for a catalog entry that is not installed


_Stamp = tuple[str, float, int]


class Inspection:
    """Headers of local files, for any thread. `log` gives the log file of the child."""

    def __init__(self, log: Callable[[], Path]) -> None:
        self.log = log
        self._known: dict[_Stamp, ModelInfo] = {}
        self._reading: defaultdict[_Stamp, threading.Lock] = defaultdict(threading.Lock)
        self._compared: dict[tuple[_Stamp, _Stamp], Reason | None] = {}

    def inspect(self, path: Path) -> ModelInfo:
        """Header facts of a file or folder. Raises ModelFileError or a related error."""
        key = _stamp(path)
        with self._reading[key]:  # the window asks for a plan and for a list at once
            if key not in self._known:
                args = InspectArgs(path)
                self._known[key] = run_job(INSPECT, args, log=self.log(), stall_seconds=30)
            return self._known[key]

    def vocabulary_mismatch(self, target: Path, draft: Path) -> Reason | None:
        """Why the GGUF file `draft` cannot draft for `target`; None when it can."""
        key = (_stamp(target), _stamp(draft))
        if key not in self._compared:
            files = VocabulariesArgs(target, draft)
            answer = run_job(COMPARE_VOCABULARIES, files, log=self.log(), stall_seconds=60)
            self._compared[key] = answer.mismatch
        return self._compared[key]


def _stamp(path: Path) -> _Stamp:
    """Identifies a file's current content: it changes when the file does."""
    stat = path.stat() if path.exists() else None
    return (str(path), stat.st_mtime if stat else 0.0, stat.st_size if stat else 0)


def plan_model(info: ModelInfo, entry: CatalogEntry | None) -> PlanModel:
    """What the planner must know of a model whose header was read."""
    return PlanModel(
        shape=info.shape,
        weights=info.weights,
        formats=(info.format,),
        block_format=_main_format(info),
        reasoning=entry.chat.kind == "reasoning" if entry else thinks(info.chat_template),
        context_limit=info.context_limit,
        compiled_contexts=info.compiled_contexts,
    )


def catalog_model(entry: CatalogEntry) -> PlanModel:
    """The same for a catalog entry that is not installed: sizes follow from its shape."""
    return PlanModel(
        shape=entry.shape,
        weights=weight_bytes(entry.shape, DEFAULT_FORMAT),
        block_format=DEFAULT_FORMAT,
        reasoning=entry.chat.kind == "reasoning",
        exact_weights=False,
    )


def _main_format(info: ModelInfo) -> str:
    """The format most of the weights are in."""
    sizes: dict[str, int] = {}
    for tensor in info.tensors:
        sizes[tensor.format] = sizes.get(tensor.format, 0) + tensor.nbytes
    return max(sizes, key=lambda name: sizes[name], default="")

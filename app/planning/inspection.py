"""What a model's header says, read once per file by a child process, and what a planner needs.

Keeps what it read while the file stays as it is. Plans nothing.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from app.library.catalog import CatalogEntry
from app.quantizing.forecast import planned
from quant.recipe import RECIPES, QuantRecipe
from runtime.errors import EngineError
from runtime.model.info import ModelInfo
from runtime.plan import PlanModel, Reason
from runtime.planning.format_choice import PEERS_DEFAULT
from runtime.process.client import run_job
from runtime.process.job_table import COMPARE_VOCABULARIES, INSPECT, INSPECT_CHECKPOINT
from runtime.process.job_values import CheckpointArgs, InspectArgs, VocabulariesArgs
from runtime.prompt.chat_profile import thinks
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

PEERS_RECIPE = RECIPES[PEERS_DEFAULT.lower()]
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

    def inspect_source(self, path: Path) -> ModelInfo | None:
        """Header facts of a file or folder that may be full-precision weights; None where they
        cannot be read, which is reported when it is converted."""
        try:
            if not any(path.glob("*.safetensors")):
                return self.inspect(path)
            args = CheckpointArgs(path, path.name)
            return run_job(INSPECT_CHECKPOINT, args, log=self.log(), stall_seconds=30)
        except EngineError as error:
            logger.info("no shape to choose a recipe by: %s", summary_of(error))
            return None

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


def catalog_model(entry: CatalogEntry, recipe: QuantRecipe = PEERS_RECIPE) -> PlanModel:
    """The same for a catalog entry that is not installed: sizes follow from its shape and the
    recipe that makes such a file, by default that of the peers' default."""
    return planned(entry.shape, recipe, reasoning=entry.chat.kind == "reasoning")


def _main_format(info: ModelInfo) -> str:
    """The format most of the weights are in."""
    sizes: dict[str, int] = {}
    for tensor in info.tensors:
        sizes[tensor.format] = sizes.get(tensor.format, 0) + tensor.nbytes
    return max(sizes, key=lambda name: sizes[name], default="")

"""Which of the engine's CPU libraries runs on this processor.

An engine for other people's machines carries one library per processor generation. It picks the
one with the highest score among those the processor's features allow, and that one can still crash
(ggml-org/llama.cpp #26954). Here they are tried in the same order, each in a child process that
evaluates a token; the first that survives is used, and the result is stored until the processor
or the engine changes. Imports no engine. Children learn the choice from the environment.
"""

import importlib.util
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from quant.files import write_json_atomically
from runtime.errors import BackendUnavailable, EngineError, WorkerDied
from runtime.plan import Reason
from runtime.process.client import run_job
from runtime.process.job import Answer, Args, Job
from runtime.process.job_table import CHECK_CPU_LIBRARY, SCORE_CPU_LIBRARIES
from runtime.process.job_values import LibrariesArgs, LibraryArgs
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

VARIABLE = "STILLROOM_CPU_LIBRARY"  # path of the chosen library, for workers and jobs
_PATTERN = {"win32": "ggml-cpu-*.dll", "darwin": "libggml-cpu-*.*"}
_ILLEGAL = ("SIGILL", "illegal instruction")  # as `runtime.process.exit` names it
UNSUPPORTED = "unsupported"
_STALL_SECONDS = 60.0


@dataclass(frozen=True)
class CpuChoice:
    """The library to use, "" where the engine has only the one it was compiled with.

    reason.code: "cpu_library_own", "cpu_library_best", "cpu_library_next" (better ones failed) or
    "cpu_library_none" (all failed). `refused` maps file names to "unsupported" (by the processor),
    the signal or status that ended a self-test, or the type of its error.
    """

    library: str
    reason: Reason
    refused: dict[str, str] = field(default_factory=dict)


def engine_folder() -> Path | None:
    """Where the engine's libraries are, found without importing it; None without an engine.
    LLAMA_CPP_LIB_PATH is the binding's own way to name another place."""
    if os.environ.get("LLAMA_CPP_LIB_PATH"):
        return Path(os.environ["LLAMA_CPP_LIB_PATH"])
    try:
        spec = importlib.util.find_spec("llama_cpp")
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) / "lib" if places else None


def cpu_libraries(folder: Path | None = None) -> tuple[Path, ...]:
    """The libraries to choose from, by name; none where the engine was compiled for this machine.

    folder: where to look instead of the installed engine's own folder.
    """
    folder = folder or engine_folder()
    pattern = _PATTERN.get(sys.platform, "libggml-cpu-*.so")
    return tuple(sorted(folder.glob(pattern))) if folder else ()


def choice_key(libraries: Sequence[Path], processor: str) -> str:
    """What a choice holds for: this processor and this build of these libraries."""
    files = (f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in libraries)
    return "; ".join((processor, *files))


class CpuChoiceFile:
    """Remembers the last choice and what it held for. A damaged file counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str, libraries: Sequence[Path]) -> CpuChoice | None:
        """The choice made for `key`, among `libraries` where they lie now."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            choice = data["choice"]
            reason = Reason(str(choice["reason"]["code"]), dict(choice["reason"]["facts"]))
            refused = {str(name): str(why) for name, why in choice["refused"].items()}
            name = Path(choice["library"]).name
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if data["key"] != key:
            return None
        library = next((str(path) for path in libraries if path.name == name), "")
        return CpuChoice(library, reason, refused)

    def put(self, key: str, choice: CpuChoice) -> None:
        """Keep a choice in place of the one before, whole or not at all: if it cannot be written,
        it is made again the next time."""
        data = {"key": key, "choice": asdict(choice)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json_atomically(self._path, data, durable=False)
        except OSError as error:
            logger.warning("the choice of a CPU library is not kept: %s", summary_of(error))


def choose_cpu_library(
    libraries: Sequence[Path], file: CpuChoiceFile, processor: str, log: Path | None = None
) -> CpuChoice:
    """The remembered choice, else the best library that passes a self-test.

    processor: names this machine's processor; log: log file of the children. Takes about a
    second for each library tried, and no time once remembered.
    """
    if not libraries:
        return CpuChoice("", Reason("cpu_library_own"))
    key = choice_key(libraries, processor)
    choice = file.get(key, libraries)
    if choice is None:
        choice = _tested(libraries, {}, log)
        if choice.library:  # where none passed, the reason may be gone the next time
            file.put(key, choice)
    return choice


def refuse_cpu_library(
    libraries: Sequence[Path],
    file: CpuChoiceFile,
    processor: str,
    died: WorkerDied,
    log: Path | None = None,
) -> CpuChoice | None:
    """What to use after a worker met an illegal instruction that no self-test had met; None
    where it ended otherwise, or where there was no choice."""
    cause = died.cause
    if not libraries or cause not in _ILLEGAL:
        return None
    key = choice_key(libraries, processor)
    choice = file.get(key, libraries)
    if choice is None or not choice.library:
        return None
    following = _tested(libraries, {**choice.refused, Path(choice.library).name: cause}, log)
    file.put(key, following)
    return following


def environment_of(choice: CpuChoice) -> dict[str, str]:
    """What children must find in their environment to use the choice."""
    return {VARIABLE: choice.library} if choice.library else {}


def _tested(libraries: Sequence[Path], known: Mapping[str, str], log: Path | None) -> CpuChoice:
    """Try libraries, the best first, but those `known` to fail."""
    refused = dict(known)
    scores = _scores([path for path in libraries if path.name not in refused], refused, log)
    for path in sorted(scores, key=lambda path: scores[path], reverse=True):
        try:
            _run(CHECK_CPU_LIBRARY, LibraryArgs(str(path)), log)
        except EngineError as error:
            refused[path.name] = _cause(error)
            continue
        failed = {name: why for name, why in refused.items() if why != UNSUPPORTED}
        code = "cpu_library_next" if failed else "cpu_library_best"
        facts = {"library": path.name, "failed": failed, "count": len(libraries)}
        return CpuChoice(str(path), Reason(code, facts), refused)
    return CpuChoice("", Reason("cpu_library_none", {"failed": refused}), refused)


def _scores(
    libraries: Sequence[Path], refused: dict[str, str], log: Path | None
) -> dict[Path, int]:
    """Each library's own score for this processor; unsupported ones are refused."""
    try:
        names = LibrariesArgs(tuple(str(path) for path in libraries))
        scores = _run(SCORE_CPU_LIBRARIES, names, log).scores
    except EngineError as error:
        if len(libraries) == 1:
            refused[libraries[0].name] = _cause(error)
            return {}
        # One of them ended the child: try each in its own child to find out which.
        return {p: s for one in libraries for p, s in _scores([one], refused, log).items()}
    unfit = [path for path in libraries if scores[str(path)] <= 0]
    refused.update({path.name: UNSUPPORTED for path in unfit})
    return {path: scores[str(path)] for path in libraries if path not in unfit}


def _run(job: Job[Args, Answer], args: Args, log: Path | None) -> Answer:
    return run_job(job, args, log=log, stall_seconds=_STALL_SECONDS)


def _cause(error: EngineError) -> str:
    """The signal or status that ended a child, else what it raised."""
    if isinstance(error, WorkerDied):
        return error.cause or error.kind
    return error.reason if isinstance(error, BackendUnavailable) else type(error).__name__

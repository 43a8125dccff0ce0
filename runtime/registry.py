"""Which engines there are, by name, in the order in which they are preferred.

Knows their descriptors; imports an engine itself only in `open_backend`, in child processes. An
engine of another package is added without touching this one: STILLROOM_ENGINE_MODULES in the
environment names modules (with commas between) that have an `ENGINE`; child processes inherit it.
"""

import importlib
import os
from collections.abc import Collection
from typing import Any

from runtime.backend import Backend
from runtime.engine import EngineDescriptor
from runtime.errors import BackendUnavailable

# By name, as those of other packages: planning reads descriptors, and may not know an adapter.
BUILT_IN = (
    "runtime.backends.llama.descriptor",
    "runtime.backends.onnx.descriptor",
    "runtime.backends.genai.descriptor",
    "runtime.backends.fake",
)
VARIABLE = "STILLROOM_ENGINE_MODULES"
_engines: dict[str, EngineDescriptor] = {}


def register(engine: EngineDescriptor) -> None:
    """Add an engine behind those there are. Raises ValueError for a name that is taken."""
    if engine.name in _engines:
        raise ValueError(f"there is an engine {engine.name!r} already")
    _engines[engine.name] = engine


def register_module(name: str) -> None:
    """Add the `ENGINE` of a module. Raises ImportError for a module that has none, ValueError for a
    name that is taken: whoever names a module wants to know."""
    try:
        found: EngineDescriptor = importlib.import_module(name).ENGINE
    except (ImportError, AttributeError) as error:
        raise ImportError(f"no engine in the module {name!r}: {error}") from error
    register(found)


def engines() -> tuple[EngineDescriptor, ...]:
    """All of them, the preferred first."""
    return tuple(_engines.values())


def offered() -> tuple[str, ...]:
    """Names that a person may choose from."""
    return tuple(engine.name for engine in _engines.values() if engine.offered)


def engine(name: str) -> EngineDescriptor:
    """The engine of that name. Raises BackendUnavailable for one that is not there."""
    found = _engines.get(name)
    if found is None:
        raise BackendUnavailable(backend=name, reason="unknown_engine")
    return found


def known(name: str) -> bool:
    """Whether an engine of that name is there: history may name one that was."""
    return name in _engines


def title(name: str) -> str:
    """An engine's display name; the name itself where no such engine is installed, as in the
    history of one that was."""
    return _engines[name].title if name in _engines else name


def reading(formats: Collection[str]) -> tuple[EngineDescriptor, ...]:
    """The engines that read one of these formats."""
    return tuple(each for each in engines() if not set(each.formats).isdisjoint(formats))


def function(target: str) -> Any:
    """Import the module of "module:function" and return the function. For child processes."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def open_backend(name: str) -> Backend:
    """Import one engine's adapter (module attribute `open_engine`) and return an empty backend.

    Raises BackendUnavailable with the import error as the reason.
    """
    descriptor = engine(name)
    try:
        module = importlib.import_module(descriptor.module)
    except (ImportError, OSError, RuntimeError) as error:
        raise BackendUnavailable(backend=name, reason="import_failed", detail=str(error)) from error
    backend: Backend = module.open_engine()
    return backend


for _name in (*BUILT_IN, *os.environ.get(VARIABLE, "").split(",")):
    if _name.strip():
        register_module(_name.strip())

"""One job as a value: its name, the function that does it, and what it takes and answers.

Knows how arguments and answers are written and read, and that both sides check them. Knows no job
(`runtime.process.job_table` lists them) and no process.
"""

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, Literal, TypeVar

import msgspec

from runtime.errors import JobMismatch
from runtime.progress import OnProgress

Args = TypeVar("Args")
Answer = TypeVar("Answer")
_T = TypeVar("_T")
Side = Literal["arguments", "answer"]

# The forms of msgspec's messages: which field is missing, and where another value was expected.
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_WHERE = re.compile(r"- at `(?:key in )?\$\.?(?P<where>[^`]*)`$")


@dataclass(frozen=True)
class Job(Generic[Args, Answer]):
    """`function` is "module:name_job" of a function `(args, on_progress) -> answer`; only the
    process that runs the job imports its module."""

    function: str
    args: type[Args]
    answer: type[Answer]

    @property
    def name(self) -> str:
        """What the job is called on the wire."""
        return self.function.partition(":")[2].removesuffix("_job")

    def write_args(self, args: Args) -> msgspec.Raw:
        """What the process is sent."""
        return _written(args)

    def read_answer(self, answer: msgspec.Raw) -> Answer:
        """What the process sent back. Raises JobMismatch."""
        return self._read("answer", answer, self.answer)

    def run(self, args: msgspec.Raw, on_progress: OnProgress) -> msgspec.Raw:
        """Do the job in this process. Raises JobMismatch and what the job raises."""
        read = self._read("arguments", args, self.args)
        module, _, name = self.function.partition(":")
        function: Callable[[Args, OnProgress], Answer]
        function = getattr(importlib.import_module(module), name)
        return _written(function(read, on_progress))

    def _read(self, side: Side, data: msgspec.Raw, kind: type[_T]) -> _T:
        try:
            value = msgspec.json.decode(data, type=kind, dec_hook=_decoded)
        except msgspec.ValidationError as error:
            text = str(error)
            raise JobMismatch(job=self.name, side=side, field=_field(text), detail=text) from error
        unknown = _unknown(msgspec.json.decode(data), _builtins(value))
        if unknown is not None:
            detail = f"Object contains unknown field `{unknown}`"
            raise JobMismatch(job=self.name, side=side, field=unknown, detail=detail)
        return value


def _written(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value, enc_hook=_encoded))


def _builtins(value: object) -> object:
    return msgspec.to_builtins(value, enc_hook=_encoded, str_keys=True)


def _encoded(value: object) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError(type(value))


def _decoded(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind is object:  # facts, whose kinds their code knows
        return value
    raise ValueError(f"Expected a {kind.__name__}, got {value!r}")


def _field(message: str) -> str:
    """The dotted name of the field that a message of msgspec's is about; "" for the whole."""
    where, missing = _WHERE.search(message), _MISSING.search(message)
    parts = (where["where"] if where else "", missing["field"] if missing else "")
    return ".".join(filter(None, parts))


def _unknown(given: object, read: object) -> str | None:
    """The dotted name of a field that was given and not read: msgspec passes over what a dataclass
    does not have, and there is a Struct's option for it but no dataclass's."""
    if isinstance(given, Mapping) and isinstance(read, Mapping):
        for key, value in given.items():
            if key not in read:
                return str(key)
            if below := _unknown(value, read[key]):
                return f"{key}.{below}"
    elif isinstance(given, list) and isinstance(read, Sequence):
        for index, (value, other) in enumerate(zip(given, read, strict=True)):
            if below := _unknown(value, other):
                return f"{index}.{below}"
    return None

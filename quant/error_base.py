"""What every error of Stillroom is: declared facts under a name, so that it can cross a pipe.

Knows how facts become JSON and are checked when they come back. Knows no sentence: the application
alone words errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Self, TypeVar, dataclass_transform

import msgspec

_T = TypeVar("_T")


class _LogOnly:
    """Marks a fact that is for the log and for programs: the words leave it out."""


LogOnly = Annotated[_T, _LogOnly()]


@dataclass_transform(kw_only_default=True, eq_default=False)
class StillroomError(Exception):
    """Base of all errors a person may meet.

    A subclass declares its facts as annotated fields and is a dataclass by that: its constructor
    takes exactly these, by keyword, and a type checker holds every place that raises it to them.
    Facts are JSON values or what msgspec makes of JSON. Two classes of one name are refused.
    """

    registry: ClassVar[dict[str, type["StillroomError"]]] = {}

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False, repr=False)(cls)
        if cls.__name__ in StillroomError.registry:
            raise TypeError(f"there is an error of the name {cls.__name__} already")
        StillroomError.registry[cls.__name__] = cls

    @property
    def facts(self) -> dict[str, object]:
        """The declared facts as JSON values."""
        facts: dict[str, object] = {
            name: msgspec.to_builtins(getattr(self, name)) for name in self.fact_names()
        }
        return facts

    @classmethod
    def fact_names(cls) -> tuple[str, ...]:
        # The base itself is no dataclass: it declares nothing.
        return tuple(f.name for f in fields(cls)) if cls is not StillroomError else ()  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.facts.items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def to_json(self) -> dict[str, object]:
        return {"type": type(self).__name__, "facts": self.facts}

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> Self:
        """An error of this class with facts that no type checker has seen. Raises
        msgspec.ValidationError for any that are not as declared."""
        undeclared = set(facts).difference(cls.fact_names())
        if undeclared:
            raise msgspec.ValidationError(f"{cls.__name__} declares no {min(undeclared)}")
        checked = msgspec.convert(facts, cls)
        return cls(**{name: getattr(checked, name) for name in cls.fact_names()})

    @staticmethod
    def from_json(data: object) -> "StillroomError":
        """Rebuild an error that crossed a pipe or lay in a file.

        One of an unknown name, or whose facts are not those its class declares, becomes an
        UnrecognizedError that keeps its contents.
        """
        try:
            told = msgspec.convert(data, _Told)
            cls = StillroomError.registry[told.type]
            return cls.of(told.facts)
        except (msgspec.ValidationError, KeyError):
            name = data.get("type") if isinstance(data, dict) else None
            return UnrecognizedError(name=str(name)[:80], told=repr(data)[:2000])


class _Told(msgspec.Struct):
    type: str
    facts: dict[str, object]


class UnrecognizedError(StillroomError):
    """An error of another version of Stillroom, with a name or facts that this one lacks."""

    name: str
    told: LogOnly[str]

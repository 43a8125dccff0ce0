"""What every error of Stillroom is: declared facts under a name, so that it can cross a pipe.

Knows how facts become JSON and are checked when they come back. Knows no sentence: the application
alone words errors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, ClassVar, Self, TypeVar, dataclass_transform

import msgspec

_T = TypeVar("_T")


class _LogOnly:
    """Marks a fact that is for the log and for programs: the words leave it out."""


LogOnly = Annotated[_T, _LogOnly()]


@dataclass_transform(kw_only_default=True, eq_default=False)
class StillroomError(Exception):
    """Base of all errors a person may meet.

    A subclass declares its facts as annotated fields, which makes it a dataclass: its constructor
    takes exactly these, by keyword, and a type checker holds every place that raises it to them.
    Facts are JSON values or what msgspec makes of JSON. Two classes of one name are refused.
    Errors can be pickled and copied.
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
        return {
            name: msgspec.to_builtins(getattr(self, name), enc_hook=_plain)
            for name in self.fact_names()
        }

    @classmethod
    def fact_names(cls) -> tuple[str, ...]:
        """The names of the declared facts, inherited ones first."""
        # The base itself is no dataclass: it declares nothing.
        return tuple(f.name for f in fields(cls)) if cls is not StillroomError else ()  # type: ignore[arg-type]

    def __str__(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.facts.items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()], dict[str, object]]:
        # Exception's own would call the class without its facts.
        facts = {name: getattr(self, name) for name in self.fact_names()}
        return partial(type(self), **facts), (), self.__dict__

    def to_json(self) -> dict[str, object]:
        """The names of the class and, nearest first, of the errors it is a kind of; the facts."""
        bases = [
            cls.__name__
            for cls in type(self).__mro__[1:]
            if issubclass(cls, StillroomError) and cls is not StillroomError
        ]
        return {"type": type(self).__name__, "bases": bases, "facts": self.facts}

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
    def from_json(
        data: object, otherwise: "type[UnrecognizedError] | None" = None
    ) -> "StillroomError":
        """Rebuild an error that crossed a pipe or lay in a file.

        One of an unknown name is read as the nearest known error that it is a kind of, if that
        has facts. Where there is none, or the facts are not as declared, an `otherwise` (None:
        UnrecognizedError) keeps the contents.
        """
        try:
            told = msgspec.convert(data, _Told)
            if told.type in StillroomError.registry:
                return StillroomError.registry[told.type].of(told.facts)
            for base in told.bases:
                known = StillroomError.registry.get(base)
                names = known.fact_names() if known else ()
                if known and names:
                    return known.of({key: told.facts[key] for key in names if key in told.facts})
        except msgspec.ValidationError:
            pass
        return (otherwise or UnrecognizedError).holding(data)


def _plain(value: object) -> object:
    """What JSON has no form for: a number of numpy's as Python's own, all else as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


class _Told(msgspec.Struct):
    type: str
    facts: dict[str, object]
    bases: list[str] = []


class UnrecognizedError(StillroomError):
    """An error that no class here stands for: of another version of Stillroom, or of another
    package. `detail` is its facts in short, `told` its JSON."""

    name: str
    detail: str
    told: LogOnly[str]

    @classmethod
    def holding(cls, data: object) -> Self:
        """An error that keeps what `data`, the JSON of another one, tells."""
        name, facts = None, None
        if isinstance(data, Mapping):
            name, facts = data.get("type"), data.get("facts")
        pairs = facts.items() if isinstance(facts, Mapping) else ()
        detail = ", ".join(f"{key}: {value}" for key, value in pairs)
        return cls(name=str(name)[:80], detail=detail[:200], told=repr(data)[:2000])

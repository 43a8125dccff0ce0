"""The models Stillroom knows by name: `models.json`, checked and turned into values.

Knows the file's form and what must agree inside an entry. Reads no hub and no model file: hashes
and sizes that only a hub can tell are not here, save those of the starter, which comes in a wheel.
Where each number was read is recorded in docs/catalog-sources.md.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from app.errors import CatalogError, UnknownModel
from quant.json_types import Json
from runtime.generation import SamplingParams
from runtime.prompt.chat_profile import ChatProfile
from runtime.shape import ModelShape, active_parameter_count, parameter_count

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_SCHEMA = Path(__file__).with_name("catalog.schema.json")
_PACKAGE = Path(__file__).parents[1]  # app: a wheel carries the catalog in it
_TOLERANCE = 0.01  # declared parameters against those the shape adds up to
_ACTIVE_TOLERANCE = 0.03  # model cards round active parameters


@dataclass(frozen=True)
class PackageSource:
    """A model file inside a wheel: its size in bytes, its SHA-256 (hex) and the wheel's."""

    package: str
    version: str
    member: str
    size: int
    sha256: str
    wheel_sha256: str


@dataclass(frozen=True)
class Repositories:
    """Hub repositories, "owner/name". `official` holds safetensors, `gguf` ready-made GGUF."""

    official: str | None = None
    gguf: str | None = None


@dataclass(frozen=True)
class CatalogEntry:
    """One model.

    `sampling` is what its makers recommend, None where they recommend nothing.
    `active_parameters` is what one token uses: less than `parameters` for mixture of experts.
    A `demonstration` model is only a demo, and the app says so. `source` is set where
    the model comes in a wheel.
    """

    id: str
    name: str
    summary: str
    parameters: int
    active_parameters: int
    licence: str
    shape: ModelShape
    repositories: Repositories
    teacher: str | None = None
    base_model: str | None = None
    base_licence: str | None = None
    labels: tuple[str, ...] = ()
    sampling: SamplingParams | None = None
    chat: ChatProfile = field(default_factory=ChatProfile)
    math_hint: bool = False
    demonstration: bool = False
    source: PackageSource | None = None

    @property
    def distilled(self) -> bool:
        return self.teacher is not None


def default_path() -> Path:
    """The catalog beside this module (installed), else one folder up (checkout)."""
    beside = _PACKAGE / "models.json"
    return beside if beside.exists() else _PACKAGE.parent / "models.json"


def load_catalog(path: Path | None = None) -> tuple[CatalogEntry, ...]:
    """Read and check a catalog, the built-in one by default, in the file's order.

    The built-in one is held to its schema by the tests, not at every start: the validator takes
    longer to import than all else that a command needs. Raises CatalogError naming the entry and
    the field.
    """
    built_in = path is None
    path = path or default_path()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        detail = error.strerror or str(error)
        raise CatalogError(path=str(path), reason="unreadable", detail=detail) from error
    except ValueError as error:
        raise CatalogError(path=str(path), reason="not_json", detail=str(error)) from error
    if not built_in:
        _check_schema(path, data)
    entries = tuple(_entry(item) for item in data["models"])
    _check_ids(path, entries)
    for entry in entries:
        for wrong in _contradictions(entry, str(path)):
            raise wrong
    return entries


def entry_named(entries: Sequence[CatalogEntry], entry_id: str) -> CatalogEntry:
    """The entry with an id. Raises UnknownModel."""
    for entry in entries:
        if entry.id == entry_id:
            return entry
    raise UnknownModel(name=entry_id, suggestions=[entry.id for entry in entries])


def starter(entries: Iterable[CatalogEntry]) -> CatalogEntry | None:
    """The entry that needs no hub."""
    return next((entry for entry in entries if entry.source is not None), None)


def _check_schema(path: Path, data: Json) -> None:
    from jsonschema import Draft202012Validator  # late: up to 2 s of imports

    schema = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    errors = sorted(Draft202012Validator(schema).iter_errors(data), key=_depth, reverse=True)
    if errors:
        entry, where = _located(data, errors[0])
        detail = errors[0].message
        raise CatalogError(path=str(path), entry=entry, field=where, reason="schema", detail=detail)


def _depth(error: "ValidationError") -> int:
    return len(error.absolute_path)


def _located(data: Json, error: "ValidationError") -> tuple[str, str]:
    """Name the entry (id, else its number) and the field, dotted, that an error is about."""
    parts = list(error.absolute_path)
    entry = ""
    if len(parts) >= 2 and parts[0] == "models":
        index = int(parts[1])
        models = data["models"] if isinstance(data, Mapping) else ()
        item = models[index] if isinstance(models, list) else None
        named = item.get("id") if isinstance(item, Mapping) else None
        entry = named if isinstance(named, str) else str(index)
        parts = parts[2:]
    if error.validator == "required" and isinstance(error.instance, Mapping):
        required = cast(list[str], error.validator_value)
        parts += [name for name in required if name not in error.instance][:1]
    elif error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        schema = cast(Mapping[str, Mapping[str, Json]], error.schema)
        parts += [name for name in error.instance if name not in schema["properties"]][:1]
    return entry, ".".join(map(str, parts))


def _check_ids(path: Path, entries: tuple[CatalogEntry, ...]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise CatalogError(path=str(path), entry=entry.id, field="id", reason="not_unique")
        seen.add(entry.id)


def _contradictions(entry: CatalogEntry, path: str) -> Iterator[CatalogError]:
    """What a schema cannot see: numbers of one entry that cannot all be true."""
    wrong = partial(CatalogError, path=path, entry=entry.id)
    shape = entry.shape
    total = parameter_count(shape)
    active = active_parameter_count(shape) if shape.expert_count else total
    for name, value, expected, tolerance in (
        ("parameters", entry.parameters, total, _TOLERANCE),
        ("active_parameters", entry.active_parameters, active, _ACTIVE_TOLERANCE),
    ):
        if abs(value - expected) > tolerance * expected:
            yield wrong(field=name, reason="miscounted", value=value, expected=expected)
    for name, value, most in (
        ("shape.expert_used_count", shape.expert_used_count, shape.expert_count),
        ("shape.leading_dense_block_count", shape.leading_dense_block_count, shape.block_count),
    ):
        if value > most:
            yield wrong(field=name, reason="too_many", value=value, expected=most)
    if shape.head_count % shape.head_count_kv:
        yield wrong(
            field="shape.head_count_kv", reason="uneven_heads", value=shape.head_count_kv,
            expected=shape.head_count,
        )  # fmt: skip
    if bool(shape.expert_count) != bool(shape.expert_used_count):
        yield wrong(field="shape.expert_used_count", reason="experts_apart")
    if shape.kv_lora_rank and not 0 < shape.rope_dimension_count < shape.key_length:
        yield wrong(field="shape.rope_dimension_count", reason="rope_of_mla")
    if entry.source is None and not (entry.repositories.official or entry.repositories.gguf):
        yield wrong(field="repositories", reason="no_source")


def _entry(item: Mapping[str, Any]) -> CatalogEntry:
    chat = dict(item["chat"])
    math_hint = bool(chat.pop("math_hint", False))
    sampling, source = item.get("sampling"), item.get("source")
    values = {key: item[key] for key in _PLAIN_FIELDS if key in item}
    return CatalogEntry(
        **{"active_parameters": item["parameters"]} | values,
        labels=tuple(item.get("labels", ())),
        shape=ModelShape(**item["shape"]),
        repositories=Repositories(**item.get("repositories", {})),
        sampling=SamplingParams(**sampling) if sampling else None,
        chat=ChatProfile(**chat | {"stop": tuple(chat.get("stop", ()))}),
        math_hint=math_hint,
        source=PackageSource(**source) if source else None,
    )


_STRUCTURED = {"labels", "shape", "repositories", "sampling", "chat", "math_hint", "source"}
_PLAIN_FIELDS = tuple(f.name for f in fields(CatalogEntry) if f.name not in _STRUCTURED)

"""A JSON schema as a GBNF grammar, so that an engine can only write what the schema allows.

GBNF is llama.cpp's notation (ggml-org/llama.cpp, grammars/README.md). Schemas come from clients:
what grows without bound is refused, by limits on rules, nesting and repetition; regular expressions
are refused altogether. Knows no engine.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from quant.json_types import Json
from runtime.errors import InvalidRequest, RequestCode

MAX_RULES = 2000
MAX_DEPTH = 32
MAX_REPEAT = 256
MAX_TEXT = 200_000  # characters of grammar
MAX_NESTING = 100  # far beyond MAX_DEPTH, far below where Python gives up

_BASE = r"""
ws ::= [ \n]?
null ::= "null"
boolean ::= "true" | "false"
integer ::= "-"? ("0" | [1-9] [0-9]{0,17})
number ::= integer ("." [0-9]{1,17})? ([eE] [-+]? [0-9]{1,3})?
char ::= [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
value ::= object | array | string | number | boolean | null
object ::= "{" ws (string ":" ws value ("," ws string ":" ws value)*)? ws "}"
array ::= "[" ws (value ("," ws value)*)? ws "]"
"""
_TYPES = ("null", "boolean", "integer", "number", "string", "object", "array")
_ANNOTATIONS = frozenset(
    "$schema $id $comment $defs definitions title description default examples deprecated "
    "readOnly writeOnly format additionalProperties".split()
)
_KNOWN = _ANNOTATIONS | frozenset(
    "type enum const anyOf oneOf $ref properties required items minItems maxItems minLength "
    "maxLength".split()
)
_UNSAFE = re.compile(r'["\\\x00-\x1f\x7f]')


def any_object() -> str:
    """The grammar of any JSON object."""
    return "root ::= object\n" + _BASE


def check_nesting(value: Json) -> None:
    """Refuse what is nested too deeply to be written again. Raises ValueError, which msgspec makes
    its own."""
    level = [value]
    for _ in range(MAX_NESTING):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return
    raise ValueError("the schema is nested too deeply")


def _members(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def grammar_of(schema: Mapping[str, Json], *, strict: bool = False) -> str:
    """The grammar of a schema's values.

    With `strict`, keywords that a grammar cannot enforce are refused instead of ignored. Raises
    InvalidRequest.
    """
    made = _Grammar(schema, strict=strict)
    return _finished(made, made.rule("value", schema, 0))


def grammar_of_calls(functions: Mapping[str, Mapping[str, Json]], *, or_text: bool) -> str:
    """The grammar of a call of one of the functions, given with the schemas of their arguments:
    {"name": ..., "arguments": ...}. With `or_text`, a text that does not begin like a JSON object
    is allowed too. Raises InvalidRequest."""
    made = _Grammar({}, strict=False)
    calls = []
    for name, parameters in functions.items():
        made.enter(parameters)
        arguments = made.rule("arguments", parameters, 0)
        call = f'"{{" ws "\\"name\\":" ws {_literal(name)} "," ws "\\"arguments\\":" ws '
        calls.append(f'{call}{arguments} ws "}}"')
    text = " | [^{ \\n] [\\x00-\\U0010FFFF]*" if or_text else ""
    return _finished(made, _alternatives(calls) + text)


def _finished(made: "_Grammar", root: str) -> str:
    lines = [f"root ::= {root}", *(f"{name} ::= {body}" for name, body in made.rules.items())]
    text = "\n".join(lines)
    if len(text) > MAX_TEXT:
        raise _refused("schema_too_large")
    return text + "\n" + _BASE


class _Grammar:
    """The rules made so far, by name."""

    def __init__(self, root: Mapping[str, Json], *, strict: bool) -> None:
        self.rules: dict[str, str] = {}
        self._root = root
        self._strict = strict
        self._referenced: dict[str, str] = {}

    def enter(self, root: Mapping[str, Json]) -> None:
        """Go on with another document: references mean its parts from now on."""
        self._root = root
        self._referenced = {}

    def rule(self, hint: str, schema: Json, depth: int) -> str:
        """The name of a rule for a schema."""
        if depth > MAX_DEPTH:
            raise _refused("schema_too_deep")
        if schema is True:
            return "value"
        if not isinstance(schema, Mapping):
            raise _refused("schema_not_object")
        if "$ref" in schema:
            return self._reference(schema["$ref"], depth)
        return self._add(hint, self._body(hint, schema, depth))

    def _add(self, hint: str, body: str) -> str:
        if len(self.rules) >= MAX_RULES:
            raise _refused("schema_too_many_parts")
        name = f"{hint}-{len(self.rules)}"
        self.rules[name] = body
        return name

    def _reference(self, reference: Json, depth: int) -> str:
        """The rule of a schema named elsewhere in the same document; it may name itself."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _refused("schema_foreign_reference")
        if reference not in self._referenced:
            if len(self._referenced) >= MAX_RULES:
                raise _refused("schema_too_many_parts")
            name = self._referenced[reference] = f"ref-{len(self.rules)}"
            self.rules[name] = ""
            self.rules[name] = self.rule("named", self._resolved(reference), depth + 1)
        return self._referenced[reference]

    def _resolved(self, reference: str) -> Json:
        found: Json = self._root
        for part in reference.lstrip("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                raise _refused("schema_dangling_reference", reference[:80])
            found = found[key]
        if isinstance(found, Mapping) and found.get("$ref") == reference:
            raise _refused("schema_circular_reference", reference[:80])
        return found

    def _body(self, hint: str, schema: Mapping[str, Json], depth: int) -> str:
        unknown = set(schema) - _KNOWN
        if unknown and (self._strict or unknown & {"pattern", "allOf", "not"}):
            raise _refused("schema_unsupported", min(unknown)[:40])
        if "const" in schema:
            return _literal(schema["const"])
        if "enum" in schema:
            return _alternatives([_literal(value) for value in _list(schema["enum"])])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                options = _list(schema[key])
                return _alternatives([self.rule(hint, each, depth + 1) for each in options])
        kind = schema.get("type", "object" if "properties" in schema else None)
        if isinstance(kind, list):
            each = [self.rule(hint, {**schema, "type": one}, depth + 1) for one in kind]
            return _alternatives(each)
        if kind is None:
            return "value"
        if kind not in _TYPES:
            raise _refused("schema_unknown_type", str(kind)[:40])
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        return _string(schema) if kind == "string" else str(kind)

    def _object(self, schema: Mapping[str, Json], depth: int) -> str:
        """Members in the order of `properties`; those not required may be left out."""
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            raise _refused("schema_properties")
        if any(not isinstance(name, str) or name not in properties for name in required):
            raise _refused("schema_required")
        if not properties:
            empty = schema.get("additionalProperties", True) is False
            return '"{" ws "}"' if empty else "object"
        members = [
            (name in required, f'{_literal(name)} ":" ws {self.rule("m", each, depth + 1)}')
            for name, each in properties.items()
        ]
        return f'"{{" ws {self._members(members)} ws "}}"'

    def _members(self, members: Sequence[tuple[bool, str]]) -> str:
        """Two rules a member: for what follows it when none came before, and when one did."""
        first, later = '""', '""'
        for is_required, member in reversed(members):
            new_first = f"{member} {later}"
            new_later = f'"," ws {member} {later}'
            if not is_required:
                new_first, new_later = f"{new_first} | {first}", f"{new_later} | {later}"
            first, later = self._add("first", new_first), self._add("later", new_later)
        return first

    def _array(self, schema: Mapping[str, Json], depth: int) -> str:
        item = self.rule("item", schema.get("items", True), depth + 1)
        low, high = _bounds(schema, "minItems", "maxItems")
        more = self._add("more", f'"," ws {item}')
        if high == 0:
            return '"[" ws "]"'
        rest = f"{item} {more}{_times(max(low - 1, 0), None if high is None else high - 1)}"
        return f'"[" ws {rest} ws "]"' if low else f'"[" ws ({rest})? ws "]"'


def _string(schema: Mapping[str, Json]) -> str:
    low, high = _bounds(schema, "minLength", "maxLength")
    return f'"\\"" char{_times(low, high)} "\\""'


def _bounds(schema: Mapping[str, Json], low: str, high: str) -> tuple[int, int | None]:
    try:
        least, most = _count(schema.get(low)) or 0, _count(schema.get(high))
    except ValueError:
        raise _refused("schema_counts", f"{low}, {high}") from None
    if least > MAX_REPEAT or (most is not None and most < least):
        raise _refused("schema_bounds", f"{low}, {high}", MAX_REPEAT)
    # A larger limit costs the engine a rule for every repetition; it is left out instead.
    return least, most if most is not None and most <= MAX_REPEAT else None


def _count(value: Json) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise ValueError(value)
    return value


def _times(low: int, high: int | None) -> str:
    if high is None:
        return "*" if low == 0 else f"{{{low},}}"
    return f"{{{low},{high}}}"


def _literal(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return '"' + _UNSAFE.sub(lambda m: _escaped(m.group()), text) + '"'


def _escaped(character: str) -> str:
    return "\\" + character if character in '"\\' else f"\\x{ord(character):02X}"


def _alternatives(options: Sequence[str]) -> str:
    return " | ".join(options)


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_RULES:
        raise _refused("schema_alternatives", None, MAX_RULES)
    return value


def _refused(
    reason: RequestCode, value: str | None = None, maximum: int | None = None
) -> InvalidRequest:
    return InvalidRequest(field="schema", reason=reason, value=value, maximum=maximum)

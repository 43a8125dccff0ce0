"""JSON schemas as grammars: what they allow, and what is refused."""

import pytest

from app.tools.schema_grammar import grammar_of, grammar_of_calls
from quant.json_types import Json
from runtime.errors import InvalidRequest


def test_members_that_may_be_left_out() -> None:
    properties = {name: {"type": "integer"} for name in "abc"}
    grammar = grammar_of({"type": "object", "properties": properties, "required": ["b"]})
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines() if " ::= " in line)
    start = rules[rules["root"]].split()[2]
    assert '\\"a\\"' in rules[start]  # a, then b; or b at once
    assert rules[start].count("|") == 1
    assert rules[start].split("| ")[1].startswith("first-")


def test_a_name_in_a_schema_stays_a_text() -> None:
    grammar = grammar_of({"const": 'x" | root\n::= "'})
    (root,) = [line for line in grammar.splitlines() if line.startswith("value-")]
    assert root.endswith(r'"\"x\\\" | root\\n::= \\\"\""')


def test_strict_refuses_what_cannot_be_held_to() -> None:
    schema: dict[str, Json] = {"type": "integer", "minimum": 3}
    assert "integer" in grammar_of(schema)
    with pytest.raises(InvalidRequest, match=r"schema_unsupported.*minimum"):
        grammar_of(schema, strict=True)


def test_functions_with_definitions_of_their_own() -> None:
    one: dict[str, Json] = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}
    two: dict[str, Json] = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "boolean"}}}
    grammar = grammar_of_calls({"f": one, "g": two}, or_text=True)
    assert "boolean" in grammar
    assert grammar.splitlines()[0].endswith(r"[^{ \n] [\x00-\U0010FFFF]*")

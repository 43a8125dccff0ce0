"""A chat's own loop over functions, from the offer to the result, without any server."""

import json
import subprocess
import sys

import msgspec
import pytest

from app.tools.functions import (
    Function,
    FunctionCall,
    OfferedFunctions,
    call_text,
    offered,
    parse_call,
    result_message,
)
from runtime.generation import Message

WEATHER = Function("weather", "Weather of a city", {"type": "object"})
OFFER = OfferedFunctions((WEATHER,), must=False)


def test_one_round_of_a_loop() -> None:
    asked = [Message("system", "Be brief."), Message("user", "Weather in Graz?")]
    told = offered(asked, OFFER)
    assert told[0].content.startswith("Be brief.\n\nYou can call these functions:\n")
    assert '"weather"' in told[0].content
    assert told[1:] == (asked[1],)
    call = parse_call('{"name": "weather", "arguments": {"city": "Graz"}}', OFFER)
    assert call == FunctionCall("weather", '{"city": "Graz"}')
    assert json.loads(call_text(call)) == {"name": "weather", "arguments": {"city": "Graz"}}
    assert result_message("sunny").content.endswith("\nsunny")


def test_a_conversation_without_a_system_message_gets_one() -> None:
    first, *others = offered([Message("user", "hello")], OFFER)
    assert (first.role, [message.role for message in others]) == ("system", ["user"])
    assert offered([Message("user", "hello")], None) == (Message("user", "hello"),)


@pytest.mark.parametrize(
    "text",
    [
        "It is sunny.",
        '{"name": "weather", "arguments": {"city": "Gr',
        '{"name": "weather"}',
        "{" * 20000,
        "[]",
    ],
)
def test_an_answer_that_is_no_call(text: str) -> None:
    assert parse_call(text, OFFER) is None


def test_without_an_offer_json_is_a_text() -> None:
    assert parse_call('{"name": "weather", "arguments": {}}', None) is None


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    nested = "{" + '"a": {' * 200 + "}" * 201
    told = f'{{"name": "f", "parameters": {nested}}}'
    with pytest.raises(msgspec.ValidationError, match="nested too deeply"):
        msgspec.json.decode(told, type=Function)


def test_no_part_of_the_server_is_loaded() -> None:
    code = "import sys, app.tools.functions; print([n for n in sys.modules if 'server' in n])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"

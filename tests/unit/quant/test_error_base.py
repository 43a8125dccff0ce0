"""Declared facts: what a type checker rejects, what survives a pipe and what is refused there."""

import copy
import pickle
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from mypy import api

from quant.error_base import LogOnly, StillroomError, UnrecognizedError

# a construction, and what a type checker says of it ("" where nothing)
CONSTRUCTIONS = {
    'NonFiniteWeights(tensor="a", count=1)': "",
    "RateLimited(retry_after=None)": "",
    'NonFiniteWeights(tensor="a", count=1, file="b")': 'Unexpected keyword argument "file"',
    'NonFiniteWeights(tensor="a", count="many")': 'incompatible type "str"; expected "int"',
    'NonFiniteWeights(tensor="a")': 'Missing named argument "count"',
    'NonFiniteWeights("a", 1)': "Too many positional arguments",
    'Offline(kind="asleep")': "incompatible type \"Literal['asleep']\"",
}


class Sample(StillroomError):
    """Declared here alone, for this test."""

    path: str
    count: LogOnly[int] = 0
    code: Literal["one", "two"] = "one"
    near: dict[str, object] | None = None


def test_mypy_holds_every_construction_to_the_declared_facts(tmp_path: Path) -> None:
    snippet = tmp_path / "snippet.py"
    imports = (
        "from app.errors import Offline, RateLimited\nfrom quant.errors import NonFiniteWeights\n"
    )
    snippet.write_text(imports + "\n".join(CONSTRUCTIONS))
    out, _, _ = api.run(["--cache-dir", str(tmp_path), "--follow-imports=silent", str(snippet)])
    for number, said in enumerate(CONSTRUCTIONS.values(), start=3):
        told = [line for line in out.splitlines() if f"snippet.py:{number}:" in line]
        assert bool(told) == bool(said), (number, out)
        assert said in " ".join(told)


def test_an_error_crosses_a_pipe_with_its_facts() -> None:
    error = Sample(path="a.gguf", count=3, code="two", near={"n_ctx": 2048})
    told = error.to_json()
    assert told == {
        "type": "Sample",
        "bases": [],
        "facts": {"path": "a.gguf", "count": 3, "code": "two", "near": {"n_ctx": 2048}},
    }
    rebuilt = StillroomError.from_json(told)
    assert isinstance(rebuilt, Sample)
    assert rebuilt.facts == error.facts
    assert (rebuilt.path, rebuilt.args) == ("a.gguf", ())
    assert "path='a.gguf', count=3" in str(rebuilt)


@pytest.mark.parametrize(
    "told",
    [
        {"type": "Unheard", "facts": {"a": 1}},
        {"type": "Sample", "facts": {"path": 3}},
        {"type": "Sample", "facts": {}},
        {"type": "Sample", "facts": {"path": "a", "other": 1}},
        {"type": "Sample", "facts": {"path": "a", "code": "three"}},
        {"type": "Sample"},
        {},
        [],
    ],
)
def test_what_is_not_as_declared_is_told_and_not_guessed(told: object) -> None:
    rebuilt = StillroomError.from_json(told)
    assert isinstance(rebuilt, UnrecognizedError)
    assert repr(told) == rebuilt.told


def test_an_unknown_error_is_read_as_the_nearest_known_one_with_facts() -> None:
    told = {"type": "Newer", "bases": ["Newish", "Sample"], "facts": {"path": "a", "more": 1}}
    rebuilt = StillroomError.from_json(told)
    assert isinstance(rebuilt, Sample)
    assert rebuilt.path == "a"
    told["facts"] = {"path": 3}
    assert isinstance(StillroomError.from_json(told), UnrecognizedError)


def test_an_error_is_pickled_and_copied_whole() -> None:
    error = Sample(path="a.gguf", count=3, near={"n_ctx": 2048})
    error.add_note("seen at noon")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert isinstance(again, Sample)
        assert again.facts == error.facts
        assert again.__notes__ == ["seen at noon"]


def test_facts_of_foreign_types_are_told_as_json() -> None:
    loose: dict[str, Any] = {"path": Path("a") / "b", "count": np.int64(3)}
    error = Sample(**loose, near={"share": np.float32(0.5)})
    assert error.facts == {
        "path": str(Path("a") / "b"), "count": 3, "code": "one", "near": {"share": 0.5}
    }  # fmt: skip
    assert "count=3" in str(error)
    assert isinstance(StillroomError.from_json(error.to_json()), Sample)


def test_two_errors_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Sample"):
        type("Sample", (StillroomError,), {})
    assert StillroomError.registry["Sample"] is Sample

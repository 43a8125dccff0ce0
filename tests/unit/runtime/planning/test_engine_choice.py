"""Choosing between engines by what was measured, and keeping the choice."""

from pathlib import Path

import pytest

from runtime.errors import NoEngineRan
from runtime.plan import LayerRange, MemoryEstimate, Placement, Plan, Reason
from runtime.planning.engine_choice import (
    ChoiceFile,
    EngineCandidate,
    EngineMeasurement,
    choice_key,
    choose_engine,
    choose_plan,
)

LLAMA = EngineMeasurement("llamacpp", "m.gguf", prefill_tps=60, decode_tps=10.0)
CANDIDATES = (EngineCandidate("llamacpp", "m.gguf"), EngineCandidate("onnx", "m-onnx"))


def onnx(decode_tps: float, failed: str = "") -> EngineMeasurement:
    return EngineMeasurement("onnx", "m-onnx", 60, decode_tps, failed=failed)


def test_the_faster_engine_is_chosen_and_the_figures_are_told() -> None:
    choice = choose_engine([LLAMA, onnx(14.0)])
    assert (choice.engine, choice.path) == ("onnx", "m-onnx")
    assert choice.reason.code == "engine_faster"
    assert choice.reason.facts["ratio"] == pytest.approx(1.4)
    assert choice.reason.facts["other_decode_tps"] == 10.0
    assert choose_engine([LLAMA, onnx(5.0)]).engine == "llamacpp"


def test_among_equals_the_first_stays() -> None:
    choice = choose_engine([LLAMA, onnx(10.4)])
    assert (choice.engine, choice.reason.code) == ("llamacpp", "engines_equal")
    assert choice.reason.facts["other"] == "onnx"


def build(path: str, decode_tps: float) -> EngineMeasurement:
    return EngineMeasurement("onnx", path, 60, decode_tps)


def test_of_several_builds_the_faster_is_chosen_and_compared_with_the_other_engine() -> None:
    choice = choose_engine([LLAMA, build("b32", 11.0), build("b128", 14.0)])
    assert (choice.engine, choice.path) == ("onnx", "b128")
    assert choice.reason.code == "engine_faster"
    assert choice.reason.facts["other"] == "llamacpp"
    assert choice.reason.facts["ratio"] == pytest.approx(1.4)


def test_among_equal_builds_the_first_stays() -> None:
    choice = choose_engine([LLAMA, build("b32", 13.5), build("b128", 14.0)])
    assert choice.path == "b32"
    assert choice.reason.code == "engine_faster"
    slower = choose_engine([LLAMA, build("b32", 9.0), build("b128", 10.3)])
    assert (slower.engine, slower.reason.facts["other_decode_tps"]) == ("llamacpp", 10.3)


def test_builds_of_one_engine_alone_are_no_comparison_of_engines() -> None:
    choice = choose_engine([build("b32", 9.0), build("b128", 12.0)])
    assert (choice.path, choice.reason.code) == ("b128", "engine_only")


def test_an_engine_that_failed_is_no_choice() -> None:
    choice = choose_engine([LLAMA, onnx(0, failed="CorruptFile")])
    assert (choice.engine, choice.reason.code) == ("llamacpp", "engine_only")
    assert choice.reason.facts["failed"] == {"onnx": "CorruptFile"}
    with pytest.raises(NoEngineRan):
        choose_engine([onnx(0, failed="CorruptFile")])


def planned(engine: str, device: str = "cpu") -> Plan:
    placement = Placement(engine, (LayerRange(device, 0, 1),), "cpu", 512)
    return Plan(placement, MemoryEstimate(()), None, "fits", (Reason("only_one_fits"),))


def test_a_plan_follows_the_measured_choice_and_begins_with_it() -> None:
    llama, other = planned("llamacpp"), planned("onnx")
    choice = choose_engine([LLAMA, onnx(14.0)])
    chosen = choose_plan([llama, other], choice)
    assert chosen.placement == other.placement
    assert chosen.reasons[0] == choice.reason
    assert [each.placement for each in chosen.alternatives] == [llama.placement]
    assert choose_plan([other, llama], choice).placement == other.placement
    assert choose_plan([llama], choice) == llama


def test_without_a_measurement_the_named_build_is_planned_and_that_is_told() -> None:
    for first, second in (("llamacpp", "onnx"), ("onnx", "llamacpp")):
        chosen = choose_plan([planned(first), planned(second)], None)
        assert chosen.placement.engine == first
        assert chosen.reasons[0] == Reason("engines_not_measured", {"engine": first})


def test_an_engine_that_reaches_an_accelerator_comes_first() -> None:
    """What was measured on the processor says nothing about it."""
    choice = choose_engine([LLAMA, onnx(14.0)])
    chosen = choose_plan([planned("onnx"), planned("llamacpp", "cuda0")], choice)
    assert chosen.placement.engine == "llamacpp"
    assert chosen.reasons[0].code == "engine_reaches_device"


def test_a_choice_is_kept_until_something_changes(tmp_path: Path) -> None:
    file = ChoiceFile(tmp_path / "cache" / "engines.json")
    digests = {"m.gguf": "aa", "m-onnx": "bb"}
    key = choice_key(CANDIDATES, digests, "some processor", 2)
    assert file.get(key) is None
    choice = choose_engine([LLAMA, onnx(14.0)])
    file.put(key, choice)
    assert ChoiceFile(tmp_path / "cache" / "engines.json").get(key) == choice
    for other in (
        choice_key(CANDIDATES, {**digests, "m-onnx": "cc"}, "some processor", 2),
        choice_key(CANDIDATES, digests, "another processor", 2),
        choice_key(CANDIDATES, digests, "some processor", 4),
    ):
        assert file.get(other) is None


def test_what_was_measured_of_many_answers_for_some_of_them(tmp_path: Path) -> None:
    file, digests = (
        ChoiceFile(tmp_path / "engines.json"),
        {"m.gguf": "aa", "b32": "bb", "b128": "cc"},
    )
    fast = EngineCandidate("onnx", "b128")
    some = (CANDIDATES[0], EngineCandidate("onnx", "b32"))
    file.put(
        choice_key((*some, fast), digests, "some processor", 2),
        choose_engine([LLAMA, build("b32", 8.0), build("b128", 14.0)]),
    )
    found = file.get(choice_key(some, digests, "some processor", 2), ["m.gguf", "b32"])
    assert found is not None
    assert (found.engine, len(found.measurements)) == ("llamacpp", 2)
    assert (
        file.get(choice_key(some, {**digests, "b32": "dd"}, "some processor", 2), ["b32"]) is None
    )
    assert file.get(choice_key(some, digests, "another processor", 2), ["b32"]) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"k": {}}', '{"k": {"engine": "other"}}'])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    path = tmp_path / "engines.json"
    path.write_text(text)
    assert ChoiceFile(path).get("k") is None
    ChoiceFile(path).put("n", choose_engine([LLAMA]))
    assert ChoiceFile(path).get("n") is not None

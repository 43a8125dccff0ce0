"""Two engines for one model, and devices that fail, through the session: planned around, told.

Nothing pretends to fail here: a plug-in's library is no library, a graph is one the compiler
refuses, a worker is killed while it answers.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.library.folder import InstalledModel
from app.library.targets import Target
from app.paths import Paths
from app.quantizing.conversion import Scoring
from app.session.engine_timing import time_engines
from app.session.session import Session
from app.settings import Settings
from quant.onnx.manifest import MANIFEST, file_entry
from runtime.errors import ContextTooLong, DeviceUnavailable, EngineError
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.machine.providers import FACT_NAMES, TARGETS
from runtime.plan import Reason
from runtime.planning.engine_choice import EngineChoice
from runtime.progress import Cancelled, CancelToken, Progress
from tests.helpers.command_line import json_of, stillroom
from tests.helpers.onnx_models import break_plugin, export_tiny, fatal_plugin
from tests.helpers.providers import needs, provider, refusal, runs_here
from tests.helpers.shapes import write_small_gguf

QUESTION = GenerationRequest(
    "q", (Message("user", "hi"),), SamplingParams(temperature=0), max_tokens=4
)
TINY = "tiny"


# -- two engines ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Session, EngineChoice | None]]:
    """A small GGUF model, quantized to ONNX by the product, which then times the two engines."""
    folder = tmp_path_factory.mktemp("both")
    gguf = write_small_gguf(folder / "small.gguf")
    session = Session(Paths.under(folder / "home"), Settings())
    session.library.add(gguf, name="small", format="gguf", source="import", link=True)
    made, _ = session.quantize("small", "onnx-q4-b32", context=64, requantize=True)
    assert made.name == "small-onnx-q4-b32"
    yield session, session.planning.engine_choice("small")
    session.close()


def test_a_conversion_times_the_engines_and_the_plan_says_which_is_faster(
    both: tuple[Session, EngineChoice | None],
) -> None:
    session, choice = both
    assert choice is not None
    assert {one.engine for one in choice.measurements} == {"llamacpp", "onnx"}
    assert all(one.decode_tps > 0 for one in choice.measurements)
    for name in ("small", "small-onnx-q4-b32"):
        plan = session.plan(name)
        assert plan.placement.engine == choice.engine
        assert plan.reasons[0] == choice.reason
        assert plan.alternatives[0].placement.engine != choice.engine


def test_naming_an_engine_overrides_the_choice(both: tuple[Session, EngineChoice | None]) -> None:
    session, _ = both
    for engine in ("llamacpp", "onnx"):
        plan = session.plan("small", engine=engine, n_ctx=256)
        assert session.load("small", plan).engine == engine
        assert session.loaded is not None
        assert session.loaded.target.name == "small"
        installed = session.loaded.target.installed
        assert installed is not None
        assert installed.format == ("gguf" if engine == "llamacpp" else "onnx")
    assert session.generate(QUESTION, lambda _: None).generated_tokens == 4


def test_a_choice_is_kept_between_sessions_and_not_made_twice(
    both: tuple[Session, EngineChoice | None],
) -> None:
    session, choice = both
    other = Session(session.paths, Settings())
    assert other.planning.engine_choice("small") == choice
    assert other.planning.untimed() == []
    assert other.engines.latest() == choice
    other.close()


def test_timing_can_be_cancelled_and_leaves_the_choice_as_it_was(
    both: tuple[Session, EngineChoice | None],
) -> None:
    session, choice = both
    cancel = CancelToken()

    def stop(progress: Progress) -> None:
        assert progress.phase == "measure"
        cancel.cancel()

    with pytest.raises(Cancelled):
        session.planning.time_engines("small", stop, cancel)
    assert session.planning.engine_choice("small") == choice


def test_all_onnx_builds_take_part_and_the_one_that_runs_is_named(
    both: tuple[Session, EngineChoice | None],
) -> None:
    """Asked for the GGUF file, the fastest of all; for an ONNX folder, that one or the file."""
    session, _ = both
    other = Session(session.paths, Settings())
    try:
        made, _ = other.quantize("small", "onnx-q4-fast", context=64, requantize=True)
        choice = other.planning.engine_choice("small")
        assert choice is not None
        assert [one.engine for one in choice.measurements] == ["llamacpp", "onnx", "onnx"]
        assert other.planning.untimed() == []
        fastest = max(
            (one for one in choice.measurements if one.engine == "onnx"),
            key=lambda one: one.decode_tps,
        )
        plan = other.plan("small", engine="onnx", n_ctx=64)
        build = other.planning.build("small", plan).installed
        assert build is not None
        assert str(build.path) in (fastest.path, choice.path)
        told = next(r for r in plan.reasons if r.code == "other_build_unmeasured")
        assert told.facts == {"build": build.name, "source": "small"}
        named = other.plan("small-onnx-q4-b32", engine="llamacpp", n_ctx=64)
        assert Reason("other_build", {"build": "small"}) in named.reasons
        own = {each.name for each in map(_installed, other.planning.builds(made.name))}
        assert own == {"small", made.name}
        report = other.conversion.quality(
            made.name, "small", lambda _: None, None, Scoring(quick=True)
        )
        plan = other.plan("small", engine="onnx", n_ctx=64)
        if build.name == made.name:
            told = next(reason for reason in plan.reasons if reason.code == "other_build_measured")
            assert told.facts["kl_mean"] == report.kl_mean.value
    finally:
        other.library.remove("small-onnx-q4-fast")
        other.close()


def _installed(target: Target) -> InstalledModel:
    assert target.installed is not None
    return target.installed


def test_engines_that_were_not_timed_are_told(both: tuple[Session, EngineChoice | None]) -> None:
    session, _ = both
    other = Session(session.paths, Settings(threads=1))  # another thread count, another question
    plan = other.plan("small")
    assert (plan.placement.engine, plan.reasons[0].code) == ("llamacpp", "engines_not_measured")
    assert len(other.planning.untimed()) == 1
    other.close()


def test_another_precision_is_another_model(
    both: tuple[Session, EngineChoice | None], tmp_path: Path
) -> None:
    """A file twice the size holds other weights, though both came from the same model."""
    session, _ = both
    big = tmp_path / "big.gguf"
    shutil.copy(session.find("small").local, big)
    with big.open("ab") as file:
        file.truncate(2 * big.stat().st_size)
    session.library.add(big, name="big", format="gguf", source="quantized from small", link=True)
    assert len(session.planning.builds("big")) == 1
    session.library.remove("big")


# -- devices that fail ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny(tmp_path_factory.mktemp("tiny"), "llama")


@pytest.fixture
def tiny(stillroom_home: Path, tiny_folder: Path, tmp_path: Path) -> Iterator[Session]:
    """A session with a tiny ONNX model, whose fixed-shape bodies hold 64 tokens."""
    session = Session(Paths.under(stillroom_home), Settings())
    folder = tmp_path / TINY
    shutil.copytree(tiny_folder, folder)
    session.library.add(folder, name=TINY, format="onnx", source="import", link=True)
    yield session
    session.close()


def _moved(session: Session, device: str, why: str) -> None:
    """The model runs on the CPU, and plan, answer and devices say why."""
    loaded = session.loaded
    assert loaded is not None
    assert loaded.plan.placement.layers[0].device == "cpu"
    assert loaded.plan.reasons[0].code == "device_failed"
    assert loaded.plan.reasons[0].facts == {"device": device, "why": why}
    stats = session.generate(QUESTION, lambda _: None)
    assert stats.generated_tokens > 0
    assert "device_changed" in stats.notices
    assert "device_changed" not in session.generate(QUESTION, lambda _: None).notices
    (failed,) = [each for each in session.devices() if each.id == device]
    assert failed.unavailable_reason == why
    with pytest.raises(DeviceUnavailable):
        session.plan(TINY, device=device)


@needs("openvino-cpu")
def test_a_provider_that_does_not_load_is_planned_around(
    tiny: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expect_log: Callable[[str], None],
) -> None:
    expect_log("openvino-cpu failed")
    break_plugin(tmp_path, TARGETS["openvino-cpu"])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plan = tiny.plan(TINY, device="openvino-cpu")
    assert plan.placement.layers[0].device == "openvino-cpu"
    tiny.load(TINY, plan)
    _moved(tiny, "openvino-cpu", "provider_failed_to_load")


@needs("openvino-cpu")
@needs("qnn-simulator")
def test_a_provider_that_ends_its_process_costs_no_other_its_facts(
    tiny: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal_plugin(tmp_path, TARGETS["openvino-cpu"], "os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    seen: list[Progress] = []
    tried = {each.target: each for each in tiny.machine.preflight(seen.append)}
    crashed = tried["openvino-cpu"].missing
    assert crashed is not None
    assert (crashed.name, crashed.code) == ("self_test", "crashed")
    assert crashed.facts["cause"] == "SIGABRT"
    assert tried["qnn-simulator"].usable
    reasons = {device.id: device.unavailable_reason for device in tiny.devices()}
    assert reasons["openvino-cpu"] == "self_test:crashed"
    assert reasons["qnn-simulator"] == ""
    assert (seen[-1].done, seen[-1].total) == (len(tried), len(tried))


@pytest.mark.slow
@needs("openvino-cpu")
def test_a_provider_that_hangs_is_given_up(
    tiny: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal_plugin(tmp_path, TARGETS["openvino-cpu"], "time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("app.planning.machine._SELF_TEST_SECONDS", 5.0)
    tried = {each.target: each.missing for each in tiny.machine.preflight()}
    hung = tried["openvino-cpu"]
    assert hung is not None
    assert (hung.name, hung.code) == ("self_test", "hung")


@needs("openvino-cpu")
def test_the_command_line_tells_that_a_device_failed(tiny: Session, tmp_path: Path) -> None:
    break_plugin(tmp_path, TARGETS["openvino-cpu"])
    process = stillroom(
        *("chat", TINY, "--device", "openvino-cpu", "--prompt", "hi", "--max-tokens", "3"),
        PYTHONPATH=str(tmp_path),
    )
    assert process.returncode == 0, process.stderr
    assert "openvino-cpu was planned but failed" in process.stderr
    assert "its execution provider did not load" in process.stderr
    assert "The planned device failed" in process.stderr


@needs("qnn-simulator")
def test_a_body_that_does_not_compile_is_planned_around(
    tiny: Session, expect_log: Callable[[str], None]
) -> None:
    """The provider passes its self-test; this model's graph has attention it does not know."""
    expect_log("qnn-simulator failed")
    folder = tiny.find(TINY).local
    data = json.loads((folder / MANIFEST).read_text())
    for body in data["static_bodies"]:
        shutil.copy(folder / data["body"], folder / body["file"])
        entry = file_entry(folder / body["file"])
        data["files"][body["file"]] = {"size": entry.size, "sha256": entry.sha256}
    (folder / MANIFEST).write_text(json.dumps(data))
    tiny.load(TINY, tiny.plan(TINY, device="qnn-simulator"))
    _moved(tiny, "qnn-simulator", "compile_failed")


@pytest.mark.parametrize("device", [provider("openvino-cpu"), provider("qnn-simulator")])
def test_a_device_lost_in_a_run_is_planned_around_and_the_answer_comes(
    device: str, tiny: Session, expect_log: Callable[[str], None]
) -> None:
    """The worker dies as under a driver that crashes, before it could say anything."""
    expect_log(f"{runs_here(device)} failed")
    tiny.load(TINY, tiny.plan(TINY, device=device))
    assert tiny._worker is not None
    process = tiny._worker.pid
    os.kill(process, signal.SIGSTOP)

    def crash() -> None:
        os.kill(process, signal.SIGSEGV)
        os.kill(process, signal.SIGCONT)

    timer = threading.Timer(0.3, crash)
    timer.start()
    stats = tiny.generate(QUESTION, lambda _: None)
    timer.join()
    assert stats.generated_tokens > 0
    assert "device_changed" in stats.notices
    assert tiny.loaded is not None
    assert tiny.loaded.plan.reasons[0].facts["why"] == "device_lost"
    assert tiny.loaded.plan.placement.layers[0].device == "cpu"


@needs("openvino-cpu")
def test_a_context_longer_than_compiled_is_refused_and_a_shorter_one_offered(
    tiny: Session,
) -> None:
    with pytest.raises(ContextTooLong) as caught:
        tiny.plan(TINY, device="openvino-cpu", n_ctx=65)
    facts = caught.value.facts
    assert (facts["longest"], facts["device"], facts["why"]) == (64, "openvino-cpu", "compiled")
    assert tiny.plan(TINY, device="openvino-cpu").placement.n_ctx == 64
    with pytest.raises(ContextTooLong):
        tiny.plan(TINY, n_ctx=513)
    assert tiny.plan(TINY, n_ctx=512).placement.layers[0].device == "cpu"


def test_a_file_made_for_less_than_the_model_says_so(tiny: Session) -> None:
    path = tiny.find(TINY).local / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rope_context": 256}))
    with pytest.raises(ContextTooLong) as caught:
        tiny.plan(TINY, n_ctx=512)
    assert (caught.value.facts["longest"], caught.value.facts["why"]) == (256, "exported")
    assert tiny.plan(TINY).placement.n_ctx == 256


def test_the_last_device_s_failure_is_an_error(tiny: Session) -> None:
    """Nothing is left after the processor."""
    plan = tiny.plan(TINY)
    (tiny.find(TINY).local / "body.onnx").unlink()
    with pytest.raises(EngineError):
        tiny.load(TINY, plan)
    assert tiny.loaded is None


# -- everything here ------------------------------------------------------------------------------


def test_measuring_the_machine_times_what_was_not_timed(
    both: tuple[Session, EngineChoice | None],
) -> None:
    session, _ = both
    other = Session(session.paths, Settings(threads=1))
    time_engines(other, lambda _: None, CancelToken())
    assert other.planning.untimed() == []
    choice = other.planning.engine_choice("small")
    assert choice is not None
    assert other.engines.latest() == choice
    other.close()


@pytest.mark.slow  # converts the starter twice
@pytest.mark.timeout(600)
def test_without_any_the_starter_decides_what_the_next_model_is_converted_to(
    session: Session,
) -> None:
    time_engines(session, lambda _: None, CancelToken())
    choice = session.engines.latest()
    assert choice is not None
    assert {one.engine for one in choice.measurements} == {"llamacpp", "onnx"}
    assert len(session.installed()) == 1
    assert not list((session.library.root / ".staging").iterdir())
    name = session.installed()[0].name
    made = json_of(stillroom("quantize", name, "--requantize", "--json", seconds=300))
    assert made["model"]["format"] == ("onnx" if choice.engine == "onnx" else "gguf")


@needs("openvino-cpu")
@needs("qnn-simulator")
def test_devices_lists_five_facts_of_each_provider(stillroom_home: Path) -> None:
    found = json_of(stillroom("devices", "--json"))
    tried = {each["target"]: each["facts"] for each in found["preflights"]}
    usable = {each["id"]: each["unavailable_reason"] for each in found["devices"]}
    for target in ("openvino-cpu", "qnn-simulator"):
        if refusal(target):
            (missing,) = [fact for fact in tried[target] if fact["ok"] is False]
            assert (missing["name"], missing["code"]) == ("provider", "no_such_device")
            assert usable[target] == "provider:no_such_device"
            continue
        assert [(fact["name"], fact["ok"]) for fact in tried[target]] == [
            (name, True) for name in FACT_NAMES
        ]
        assert usable[target] == ""
    assert tried["qnn-htp"][0] == {
        "name": "hardware", "ok": False, "code": "not_present", "facts": {"vendor": "qualcomm"},
    }  # fmt: skip
    assert usable["cpu"] == ""

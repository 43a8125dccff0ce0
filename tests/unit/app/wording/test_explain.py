"""Every error, reason and notice has words: one sentence, nothing left to fill in."""

import re
import sys
from pathlib import Path

import pytest

from app.errors import CatalogError, Interrupted, Offline, RateLimited
from app.hub.endpoint import failure_kind
from app.remote.errors import RemoteBusy
from app.wording import sentences as words
from app.wording.errors import OFFLINE
from app.wording.explain import (
    explain,
    finding_text,
    notice_text,
    preflight_text,
    reason_text,
    unavailable_text,
)
from quant.error_base import StillroomError
from runtime.errors import ContextTooLong, DoesNotFit, JobMismatch, UnsupportedModel
from runtime.machine.npus import NpuHardware
from runtime.machine.providers import TARGETS, Fact, ProviderTarget, memory_fact, static_facts
from runtime.plan import Reason
from runtime.process.exit import classify
from runtime.progress import Cancelled


def test_no_error_is_defined_beside_an_engine() -> None:
    """The parent imports no engine and must be able to rebuild what crosses the pipe."""
    folder = Path(__file__).parents[4] / "runtime" / "backends"
    text = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    assert re.findall(r"^class (\w+)\(\w*(?:Error|Failed|Unavailable)\)", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    ("error", "sentence", "hint"),
    [
        (DoesNotFit(device="cpu", needed=42_500_000_000, available=7_900_000_000,
                    suggestion={"n_ctx": 2048}),
         "needs 42.5 GB on cpu, but only 7.90 GB is free", "2048 tokens"),
        (DoesNotFit(device="cpu", needed=1, available=0, suggestion=None), "1 bytes", "smaller"),
        (UnsupportedModel(path="r1-7b", reason="not_installed"), "not on this machine", "pull"),
        (classify(-11, None, 0, "").as_error(), "SIGSEGV", "conversation is safe"),
        (classify(-4, None, 0, "").as_error(), "SIGILL", "Set up Stillroom again"),
        (classify(-9, None, 1, "").as_error(), "ran out of memory", "smaller"),
        (classify(-9, None, 0, "").as_error(), "SIGKILL", "memory was low"),
        (classify(3, None, 0, "").as_error(), "exit code 3", "engine"),
        (ContextTooLong(n_ctx=4096, longest=2048, device="npu0", why="compiled"),
         "4096 tokens is more than its graph for npu0 was exported for: 2048", "Choose 2048"),
        (ContextTooLong(n_ctx=9000, longest=8192, device="cpu", why="trained"),
         "the model was trained for: 8192", "8192 tokens or fewer."),
        (RateLimited(endpoint="", retry_after=7.0), "to wait 7 seconds", "then"),
        (RateLimited(endpoint="", retry_after=None), "did not say how long", "later"),
        (RemoteBusy(name="big", url="", retry_after=7.0), "to wait 7 seconds", "then"),
        (RemoteBusy(name="big", url="", retry_after=None), "did not say how long", "later"),
        (Interrupted(path="/x/a.gguf", received=1, total=2, attempts=6,
                     reason=Offline(kind="dns").to_json()),
         "of a.gguf stopped. The hub's address was not found.", "resumes where it stopped"),
        (JobMismatch(job="probe", side="answer", field="", detail="Expected `object`"),
         "disagree about the job “probe”: “Expected `object`”.", "Reinstall"),
        (JobMismatch(job="probe", side="answer", field="rpc", detail=""),
         "disagree about “rpc” of the job “probe”.", "Reinstall"),
        (CatalogError(path="/x/models.json", reason="schema"), "invalid: it does not match", ""),
        (CatalogError(path="/x/models.json", entry="a", reason="schema"),
         "is invalid: entry “a”: ", ""),
        (StillroomError.from_json({"type": "Older", "facts": {"path": "/x/a"}}),
         "“Older” is not known to this version of Stillroom: “path: /x/a”.", "Try again"),
        (Cancelled(), "nothing was left behind", ""),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "a.txt", ""),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError", "bug in Stillroom"),
    ],
)  # fmt: skip
def test_sentences(error: BaseException, sentence: str, hint: str) -> None:
    explanation = explain(error)
    assert sentence in explanation.sentence
    assert hint in explanation.hint


@pytest.mark.parametrize(
    ("npu", "words"),
    [
        (None, "no NPU from intel was found"),
        (NpuHardware("npu0", "intel", "", "/dev/accel/accel0", False),
         "intel_vpu is not loaded: install the vendor's driver"),
        (NpuHardware("npu0", "intel", "intel_vpu", "/dev/accel/accel0", False),
         "no permission to open /dev/accel/accel0: add this user to the render group"),
        (NpuHardware("npu0", "intel", "intel_vpu", "/dev/accel/accel0", True),
         "not installed: `pip install no-such-package`"),
    ],
)  # fmt: skip
def test_a_refused_npu_names_what_is_missing_and_what_to_install(
    npu: NpuHardware | None, words: str
) -> None:
    target = ProviderTarget(
        "absent-npu", "NPU", "OpenVINO", "NoProvider", "no-such-package", "no_such_module", "x",
        hardware_vendor="intel",
    )  # fmt: skip
    text = preflight_text(static_facts(target, (npu,) if npu else (), 16_000_000_000))
    assert text.startswith("absent-npu: not usable\n")
    assert text.count("\n") == 5
    assert words in text
    assert "unknown" not in text


def test_every_finding_of_a_target_has_words() -> None:
    for target in TARGETS.values():
        text = preflight_text(static_facts(target, (), 16_000_000_000))
        assert "unknown" not in text
        assert "{" not in text


@pytest.mark.parametrize("code", ["not_installed", "provider_not_installed"])
def test_a_frozen_program_names_no_pip(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    fact = Fact("provider", False, code, {"package": "onnxruntime-qnn"})
    assert "pip install onnxruntime-qnn" in finding_text(fact)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "pip" not in finding_text(fact)
    assert "stillroom packs" in finding_text(fact)


@pytest.mark.parametrize(
    ("fact", "wanted"),
    [
        (Fact("self_test", False, "crashed", {"cause": "SIGABRT"}), "SIGABRT"),
        (Fact("self_test", False, "hung", {"seconds": 180.0}), "3 min"),
        (memory_fact(100_000_000), "100 MB left, 268 MB needed"),
        (memory_fact(1 << 40, 4_000_000_000), "4.00 GB on the device"),
    ],
)
def test_what_a_preflight_found_is_worded(fact: Fact, wanted: str) -> None:
    text = finding_text(fact)
    assert wanted in text
    assert "{" not in text
    assert f"{fact.name}:{fact.code}" in words.UNAVAILABLE or fact.ok


def test_reasons_and_notices() -> None:
    assert "4096 tokens" in reason_text(Reason("context_default", {"n_ctx": 4096}))
    facts = {"device": "npu0", "why": "provider:not_installed"}
    assert (
        reason_text(Reason("device_left_out", facts)).count("execution provider is not installed")
        == 1
    )
    measured = {"engine": "onnx", "decode_tps": 14.6, "other": "llamacpp", "other_decode_tps": 10.7}
    assert reason_text(Reason("engine_faster", measured)) == (
        "ONNX Runtime decodes at 14.6 tok/s here and llama.cpp at 10.7 tok/s, measured with this"
        " model."
    )
    assert "12.5 tok/s" in reason_text(Reason("fastest_predicted", {"decode_tps": 12.5}))
    assert reason_text(Reason("some_new_code", {})).startswith("“some new code”")
    assert notice_text("thinking_cut") != "thinking cut"
    assert "does not know" in notice_text("other_notice")
    assert unavailable_text("engine_lacks_gpu") != "engine_lacks_gpu"
    assert "a driver said so" in unavailable_text("a driver said so")


def test_every_kind_of_offline_has_its_own_sentence() -> None:
    tls = ConnectionError("certificate verify failed")
    texts = ("timed out", "getaddrinfo failed", "connection refused", "reset by peer")
    kinds = {failure_kind(tls), *(failure_kind(ConnectionError(text)) for text in texts)}
    assert kinds | {"setting", "no network"} == set(OFFLINE)
    told = [{"type": "Offline", "facts": {"kind": kind}} for kind in OFFLINE]
    sentences = {explain(StillroomError.from_json(each)).sentence for each in told}
    assert len(sentences) == len(OFFLINE)

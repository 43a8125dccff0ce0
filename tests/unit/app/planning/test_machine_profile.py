"""What is profiled, and what the command says of it. The job itself is timed elsewhere."""

import dataclasses
from argparse import Namespace
from pathlib import Path

import msgspec
import pytest

import app.session.session
from app.cli.commands import machine as commands
from app.cli.commands.console import Console
from app.history.records import RunRecord
from app.paths import Paths
from app.planning.machine import measurable
from app.session.session import Session
from app.settings import Settings
from runtime.devices import Device
from runtime.plan import Interval
from runtime.planning.bandwidth import BandwidthProfile, machine_fingerprint
from runtime.planning.diagnosis import Cause, Diagnosis
from runtime.process.job import Job
from runtime.process.job_table import PROFILE as PROFILE_JOB
from runtime.process.job_values import ProfileArgs

PROFILE = Path(__file__).resolve().parents[3] / "data" / "profile.json"
DEVICES = (
    Device("cuda0", "GPU", "CUDA", "a GPU", 24, 20, engines=("llamacpp", "genai")),
    Device("vulkan1", "GPU", "Vulkan", "broken", 8, 8, unavailable_reason="device_lost"),
    Device("gpu-0000:01", "GPU", "none", "no driver", 0, 0, unavailable_reason="engine_lacks_gpu"),
    Device("npu0", "NPU", "QNN", "an NPU", 8, 8, engines=("onnx",)),
    Device("rpc:host:1", "RPC", "RPC", "elsewhere", 8, 8),
    Device("cpu", "CPU", "CPU", "a processor", 32, 30),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ProfileArgs]:
    """The arguments that reach the job, which answers with a stored profile."""
    seen: list[ProfileArgs] = []

    def job(
        job: Job[ProfileArgs, BandwidthProfile], args: ProfileArgs, *_rest: object
    ) -> BandwidthProfile:
        assert job is PROFILE_JOB
        seen.append(args)
        return dataclasses.replace(
            msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile),
            fingerprint=machine_fingerprint(),
            doubts=("busy",) if len(seen) > 1 else (),
            measured_at=f"2026-01-0{len(seen)}T00:00:00+00:00",
        )

    monkeypatch.setattr(app.session.session, "run_job", job)
    return seen


@pytest.fixture
def session(tmp_path: Path) -> Session:
    made = Session(Paths.under(tmp_path), Settings())
    made.machine.devices = lambda *, refresh=False: DEVICES  # type: ignore[method-assign]
    return made


def test_gpus_of_the_engine_are_measured_beside_the_processor(
    session: Session, asked: list[ProfileArgs]
) -> None:
    assert measurable(DEVICES) == ["cpu", "cuda0"]
    session.profile(full=True)
    assert asked == [ProfileArgs("full", ("cpu", "cuda0"))]


def test_a_profile_that_is_not_kept_is_said_not_to_be(
    session: Session,
    asked: list[ProfileArgs],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "time_engines", lambda *_: None)
    options = Namespace(history=False, why=False, full=False)
    told = []
    for _ in range(2):
        commands.profile(session, options, Console(as_json=False))
        told.append(capsys.readouterr().out)
    assert "Discarded" not in told[0]
    assert "predictions still use the steadier measurement of 2026-01-01" in told[1]
    known = session.learning.load().profile
    assert known is not None
    assert known.measured_at.startswith("2026-01-01")


def test_devices_that_were_not_measured_are_told() -> None:
    profile = msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile)
    text = commands.profile_text(dataclasses.replace(profile, doubts=()), ("cuda0",))
    assert "cuda0 was not measured" in text
    assert "not measured" not in commands.profile_text(profile)


def test_the_last_run_is_told_with_its_causes() -> None:
    run = RunRecord(
        1.0, "a model", "", "llamacpp", "1", ("cpu",), {}, None, Interval(20.0, 24.0, 28.0), None,
        12.0, 1, 1,
    )  # fmt: skip
    found = Diagnosis(2.0, (Cause("other_load", 1.6, 0.7, {}),), 0.3)
    text = commands.why_text(run, found)
    assert text.splitlines() == [
        "a model: 12.0 tok/s, 20-28 tok/s predicted at this length",
        "70 %: other programs kept the cores busy. Close them, or wait.",
        "30 %: not explained by any measurement.",
    ]
    assert "as fast as predicted" in commands.why_text(run, Diagnosis(1.0, (), 0.0))
    assert "no run" in commands.why_text(None, None)

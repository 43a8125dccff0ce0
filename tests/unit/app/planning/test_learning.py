"""What is kept of profiles and runs. Profiles are built by hand; nothing is measured."""

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest

from app.planning.learning import KEPT, Learning, observations_of
from runtime.generation import GenerationStats
from runtime.plan import (
    DeviceMemory,
    LayerRange,
    MemoryEstimate,
    Placement,
    Plan,
    PlanModel,
    Reason,
)
from runtime.planning.bandwidth import BandwidthProfile
from runtime.planning.calibration import fit
from runtime.planning.speed import SpeedModel
from runtime.shape import ModelShape, weight_bytes

HERE = {"processor": "test", "engine": "x 1"}
SHAPE = ModelShape("llama", 4, 256, 1024, 4, 2, 64, 64, 1000, 4096)
MODEL = PlanModel(SHAPE, weight_bytes(SHAPE, "Q4_0"), block_format="Q4_0")
PLACEMENT = Placement("llamacpp", (LayerRange("cpu", 0, 3),), "cpu", 4096, n_threads=1)
PLAN = Plan(PLACEMENT, MemoryEstimate((DeviceMemory("cpu", 1, 1, 1),)), None, "fits", ())


@pytest.fixture
def profile(stored_profile: BandwidthProfile) -> BandwidthProfile:
    return dataclasses.replace(stored_profile, fingerprint=HERE, doubts=())


@pytest.fixture(scope="module")
def stored_profile() -> BandwidthProfile:
    """A real profile of another machine, kept as data."""
    path = Path(__file__).resolve().parents[3] / "data" / "profile.json"
    return msgspec.json.decode(path.read_bytes(), type=BandwidthProfile)


def learning(folder: Path, here: dict[str, str] | None = None) -> Learning:
    return Learning(folder, lambda: here or HERE)


def stats(**changes: object) -> GenerationStats:
    plain = GenerationStats(
        request_id="r", finish_reason="stop", prompt_tokens=64, cached_tokens=0,
        generated_tokens=100, reasoning_tokens=0, time_to_first_token=0.1, prefill_seconds=0.1,
        decode_seconds=1.0, prefill_tps=640.0, decode_tps=99.0, peak_memory=1,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_nothing_is_known_before_the_first_profile(tmp_path: Path) -> None:
    learnt = learning(tmp_path).load()
    assert learnt.profile is None
    assert learnt.speed is None


def test_a_profile_comes_back(tmp_path: Path, profile: BandwidthProfile) -> None:
    learning(tmp_path).keep_profile(profile)
    assert learning(tmp_path).load().profile == profile


def test_another_machine_does_not_use_it(tmp_path: Path, profile: BandwidthProfile) -> None:
    learning(tmp_path).keep_profile(profile)
    assert learning(tmp_path, {**HERE, "processor": "other"}).load().profile is None


def test_a_doubtful_profile_never_replaces_a_trusted_one(
    tmp_path: Path, profile: BandwidthProfile
) -> None:
    doubtful = dataclasses.replace(profile, doubts=("busy",), spread=0.5)
    learning(tmp_path).keep_profile(profile)
    assert not learning(tmp_path).keep_profile(doubtful)
    assert learning(tmp_path).load().profile == profile


def test_a_doubtful_profile_is_better_than_none(tmp_path: Path, profile: BandwidthProfile) -> None:
    doubtful = dataclasses.replace(profile, doubts=("busy",))
    learning(tmp_path).keep_profile(doubtful)
    assert learning(tmp_path).load().profile == doubtful


def test_damaged_files_count_as_absent(tmp_path: Path, profile: BandwidthProfile) -> None:
    kept = learning(tmp_path)
    kept.keep_profile(profile)
    kept.learn(MODEL, PLAN, stats())
    assert len(kept.load().observations) == 2
    (tmp_path / "observations.json").write_text("{")
    assert kept.load().observations == ()
    (tmp_path / "profile.json").write_text('{"spread": "wide"}')
    assert kept.load().profile is None


def test_a_run_moves_the_next_prediction_towards_it(
    tmp_path: Path, profile: BandwidthProfile
) -> None:
    kept = learning(tmp_path)
    kept.keep_profile(profile)
    speed = kept.load().speed
    assert speed is not None
    before = speed.decode_tps(MODEL, PLACEMENT, 114)
    for _ in range(4):
        kept.learn(MODEL, PLAN, stats(decode_tps=before.median / 2))
    after = kept.load().speed
    assert after is not None
    learnt = after.decode_tps(MODEL, PLACEMENT, 114)
    assert learnt.median == pytest.approx(before.median / 2, rel=0.15)


def test_only_so_many_observations_are_kept(tmp_path: Path, profile: BandwidthProfile) -> None:
    kept = learning(tmp_path)
    kept.keep_profile(profile)
    one = observations_of(SpeedModel(profile, fit(())), MODEL, PLAN, stats())[0]
    many = {"profile": profile.identity, "observations": [dataclasses.asdict(one)] * (KEPT + 9)}
    (tmp_path / "observations.json").write_text(json.dumps(many))
    assert len(kept.load().observations) == KEPT + 9
    kept.learn(MODEL, PLAN, stats())
    assert len(kept.load().observations) == KEPT


def test_what_corrected_one_profile_corrects_no_other(
    tmp_path: Path, profile: BandwidthProfile
) -> None:
    kept = learning(tmp_path)
    kept.keep_profile(profile)
    kept.learn(MODEL, PLAN, stats())
    again = dataclasses.replace(profile, measured_at="2030-01-01T00:00:00+00:00")
    assert kept.keep_profile(again)
    assert kept.load().observations == ()
    kept.learn(MODEL, PLAN, stats())
    assert len(kept.load().observations) == 2  # those of the new one alone
    there = dataclasses.replace(again, fingerprint={**HERE, "processor": "other"})
    moved = learning(tmp_path, there.fingerprint)
    moved.keep_profile(there)
    assert moved.load().observations == ()


def test_timing_an_engine_teaches_its_prompts_and_its_decode(
    tmp_path: Path, profile: BandwidthProfile
) -> None:
    kept = learning(tmp_path)
    kept.keep_profile(profile)
    onnx = dataclasses.replace(PLACEMENT, engine="onnx")
    speed = kept.load().speed
    assert speed is not None
    before = speed.time_to_first_token(MODEL, onnx, 64).median
    for _ in range(6):
        kept.learn_prefill(MODEL, onnx, 64, 64 / (0.6 * before))
        kept.learn_decode(MODEL, onnx, 60.0, 500.0)
    after = kept.load().speed
    assert after is not None
    assert after.time_to_first_token(MODEL, onnx, 64).median < 0.85 * before
    llama = after.time_to_first_token(MODEL, PLACEMENT, 64).median
    assert llama == pytest.approx(speed.time_to_first_token(MODEL, PLACEMENT, 64).median)


def test_a_doubtful_profile_promises_less_and_says_so(
    tmp_path: Path, profile: BandwidthProfile
) -> None:
    doubtful = dataclasses.replace(profile, doubts=("busy",))
    sure, unsure = SpeedModel(profile), SpeedModel(doubtful)
    before, after = (each.decode_tps(MODEL, PLACEMENT) for each in (sure, unsure))
    assert after.median == before.median
    assert after.low < 0.8 * before.low
    assert after.high > 1.25 * before.high
    assert sure.reasons(PLACEMENT) == ()
    assert [reason.code for reason in unsure.reasons(PLACEMENT)] == ["speed_doubtful"]
    other = dataclasses.replace(PLACEMENT, lm_head_device="cuda0")
    assert sure.reasons(other) == (Reason("device_unmeasured", {"device": "cuda0"}),)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 2),
        ({"generated_tokens": 3}, 1),  # too short to time decode
        ({"prompt_tokens": 8}, 1),  # too short to time prefill
        ({"cached_tokens": 10}, 1),  # a prefill that was partly reused
        ({"draft_tokens": 50}, 1),  # guesses make decode something else, right or wrong
        ({"draft_tokens": 1}, 2),
        ({"decode_tps": None}, 1),
    ],
)
def test_what_teaches(profile: BandwidthProfile, changes: dict[str, object], count: int) -> None:
    speed = SpeedModel(profile, fit(()))
    assert len(observations_of(speed, MODEL, PLAN, stats(**changes))) == count

"""Profiles as values: interpolation, relatives, JSON, fingerprint, spread."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from runtime.planning.bandwidth import (
    ATTENTION_CELLS,
    BandwidthProfile,
    Curve,
    CurvePoint,
    DeviceProfile,
    ThreadCosts,
    between_threads,
    cache_facts,
    cache_levels,
    machine_fingerprint,
    spread_of,
)

MIB = 2**20


def curve(threads: int, *points: tuple[int, float]) -> Curve:
    return Curve(threads, tuple(CurvePoint(size * MIB, rate * 1e9) for size, rate in points))


def cpu() -> DeviceProfile:
    return DeviceProfile(
        device="cpu",
        plain=(curve(1, (1, 20), (1024, 12)), curve(2, (1, 40), (1024, 25))),
        products={
            "Q4_0": (curve(1, (4, 10), (64, 6)), curve(2, (4, 20), (64, 16), (1024, 10))),
            "Q8_0": (curve(1, (4, 12)), curve(2, (4, 24))),
        },
        costs=tuple(
            ThreadCosts(
                threads,
                threads * 1e-6,
                {"64": 8e-10 / threads, "128": 1e-10 / threads},
                {"64": 4e-11 / threads, "128": 2e-11 / threads},
                {"Q4_0": threads * 80e9, "Q8_0": threads * 40e9},
            )
            for threads in (1, 2)
        ),
    )


def test_rate_falls_between_measured_working_sets() -> None:
    known = cpu().products["Q4_0"][1]
    assert known.at(1 * MIB) == 20e9
    assert known.at(64 * MIB) == pytest.approx(16e9)
    assert 10e9 < known.at(256 * MIB) < 16e9
    assert known.at(4096 * MIB) == 10e9


def test_a_curve_through_one_point_keeps_its_shape() -> None:
    known = cpu().products["Q4_0"][1]
    scaled = known.through(CurvePoint(64 * MIB, 8e9))
    assert [p.bytes_per_second for p in scaled.points] == pytest.approx([10e9, 8e9, 5e9])
    assert scaled.threads == known.threads
    assert scaled.at(64 * MIB) == pytest.approx(8e9)


def test_unmeasured_format_takes_a_relatives_curve() -> None:
    assert cpu().measured_format("q4_k_m") == "Q4_0"
    assert cpu().measured_format("Q6_K") == "Q8_0"
    assert cpu().measured_format("something-else") in ("Q4_0", "Q8_0")
    assert cpu().read_rate("Q4_1", 4 * MIB, 2) == 20e9


def test_threads_between_and_beyond_measured_ones() -> None:
    assert between_threads({1: 10.0, 4: 40.0}, 2) == 20.0
    assert between_threads({1: 10.0, 4: 40.0}, 16) == 40.0
    assert between_threads({2: 10.0, 4: 40.0}, 1) == 10.0


def test_heads_are_charged_by_whole_multiples_of_128() -> None:
    cost = cpu().cost(1)
    assert cost.attention_seconds(128) == 1e-10
    assert cost.attention_seconds(64) == 8e-10
    assert cost.attention_seconds(192) == pytest.approx((128 * 1e-10 + 64 * 8e-10) / 192)
    assert cost.attention_seconds(128, prefill=True) == 2e-11


def profile() -> BandwidthProfile:
    return BandwidthProfile({"cores": "2"}, "2026-01-01T00:00:00+00:00", "quick", 0.04, (cpu(),))


def test_json_there_and_back() -> None:
    again = msgspec.json.decode(msgspec.json.encode(profile()), type=BandwidthProfile)
    assert again == profile()


def test_foreign_json_is_refused() -> None:
    data = msgspec.to_builtins(profile())
    del data["devices"][0]["costs"][0]["attention_decode"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(data, BandwidthProfile)


def test_doubts_mean_distrust() -> None:
    assert profile().trusted
    assert not replace(profile(), doubts=("busy",)).trusted
    assert profile().device("cuda0") is None


def test_fingerprint_names_the_machine() -> None:
    fingerprint = machine_fingerprint("engine 1")
    assert fingerprint["engine"] == "engine 1"
    assert int(fingerprint["threads"]) >= 1
    assert fingerprint == machine_fingerprint("engine 1")


def test_caches_as_the_system_writes_them(tmp_path: Path) -> None:
    written = (("Data", 1, "48K"), ("Instruction", 1, "64K"), ("Unified", 2, "2048K"))
    for index, (kind, level, size) in enumerate((*written, ("Unified", 3, "300M"))):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("type", kind), ("level", str(level)), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    levels = cache_levels(tmp_path)
    assert levels == {1: 48 << 10, 2: 2 * MIB, 3: 300 * MIB}
    assert replace(profile(), facts=cache_facts(levels)).caches == levels
    assert cache_levels(tmp_path / "missing") == {}
    assert profile().caches == {}


def test_two_profilings_have_two_identities() -> None:
    one = replace(profile(), measured_at="2026-01-01T00:00:00")
    assert one.identity == replace(one, spread=0.3).identity
    assert one.identity != replace(one, measured_at="2026-01-01T00:00:01").identity
    assert one.identity != replace(one, fingerprint={"processor": "another"}).identity


def test_devices_that_were_not_measured_are_told() -> None:
    assert profile().missing(["cpu", "cuda0"]) == ("cuda0",)


def test_spread_of_readings() -> None:
    assert spread_of([10.0, 10.0]) == 0.0
    assert spread_of([9.0, 10.0, 11.0, 10.0, 10.0]) == pytest.approx(0.1, abs=0.06)


def test_attention_costs_more_where_a_block_s_cache_outgrows_the_nearest() -> None:
    near, far = {"64": 2e-10, "128": 1e-10}, {"64": 4e-10, "128": 4e-10}
    costs = ThreadCosts(1, 1e-6, near, near, {"Q4_0": 1e11}, far)
    few, many = (cells * 4 * 128 * 4 for cells in ATTENTION_CELLS)
    assert costs.attention_seconds(128) == costs.attention_seconds(128, few / 9) == 1e-10
    assert costs.attention_seconds(128, (few * many) ** 0.5) == pytest.approx(2e-10)
    assert costs.attention_seconds(128, 9 * many) == pytest.approx(4e-10)
    assert costs.attention_seconds(192, 9 * many) == pytest.approx(4e-10)
    assert costs.attention_seconds(128, 9 * many, prefill=True) == 1e-10
    assert replace(costs, attention_far={}).attention_seconds(128, 9 * many) == 1e-10

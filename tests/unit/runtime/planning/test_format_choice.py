"""The ranking of formats: a pure function, so its rules are checked on figures chosen for them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wording.explain import reason_text
from runtime.plan import Interval
from runtime.planning.format_choice import (
    COMFORTABLE_TPS,
    EQUAL_LOSS,
    FAST_EXTRA_LOSS,
    FormatCandidate,
    Wish,
    rank_formats,
)


def around(value: float) -> Interval:
    return Interval(value / 1.2, value, value * 1.2)


def made(
    label: str, tps: float | None, loss: float | None, context: int = 8192, **more: float
) -> FormatCandidate:
    return FormatCandidate(
        label,
        "onnx" if label.startswith("onnx") else "llamacpp",
        4_000_000_000,
        around(tps) if tps else None,
        around(loss) if loss else None,
        context,
        **more,
    )


PEER = around(0.042)
# The 1.5B shape on the 2-core Intel machine with AVX-512 (benchmarks/results/prediction-cpu-2.txt).
INTEL = (
    made("Q4_0", 10.2, 0.1),
    made("Q4_K_M", 19.4, 0.042),
    made("Q8_0", 9.3, 0.003),
    made("onnx-q4-b32-search", 15.5, 0.09),
    made("onnx-q4-b128-asym-search", 20.9, 0.15),
)


def labels(candidates: tuple[FormatCandidate, ...], wish: Wish = "balanced") -> list[str]:
    return [each.candidate.label for each in rank_formats(candidates, wish, PEER).formats]


def test_balanced_takes_the_fastest_that_loses_no_more_than_the_peers_default() -> None:
    ranking = rank_formats(INTEL, "balanced", PEER)
    assert ranking.chosen is not None
    assert ranking.chosen.candidate.label == "Q4_K_M"
    assert ranking.chosen.reason.code == "format_peers_default"
    ours = made("q4_k_m-feedback", 19.4, 0.025)
    assert labels((*INTEL, ours))[0] == "q4_k_m-feedback"  # as fast, and closer
    faster = made("onnx-q4-b128-asym-feedback", 20.9, 0.04)
    assert labels((*INTEL, ours, faster))[0] == "onnx-q4-b128-asym-feedback"
    reason = rank_formats((*INTEL, faster), "balanced", PEER).formats[0].reason
    assert reason.code == "format_as_faithful"
    assert "20.9 tok/s" in reason_text(reason)


def test_fast_pays_a_stated_loss_for_speed_and_no_more() -> None:
    bound = PEER.median + FAST_EXTRA_LOSS
    paid = made("paid", 25.0, bound - 0.001)
    assert labels((*INTEL, paid, made("over", 40.0, bound + 0.001)), "fast")[0] == "paid"


def test_faithful_takes_the_least_loss_that_is_still_comfortable() -> None:
    assert labels(INTEL, "faithful")[0] == "Q4_K_M"  # Q8_0 is slower than people want to wait
    quick = tuple(replace(each, speed=each.speed and around(40.0)) for each in INTEL)
    assert labels(quick, "faithful")[0] == "Q8_0"
    slow = tuple(
        replace(each, speed=around(each.speed.median * 0.2)) for each in INTEL if each.speed
    )
    assert max(c.speed.median for c in slow if c.speed) < COMFORTABLE_TPS
    assert labels(slow, "faithful") == labels(slow, "balanced")


def test_where_nothing_loses_as_little_speed_is_traded_at_the_stated_rate() -> None:
    only = (made("Q3_K_M", 20.0, 0.10), made("Q2_K", 39.0, 0.16))  # less than double for 0.06
    ranking = rank_formats(only, "balanced", PEER)
    assert ranking.formats[0].candidate.label == "Q3_K_M"
    assert ranking.formats[0].reason.code == "format_best_trade"
    assert labels((only[0], made("Q2_K", 50.0, 0.16)))[0] == "Q2_K"
    assert rank_formats(only, "balanced", None).formats[0].candidate.label == "Q3_K_M"


def test_what_is_equally_fast_and_close_goes_by_what_it_costs_to_make() -> None:
    quick = made("q4_k_m", 19.4, 0.040, seconds=20.0)
    costly = made("costly", 19.6, 0.040 - EQUAL_LOSS / 2, seconds=900.0)
    assert labels((costly, quick))[0] == "q4_k_m"
    better = replace(costly, loss=around(0.040 - 2 * EQUAL_LOSS))
    assert labels((better, quick))[0] == "costly"


def test_before_a_machine_is_measured_the_stated_order_applies() -> None:
    unknown = tuple(replace(each, speed=None) for each in INTEL)
    assert labels(unknown) == [
        "Q4_K_M", "Q4_0", "onnx-q4-b32-search", "Q8_0", "onnx-q4-b128-asym-search",
    ]  # fmt: skip
    ranking = rank_formats(unknown, "fast", PEER)
    assert ranking.formats[0].reason.code == "format_unmeasured"
    assert ranking.points == ()


def test_formats_that_leave_less_context_come_after_and_those_that_do_not_fit_last() -> None:
    short = replace(made("Q8_0", 30.0, 0.003), context=2048)
    large = made("F16", 8.0, 0.001, context=0)
    ranking = rank_formats((short, large, *INTEL[:2]), "faithful", PEER)
    assert [each.candidate.label for each in ranking.formats] == ["Q4_K_M", "Q4_0", "Q8_0", "F16"]
    assert ranking.formats[2].reason.code == "format_short_context"
    assert ranking.formats[3].reason.code == "format_does_not_fit"
    # Where the shorter context is all that is wanted, it counts as any other.
    assert rank_formats((short, *INTEL[:2]), "faithful", PEER, 2048).formats[0].candidate is short
    assert rank_formats((large,), "balanced", PEER).chosen is None
    assert rank_formats((), "balanced", PEER).chosen is None


def test_what_takes_too_long_to_make_is_not_made_unasked() -> None:
    slow = made("q4_k_m-feedback", 19.4, 0.02, seconds=3600.0)
    ranking = rank_formats((slow, *INTEL), "balanced", PEER, patience=900.0)
    assert ranking.formats[0].candidate.label == "Q4_K_M"
    last = ranking.formats[-1]
    assert (last.candidate, last.reason.code, last.on_frontier) == (slow, "format_costly", True)
    assert "60 minutes" in reason_text(last.reason)
    assert rank_formats((slow, *INTEL), "balanced", PEER).formats[0].candidate is slow


def test_the_picture_has_the_frontier_what_is_beaten_and_the_peers_default() -> None:
    points = rank_formats(INTEL, "balanced", PEER).points
    assert [p.label for p in points] == [
        "Q8_0", "Q4_0", "onnx-q4-b32-search", "Q4_K_M", "onnx-q4-b128-asym-search",
    ]  # fmt: skip
    assert [p.on_frontier for p in points] == [True, False, False, True, True]
    assert [p.label for p in points if p.chosen] == ["Q4_K_M"]
    assert [p.label for p in points if p.peers_default] == ["Q4_K_M"]


FIGURES = st.one_of(st.none(), st.floats(1e-4, 200.0))
CANDIDATES = st.lists(
    st.builds(
        made,
        st.sampled_from(["Q4_0", "Q4_K_M", "IQ4_XS", "own", "onnx-q4-b32"]),
        FIGURES,
        FIGURES,
        st.sampled_from([0, 512, 8192]),
    ),
    max_size=8,
).map(tuple)


@given(CANDIDATES, st.sampled_from(["balanced", "fast", "faithful"]), st.sampled_from([PEER, None]))
def test_every_format_has_one_place_and_a_reason_in_words(
    candidates: tuple[FormatCandidate, ...], wish: Wish, peer: Interval | None
) -> None:
    ranking = rank_formats(candidates, wish, peer)
    assert sorted(map(id, candidates)) == sorted(id(each.candidate) for each in ranking.formats)
    assert [each.candidate.context > 0 for each in ranking.formats] == sorted(
        (each.context > 0 for each in candidates), reverse=True
    )
    for each in ranking.formats:
        text = reason_text(each.reason)
        assert each.candidate.label in text
        assert "unknown" not in text
    comparable = [p for p in ranking.points]
    for point in comparable:
        beaten = any(
            other.decode_tps.median > point.decode_tps.median
            and other.loss.median < point.loss.median
            for other in comparable
        )
        assert not (beaten and point.on_frontier)


@pytest.mark.parametrize("wish", ["balanced", "fast", "faithful"])
def test_the_order_in_which_formats_are_named_does_not_matter(wish: Wish) -> None:
    assert labels(INTEL, wish)[0] == labels(INTEL[::-1], wish)[0]

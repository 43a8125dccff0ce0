"""Which of two models is closer, and which result was kept: the sentence says the right one, with
figures that are never negative gains."""

import pytest

from app.wording.pairs import choice_sentence, pair_sentence
from app.wording.sentences import CHOICES, PAIRS
from quant.estimate import Choice, Estimate, Outcome
from quant.quality.figures import PairedReport, QualityReport
from quant.quality.paired import outcome_of

UNKNOWN = Estimate(None)
LOWER, HIGHER = Estimate(-0.021, -0.034, -0.0089), Estimate(0.021, 0.0089, 0.034)
UNDECIDED, SHORT = Estimate(-0.002, -0.01, 0.006), Estimate(-0.5)


def report(kl: Estimate) -> QualityReport:
    return QualityReport(
        "s", "t", 512, 512, UNKNOWN, UNKNOWN, UNKNOWN, kl, UNKNOWN, UNKNOWN, "close", ()
    )


def pair(difference: Estimate, outcome: Outcome) -> PairedReport:
    return PairedReport(
        report(Estimate(0.1)), report(Estimate(0.121)), outcome, difference, UNKNOWN, ()
    )


PAIR_SENTENCES: tuple[tuple[Estimate, Outcome, str, str], ...] = (
    (LOWER, "first", "closer", "A is closer to S than B: {kl} is lower by 0.021 (0.0089 to 0.034)"),
    (
        HIGHER,
        "second",
        "closer",
        "B is closer to S than A: {kl} is lower by 0.021 (0.0089 to 0.034)",
    ),
    (UNDECIDED, "neither", "neither", "No difference that this text can show: A and B"),
    (SHORT, "neither", "too_short", "too short to tell whether A or B is closer to S"),
    (UNKNOWN, "second", "no_numbers", "B is closer to S: A gives values"),
    (UNKNOWN, "neither", "both_no_numbers", "Both A and B"),
)


@pytest.mark.parametrize(("difference", "outcome", "code", "said"), PAIR_SENTENCES)
def test_a_pair_is_told_with_the_better_one_first(
    difference: Estimate, outcome: Outcome, code: str, said: str
) -> None:
    sentence = pair_sentence(pair(difference, outcome), "A", "B", "S")
    assert sentence.template == PAIRS[code]
    assert said.format(kl="its mean KL divergence") in sentence
    assert "unknown" not in sentence


def test_every_sentence_of_a_pair_is_said_somewhere() -> None:
    assert {code for _, _, code, _ in PAIR_SENTENCES} == set(PAIRS)


CHOICE_SENTENCES: tuple[tuple[Estimate, Outcome, str, str], ...] = (
    (LOWER, "first", "costlier", "from 0.12 to 0.10, by 0.021 (0.0089 to 0.034)"),
    (HIGHER, "second", "cheaper", "raises the mean KL divergence from 0.12 to 0.10, by 0.021"),
    (UNDECIDED, "neither", "neither", "a difference of -0.0020 (-0.010 to 0.0060)"),
    (SHORT, "neither", "too_short", "512 tokens are too few"),
    (UNKNOWN, "first", "cheaper_no_numbers", "The costlier result was kept"),
    (UNKNOWN, "second", "costlier_no_numbers", "The cheaper result was kept"),
    (UNKNOWN, "neither", "both_no_numbers", "Both"),
)


@pytest.mark.parametrize(("difference", "outcome", "code", "said"), CHOICE_SENTENCES)
def test_a_choice_is_told_by_what_was_kept(
    difference: Estimate, outcome: Outcome, code: str, said: str
) -> None:
    choice = Choice(
        outcome == "first", outcome, difference, Estimate(0.1), Estimate(0.121), tokens=512
    )
    sentence = choice_sentence(choice)
    assert sentence.template == CHOICES[code]
    assert said in sentence
    assert "unknown" not in sentence
    if difference.value is not None:
        assert outcome == outcome_of(difference)


def test_every_sentence_of_a_choice_is_said_somewhere() -> None:
    assert {code for _, _, code, _ in CHOICE_SENTENCES} == set(CHOICES)

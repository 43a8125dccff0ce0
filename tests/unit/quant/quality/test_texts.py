"""The three sets of bundled texts are there, are large and varied enough, and share nothing."""

import itertools
import re
import zlib

import pytest

from quant.quality.texts import TEXTS, TextSet, bundled_texts, calibration_text

SETS: tuple[TextSet, ...] = ("calibration", "tuning", "evaluation")
SHARED_WORDS = 12


def words(text: str) -> list[str]:
    """Words in small letters; of Chinese each character is one."""
    return re.findall(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+", text.casefold())


def runs(text: str) -> list[tuple[str, ...]]:
    """Every run of so many words, in order."""
    found = words(text)
    return list(zip(*(found[start:] for start in range(SHARED_WORDS)), strict=False))


def whole(which: TextSet) -> set[tuple[str, ...]]:
    return {run for text in bundled_texts(which).values() for run in runs(text)}


@pytest.mark.parametrize(("one", "other"), [*itertools.combinations(SETS, 2)])
def test_no_two_sets_share_twelve_words_in_a_row(one: TextSet, other: TextSet) -> None:
    assert not whole(one) & whole(other)


@pytest.mark.parametrize("which", SETS)
def test_no_text_says_anything_twice(which: TextSet) -> None:
    """A model must not be able to copy; code repeats short idioms only."""
    found = [run for text in bundled_texts(which).values() for run in runs(text)]
    repeated = len(found) - len(set(found))
    assert repeated <= len(found) / 500


def test_a_shared_run_is_found_across_punctuation_and_lines() -> None:
    line = "One two, three four five;\nsix seven eight nine ten eleven twelve."
    assert runs(line) == [
        tuple("one two three four five six seven eight nine ten eleven twelve".split())
    ]
    assert len(runs("春天到了奶奶又开始念叨她的香")) == 3


def test_sets_have_the_texts_they_name() -> None:
    assert {which: tuple(bundled_texts(which)) for which in SETS} == TEXTS
    for text in bundled_texts("evaluation").values():
        assert len(text.encode()) > 9_000
        # what natural text keeps when packed; filler would shrink to a tenth
        assert len(zlib.compress(text.encode(), 9)) > 0.3 * len(text.encode())


def test_calibration_text_is_the_whole_set() -> None:
    text = calibration_text()
    assert all(part.strip() in text for part in bundled_texts("calibration").values())

"""Stop strings in text that arrives in pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.prompt.stopping import StopMatcher


def emitted(stops: list[str], pieces: list[str]) -> tuple[str, bool]:
    matcher = StopMatcher(stops)
    text = "".join(matcher.feed(piece) for piece in pieces)
    return text + matcher.finish(), matcher.stopped


@pytest.mark.parametrize(
    ("stops", "pieces", "text", "stopped"),
    [
        ([], ["a", "b"], "ab", False),
        ([""], ["a"], "a", False),
        (["END"], ["one EN", "D two"], "one ", True),
        (["END"], ["one EN", "TER"], "one ENTER", False),
        (["END"], ["EN"], "EN", False),
        (["b", "ab"], ["x", "a", "b"], "x", True),
        (["aab"], ["aaa", "ab"], "aa", True),
        (["\n\n"], ["one\n", "two\n", "\nthree"], "one\ntwo", True),
        (["<｜User｜>"], ["hi<", "｜Us", "er｜>x"], "hi", True),
    ],
)
def test_examples(stops: list[str], pieces: list[str], text: str, stopped: bool) -> None:
    assert emitted(stops, pieces) == (text, stopped)


def test_text_that_cannot_begin_a_stop_is_not_held_back() -> None:
    matcher = StopMatcher(["END"])
    assert matcher.feed("hello") == "hello"
    assert matcher.feed(" E") == " "
    assert matcher.feed("gg") == "Egg"


small = st.text("ab", max_size=12)


@given(st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), small, st.data())
def test_how_text_is_cut_does_not_matter(stops: list[str], text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    shown, stopped = emitted(stops, pieces)
    first_end = min((text.find(s) + len(s) for s in stops if s in text), default=None)
    assert stopped == (first_end is not None)
    if first_end is None:
        assert shown == text
    else:
        assert text.startswith(shown)
        assert len(shown) < first_end
        assert not any(stop in shown for stop in stops)

"""The text of an answer while it streams, and what of it turns out to be reasoning."""

from runtime.answer.answer_text import AnswerText
from runtime.generation import GenerationStats, TokenChunk


def said(text: str, untagged: int = 0) -> TokenChunk:
    return TokenChunk("r", text, False, 1, untagged_reasoning_chars=untagged)


def thought(text: str) -> TokenChunk:
    return TokenChunk("r", text, True, 1)


def stats(untagged: int) -> GenerationStats:
    return GenerationStats(
        "r", "stop", 1, 0, 1, 0, 0.1, 0.1, 0.1, None, None, 0, untagged_reasoning_chars=untagged
    )


def test_answer_and_reasoning_are_kept_apart() -> None:
    text = AnswerText().extended((thought("Hm. "), thought("So."), said("Yes"), said(".")))
    assert (text.answer, text.reasoning, text.settled) == ("Yes.", "Hm. So.", False)
    assert text.ended(stats(0)) == AnswerText("Yes.", "Hm. So.", settled=True)
    assert text.message.reasoning == "Hm. So."


def test_reasoning_without_an_opening_tag_is_moved_as_soon_as_it_shows() -> None:
    early = AnswerText().extended((said("Let me "), said("think.\n")))
    assert early.answer == "Let me think.\n"
    late = early.extended((said("Four", untagged=14),))
    assert (late.answer, late.reasoning, late.streamed) == ("Four", "Let me think.", 18)
    assert late.since(early) is None
    assert late.extended((said("."),)).since(late) == (".", "")
    assert late.ended(stats(14)) == AnswerText("Four", "Let me think.", settled=True, moved=14)


def test_a_second_closing_tag_moves_only_what_came_since() -> None:
    text = AnswerText().extended((said("one\n"), said("two\n", untagged=4), said("3", untagged=8)))
    assert (text.answer, text.reasoning, text.moved) == ("3", "one\n\ntwo", 8)


def test_pieces_together_settle_as_pieces_apart() -> None:
    chunks = (said("a\n"), said("b\n", untagged=2), said("c", untagged=4), thought("d"), said("e"))
    apart = AnswerText()
    for chunk in chunks:
        apart = apart.extended((chunk,))
    assert apart == AnswerText().extended(chunks)


def test_an_answer_that_goes_on_moves_what_it_had() -> None:
    text = AnswerText.continuing("one, ", "before")
    text = text.extended((said("two\n"), said("Four.", untagged=4)))
    assert (text.answer, text.reasoning) == ("Four.", "before\n\none, two")
    assert text.ended(stats(4)).answer == "Four."


def test_what_only_the_end_says_is_moved_at_the_end() -> None:
    text = AnswerText().extended((said("thought, answer"),))
    assert text.ended(stats(9)).answer == "answer"

"""Several answers to one question: each drawn anew, one kept, and why in words."""

import dataclasses

from app.session.best_of import Attempt, make_attempts
from app.wording.explain import pick_text
from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams
from runtime.progress import CancelToken

STATS = GenerationStats("", "stop", 1, 0, 1, 0, 0.1, 0.1, 0.1, None, None, 0)


class Model:
    """Answers from a list, and keeps what it was asked."""

    def __init__(self, *answers: str, cancel: CancelToken | None = None) -> None:
        self.asked: list[GenerationRequest] = []
        self._answers = list(answers)
        self._cancel = cancel

    def ask(self, request: GenerationRequest) -> Attempt:
        self.asked.append(request)
        if self._cancel is not None and len(self.asked) == 2:
            self._cancel.cancel()
        answer = Message("assistant", self._answers[len(self.asked) - 1])
        return Attempt(answer, dataclasses.replace(STATS, request_id=request.id))


def request(seed: int | None = None) -> GenerationRequest:
    return GenerationRequest("first", (Message("user", "6 * 7?"),), SamplingParams(seed=seed))


def test_the_result_most_agree_on_is_kept() -> None:
    model = Model(r"\boxed{41}", r"so \boxed{42}", r"thus \boxed{42.0}")
    attempts = make_attempts(model.ask, request(), 3, CancelToken())
    assert attempts.best.message.content == r"so \boxed{42}"
    assert attempts.best.stats.request_id == model.asked[1].id
    assert pick_text(attempts.pick) == "Answer 2 was chosen: 2 of 3 answers reached the result 42."


def test_each_attempt_is_drawn_anew() -> None:
    model = Model("a", "b", "c")
    make_attempts(model.ask, request(seed=7), 3, CancelToken())
    assert [one.sampling.seed for one in model.asked] == [7, 8, 9]
    assert len({one.id for one in model.asked}) == 3
    free = Model("a", "b")
    make_attempts(free.ask, request(), 2, CancelToken())
    assert [one.sampling.seed for one in free.asked] == [None, None]


def test_a_cancel_keeps_what_there_is() -> None:
    cancel = CancelToken()
    model = Model("the sky is blue", "the sky is blue today", "never asked", cancel=cancel)
    attempts = make_attempts(model.ask, request(), 3, cancel)
    assert len(attempts.all) == 2
    assert attempts.pick.count == 2


def test_one_answer_is_no_vote() -> None:
    attempts = make_attempts(Model("42").ask, request(), 1, CancelToken())
    assert attempts.pick.method == "only"
    assert pick_text(attempts.pick) == "There is only one answer."

"""Several answers to one question, and the one to keep: by majority, else by agreement.

Knows requests and answers; how one is chosen is `runtime.answer.voting`'s, how one is made the
caller's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

from runtime.answer.voting import Pick, pick_best
from runtime.generation import GenerationRequest, GenerationStats, Message
from runtime.progress import CancelToken


@dataclass(frozen=True)
class Attempt:
    """One of several answers."""

    message: Message
    stats: GenerationStats


@dataclass(frozen=True)
class Attempts:
    """All answers, and which of them to keep."""

    all: tuple[Attempt, ...]
    pick: Pick

    @property
    def best(self) -> Attempt:
        return self.all[self.pick.index]


def make_attempts(
    ask: Callable[[GenerationRequest], Attempt],
    request: GenerationRequest,
    count: int,
    cancel: CancelToken,
) -> Attempts:
    """Answer `request` `count` times, each with another seed, and pick the best answer.

    A cancel ends the attempt that runs and makes no more; what there is by then is voted on.
    Raises what `ask` raises.
    """
    made: list[Attempt] = []
    while not made or (len(made) < count and not cancel.cancelled):
        made.append(ask(_numbered(request, len(made))))
    return Attempts(tuple(made), pick_best([each.message.content for each in made]))


def _numbered(request: GenerationRequest, number: int) -> GenerationRequest:
    """The request of attempt `number`: a fixed seed would sample the same again."""
    seed = request.sampling.seed
    sampling = request.sampling if seed is None else request.sampling.with_seed(seed + number)
    return replace(request, id=uuid4().hex if number else request.id, sampling=sampling)

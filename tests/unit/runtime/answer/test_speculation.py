"""Guesses come from precedents, cost the same at any length, and stop when they do not pay."""

import random
import time
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.answer.speculation import (
    MIN_MATCH,
    Draft,
    DraftModel,
    DraftPolicy,
    PromptLookup,
    Speculation,
    Vocabulary,
    vocabulary_mismatch,
)
from runtime.backend import Backend
from runtime.progress import CancelToken

LENGTHS = (1, 2, 3, 7, 11, 15)


def test_copies_what_followed_before() -> None:
    lookup = PromptLookup([1, 2, 3, 4, 5, 6, 7, 9, 9, 1, 2, 3])
    draft = lookup.propose(4)
    assert draft == Draft((4, 5, 6, 7), 3)


def test_no_precedent_no_guess() -> None:
    assert PromptLookup([1, 2, 3, 4, 5]).propose(4) is None
    assert PromptLookup([1, 2]).propose(4) is None
    assert PromptLookup([1, 2, 3, 1, 2, 3]).propose(0) is None


def test_a_precedent_is_followed_while_it_is_right() -> None:
    prompt = list(range(100, 130))
    lookup = PromptLookup([*prompt, 7, *prompt[:4]])
    first = lookup.propose(2)
    assert first is not None
    lookup.extend(prompt[4:20])
    second = lookup.propose(3)
    assert second is not None
    assert second.tokens == tuple(prompt[20:23])
    assert second.evidence == first.evidence + 16
    lookup.extend([8])
    assert lookup.propose(3) is None


def test_the_latest_precedent_counts() -> None:
    lookup = PromptLookup([1, 2, 3, 50, 0, 1, 2, 3, 60, 0, 1, 2, 3])
    draft = lookup.propose(1)
    assert draft is not None
    assert draft.tokens == (60,)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 20))
def test_a_guess_is_always_a_continuation_seen_before(tokens: list[int], limit: int) -> None:
    at_once, one_by_one = PromptLookup(tokens), PromptLookup()
    for token in tokens:
        one_by_one.extend([token])
    draft = at_once.propose(limit)
    assert draft == one_by_one.propose(limit)
    if draft is None:
        return
    assert 1 <= len(draft.tokens) <= limit
    joined = ",".join(map(str, tokens))
    precedent = ",".join(map(str, [*tokens[-MIN_MATCH:], *draft.tokens]))
    assert precedent in joined


def test_cost_does_not_grow_with_length() -> None:
    rng = random.Random(1)
    lookup = PromptLookup()

    def seconds(count: int) -> float:
        tokens = [rng.randrange(50) for _ in range(count)]
        started = time.thread_time()
        for token in tokens:
            lookup.extend([token])
            lookup.propose(8)
        return time.thread_time() - started

    early = min(seconds(2000) for _ in range(3))
    seconds(60_000)
    assert min(seconds(2000) for _ in range(3)) < 12 * early


def in_company(prompt: list[int], answer: list[int], *, drafts: bool, seed: int) -> list[bool]:
    """Which tokens of an answer are evaluated in company, by an engine whose steps take any time
    at all."""
    rng = random.Random(seed)
    speculation = Speculation(PromptLookup(prompt), (1, 3, 7, 15), company=True, drafts=drafts)
    sampled = answer[:1]
    modes: list[bool] = []
    while len(modes) < len(answer) - 1:
        draft = speculation.next(sampled, len(answer) - len(modes) - 1)
        at, seconds = len(modes), rng.uniform(0.5, 2.0)
        if draft is None:
            modes.append(speculation.in_company)
            if not modes[-1]:
                speculation.policy.observe_plain(seconds)
            sampled = answer[at + 1 : at + 2]
            continue
        assert len(draft.tokens) in (1, 3, 7, 15)
        right = 0
        while right < len(draft.tokens) and draft.tokens[right] == answer[at + 1 + right]:
            right += 1
        speculation.policy.observe_draft(draft, right, seconds)
        modes += [True] * (right + 1)
        sampled = answer[at + 1 : at + right + 2]
    return modes


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 2), max_size=40),
    st.lists(st.integers(0, 2), min_size=2, max_size=80),
    st.integers(0, 99),
)
def test_the_text_alone_decides_what_is_evaluated_in_company(
    prompt: list[int], answer: list[int], seed: int
) -> None:
    without = in_company(prompt, answer, drafts=False, seed=seed)
    for other in (seed, seed + 1):
        assert in_company(prompt, answer, drafts=True, seed=other) == without


def test_a_copy_is_evaluated_in_company_and_other_text_alone() -> None:
    prompt = list(range(100, 200))
    copied = in_company([*prompt, 1, 2, 3], prompt[:60], drafts=True, seed=0)
    assert not any(copied[:3])
    assert all(copied[10:])
    assert not any(in_company(prompt, list(range(200, 260)), drafts=True, seed=0))


def _policy(step: float = 0.01, extra: float = 0.002) -> DraftPolicy:
    policy = DraftPolicy(LENGTHS)
    for _ in range(50):
        policy.observe_plain(step)
    draft = Draft(tuple(range(4)), 0)
    for _ in range(50):
        policy.observe_draft(draft, 4, step + 4 * extra)
    return policy


LONG = Draft(tuple(range(30)), 20)


def test_nothing_before_a_plain_step_was_measured() -> None:
    assert DraftPolicy(LENGTHS).length(LONG.evidence, len(LONG.tokens)) == 0


def test_right_and_cheap_guesses_grow_long() -> None:
    policy = _policy(extra=0.001)
    for _ in range(20):
        policy.observe_draft(LONG, len(LONG.tokens), 0.04)
    assert policy.length(LONG.evidence, len(LONG.tokens)) == LENGTHS[-1]


def test_wrong_guesses_stop() -> None:
    policy = _policy()
    for _ in range(30):
        policy.observe_draft(LONG, 0, 0.03)
    lengths = [policy.length(LONG.evidence, len(LONG.tokens)) for _ in range(1000)]
    assert sum(length > 0 for length in lengths) <= 11  # the rare trial
    assert max(lengths) <= 2


def test_dear_guesses_stop_however_right() -> None:
    policy = _policy(extra=0.0099)
    lengths = [policy.length(LONG.evidence, len(LONG.tokens)) for _ in range(500)]
    # Trials of a nearly sure guess cost what they yield, so they may be a little more frequent.
    assert sum(length > 0 for length in lengths) <= 500 // 24
    assert max(lengths) <= 2


def test_trials_find_out_when_guesses_become_right() -> None:
    policy = _policy(extra=0.001)
    for _ in range(30):
        policy.observe_draft(LONG, 0, 0.03)
    for _ in range(3000):
        length = policy.length(LONG.evidence, len(LONG.tokens))
        if length:
            draft = Draft(LONG.tokens[:length], LONG.evidence)
            policy.observe_draft(draft, length, 0.01 + 0.001 * length)
    assert policy.length(LONG.evidence, len(LONG.tokens)) > 4


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.4])
def test_loss_where_guesses_are_poor_is_small(share: float) -> None:
    """Simulated: precedents everywhere, right with chance `share`; extra tokens cost 0.6 steps."""
    rng = random.Random(7)
    policy = DraftPolicy(LENGTHS)
    spent = made = 0.0
    while made < 20_000:
        draft = Draft(tuple(range(12)), rng.choice([3, 5, 8]))
        length = policy.length(draft.evidence, len(draft.tokens))
        if not length:
            policy.observe_plain(1.0)
            spent, made = spent + 1.0, made + 1
            continue
        right = 0
        while right < length and rng.random() < share:
            right += 1
        seconds = 1.0 + 0.6 * length
        policy.observe_draft(Draft(draft.tokens[:length], draft.evidence), right, seconds)
        spent, made = spent + seconds, made + 1 + right
    assert made / spent > 0.98


@pytest.mark.parametrize("tokens", [128, 256, 1024])
@pytest.mark.parametrize("dear", [0.3, 0.6, 0.9])
def test_no_single_answer_loses_more_than_three_percent(tokens: int, dear: float) -> None:
    """Every precedent misleads, from the first: the worst an answer can hold."""
    policy = DraftPolicy(LENGTHS)
    spent, made = 0.0, 0
    draft = Draft(tuple(range(12)), 20)
    while made < tokens:
        length = policy.length(draft.evidence, len(draft.tokens))
        made += 1
        if length:
            policy.observe_draft(Draft(draft.tokens[:length], 20), 0, 1.0 + dear * length)
        else:
            policy.observe_plain(1.0)
        spent += 1.0 + dear * length
    assert made / spent >= 0.97


class Scripted:
    """A draft model of ten ids that draws what a script says, and takes no other id."""

    def __init__(self, *script: int) -> None:
        self.script = list(script)
        self.n_vocab = 10
        self.tokenizer = self

    def is_end(self, token: int) -> bool:
        return token == 9

    def set_sampling(self, *_: object) -> None: ...

    def truncate(self, n_tokens: int) -> int:
        return n_tokens

    def prefill(self, tokens: Sequence[int], *_: object) -> None:
        assert all(token < self.n_vocab for token in tokens)

    def sample(self) -> int:
        return self.script.pop(0)

    def decode(self, token: int) -> None:
        assert token < self.n_vocab


def drafted(script: Scripted, n_vocab: int, text: Sequence[int]) -> tuple[int, ...] | None:
    model = DraftModel(cast("Backend", script), n_vocab)
    model.begin(text, CancelToken())
    draft = model.propose(4)
    return draft.tokens if draft else None


def test_a_draft_model_ends_at_an_id_that_the_target_lacks() -> None:
    assert drafted(Scripted(1, 2, 3, 4), 8, [5]) == (1, 2, 3, 4)
    assert drafted(Scripted(1, 2, 8, 4), 8, [5]) == (1, 2)
    assert drafted(Scripted(8), 8, [5]) is None
    assert drafted(Scripted(1, 9), 10, [5]) == (1, 9)


def test_a_draft_model_reads_no_id_that_it_lacks() -> None:
    assert drafted(Scripted(1, 2, 3, 4), 20, [5, 11]) is None
    model = DraftModel(cast("Backend", Scripted(1)), 20)
    model.begin([5], CancelToken())
    model.extend([11])
    assert model.propose(1) is None
    model.begin([5], CancelToken())
    assert model.propose(1) is not None


def test_vocabularies_must_agree() -> None:
    big = Vocabulary("gpt2/deepseek-r1-qwen", 151_667, 151_646, 151_643)
    small = Vocabulary("gpt2/deepseek-r1-qwen", 151_665, 151_646, 151_643)
    reason = vocabulary_mismatch(big, small)
    assert reason is not None
    assert reason.code == "draft_vocabulary_size_differs"
    assert reason.facts == {"target": 151_667, "theirs": 151_665}
    assert vocabulary_mismatch(big, big) is None


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Vocabulary("gpt2/qwen2", 3, 0, 1, ("a", "b", "c")), "draft_tokenizer_differs"),
        (Vocabulary("gpt2/r1", 3, 2, 1, ("a", "b", "c")), "draft_bos_differs"),
        (Vocabulary("gpt2/r1", 3, 0, 2, ("a", "b", "c")), "draft_eos_differs"),
        (Vocabulary("gpt2/r1", 3, 0, 1, ("a", "x", "c")), "draft_token_differs"),
    ],
)
def test_other_mismatches_are_named(draft: Vocabulary, code: str) -> None:
    target = Vocabulary("gpt2/r1", 3, 0, 1, ("a", "b", "c"))
    reason = vocabulary_mismatch(target, draft)
    assert reason is not None
    assert reason.code == code

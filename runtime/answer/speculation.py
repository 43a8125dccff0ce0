"""Speculative decoding: drafts of the next tokens, and how long a draft is worth its cost.

A draft is evaluated together with the current token, and the target model's own choices decide how
many of its tokens are accepted, so the output is that of the target alone. This module makes
drafts, from the text so far (prompt lookup) or with a smaller model, and decides how long they may
be. Knows token ids and one Backend interface; evaluates nothing on the target.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from runtime.backend import Backend
from runtime.generation import SamplingParams
from runtime.plan import Reason
from runtime.progress import CancelToken, ignore_progress

MIN_MATCH = 3  # tokens that must agree before an earlier passage is followed
MODEL_EVIDENCE = -1  # of a draft by a model, which has no matched tokens to show
_GREEDY = SamplingParams(temperature=0.0, top_k=0, top_p=1.0)


@dataclass(frozen=True)
class Draft:
    """Drafted tokens. `evidence` says how likely they are: matched tokens, or MODEL_EVIDENCE."""

    tokens: tuple[int, ...]
    evidence: int


# Evidence is counted in steps of this many matched tokens. The prior is the chance that the next
# drafted token is accepted before anything was measured, for a draft model and for each step.
_EVIDENCE_STEPS = (0, 4, 6, 10, 18)
_PRIOR = (0.6, 0.35, 0.5, 0.65, 0.8, 0.9)
_PRIOR_WEIGHT = 3.0
_DECAY = 0.95  # of the counts, at every observation


@dataclass
class AcceptanceRates:
    """How often drafted tokens of similar evidence were right."""

    _right: list[float] = field(default_factory=lambda: [0.0] * len(_PRIOR))
    _wrong: list[float] = field(default_factory=lambda: [0.0] * len(_PRIOR))

    def observe(self, evidence: int, right: int, wrong: int) -> None:
        """So many tokens of one draft were right and wrong."""
        bucket = _bucket(evidence)
        self._right[bucket] = _DECAY * self._right[bucket] + right
        self._wrong[bucket] = _DECAY * self._wrong[bucket] + wrong

    def chance(self, evidence: int) -> float:
        """Chance that the next drafted token is right."""
        bucket = _bucket(evidence)
        right = self._right[bucket] + _PRIOR_WEIGHT * _PRIOR[bucket]
        return right / (self._right[bucket] + self._wrong[bucket] + _PRIOR_WEIGHT)


# The chance from which a passage is expected to continue. Two tokens at once cost 1.3 to 1.6 times
# one (`benchmarks/results/lookup-onnx-cpu.txt`), and where it continues, more can be drafted.
_EXPECTED_FROM = 0.6


class PromptLookup:
    """Drafts what followed the same words earlier in the text.

    The index maps each run of MIN_MATCH tokens to where it last occurred; adding a token and
    looking up a run cost the same at any length. A passage that has matched is followed further
    rather than looked up again.

    `expected` says whether the text is expected to follow the passage further: from when that
    became likely, judged by how passages have continued so far, until it does not. As long as
    `propose` is called after each `extend`, it depends on the text alone: not on the clock, nor on
    what was drafted.
    """

    def __init__(self, tokens: Iterable[int] = ()) -> None:
        self._text: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        self._at = 0  # where the followed passage continues; 0: none
        self._matched = 0
        self._continued = AcceptanceRates()
        self.expected = False
        self.extend(tokens)

    def extend(self, tokens: Iterable[int]) -> None:
        """`tokens` were added to the text."""
        text, after = self._text, self._after
        for token in tokens:
            place = len(text)
            right = bool(self._at) and text[self._at] == token
            if self._at:
                self._continued.observe(self._matched, right, not right)
            if right:
                self._at += 1
                self._matched += 1
            else:
                self._at = self._matched = 0
                self.expected = False
            if place >= MIN_MATCH:
                after[tuple(text[place - MIN_MATCH : place])] = place
            text.append(token)

    def propose(self, limit: int) -> Draft | None:
        """Up to `limit` tokens that may come next; None without a match."""
        text = self._text
        if not self._at:
            self._at = self._after.get(tuple(text[-MIN_MATCH:]), 0)
            self._matched = self._agreement(self._at)
        if not self._at:
            return None
        if not self.expected:
            self.expected = self._continued.chance(self._matched) >= _EXPECTED_FROM
        if limit < 1:
            return None
        return Draft(tuple(text[self._at : self._at + limit]), self._matched)

    def _agreement(self, place: int) -> int:
        """How many tokens before `place` agree with the end of the text; 32 are compared."""
        text, length = self._text, 0
        end = len(text)
        while length < min(32, place) and text[place - 1 - length] == text[end - 1 - length]:
            length += 1
        return length


class DraftModel:
    """Drafts with a smaller model of the same vocabulary, greedily. Keeps its cache between
    answers.

    The two may be padded to different sizes: `n_vocab` is the target's. A model can draw an id of
    its padding (nothing forbids it), and the other may have none of that number.
    """

    def __init__(self, backend: Backend, n_vocab: int) -> None:
        self._backend = backend
        self._shared = min(n_vocab, backend.tokenizer.n_vocab)
        self._cancel = CancelToken()
        self._text: list[int] = []
        self._readable = True  # every id of the text is one of the draft model's
        self._cached: list[int] = []

    def begin(self, prompt: Sequence[int], cancel: CancelToken) -> None:
        """Draft for an answer to `prompt` from now on."""
        self._text, self._readable, self._cancel = [], True, cancel
        self.extend(prompt)
        self._backend.set_sampling(_GREEDY, ())

    def extend(self, tokens: Iterable[int]) -> None:
        """`tokens` were added to the text."""
        added = list(tokens)
        self._readable = self._readable and all(token < self._shared for token in added)
        self._text.extend(added)

    def propose(self, limit: int) -> Draft | None:
        """At most `limit` tokens that may come next, None for none. Raises Cancelled."""
        if not self._readable:
            return None
        self._catch_up()
        tokens: list[int] = []
        while len(tokens) < limit:
            token = self._backend.sample()
            if token >= self._shared:
                break
            tokens.append(token)
            if len(tokens) == limit or self._backend.tokenizer.is_end(token):
                break
            self._backend.decode(token)
            self._cached.append(token)
        return Draft(tuple(tokens), MODEL_EVIDENCE) if tokens else None

    def _catch_up(self) -> None:
        """Evaluate what the draft model has not seen; its own rejected tokens are removed."""
        known = 0
        for ours, theirs in zip(self._cached, self._text, strict=False):
            if ours != theirs:
                break
            known += 1
        known = self._backend.truncate(min(known, len(self._text) - 1))
        del self._cached[known:]
        self._backend.prefill(self._text[known:], ignore_progress, self._cancel)
        self._cached = list(self._text)


_GAIN = 1.08  # expected speed-up below which nothing is drafted
_PROBE_EVERY = 96  # declined drafts between two trials that keep the measurements current
_SURE, _SURE_WEIGHT = 0.7, 4
_FIRST_EXTRA = 0.25  # cost of a drafted token in plain steps before it was measured ...
_FEW = 3  # ... this often
_REMEMBERED = 9  # step times
_STAKE, _STAKE_SHARE = 2.0, 0.01  # plain steps that drafts may lose, in all and per step so far


@dataclass
class DraftPolicy:
    """How long a draft may be, from measured acceptance and measured step times, and of `lengths`.

    A step with m drafted tokens costs 1 + m * e plain steps and yields 1 + a + a^2 + ... + a^m
    tokens; a is the acceptance rate with similar evidence, e the measured
    cost of one more token, drafting included. Times are medians: a preempted step says nothing
    about the engine. The cost of a draft model is kept apart: its tokens are evaluated twice.

    Whatever it expects, it stakes no more than what drafts have won so far and a small share of
    the answer's own time, so that text that only resembles earlier passages is not held up.
    """

    lengths: Sequence[int]  # ascending
    drafted: int = 0
    accepted: int = 0
    _rates: AcceptanceRates = field(default_factory=AcceptanceRates)
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _costs: tuple[deque[float], deque[float]] = field(
        default_factory=lambda: (deque(maxlen=_REMEMBERED), deque(maxlen=_REMEMBERED))
    )
    _declined: int = 0
    _balance: float = 0.0  # plain steps won
    _taken: int = 0  # steps so far

    def observe_plain(self, seconds: float) -> None:
        """A step without a draft took `seconds`."""
        self._steps.append(seconds)
        self._taken += 1

    def observe_draft(self, draft: Draft, accepted: int, seconds: float) -> None:
        """A step with `draft` took `seconds`, and `accepted` of its tokens were right."""
        count = len(draft.tokens)
        self.drafted += count
        self.accepted += accepted
        self._rates.observe(draft.evidence, accepted, accepted < count)
        self._taken += 1
        if self._steps:
            extra = max(0.0, (seconds / median(self._steps) - 1.0) / count)
            self._costs[draft.evidence < 0].append(extra)
            # A drafted token costs no more than a plain step; what took longer was preempted.
            self._balance += accepted - count * min(extra, 1.0)

    def length(self, evidence: int, most: int) -> int:
        """How many tokens to draft, at most `most`; 0 when a draft does not pay."""
        if not self._steps:
            return 0  # a plain step has to be measured first
        chance, cost = self._rates.chance(evidence), self._token_cost(evidence)
        stake = self._balance + _STAKE + _STAKE_SHARE * self._taken
        most = min(most, int(stake / self._cost_bound(evidence)))
        best, best_gain = 0, _GAIN
        for count in (length for length in self.lengths if length <= most):
            expected = sum(chance**power for power in range(count + 1))
            gain = expected / (1.0 + cost * count)
            if gain > best_gain:
                best, best_gain = count, gain
        if best:
            return best
        # A likely draft costs little to try, and only a trial shows that drafts pay again.
        self._declined += _SURE_WEIGHT if chance > _SURE else 1
        if self._declined < _PROBE_EVERY:
            return 0
        self._declined = 0
        return max(0, min(2, most))

    def _token_cost(self, evidence: int) -> float:
        measured = self._costs[evidence < 0]
        return median(measured) if len(measured) >= _FEW else _FIRST_EXTRA

    def _cost_bound(self, evidence: int) -> float:
        """What a drafted token may cost at most: a whole plain step, before it was measured."""
        measured = self._costs[evidence < 0]
        return max(0.01, median(measured)) if len(measured) >= _FEW else 1.0


class Speculation:
    """What drafts tokens in one generation, and the policy for it. The text so far comes first: its
    drafts cost nothing.

    `lengths` are those of the engine. Where that gives a lone token other logits than one in
    company (`CompanyBackend`), the text decides which of the two a token gets, and nothing else
    may, or drafts would change the answer: a token is evaluated `in_company` where the text is
    expected to repeat itself, whether or not anything is drafted there.
    """

    def __init__(
        self,
        lookup: PromptLookup,
        lengths: Sequence[int],
        model: DraftModel | None = None,
        *,
        company: bool = False,
        drafts: bool = True,
    ) -> None:
        self.policy = DraftPolicy(lengths)
        self._lookup = lookup
        self._longest = lengths[-1]
        self._model = model
        self._company = company
        self._drafts = drafts

    @property
    def in_company(self) -> bool:
        """Whether the token taken last is to be evaluated in company."""
        return self._company and self._lookup.expected

    def next(self, sampled: Sequence[int], room: int) -> Draft | None:
        """Take the tokens sampled last; returns the draft to evaluate with the last of them.

        `room` is how many tokens may still be sampled; the one after the draft counts.
        """
        most = min(self._longest, room - 1)
        self._lookup.extend(sampled)
        if self._model is not None:
            self._model.extend(sampled)
        draft = self._lookup.propose(most)
        if not self._drafts or (self._company and not self.in_company):
            return None
        length = self.policy.length(draft.evidence, len(draft.tokens)) if draft else 0
        if draft and self._company:
            length = max(length, 1)  # in place of company that would be evaluated in vain
        if draft and length:
            return Draft(draft.tokens[:length], draft.evidence)
        if self._model is None or most < 1:
            return None
        length = self.policy.length(MODEL_EVIDENCE, most)
        return self._model.propose(length) if length else None


def _bucket(evidence: int) -> int:
    return sum(evidence >= bound for bound in _EVIDENCE_STEPS)


@dataclass(frozen=True)
class Vocabulary:
    """What must agree between a model and its draft model. `tokens` are texts by id, without what
    only pads the table."""

    kind: str  # tokenizer model and pre-tokenizer, e.g. "gpt2/deepseek-r1-qwen"
    size: int  # tokens that mean something
    bos: int
    eos: int
    tokens: Sequence[str] = ()


def vocabulary_mismatch(target: Vocabulary, draft: Vocabulary) -> Reason | None:
    """Why `draft` cannot be the draft model of `target`; None when it can.

    Ids must mean the same in both. Another number of tokens alone is refused: those that only one
    of them has would be evaluated as garbage by the other.
    """
    for code, ours, theirs in (
        ("draft_tokenizer_differs", target.kind, draft.kind),
        ("draft_vocabulary_size_differs", target.size, draft.size),
        ("draft_bos_differs", target.bos, draft.bos),
        ("draft_eos_differs", target.eos, draft.eos),
    ):
        if ours != theirs:
            return Reason(code, {"target": ours, "theirs": theirs})
    pairs = zip(target.tokens, draft.tokens, strict=False)
    for token, (ours, theirs) in enumerate(pairs):
        if ours != theirs:
            facts = {"token": token, "target": ours, "theirs": theirs}
            return Reason("draft_token_differs", facts)
    return None

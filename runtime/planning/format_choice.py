"""Which format of a model to take here: expected loss against speed, among what fits.

A pure function of what is known of each format; where that comes from is the caller's business.
Losses are mean KL divergences from the original weights in nats per token, speeds decoded tokens
per second. `app.wording.explain` words the reasons.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from runtime.plan import Interval, Reason

Wish = Literal["balanced", "fast", "faithful"]
PEERS_DEFAULT = "Q4_K_M"  # what llama.cpp, LM Studio, Jan and Ollama give everybody

EQUAL_SPEED = 0.05  # a smaller difference is within the error of a prediction
EQUAL_LOSS = 0.005  # nats: less is below what a measurement over a few thousand tokens can show
NO_WORSE = 1.05  # of the peers' default's loss, for all sizes: large models lose little of anything
FAST_EXTRA_LOSS = 0.1  # nats over the peers' default that "fast" pays: perplexity up by a tenth
DOUBLING_WORTH = 0.05  # nats that twice the speed is worth where nothing loses as little as that
COMFORTABLE_TPS = 10.0  # half again as fast as people read

# Before a machine is measured: the peers' default, what is near to it and soon made, then others.
UNMEASURED_ORDER = (
    "q4_k_m", "q4_k_s", "q4_k", "q4_1", "q4_0", "iq4_xs", "iq4_nl", "mxfp4", "onnx-q4-b32-search",
    "q5_k_m", "q5_k_s", "q5_k", "q5_1", "q5_0", "q6_k", "q8_0",
    "q3_k_l", "q3_k_m", "iq3_m", "q3_k_s", "iq3_s", "iq3_xs", "q2_k", "iq2_m",
)  # fmt: skip


@dataclass(frozen=True)
class FormatCandidate:
    """One format of a model: a download's label or a recipe's name, and the engine that runs it.

    `nbytes` of its weights; `speed` and `loss` are None where unknown. `context` is the tokens it
    leaves room for, 0 where it does not fit. `seconds` is what making it takes.
    """

    label: str
    engine: str
    nbytes: int | None
    speed: Interval | None
    loss: Interval | None
    context: int
    seconds: float = 0.0


@dataclass(frozen=True)
class RankedFormat:
    """A format in its place. `on_frontier`: nothing else that fits is as fast and loses less."""

    candidate: FormatCandidate
    reason: Reason
    on_frontier: bool


@dataclass(frozen=True)
class FrontierPoint:
    """A format for a picture of loss against speed; `on_frontier` is False for one that another
    beats in both."""

    label: str
    engine: str
    decode_tps: Interval
    loss: Interval
    nbytes: int | None
    on_frontier: bool
    chosen: bool
    peers_default: bool


@dataclass(frozen=True)
class FormatRanking:
    """Formats in the order of a wish, the first to be taken. `peer_loss` is what the peers' default
    loses on this model, None where that is not known."""

    wish: Wish
    formats: tuple[RankedFormat, ...]
    peer_loss: Interval | None

    @property
    def chosen(self) -> RankedFormat | None:
        """What to take; None where nothing fits."""
        first = self.formats[0] if self.formats else None
        return first if first is not None and first.candidate.context else None

    @property
    def points(self) -> tuple[FrontierPoint, ...]:
        """What fits and can be compared, the slowest first."""
        points = [
            FrontierPoint(
                each.candidate.label,
                each.candidate.engine,
                each.candidate.speed,
                each.candidate.loss,
                each.candidate.nbytes,
                each.on_frontier,
                each is self.chosen,
                is_peers_default(each.candidate.label),
            )
            for each in self.formats
            if each.candidate.speed and each.candidate.loss and each.candidate.context
        ]
        return tuple(sorted(points, key=lambda point: point.decode_tps.median))


def is_peers_default(label: str) -> bool:
    """Whether a label, or the recipe of that name, is the format peers give everybody."""
    return label.upper() == PEERS_DEFAULT


def rank_formats(
    candidates: Sequence[FormatCandidate],
    wish: Wish,
    peer_loss: Interval | None,
    context: int = 0,
    patience: float = math.inf,
) -> FormatRanking:
    """Order formats for one model on one machine.

    `context` is the tokens wanted; 0: as many as the roomiest of them leaves. Formats that leave
    fewer come after those that do, then what takes more than `patience` seconds to make, and what
    does not fit comes last.
    """
    roomiest = max((each.context for each in candidates), default=0)
    wanted = min(context, roomiest) if context else roomiest
    fitting = [each for each in candidates if each.context and each.seconds <= patience]
    costly = [each for each in candidates if each.context and each.seconds > patience]
    roomy = [each for each in fitting if each.context >= wanted]
    tight = sorted((c for c in fitting if c.context < wanted), key=lambda c: -c.context)
    refused = sorted((c for c in candidates if not c.context), key=lambda c: c.nbytes or math.inf)
    ordered = _in_order(roomy, wish, peer_loss)
    chosen = next(iter((*ordered, *tight)), None)
    frontier = _frontier([*fitting, *costly])
    ranked = [
        RankedFormat(
            each,
            _why_chosen(each, wish, peer_loss, ordered)
            if each is chosen
            else _why_not(each, chosen, wanted, patience),
            each in frontier,
        )
        for each in (*ordered, *tight, *costly, *refused)
    ]
    return FormatRanking(wish, tuple(ranked), peer_loss)


@dataclass(frozen=True)
class _Known:
    """A candidate whose figures are both known."""

    candidate: FormatCandidate
    tps: float
    loss: float


def _known(candidates: Sequence[FormatCandidate]) -> list[_Known]:
    return [
        _Known(each, each.speed.median, each.loss.median)
        for each in candidates
        if each.speed and each.loss
    ]


def _in_order(
    candidates: Sequence[FormatCandidate], wish: Wish, peer: Interval | None
) -> list[FormatCandidate]:
    """What can be compared, by the wish; then the rest in the stated order."""
    left, ordered = _known(candidates), []
    while left:
        best = _best(left, wish, peer)
        ordered.append(best.candidate)
        left.remove(best)
    rest = [each for each in candidates if not (each.speed and each.loss)]
    return [*ordered, *sorted(rest, key=lambda each: stated_place(each.label, each.nbytes))]


def stated_place(label: str, nbytes: int | None) -> tuple[int, float]:
    """Where a format comes in UNMEASURED_ORDER; what is not in it follows, the smallest first."""
    name = label.lower()
    place = UNMEASURED_ORDER.index(name) if name in UNMEASURED_ORDER else len(UNMEASURED_ORDER)
    return place, nbytes or math.inf


def _best(left: Sequence[_Known], wish: Wish, peer: Interval | None) -> _Known:
    within = _within(left, wish, peer)
    comfortable = _comfortable(within, wish)
    if comfortable:
        return _fastest(_least_loss(comfortable))
    return _fastest(within) if within else max(left, key=_trade)


def _comfortable(within: Sequence[_Known], wish: Wish) -> list[_Known]:
    """Among what loses no more than the peers' default, what "faithful" may go on choosing from by
    loss alone."""
    return [each for each in within if wish == "faithful" and each.tps >= COMFORTABLE_TPS]


def _within(left: Sequence[_Known], wish: Wish, peer: Interval | None) -> list[_Known]:
    """What a wish allows to be lost: what the peers' default loses, and a stated extra for speed.

    The likely figures are compared, not the intervals: most of an interval is the model's and the
    maker's, which all formats of one model share.
    """
    if peer is None:
        return []
    bound = peer.median + FAST_EXTRA_LOSS if wish == "fast" else peer.median * NO_WORSE
    return [each for each in left if each.loss <= bound]


def _fastest(known: Sequence[_Known]) -> _Known:
    """Of those equally fast the one that loses least; of those that lose as little the one made
    soonest, then the smallest."""
    top = max(each.tps for each in known)
    equal = _least_loss([each for each in known if each.tps * (1 + EQUAL_SPEED) >= top])
    return min(equal, key=lambda k: (k.candidate.seconds, k.candidate.nbytes or math.inf, k.loss))


def _least_loss(known: Sequence[_Known]) -> list[_Known]:
    least = min(each.loss for each in known)
    return [each for each in known if each.loss <= least + EQUAL_LOSS]


def _trade(known: _Known) -> float:
    """Doublings of speed, less what is lost for them."""
    return math.log2(known.tps) - known.loss / DOUBLING_WORTH


def _frontier(candidates: Sequence[FormatCandidate]) -> list[FormatCandidate]:
    """Those that no other beats: as fast and less lost, or as little lost and faster."""
    known = _known(candidates)
    return [
        one.candidate
        for one in known
        if not any(
            other.tps >= one.tps
            and other.loss <= one.loss
            and (other.tps, other.loss) != (one.tps, one.loss)
            for other in known
        )
    ]


def _facts(candidate: FormatCandidate) -> dict[str, object]:
    facts: dict[str, object] = {"label": candidate.label, "engine": candidate.engine}
    if candidate.nbytes is not None:
        facts["size"] = candidate.nbytes
    if candidate.speed:
        facts["decode_tps"] = candidate.speed.median
    if candidate.loss:
        facts["loss"] = asdict(candidate.loss)
    return facts


def _why_chosen(
    chosen: FormatCandidate,
    wish: Wish,
    peer: Interval | None,
    ordered: Sequence[FormatCandidate],
) -> Reason:
    facts = {**_facts(chosen), "peer": PEERS_DEFAULT}
    if chosen not in ordered:
        return Reason("format_roomiest", {**facts, "context": chosen.context})
    if not chosen.speed:
        return Reason("format_unmeasured", facts)
    if not chosen.loss or not (known := _known([chosen])):
        return Reason("format_loss_unknown_chosen", facts)
    if peer is not None:
        facts["peer_loss"] = asdict(peer)
    within = _within(known, wish, peer)
    if _comfortable(within, wish):
        return Reason("format_faithful", {**facts, "comfortable_tps": COMFORTABLE_TPS})
    if not within:
        return Reason("format_best_trade", {**facts, "worth": DOUBLING_WORTH})
    if wish == "fast":
        return Reason("format_fast", {**facts, "extra": FAST_EXTRA_LOSS})
    if is_peers_default(chosen.label):
        return Reason("format_peers_default", facts)
    return Reason("format_as_faithful", facts)


def _why_not(
    candidate: FormatCandidate, chosen: FormatCandidate | None, wanted: int, patience: float
) -> Reason:
    facts = _facts(candidate)
    if not candidate.context:
        return Reason("format_does_not_fit", facts)
    if candidate.seconds > patience or chosen is None:
        return Reason("format_costly", {**facts, "minutes": math.ceil(candidate.seconds / 60)})
    if candidate.context < wanted:
        return Reason("format_short_context", {**facts, "context": candidate.context})
    if not candidate.loss:
        return Reason("format_loss_unknown", facts)
    if not candidate.speed:
        return Reason("format_speed_unknown", facts)
    if not chosen.speed or not chosen.loss:
        return Reason("format_also", facts)
    facts |= {"chosen": chosen.label, "chosen_tps": chosen.speed.median}
    facts["chosen_loss"] = asdict(chosen.loss)
    faster = candidate.speed.median > chosen.speed.median
    loses_more = candidate.loss.median > chosen.loss.median
    if loses_more:
        return Reason("format_loses_more" if faster else "format_beaten", facts)
    return Reason("format_also" if faster else "format_slower", facts)

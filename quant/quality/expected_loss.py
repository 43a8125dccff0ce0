"""What a format will probably lose on a model nobody measured: mean KL divergence with an interval.

Knows the measurements in quant/data/published_losses.json (others' and ours) and one simple model
of them. Measures nothing itself, reads no model.

The model: log KL = format + imatrix + maker's model, and what a model adds falls with the log of
its size. Formats are compared only within one model, so a format that was measured on easy models
alone does not look better than it is. Models of less than half a billion parameters take no part:
on the starter Q4_1 loses a seventh of Q4_0, on an 8B just as much. What was measured on them alone
is carried over by its ratio to a format known at larger sizes, on the same model, with more doubt.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

_Key = TypeVar("_Key", bound=Hashable)

_SMALLEST = 500_000_000  # parameters of a model that takes part in the fit
_REFERENCE = "Q4_0"  # what recipes are carried over from: the format they are variants of
_ALIASES = {
    "F16": "BF16",  # both round the same weights by less than any measurement shows
    "F32": "BF16",
    "Q4_K": "Q4_K_M",  # llama.cpp's own alias
    "Q5_K": "Q5_K_S",  # our recipe q5_k: one format for all, as in the small mix
    "q4_0-round": "Q4_0",
    "onnx-q4-fast": "onnx-q4-b128-asym-search",
}
_FEEDBACK = "-feedback"
# KL with error feedback over the same format's by search with an importance matrix: on the starter
# 0.38 (ONNX, blocks of 128) to 0.52 (IQ4_NL).
_UNIFORM = {"q4_k": "Q4_K_S"}  # all matrices in the one format, as in the small mix
_BEST_FEEDBACK, _LIKELY_FEEDBACK = 0.38, 0.7
_COVERAGE = 1.8  # standard deviations of a two-sided 90 % interval, about 10 models known
_SWEEPS = 60  # of the alternating fit; it settles within 20


@dataclass(frozen=True)
class Measurement:
    """Mean KL divergence in nats per token of one quantized model against its original weights.

    `imatrix` is None where the source does not say; `maker` names who made the file.
    """

    model: str
    parameters: int
    label: str
    imatrix: bool | None
    kl: float
    source: str
    maker: str | None = None


@dataclass(frozen=True)
class Source:
    """Where figures were read: a title, an address and the text they were measured on."""

    title: str
    where: str
    text: str


@dataclass(frozen=True)
class _Published:
    sources: dict[str, Source]
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class ExpectedLoss:
    """Mean KL divergence in nats per token against the original weights: nine in ten files
    should lie between `low` and `high`.

    `sources` are titles. `smallest` and `largest` are the parameter counts of the measured models;
    `carried_from` is the format that a recipe measured on small models only was carried over from.
    """

    low: float
    likely: float
    high: float
    sources: tuple[str, ...]
    smallest: int = 0
    largest: int = 0
    carried_from: str | None = None


@dataclass(frozen=True)
class MakerSpread:
    """How much files of one label differ between makers: the least and the most measured mean KL
    divergence (nats per token) of `model`."""

    model: str
    least: float
    most: float


@dataclass(frozen=True)
class LossModel:
    """A fit of measurements: effects are logs of KL, sizes logs of parameters."""

    formats: dict[str, float]
    carried: dict[tuple[str, bool], float]
    imatrix: float
    level: float
    slope: float
    model_spread: float
    cell_spread: float
    models: int

    def log_interval(
        self, label: str, parameters: int, imatrix: bool | None
    ) -> tuple[float, float, float] | None:
        """(low, likely, high) of log KL, or None for a label never measured."""
        size = self.level + self.slope * math.log(parameters)
        variance = self.model_spread**2 * (1 + 1 / self.models) + self.cell_spread**2
        if label in self.formats:
            centre = self.formats[label] + self.imatrix * _share(imatrix) + size
        else:
            weighed = bool(imatrix)  # recipes use none by default
            ratio = self.carried.get((label, weighed), self.carried.get((label, not weighed)))
            if ratio is None or _REFERENCE not in self.formats:
                return None
            centre = self.formats[_REFERENCE] + ratio + size
            # The ratio was seen on one model, between two figures that each stray.
            variance += 2 * self.cell_spread**2
        reach = _COVERAGE * math.sqrt(variance)
        return centre - reach, centre, centre + reach


def expected_loss(label: str, parameters: int, imatrix: bool | None = None) -> ExpectedLoss | None:
    """What a file of this format will probably lose on a model of so many parameters.

    `label` is a GGUF label ("Q4_K_M") or the name of one of our recipes ("q4_0-best"); `imatrix`
    says whether an importance matrix is used, None where that is not known. None for a label that
    nobody measured. Raises ValueError for parameters below 1.
    """
    if parameters < 1:
        raise ValueError(f"a model of {parameters} parameters")
    if label.endswith(_FEEDBACK):
        return _by_feedback(label.removesuffix(_FEEDBACK), parameters)
    model = _fitted()
    name = _name(label, model)
    interval = model.log_interval(name, parameters, imatrix)
    if interval is None:
        return None
    low, likely, high = map(math.exp, interval)
    carried = None if name in model.formats else _REFERENCE
    least = 0 if carried else _SMALLEST
    rows = [r for r in measurements() if r.label in (name, carried) and r.parameters >= least]
    return ExpectedLoss(
        low,
        likely,
        high,
        tuple(sorted({sources()[row.source].title for row in rows})),
        min(row.parameters for row in rows),
        max(row.parameters for row in rows),
        carried,
    )


def _by_feedback(label: str, parameters: int) -> ExpectedLoss | None:
    """Of the same format with error feedback: no model above the starter's size was measured, so
    the gain seen there is the most that is expected, and none at all the least."""
    searched = f"{label}-search" if label.startswith("onnx") else _UNIFORM.get(label, label)
    plain = expected_loss(searched, parameters, imatrix=True)
    if plain is None:
        return None
    return replace(
        plain,
        low=plain.low * _BEST_FEEDBACK,
        likely=plain.likely * _LIKELY_FEEDBACK,
        sources=(*plain.sources, "benchmarks/results/feedback-tuning.txt"),
    )


def maker_spread(label: str) -> MakerSpread | None:
    """Where makers' files of one label were seen to differ most; None where none were compared.

    Only figures of one source count: another source has another text.
    """
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in measurements():
        if row.label == label.upper() and row.maker:
            groups[row.source, row.model].append(row.kl)
    spreads = [MakerSpread(model, min(kl), max(kl)) for (_, model), kl in groups.items() if kl[1:]]
    return max(spreads, key=lambda spread: spread.most / spread.least, default=None)


def measurements() -> tuple[Measurement, ...]:
    """Every figure that the expectation rests on."""
    return _data().measurements


def sources() -> dict[str, Source]:
    """Key, as in `Measurement.source` -> where the figures were read."""
    return _data().sources


def fit(rows: Sequence[Measurement]) -> LossModel:
    """The model of `rows`; those of small models take no part but as ratios."""
    known = [row for row in rows if row.parameters >= _SMALLEST]
    effects = _Effects()
    for _ in range(_SWEEPS):
        effects.sweep(known)
    cells = [effects.rest(row) for row in known]
    freedom = len(cells) - len(effects.formats) - len(effects.models)
    sizes = {row.model: math.log(row.parameters) for row in known}
    level, slope = _line([(sizes[name], value) for name, value in effects.models.items()])
    strays = [value - level - slope * sizes[name] for name, value in effects.models.items()]
    return LossModel(
        dict(effects.formats),
        _carried(rows),
        effects.imatrix,
        level,
        slope,
        _spread(strays, len(strays) - 2),
        _spread(cells, freedom),
        len(strays),
    )


class _Effects:
    """Log KL as a sum of what the format, the model and an importance matrix add to it."""

    def __init__(self) -> None:
        self.formats: dict[str, float] = defaultdict(float)
        self.models: dict[str, float] = defaultdict(float)
        self.imatrix = 0.0

    def rest(self, row: Measurement) -> float:
        """What the three leave unexplained of a row's log KL."""
        explained = self.formats[row.label] + self.models[row.model]
        return math.log(row.kl) - explained - self.imatrix * _share(row.imatrix)

    def sweep(self, rows: Sequence[Measurement]) -> None:
        """Fit each of the three in turn to what the others leave (backfitting)."""
        for label, rest in _means(rows, lambda row: row.label, self.rest).items():
            self.formats[label] += rest
        for model, rest in _means(rows, lambda row: row.model, self.rest).items():
            self.models[model] += rest
        by_imatrix = _means(rows, lambda row: row.imatrix, self.rest)
        if True in by_imatrix and False in by_imatrix:
            self.imatrix += by_imatrix[True] - by_imatrix[False]


def _spread(deviations: Sequence[float], freedom: int) -> float:
    return math.sqrt(sum(x * x for x in deviations) / max(1, freedom))


def _carried(rows: Sequence[Measurement]) -> dict[tuple[str, bool], float]:
    """(label, with imatrix) -> log of its KL over the reference's without one, same model."""
    base = {r.model: math.log(r.kl) for r in rows if r.label == _REFERENCE and not r.imatrix}
    beside = [r for r in rows if r.model in base]
    return _means(
        beside, lambda r: (r.label, bool(r.imatrix)), lambda r: math.log(r.kl) - base[r.model]
    )


def _means(
    rows: Iterable[Measurement],
    key: Callable[[Measurement], _Key],
    value: Callable[[Measurement], float],
) -> dict[_Key, float]:
    groups: dict[_Key, list[float]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(value(row))
    return {name: sum(found) / len(found) for name, found in groups.items()}


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(level, slope) of the least-squares line through (x, y)."""
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    width = sum((x - x_mean) ** 2 for x, _ in points)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / width if width else 0.0
    return y_mean - slope * x_mean, slope


def _share(imatrix: bool | None) -> float:
    return 0.5 if imatrix is None else float(imatrix)


def _name(label: str, model: LossModel) -> str:
    """The label as the figures have it: "q4_k_m" is "Q4_K_M", "F16" counts as "BF16"."""
    upper = label.upper()
    alias = _ALIASES.get(label) or _ALIASES.get(upper)
    known = upper in model.formats or (upper, False) in model.carried
    return alias or (upper if known else label)


@cache
def _fitted() -> LossModel:
    return fit(measurements())


@cache
def _data() -> _Published:
    path = files("quant") / "data" / "published_losses.json"
    return msgspec.json.decode(path.read_bytes(), type=_Published)

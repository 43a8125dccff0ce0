"""A format for each matrix of a model, chosen so that a file of a given size loses the least.

Knows names, sizes and costs; reads no weights and no file. `quant.gguf.sensitivity` measures
errors, `runtime.tasks.size` what strengths follow from.

What a matrix t costs in a format f is a_t e_t(f), in nats of divergence a token: e_t(f) is the
share of its outputs' energy that rounding to f puts wrong, a_t how strongly such an error reaches
the model's output. Costs are taken to add up: errors of different matrices are independent, and
small enough that the divergence is quadratic in them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from quant.errors import CorruptCheckpoint, SizeOutOfRange
from quant.files import write_json_atomically
from quant.recipe import FormatOverride, QuantRecipe, uniform

# Of the size asked for, how much less may be taken.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Sensitivity:
    """One matrix: how strongly an error of it reaches the output (mean divergence in nats, by the
    share of its outputs' energy that is wrong), and that share in each format it can take."""

    name: str
    elements: int
    strength: float
    errors: Mapping[str, float]


@dataclass(frozen=True)
class Sensitivities:
    """What was measured of one model. `weighted`: errors count by an importance matrix; `tokens`
    that the strengths were measured on; `runs` of the model that took."""

    model: str
    weighted: bool
    tokens: int
    runs: int
    tensors: tuple[Sensitivity, ...]


@dataclass(frozen=True)
class Place:
    """Where a matrix sits: its block, and what it is in that (attn_q, ffn_down ...)."""

    block: int
    kind: str


_ROUNDS = 100
_SMALLEST = 1e-9  # nats: no run measures less


def strengths_of(
    errors: Mapping[Place, float], by_block: Mapping[int, float], by_kind: Mapping[str, float]
) -> dict[Place, float]:
    """How strongly each matrix's error reaches the output, if that is a factor of its block times
    one of its kind. `errors` are the shares of energy that were put wrong in the runs, `by_block`
    and `by_kind` the divergences when all matrices of one block, or of one kind, had theirs.

    Iterative proportional fitting (Deming and Stephan 1940). Divergences of kinds are larger and
    saturate: they are scaled to the sum of the blocks'.
    """
    blocks = {block: max(cost, _SMALLEST) for block, cost in by_block.items()}
    kinds = {kind: max(cost, _SMALLEST) for kind, cost in by_kind.items()}
    scale = sum(blocks.values()) / sum(kinds.values())
    rows, columns = dict.fromkeys(blocks, 1.0), dict.fromkeys(kinds, 1.0)
    for _ in range(_ROUNDS):
        sums = dict.fromkeys(blocks, 0.0)
        for place, error in errors.items():
            sums[place.block] += error * columns[place.kind]
        rows = {block: blocks[block] / total for block, total in sums.items() if total}
        sums_of_kinds = dict.fromkeys(kinds, 0.0)
        for place, error in errors.items():
            sums_of_kinds[place.kind] += error * rows.get(place.block, 0.0)
        columns = {
            kind: scale * kinds[kind] / total if total else 0.0
            for kind, total in sums_of_kinds.items()
        }
    return {place: rows.get(place.block, 0.0) * columns[place.kind] for place in errors}


def write_sensitivities(path: Path, found: Sensitivities) -> None:
    """Keep them in a JSON file. Raises OSError."""
    write_json_atomically(path, msgspec.to_builtins(found))


def read_sensitivities(path: Path) -> Sensitivities:
    """What `write_sensitivities` kept. Raises CorruptCheckpoint."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sensitivities)
    except (OSError, msgspec.MsgspecError) as error:
        raise CorruptCheckpoint(
            path=str(path), reason="no_sensitivities", detail=str(error)
        ) from error


@dataclass(frozen=True)
class Allotment:
    """What one matrix gets, the nats a token it is expected to cost so, and its strength."""

    name: str
    format: str
    nbytes: int
    cost: float
    strength: float


@dataclass(frozen=True)
class Allocation:
    """The choice for a file of `size` bytes. Between `least` and `most` bytes there is one for any
    size. `cost` is the divergence to expect, in nats a token, of the allotted matrices together."""

    size: int
    least: int
    most: int
    cost: float
    tensors: tuple[Allotment, ...]

    def recipe(self, name: str) -> QuantRecipe:
        """As overrides by exact names, one for each format."""
        by_format: dict[str, list[str]] = {}
        for each in self.tensors:
            by_format.setdefault(each.format, []).append(re.escape(each.name))
        overrides = tuple(
            FormatOverride(f"^(?:{'|'.join(names)})$", chosen)
            for chosen, names in by_format.items()
        )
        return QuantRecipe(name, uniform("Q8_0"), method="search", overrides=overrides)


def allocate(
    found: Sequence[Sensitivity],
    sizes: Mapping[str, Mapping[str, int]],
    fixed: int,
    asked: int,
) -> Allocation:
    """The formats that cost the least in a file of at most `asked` bytes, and at least
    1 - TOLERANCE of it. `sizes` gives the bytes in the file of each tensor in each format, `fixed`
    those of all else. Raises SizeOutOfRange."""
    from quant.knapsack import Option, choose  # late: who shows an allocation needs no numpy

    names = [sorted(each.errors) for each in found]
    items = [
        [Option(sizes[each.name][name], each.strength * each.errors[name]) for name in formats]
        for each, formats in zip(found, names, strict=True)
    ]
    least = fixed + sum(min(option.nbytes for option in options) for options in items)
    most = fixed + sum(max(option.nbytes for option in options) for options in items)
    within = min(asked, most)
    enough = -int(-asked * (1 - TOLERANCE) // 1)
    chosen = choose(items, enough - fixed, within - fixed)
    if chosen is None:
        raise SizeOutOfRange(asked=asked, least=least, most=most)
    tensors = tuple(
        Allotment(each.name, formats[at], options[at].nbytes, options[at].cost, each.strength)
        for each, formats, options, at in zip(found, names, items, chosen, strict=True)
    )
    size = fixed + sum(each.nbytes for each in tensors)
    return Allocation(size, least, most, sum(each.cost for each in tensors), tensors)

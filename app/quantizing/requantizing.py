"""What a person should know before weights that are quantized already are quantized again.

Knows headers and what the catalog and the hub said; asks no network and reads no weights.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.hub.values import RepoDetails, variants
from app.library.targets import Target
from quant.errors import AlreadyQuantized
from quant.formats import format_named
from quant.recipe import QuantRecipe
from runtime.model.info import ModelInfo, TensorInfo

KnownDetails = Callable[[str], RepoDetails | None]  # what the hub said of a repository last


@dataclass(frozen=True)
class Requantizing:
    """A model whose weights are quantized: the format most of them are in, a tensor in it, and the
    repository of the full-precision weights where it is known."""

    path: Path
    format: str
    tensor: str
    official: str | None

    def error(self) -> AlreadyQuantized:
        """What is raised where nobody said to go on."""
        return AlreadyQuantized(
            path=str(self.path), format=self.format, tensor=self.tensor, official=self.official
        )


def requantizing(
    target: Target, inspect: Callable[[Path], ModelInfo], known: KnownDetails
) -> Requantizing | None:
    """None where all of the model's weights are in full precision, as checkpoints of safetensors
    are. Raises EngineError where the header cannot be read."""
    if target.local.is_dir() or target.local.suffix == ".safetensors":
        return None
    quantized = [tensor for tensor in inspect(target.local).tensors if _is_quantized(tensor)]
    if not quantized:
        return None
    weights: Counter[str] = Counter()
    for tensor in quantized:
        weights[tensor.format] += math.prod(tensor.dims)
    ((main, _),) = weights.most_common(1)
    first = next(tensor for tensor in quantized if tensor.format == main)
    return Requantizing(target.local, main, first.name, official_weights(target, known))


def official_weights(target: Target, known: KnownDetails) -> str | None:
    """The repository of a model's full-precision weights: by the catalog, else by what the hub said
    of the repository it came from."""
    if target.entry is not None:
        return target.entry.repositories.official
    source = target.installed.source if target.installed else ""
    details = known(source) if source.count("/") == 1 else None
    if details is None:
        return None
    if any(variant.format == "safetensors" for variant in variants(details.files)):
        return details.repo
    for base in details.base_models:
        if f"base_model:quantized:{base}" in details.tags:
            return base
    return None


def loses_again(recipe: QuantRecipe) -> bool:
    """Whether a recipe rounds weights that were rounded before: one to f16 or bf16 does not."""
    return any(format_named(name).is_quantized for name in recipe.formats.values())


def _is_quantized(tensor: TensorInfo) -> bool:
    return format_named(tensor.format).is_quantized

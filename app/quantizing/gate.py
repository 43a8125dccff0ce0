"""A costlier way of quantizing must earn its place: it is kept only where it measurably loses less.

Makes the cheaper result beside it, has both measured on text that neither recipe knows, and leaves
the better one. Jobs are passed in; knows no process and no library.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from quant.quality.figures import PairedReport
from quant.quality.paired_choice import choose
from quant.recipe import QuantRecipe, QuantReport
from runtime.process.job_values import QuantizeArgs

Convert = Callable[[QuantizeArgs], QuantReport]
# Which of two results strays less from the source: (source, costlier, cheaper).
Compare = Callable[[Path, Path, Path], PairedReport]


def cheaper_recipe(recipe: QuantRecipe) -> QuantRecipe | None:
    """The same formats by scale search, weighed by importance; None where nothing is cheaper."""
    if recipe.method != "feedback":
        return None
    return replace(recipe, name=recipe.name.removesuffix("-feedback"), method="search")


def convert_gated(
    args: QuantizeArgs, folder: Path, convert: Convert, compare: Compare
) -> QuantReport:
    """What `convert` makes of `args`, or the cheaper result in its place where the costlier is not
    measurably better; the report's `choice` says which and by how much. `folder` takes the cheaper
    one meanwhile. Raises what the two raise, and leaves nothing then."""
    cheaper = cheaper_recipe(args.recipe)
    report = convert(args)
    if cheaper is None:
        return report
    beside = folder / f"cheaper-{args.target.name}"
    try:
        plain = convert(
            structs.replace(args, target=beside, recipe=cheaper, calibrate=args.calibrate or True)
        )
        choice = choose(compare(args.source, args.target, beside))
        if not choice.costlier_kept:
            _put_in_place(beside, args.target)
    finally:
        _remove(beside)
    seconds = report.seconds + plain.seconds
    kept = report if choice.costlier_kept else replace(plain, target=report.target)
    return replace(kept, choice=choice, seconds=seconds)


def _put_in_place(made: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(made, target)


def _remove(made: Path) -> None:
    if made.is_dir():
        shutil.rmtree(made)
    else:
        made.unlink(missing_ok=True)

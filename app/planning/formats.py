"""Which format of a model to take here: a variant to download, or a recipe to quantize with.

Makes candidates for `runtime.planning.format_choice` of what this machine was measured to do and
what `quant.quality.expected_loss` expects. Downloads, converts and measures nothing; contains no
texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.hub.values import RepoDetails, Variant
from app.library.catalog import CatalogEntry
from app.quantizing.forecast import expected, planned, rows_fit
from quant.formats import BlockFormat, Family, format_named
from quant.onnx.architectures import exportable
from quant.quality.expected_loss import expected_loss
from quant.recipe import RECIPES, Method, QuantRecipe
from runtime import registry
from runtime.errors import EngineError
from runtime.plan import Interval, Plan, PlanModel, Reason
from runtime.planning.format_choice import (
    PEERS_DEFAULT,
    FormatCandidate,
    FormatRanking,
    Wish,
    rank_formats,
    stated_place,
)
from runtime.shape import ModelShape, parameter_count, spread_weight_bytes

MakePlan = Callable[[PlanModel], Plan]

UNKNOWN_CONTEXT = 1  # where nothing is known of what a format needs: taken to fit
PATIENCE_SECONDS = 15 * 60.0  # a recipe that takes longer is made only where it is asked for
SMALLER_SHARE = 0.95  # of the source's bytes: less is no gain for what is lost again
# Variants that nearly every repository of GGUF files has, as the recipes that make them.
USUAL_VARIANTS = {"Q4_K_M": "q4_k_m", "Q4_0": "q4_0", "Q6_K": "q6_k", "Q8_0": "q8_0"}


@dataclass(frozen=True)
class Formats:
    """Ranks formats by a user's wish. `context` is the tokens they want, 0 for the plan's default;
    `threads` those a conversion may use, which should take `patience` seconds at most."""

    make_plan: MakePlan
    catalog: Sequence[CatalogEntry]
    wish: Wish
    context: int = 0
    threads: int = 1
    patience: float = PATIENCE_SECONDS

    # -- what can be downloaded --------------------------------------------------------------

    def of_variants(
        self, found: Sequence[Variant], shape: ModelShape | None, *, reasoning: bool = False
    ) -> FormatRanking:
        """Rank the variants of one repository; `shape` is the model's, None where not known."""
        candidates = []
        for variant in found:
            plan: Plan | EngineError | None = None
            model = variant_model(variant, shape, reasoning=reasoning)
            if model is not None:
                plan = self._try(model)
            candidates.append(
                candidate_of(variant.label, variant.format, variant.size, plan, shape)
            )
        return self.rank(candidates, shape)

    def choose_variant(
        self, found: Sequence[Variant], details: RepoDetails, entry: CatalogEntry | None
    ) -> Variant:
        """What to download of a repository's GGUF variants."""
        shape = entry.shape if entry else self.shape_like(details.parameters)
        reasoning = entry is not None and entry.chat.kind == "reasoning"
        ranking = self.of_variants(found, shape, reasoning=reasoning)
        first = ranking.formats[0].candidate  # what does not fit is refused where it is loaded
        return next(v for v in found if (v.label, v.size) == (first.label, first.nbytes))

    def shape_like(self, parameters: int | None) -> ModelShape | None:
        """The shape of the catalog's dense model nearest in size, where a model's is not known."""
        if not parameters:
            return None
        dense = [entry for entry in self.catalog if entry.active_parameters == entry.parameters]
        return min(dense, key=lambda entry: abs(entry.parameters - parameters)).shape

    def recipe_of(self, entry: CatalogEntry) -> QuantRecipe:
        """What Download will probably take of a catalog entry, before its repository is asked: one
        of USUAL_VARIANTS, as the recipe that makes it."""
        reasoning = entry.chat.kind == "reasoning"
        ranking = self._of_recipes(
            [RECIPES[name] for name in USUAL_VARIANTS.values()], entry.shape, reasoning
        )
        return RECIPES[ranking.formats[0].candidate.label]

    # -- what can be made --------------------------------------------------------------------

    def of_recipes(
        self,
        shape: ModelShape,
        family: Family | None = None,
        *,
        reasoning: bool = False,
        below: int | None = None,
    ) -> FormatRanking:
        """Rank every recipe that can quantize a model of this shape: of one family where that is
        named, and to less than `below` bytes of weights, what the source has."""
        able = recipes_for(shape, family)
        if below is not None:
            most = SMALLER_SHARE * below
            able = [each for each in able if planned(shape, each).weights.total < most]
        return self._of_recipes(able, shape, reasoning)

    def _of_recipes(
        self, recipes: Sequence[QuantRecipe], shape: ModelShape, reasoning: bool
    ) -> FormatRanking:
        plans: dict[str, Plan | EngineError] = {}
        candidates = []
        for recipe in recipes:
            key = f"{sorted(recipe.formats.items())} {recipe.overrides}"  # care changes no speed
            model = planned(shape, recipe, reasoning=reasoning)
            plan = plans.get(key) or plans.setdefault(key, self._try(model))
            made = candidate_of(recipe.name, recipe.family, model.weights.total, plan, shape)
            seconds = expected(shape, recipe, self.threads).seconds
            candidates.append(replace(made, seconds=seconds))
        return self.rank(candidates, shape)

    def for_each_family(self, shape: ModelShape) -> list[QuantRecipe]:
        """What would be taken for GGUF files and for ONNX folders, made with the least care: speed
        depends on the formats alone."""
        methods: dict[Family, Method] = {"gguf": "llama.cpp", "onnx": "round"}
        return [
            replace(recommended(ranking)[0], method=method, importance="ignored")
            for family, method in methods.items()
            if (ranking := self.of_recipes(shape, family)).formats
        ]

    # -- both --------------------------------------------------------------------------------

    def rank(
        self, candidates: Sequence[FormatCandidate], shape: ModelShape | None
    ) -> FormatRanking:
        """Rank candidates for one model."""
        peer = loss_of(PEERS_DEFAULT, shape)
        return rank_formats(candidates, self.wish, peer, self.context, self.patience)

    def _try(self, model: PlanModel) -> Plan | EngineError:
        try:
            return self.make_plan(model)
        except EngineError as error:
            return error


def recommended(ranking: FormatRanking) -> tuple[QuantRecipe, Reason]:
    """The first recipe of a ranking that has one, and why it is."""
    first = ranking.formats[0]
    return RECIPES[first.candidate.label], first.reason


def usual_recipe(family: Family | None = None) -> QuantRecipe:
    """The first recipe of a family in the order that holds where nothing is known."""
    able = [each for each in RECIPES.values() if family in (None, each.family)]
    return min(able, key=lambda each: stated_place(each.name, None))


def recipes_for(shape: ModelShape, family: Family | None = None) -> list[QuantRecipe]:
    """The recipes that make fewer bits of a model of this shape."""
    able: list[Family] = ["gguf"]
    if exportable(shape.architecture, shape.expert_count):
        able.append("onnx")
    return [
        recipe
        for recipe in RECIPES.values()
        if recipe.family in able
        and family in (None, recipe.family)
        and all(_suits(format_named(name), shape) for name in recipe.formats.values())
    ]


def _suits(format_: BlockFormat, shape: ModelShape) -> bool:
    """Whether a format has fewer bits, and the model's rows are whole blocks of it where an engine
    would pad them (GGUF has other formats for such rows)."""
    return not format_.is_float and (
        format_.family == "gguf" or rows_fit(shape, format_.block_size)
    )


def variant_model(
    variant: Variant, shape: ModelShape | None, *, reasoning: bool = False
) -> PlanModel | None:
    """A variant as a planner must know it: its size, shared out as the shape says."""
    if shape is None or variant.size is None:
        return None
    weights = spread_weight_bytes(shape, variant.size)
    return PlanModel(
        shape,
        weights,
        (variant.format,),
        variant.label.upper(),
        reasoning=reasoning,
        exact_weights=False,
    )


def candidate_of(
    label: str,
    container: str,
    nbytes: int | None,
    plan: Plan | Exception | None,
    shape: ModelShape | None,
) -> FormatCandidate:
    """A format with the plan of it, with why it has none (it does not fit), or with None where
    nothing is known of it."""
    if isinstance(plan, Plan):
        speed = plan.speed.decode_tps if plan.speed else None
        context, engine = plan.placement.n_ctx, plan.placement.engine
    else:
        speed, context = None, 0 if plan is not None else UNKNOWN_CONTEXT
        engine = next((each.name for each in registry.reading((container,))), "")
    return FormatCandidate(label, engine, nbytes, speed, loss_of(label, shape), context)


def loss_of(label: str, shape: ModelShape | None) -> Interval | None:
    """What a format is expected to lose on a model of this shape; None where nobody knows."""
    found = expected_loss(label, parameter_count(shape)) if shape is not None else None
    return Interval(found.low, found.likely, found.high) if found is not None else None

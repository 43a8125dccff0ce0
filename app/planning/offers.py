"""The ways to get one model, side by side: download size, and how each would run on this machine.

Knows the hub's listings and how to ask for a plan; downloads at most a file's header. Contains
no texts.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.downloads.acquisition import HUB_PREFIX, Acquisition
from app.downloads.install import ModelRequest, request_for
from app.errors import AppError, HubError, RemoteFileNotFound
from app.hub.faults import UNREACHABLE_ERRORS
from app.hub.values import RepoDetails, SearchHit, Variant, variants
from app.library.catalog import CatalogEntry
from app.planning.formats import Formats, candidate_of, variant_model
from app.planning.inspection import plan_model
from app.quantizing.forecast import planned
from quant.recipe import RECIPES
from runtime.errors import EngineError
from runtime.model.info import ModelInfo
from runtime.plan import Plan, PlanModel, Reason
from runtime.planning.format_choice import PEERS_DEFAULT, FormatRanking
from runtime.progress import CancelToken
from runtime.shape import ModelShape, parameter_count, spread_weight_bytes
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

PEERS_RECIPE = PEERS_DEFAULT.lower()  # what a model is planned as before its files are known
_FULL_PRECISION_BYTES = 1.5  # bytes per weight from which a checkpoint is worth quantizing


@dataclass(frozen=True)
class Offer:
    """One way to get a model. `size` is bytes to download, None where the hub hides it.

    `bits_per_weight` and `plan` are of what will be run: with `quantize_here` that is what this
    machine makes of the official weights. `problem` says why there is no plan. `exact` is whether
    the file's own header was read; else the plan is by the file's size and another's shape.
    `label` is the variant's, or the name of the recipe. `reason` says why its format is `preferred`
    or what it is beside the one that is.
    """

    request: ModelRequest
    label: str
    size: int | None
    bits_per_weight: float | None
    plan: Plan | None
    problem: Exception | None = None
    preferred: bool = False
    quantize_here: bool = False
    exact: bool = False
    reason: Reason | None = None


@dataclass(frozen=True)
class Described:
    """What the hub says of a model. `notes` is the model card as Markdown; `cached_at` (UTC)
    is set when the hub could not be asked. `ranking` compares the formats of the offers that are
    ready made, or where there are none those that could be made here."""

    repo: RepoDetails
    offers: tuple[Offer, ...]
    ranking: FormatRanking
    notes: str = ""
    cached_at: str | None = None


def describe(
    key: str,
    acquisition: Acquisition,
    formats: Formats,
    cancel: CancelToken | None = None,
) -> Described:
    """Variants, plans and notes of a catalog id or of hub:OWNER/REPO.

    A repository that the catalog does not know costs a few megabytes: the header of one variant.
    Without a network, what was seen last is described. Raises HubError, Cancelled.
    """
    entry = entry_for(key, formats.catalog)
    details = _details(repository(key, entry), acquisition, cancel)
    origin = entry.repositories.official if entry else next(iter(details.base_models), None)
    official = _official(origin, details, acquisition, cancel)
    looked = None if entry else _known_header(details, acquisition, cancel)
    shape = entry.shape if entry else looked.info.shape if looked else None
    name = "" if key.startswith(HUB_PREFIX) else key
    ready = _offers(details, shape, formats, name, entry)
    own = [] if ready else _from_official(details, shape, formats, name, entry)
    if official is not None:
        own += _from_official(official, shape, formats, name, entry)
    if looked is not None:
        ready, own = (
            [
                _exact(o, looked.info, formats, entry)
                if o.request.files == looked.variant.files
                else o
                for o in offers
            ]
            for offers in (ready, own)
        )
    ready, ranking = _ranked(ready, shape, formats, name)
    if not ready and shape is not None:
        ranking = formats.of_recipes(shape, reasoning=_reasons(entry))
    notes = _notes(official or details, acquisition, cancel)
    return Described(details, (*ready, *own), ranking, notes, details.cached_at)


def refine_offer(
    offer: Offer,
    acquisition: Acquisition,
    formats: Formats,
    cancel: CancelToken | None = None,
) -> Offer:
    """The offer planned by its own header, for a few megabytes. Raises HubError, Cancelled.

    What no engine here could use has no plan, and its `problem` says why.
    """
    request = offer.request
    catalog = formats.catalog
    entry = entry_for(request.source, catalog) or entry_for(HUB_PREFIX + request.repo, catalog)
    variant = Variant(offer.label, request.format, request.files)
    try:
        info = acquisition.read_variant_header(variant, cancel)
    except EngineError as error:
        return replace(offer, plan=None, problem=error, exact=True)
    return _exact(offer, info, formats, entry)


def repository(key: str, entry: CatalogEntry | None) -> str:
    """The repository a key stands for. Raises RemoteFileNotFound when it has none."""
    if key.startswith(HUB_PREFIX):
        return "/".join(key.removeprefix(HUB_PREFIX).split("/")[:2])
    repo = entry and (entry.repositories.gguf or entry.repositories.official)
    if not repo:
        raise RemoteFileNotFound(endpoint="", repo=key, path="*.gguf")
    return repo


def entry_for(key: str, catalog: Sequence[CatalogEntry]) -> CatalogEntry | None:
    """The catalog entry with this id or of this repository."""
    repo = key.removeprefix(HUB_PREFIX)
    for entry in catalog:
        if key == entry.id or repo in (entry.repositories.gguf, entry.repositories.official):
            return entry
    return None


def estimate_for(hit: SearchHit, catalog: Sequence[CatalogEntry]) -> PlanModel | None:
    """What to plan a search result with: the shape of the catalog's model it was made from, else
    that of the dense model nearest in size, scaled. None where the hub does not say the size."""
    known = entry_for(HUB_PREFIX + hit.repo, catalog) or next(
        (e for e in catalog if e.repositories.official in hit.base_models), None
    )
    recipe = RECIPES[PEERS_RECIPE]
    if known is not None:
        return planned(known.shape, recipe, reasoning=known.chat.kind == "reasoning")
    if not hit.parameters:
        return None
    wanted = hit.parameters
    dense = [entry for entry in catalog if entry.active_parameters == entry.parameters]
    near = min(dense, key=lambda entry: abs(entry.parameters - wanted))
    usual = planned(near.shape, recipe)
    total = round(usual.weights.total * wanted / near.parameters)
    return replace(usual, weights=spread_weight_bytes(near.shape, total))


def _details(repo: str, acquisition: Acquisition, cancel: CancelToken | None) -> RepoDetails:
    try:
        return acquisition.hub.details(repo, cancel=cancel)
    except UNREACHABLE_ERRORS:
        cached = acquisition.hub.cached_details(repo)
        if cached is None:
            raise
        return cached


def _official(
    repo: str | None, details: RepoDetails, acquisition: Acquisition, cancel: CancelToken | None
) -> RepoDetails | None:
    """The official repository, where it can be reached."""
    if not repo or repo == details.repo:
        return None
    try:
        return _details(repo, acquisition, cancel)
    except HubError as error:
        logger.info("no official repository: %s", summary_of(error))
        return None


def _notes(details: RepoDetails, acquisition: Acquisition, cancel: CancelToken | None) -> str:
    try:
        return acquisition.hub.card(details.repo, details.commit, cancel)
    except HubError as error:
        logger.info("no model card: %s", summary_of(error))
        return acquisition.hub.cached_card(details.repo)


@dataclass(frozen=True)
class _KnownHeader:
    """A variant whose header has been read."""

    variant: Variant
    info: ModelInfo


def _known_header(
    details: RepoDetails, acquisition: Acquisition, cancel: CancelToken | None
) -> _KnownHeader | None:
    """The header of the default variant."""
    try:
        variant = acquisition.default_variant(details)
        return _KnownHeader(variant, acquisition.read_variant_header(variant, cancel))
    except (AppError, EngineError) as error:
        logger.info("no header to plan with: %s", summary_of(error))
        return None


def _exact(offer: Offer, info: ModelInfo, formats: Formats, entry: CatalogEntry | None) -> Offer:
    """The offer with a plan by what its header says."""
    model = plan_model(info, entry)
    bits = info.bits_per_weight
    if offer.quantize_here:
        offer, model = _made_here(offer, info.shape, formats, model.reasoning)
        bits = model.weights.total * 8 / parameter_count(info.shape)
    bare = replace(offer, bits_per_weight=bits, plan=None, problem=None, exact=True)
    return _planned(bare, model, formats)


def _made_here(
    offer: Offer, shape: ModelShape, formats: Formats, reasoning: bool
) -> tuple[Offer, PlanModel]:
    """An offer of official weights with the recipe to take for them, and what that makes."""
    first = formats.of_recipes(shape, reasoning=reasoning).formats[0]
    recipe = RECIPES[first.candidate.label]
    named = replace(offer, label=recipe.name, reason=first.reason)
    return named, planned(shape, recipe, reasoning=reasoning)


def _ranked(
    offers: list[Offer], shape: ModelShape | None, formats: Formats, name: str
) -> tuple[list[Offer], FormatRanking]:
    """The offers with why one GGUF file is preferred and the others are not (a folder of ONNX files
    may hold any graph). A catalog model's preferred variant has the entry's id as its name."""
    known = {
        index: candidate_of(o.label, o.request.format, o.size, o.plan or o.problem, shape)
        for index, o in enumerate(offers)
        if o.request.format == "gguf"
    }
    ranking = formats.rank(list(known.values()), shape)
    reasons = {id(each.candidate): each.reason for each in ranking.formats}
    told = [
        replace(offer, reason=reasons[id(known[index])]) if index in known else offer
        for index, offer in enumerate(offers)
    ]
    if ranking.formats:
        first = ranking.formats[0].candidate
        best = next(index for index, candidate in known.items() if candidate is first)
        request = told[best].request
        request = replace(request, name=name or request.name)
        told[best] = replace(told[best], preferred=True, request=request)
    return told, ranking


def _offers(
    details: RepoDetails,
    shape: ModelShape | None,
    formats: Formats,
    name: str,
    entry: CatalogEntry | None,
) -> list[Offer]:
    """What is ready made."""
    offers = []
    for variant in variants(details.files):
        if variant.format not in ("gguf", "onnx"):
            continue
        request = request_for(
            variant,
            name=f"{name}-{variant.label}".lower().replace("/", "-") if name else "",
            source=name,
            licence=details.licence or (entry.licence if entry else None),
        )
        bits = variant.bits_per_weight(parameter_count(shape)) if shape else None
        offer = Offer(request, variant.label, variant.size, bits, None)
        model = variant_model(variant, shape, reasoning=_reasons(entry))
        offers.append(offer if model is None else _planned(offer, model, formats))
    return offers


def _from_official(
    details: RepoDetails,
    shape: ModelShape | None,
    formats: Formats,
    name: str,
    entry: CatalogEntry | None,
) -> list[Offer]:
    """The official weights, to be quantized on this machine."""
    offers = []
    for variant in variants(details.files):
        if variant.format != "safetensors":
            continue
        if shape and (variant.size or 0) < _FULL_PRECISION_BYTES * parameter_count(shape):
            continue
        request = request_for(
            variant,
            name=f"{name}-official" if name else "",
            source=name or details.repo,
            licence=details.licence or (entry.licence if entry else None),
        )
        offer = Offer(request, PEERS_RECIPE, variant.size, None, None, quantize_here=True)
        if shape is None:
            offers.append(offer)
            continue
        offer, model = _made_here(offer, shape, formats, _reasons(entry))
        bits = model.weights.total * 8 / parameter_count(shape)
        offers.append(_planned(replace(offer, bits_per_weight=bits), model, formats))
    return offers


def _reasons(entry: CatalogEntry | None) -> bool:
    return entry is not None and entry.chat.kind == "reasoning"


def _planned(offer: Offer, model: PlanModel, formats: Formats) -> Offer:
    try:
        return replace(offer, plan=formats.make_plan(model))
    except EngineError as error:
        return replace(offer, problem=error)

"""The ways to get one model, side by side: download size, and how each would run on this machine.

Knows the hub's listings and how to ask for a plan; downloads at most a file's header. Contains
no texts.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.downloads.acquisition import HUB_PREFIX, Acquisition, default_variant, preferred_variant
from app.downloads.install import ModelRequest, request_for
from app.errors import AppError, HubError, RemoteFileNotFound
from app.hub.faults import UNREACHABLE_ERRORS
from app.hub.values import RepoDetails, SearchHit, Variant, variants
from app.library.catalog import CatalogEntry
from app.planning.inspection import plan_model
from runtime.errors import EngineError
from runtime.model.info import ModelInfo
from runtime.plan import Plan, PlanModel
from runtime.progress import CancelToken
from runtime.shape import ModelShape, parameter_count, spread_weight_bytes, weight_bytes
from runtime.tracebacks import summary_of

logger = logging.getLogger(__name__)

MakePlan = Callable[[PlanModel], Plan]
QUANTIZED = "Q4_0"  # the format our own recipe makes from full-precision weights
_FULL_PRECISION_BYTES = 1.5  # bytes per weight from which a checkpoint is worth quantizing


@dataclass(frozen=True)
class Offer:
    """One way to get a model. `size` is bytes to download, None where the hub hides it.

    `bits_per_weight` and `plan` are of what will be run: with `quantize_here` that is what this
    machine makes of the official weights. `problem` says why there is no plan. `exact` is whether
    the file's own header was read; else the plan is by the file's size and another's shape.
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


@dataclass(frozen=True)
class Described:
    """What the hub says of a model. `notes` is the model card as Markdown; `cached_at` (UTC)
    is set when the hub could not be asked."""

    repo: RepoDetails
    offers: tuple[Offer, ...]
    notes: str = ""
    cached_at: str | None = None


def describe(
    key: str,
    acquisition: Acquisition,
    catalog: Sequence[CatalogEntry],
    make_plan: MakePlan,
    cancel: CancelToken | None = None,
) -> Described:
    """Variants, plans and notes of a catalog id or of hub:OWNER/REPO.

    A repository that the catalog does not know costs a few megabytes: the header of one variant.
    Without a network, what was seen last is described. Raises HubError, Cancelled.
    """
    entry = entry_for(key, catalog)
    details = _details(repository(key, entry), acquisition, cancel)
    origin = entry.repositories.official if entry else next(iter(details.base_models), None)
    official = _official(origin, details, acquisition, cancel)
    looked = None if entry else _known_header(details, acquisition, cancel)
    shape = entry.shape if entry else looked.info.shape if looked else None
    name = "" if key.startswith(HUB_PREFIX) else key
    offers = _offers(details, shape, make_plan, name, entry)
    if official is not None:
        offers += _from_official(official, shape, make_plan, name, entry)
    if looked is not None:
        same = [offer.request.files == looked.variant.files for offer in offers]
        offers = [
            _exact(offer, looked.info, make_plan, entry) if is_it else offer
            for offer, is_it in zip(offers, same, strict=True)
        ]
    notes = _notes(official or details, acquisition, cancel)
    return Described(details, tuple(offers), notes, details.cached_at)


def refine_offer(
    offer: Offer,
    acquisition: Acquisition,
    catalog: Sequence[CatalogEntry],
    make_plan: MakePlan,
    cancel: CancelToken | None = None,
) -> Offer:
    """The offer planned by its own header, for a few megabytes. Raises HubError, Cancelled.

    What no engine here could use has no plan, and its `problem` says why.
    """
    request = offer.request
    entry = entry_for(request.source, catalog) or entry_for(HUB_PREFIX + request.repo, catalog)
    variant = Variant(offer.label, request.format, request.files)
    try:
        info = acquisition.read_variant_header(variant, cancel)
    except EngineError as error:
        return replace(offer, plan=None, problem=error, exact=True)
    return _exact(offer, info, make_plan, entry)


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
    if known is not None:
        return PlanModel(
            known.shape,
            weight_bytes(known.shape, QUANTIZED),
            block_format=QUANTIZED,
            reasoning=known.chat.kind == "reasoning",
            exact_weights=False,
        )
    if not hit.parameters:
        return None
    wanted = hit.parameters
    dense = [entry for entry in catalog if entry.active_parameters == entry.parameters]
    near = min(dense, key=lambda entry: abs(entry.parameters - wanted))
    total = round(weight_bytes(near.shape, QUANTIZED).total * wanted / near.parameters)
    weights = spread_weight_bytes(near.shape, total)
    return PlanModel(near.shape, weights, block_format=QUANTIZED, exact_weights=False)


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
        variant = default_variant(details)
        return _KnownHeader(variant, acquisition.read_variant_header(variant, cancel))
    except (AppError, EngineError) as error:
        logger.info("no header to plan with: %s", summary_of(error))
        return None


def _exact(offer: Offer, info: ModelInfo, make_plan: MakePlan, entry: CatalogEntry | None) -> Offer:
    """The offer with a plan by what its header says."""
    model = plan_model(info, entry)
    bits = info.bits_per_weight
    if offer.quantize_here:
        weights = weight_bytes(info.shape, QUANTIZED)
        bits = weights.total * 8 / parameter_count(info.shape)
        model = replace(
            model,
            weights=weights,
            formats=("gguf",),
            block_format=QUANTIZED,
            exact_weights=False,
        )
    bare = replace(offer, bits_per_weight=bits, plan=None, problem=None, exact=True)
    return _planned(bare, model, make_plan)


def _offers(
    details: RepoDetails,
    shape: ModelShape | None,
    make_plan: MakePlan,
    name: str,
    entry: CatalogEntry | None,
) -> list[Offer]:
    ready = [v for v in variants(details.files) if v.format in ("gguf", "onnx")]
    try:
        best: Variant | None = preferred_variant(details)
    except RemoteFileNotFound:
        best = None
    offers = []
    for variant in ready:
        request = request_for(
            variant,
            name=_name(name, variant, variant == best),
            source=name,
            licence=details.licence or (entry.licence if entry else None),
        )
        offers.append(_offer(request, variant, shape, make_plan, variant == best, entry))
    if not offers:
        offers = _from_official(details, shape, make_plan, name, entry)
    return offers


def _name(name: str, variant: Variant, best: bool) -> str:
    """A catalog model's default variant has the entry's id as its name; the others say which."""
    return name if best or not name else f"{name}-{variant.label}".lower().replace("/", "-")


def _offer(
    request: ModelRequest,
    variant: Variant,
    shape: ModelShape | None,
    make_plan: MakePlan,
    best: bool,
    entry: CatalogEntry | None,
) -> Offer:
    bits = variant.bits_per_weight(parameter_count(shape)) if shape else None
    offer = Offer(request, variant.label, variant.size, bits, None, preferred=best)
    if shape is None or variant.size is None:
        return offer
    weights = spread_weight_bytes(shape, variant.size)
    model = PlanModel(
        shape,
        weights,
        (variant.format,),
        variant.label.upper(),
        reasoning=_reasons(entry),
        exact_weights=False,
    )
    return _planned(offer, model, make_plan)


def _from_official(
    details: RepoDetails,
    shape: ModelShape | None,
    make_plan: MakePlan,
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
        offer = Offer(request, QUANTIZED, variant.size, None, None, quantize_here=True)
        if shape is None:
            offers.append(offer)
            continue
        weights = weight_bytes(shape, QUANTIZED)
        bits = weights.total * 8 / parameter_count(shape)
        model = PlanModel(
            shape,
            weights,
            block_format=QUANTIZED,
            reasoning=_reasons(entry),
            exact_weights=False,
        )
        offers.append(_planned(replace(offer, bits_per_weight=bits), model, make_plan))
    return offers


def _reasons(entry: CatalogEntry | None) -> bool:
    return entry is not None and entry.chat.kind == "reasoning"


def _planned(offer: Offer, model: PlanModel, make_plan: MakePlan) -> Offer:
    try:
        return replace(offer, plan=make_plan(model))
    except EngineError as error:
        return replace(offer, problem=error)

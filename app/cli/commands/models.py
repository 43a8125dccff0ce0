"""Commands about models: search, inspect, plan, pull, list, remove, verify."""

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.cli.commands import cluster
from app.cli.commands.console import Console, table
from app.cli.commands.wish import use_wish
from app.errors import UnknownModel
from app.hub.values import SearchHit, SearchQuery
from app.library.catalog import CatalogEntry
from app.planning.offers import estimate_for
from app.session.session import Session
from app.wording.explain import explain, reason_text
from app.wording.units import format_bytes, format_count, format_duration, format_interval, pace
from runtime.errors import DoesNotFit, EngineError, OutOfMemory
from runtime.plan import TYPICAL_ANSWER, TYPICAL_PROMPT, Interval, Plan, SpeedEstimate
from runtime.progress import CancelToken

_BASIS = {
    "bandwidth": "the memory bandwidth measured here",
    "calibrated": "the memory bandwidth measured here, corrected by past runs",
    "measured": "measured here",
}


def search(session: Session, args: Namespace, console: Console) -> None:
    """Catalog entries whose name, id or family has every word of TEXT, with their plan here."""
    use_wish(session, args)
    words = " ".join(args.text).lower().split()
    found = [entry for entry in session.catalog if all(word in _haystack(entry) for word in words)]
    values = [_planned_entry(session, entry) for entry in found]
    rows = [
        (each.id, format_count(each.parameters), each.format, *_plan_cells(each), each.licence)
        for each in values
    ]
    headings = ("MODEL", "PARAMETERS", "FORMAT", "MEMORY", "HERE", "PREDICTED", "LICENCE")
    text = table(headings, rows) or "Nothing in the catalog matches."
    if not args.hub:
        console.result(values, text)
        return
    page = session.acquisition.search(SearchQuery(" ".join(args.text)))
    plans = [planned_hit(session, hit) for hit in page.hits]
    document = {"catalog": values, "hub": page, "hub_plans": plans}
    console.result(document, f"{text}\n\n{_hub_text(page.hits, plans)}")


def _hub_text(hits: Sequence[SearchHit], plans: Sequence["PlannedHit"]) -> str:
    rows = [
        (
            hit.repo,
            format_count(hit.parameters) if hit.parameters else "–",
            *_plan_cells(plan),
            str(hit.downloads or 0),
            ", ".join(hit.quantizations[:6]),
            "gated" if hit.gated else hit.licence or "–",
        )
        for hit, plan in zip(hits, plans, strict=True)
    ]
    if not rows:
        return "Nothing on the hub matches."
    headings = (
        "HUB", "PARAMETERS", "MEMORY", "HERE", "PREDICTED", "DOWNLOADS", "VARIANTS", "LICENCE",
    )  # fmt: skip
    note = "Memory and speed are estimates for 4-bit weights, based on the size."
    return f"{table(headings, rows)}\n{note}"


def _plan_cells(plan: "Planned") -> tuple[str, str, str]:
    memory = format_bytes(plan.memory) if plan.memory else "–"
    return memory, plan.fits.replace("_", " "), plan.speed_text


def _haystack(entry: CatalogEntry) -> str:
    parts = (entry.id, entry.name, entry.teacher or "", entry.base_model or "", *entry.labels)
    return " ".join(parts).lower()


@dataclass(frozen=True)
class Planned:
    """A model's plan in short: bytes, whether it fits ("–": nobody can tell), tokens per second."""

    memory: int | None = None
    fits: str = "–"
    speed: Interval | None = None
    speed_text: str = "–"


@dataclass(frozen=True, kw_only=True)
class PlannedEntry(Planned):
    """A model of the catalog."""

    id: str
    name: str
    parameters: int
    format: str
    installed: bool
    licence: str


@dataclass(frozen=True, kw_only=True)
class PlannedHit(Planned):
    """A model on the hub."""

    repo: str


def _planned_entry(session: Session, entry: CatalogEntry) -> PlannedEntry:
    installed = session.library.find(entry.id)
    usual = session.formats.recipe_of(entry).name.upper()
    return PlannedEntry(
        **vars(_planned(lambda: session.plan(entry.id))),
        id=entry.id,
        name=entry.name,
        parameters=entry.parameters,
        format=usual if installed is None else installed.recipe or installed.format,
        installed=installed is not None,
        licence=entry.licence,
    )


def planned_hit(session: Session, hit: SearchHit) -> PlannedHit:
    """What a model on the hub would be here: planned as the window does, without its header."""
    model = estimate_for(hit, session.catalog)
    if model is None:  # the hub does not say how large it is
        return PlannedHit(repo=hit.repo)
    return PlannedHit(repo=hit.repo, **vars(_planned(lambda: session.plan_for(model))))


def _planned(make: Callable[[], Plan]) -> Planned:
    try:
        plan = make()
    except EngineError as error:
        needed = error.needed if isinstance(error, DoesNotFit | OutOfMemory) else None
        return Planned(needed, "does_not_fit")
    speed = plan.speed.decode_tps if plan.speed else None
    text = format_interval(speed) + (f", {pace(speed)}" if speed else "")
    return Planned(plan.memory.total, plan.fits, speed, text)


def inspect(session: Session, args: Namespace, console: Console) -> None:
    """Header facts of a model, without its weights."""
    info = session.inspect(args.model)
    shape = info.shape
    lines = [
        f"{info.name}  ({info.format}, {format_bytes(info.file_size)})",
        f"architecture  {shape.architecture}, {shape.block_count} blocks, {shape.attention}",
        f"widths        embedding {shape.embedding_length}, feed-forward"
        f" {shape.feed_forward_length}, vocabulary {shape.vocab_size}",
        f"heads         {shape.head_count}, {shape.head_count_kv} for keys and values",
        f"context       {shape.context_length} tokens",
        f"parameters    {format_count(info.parameters)},"
        f" {info.bits_per_weight:.2f} bits per weight",
        f"weights       embeddings {format_bytes(info.weights.embedding)},"
        f" blocks {format_bytes(sum(info.weights.blocks))}, LM head "
        + ("tied" if shape.tied_embeddings else format_bytes(info.weights.lm_head)),
        f"licence       {info.licence or 'not stated'}",
    ]
    console.result(info, "\n".join(lines))


def plan(session: Session, args: Namespace, console: Console) -> None:
    """Where a model would go, the memory it takes and the speed expected."""
    use_wish(session, args)
    if args.cluster is not None:
        cluster.plan(session, args, console)
        return
    made = session.plan(
        args.model,
        policy=args.policy,
        device=args.device,
        n_ctx=args.context,
        kv_type=args.kv_cache,
        engine=args.engine,
        draft=args.draft,
    )
    made = session.planning.exact(args.model, made)
    first = session.planning.first_token(args.model, made, args.prompt_tokens)
    console.result(made, plan_text(args.model, made, args.prompt_tokens, first))


def plan_text(
    model: str, plan: Plan, prompt_tokens: int = TYPICAL_PROMPT, first: Interval | None = None
) -> str:
    """A plan as a person reads it; `first` is the time to the first token after such a prompt, that
    after a typical one by default."""
    placement = plan.placement
    where = ", ".join(f"blocks {r.first}-{r.last} on {r.device}" for r in placement.layers)
    lines = [
        f"Plan for {model}: {plan.fits.replace('_', ' ')}",
        f"  engine   {placement.engine}, {placement.n_threads} threads",
        f"  where    embeddings on cpu, {where}, LM head on {placement.lm_head_device}",
        f"  context  {placement.n_ctx} tokens, KV cache {placement.kv_type_k}",
    ]
    for part in plan.memory.devices:
        lines.append(
            f"  memory   {part.device}: {format_bytes(part.total)} of"
            f" {format_bytes(part.available)} free (weights {format_bytes(part.weights)},"
            f" KV cache {format_bytes(part.kv_cache)}, compute"
            f" {format_bytes(part.compute_buffer)}, other {format_bytes(part.overhead)})"
        )
        if part.mapped:
            lines.append(
                f"           the system shows {format_bytes(part.resident)} there, including"
                f" {format_bytes(part.mapped)} of the mapped file, reclaimed when memory is short"
            )
    lines.extend(speed_lines(plan.speed, prompt_tokens, first))
    lines.extend(f"  why      {reason_text(reason)}" for reason in plan.reasons)
    for other in plan.alternatives:
        lines.append(
            f"  instead  {other.placement.engine}, blocks on {other.placement.layers[-1].device},"
            f" LM head on {other.placement.lm_head_device},"
            f" {format_interval(other.decode_tps)}: {reason_text(other.reason)}"
        )
    return "\n".join(lines)


def speed_lines(
    speed: SpeedEstimate | None, prompt_tokens: int, first: Interval | None
) -> Iterator[str]:
    """What a plan promises of its speed, a line for each figure."""
    if speed is None:
        yield "  decode   not predicted"
        return
    for depth, decode in speed.decode_at_depth.items():
        where = f"with {depth} tokens of context" if depth else "at the start"
        yield f"  decode   {format_interval(decode)} {where}"
    yield f"  prefill  {format_interval(speed.prefill_tps)}"
    first = first or speed.first_token
    if first is not None:
        wait = format_duration(first)
        yield f"  first    {wait} to the first token, for a prompt of {prompt_tokens} tokens"
    if speed.answer is not None:
        seconds = format_duration(speed.answer)
        yield f"  answer   {seconds} for a typical R1 answer ({TYPICAL_ANSWER} tokens)"
    yield f"  basis    {_BASIS[speed.basis]}"


def pull(session: Session, args: Namespace, console: Console) -> None:
    """Download, verify and install a model."""
    use_wish(session, args)
    model = session.pull(args.model, console.progress, CancelToken())
    console.end_progress()
    text = f"{model.name} is installed ({format_bytes(model.size)})."
    if not model.verified:
        text += " Unverified: the hub provides no checksum for it."
    reference = session.reference_of(model)
    if reference is not None:
        command = f"stillroom quality {model.name} --against {reference.name} --quick"
        text += f"\n`{command}` measures what quantization cost this very file."
    console.result(model, text)


def list_models(session: Session, _args: Namespace, console: Console) -> None:
    """What is installed, and the remote models, which are not offline."""
    models, remotes = session.installed(), session.remotes.all()
    rows: list[tuple[str, ...]] = [
        (m.name, m.format, format_bytes(m.size), m.recipe or "–", m.licence or "–", m.source)
        for m in models
    ]
    rows += [(r.name, "remote", "not offline", "–", "–", r.url) for r in remotes]
    headings = ("MODEL", "FORMAT", "SIZE", "RECIPE", "LICENCE", "SOURCE")
    values = [*models, *({"name": r.name, "format": "remote", "source": r.url} for r in remotes)]
    console.result(values, table(headings, rows) or "No models installed yet.")


def remove(session: Session, args: Namespace, console: Console) -> None:
    """Move a model to the library's trash."""
    installed = session.library.find(args.model)
    if installed is None:
        raise UnknownModel(
            name=args.model, suggestions=[model.name for model in session.installed()]
        )
    trashed = session.library.remove(installed.name)
    text = f"{trashed.name} was removed ({format_bytes(trashed.size)})."
    back = (
        f"`stillroom restore {trashed.name}` restores it, `stillroom clean --yes` frees the space."
    )
    console.result(trashed, f"{text} {back}")


def verify(session: Session, args: Namespace, console: Console) -> None:
    """Compare a model's files with the checksums kept at installation."""
    installed = session.library.find(args.model)
    if installed is None:
        raise UnknownModel(
            name=args.model, suggestions=[model.name for model in session.installed()]
        )
    session.library.verify(installed, console.progress, CancelToken())
    console.end_progress()
    console.result({"name": installed.name, "sound": True}, f"{installed.name} is intact.")


def error_text(error: BaseException) -> str:
    """An error as the command line prints it: one sentence, then the hint."""
    words = explain(error)
    return f"{words.sentence}" + (f"\n{words.hint}" if words.hint else "")

"""Commands that change weights and measure what it cost: quantize, quality."""

import re
from argparse import Namespace
from collections import Counter

from app.cli.commands.console import Console, table
from app.cli.commands.wish import use_wish
from app.quantizing.budget import Budget
from app.quantizing.conversion import Scoring
from app.quantizing.output import as_path
from app.session.session import Session
from app.wording.explain import notice_text, reason_text
from app.wording.loss import loss_sentences
from app.wording.pairs import choice_sentence, pair_sentence
from app.wording.sentences import VERDICTS
from app.wording.units import format_bytes, format_seconds
from quant.estimate import Estimate
from quant.quality.figures import PairedReport, QualityReport
from quant.recipe import QuantReport
from runtime.errors import InvalidRequest
from runtime.progress import CancelToken

_LARGE = 1e6  # a perplexity that says no more than that a model is damaged


def quantize(session: Session, args: Namespace, console: Console) -> None:
    """Quantize a model to 4 bits by role; install the result, or write it where `--output` says."""
    use_wish(session, args)
    recipe = _wanted(session, args, console)
    path = as_path(args.output) if args.output else None
    options = {
        "context": args.context,
        "calibrate": args.calibrate,
        "requantize": args.requantize,
    }
    if path is not None:
        report = session.quantize_to(
            path, args.model, recipe, console.progress, CancelToken(), **options
        )
        console.end_progress()
        value = {"path": path, "report": report.to_json()}
        console.result(value, report_text(f"{path} is written", report.target_bytes, report))
        return
    model, report = session.quantize(
        args.model, recipe, console.progress, CancelToken(), name=args.output, **options
    )
    console.end_progress()
    text = report_text(f"{model.name} is installed", model.size, report)
    choice = session.planning.engine_choice(model.name)
    if choice is not None:
        text += f"\n{reason_text(choice.reason)}"
    console.result({"model": model, "report": report.to_json(), "engine": choice}, text)


def _wanted(session: Session, args: Namespace, console: Console) -> str | Budget:
    """A size, or a recipe and what it is expected to lose. Raises InvalidRequest for options that
    would have no effect."""
    if args.size is not None or args.bits is not None:
        if args.to == "onnx":  # its formats differ too little in size
            raise InvalidRequest(field="--to", reason="one_of", value=args.to, choices=["gguf"])
        return Budget(args.size or 0, args.bits, args.sensitivities)
    if args.sensitivities is not None:
        raise InvalidRequest(field="--sensitivities", reason="needs_size")
    recipe: str = args.recipe or _default_recipe(session, args, console)
    source = session.inspect_source(args.model)
    if source is not None:
        for sentence in loss_sentences(recipe, source.parameters, bool(args.calibrate)):
            console.say(sentence)
    return recipe


def _default_recipe(session: Session, args: Namespace, console: Console) -> str:
    """The recipe for this model on this machine, with why."""
    recipe, reason = session.recipe_for(args.model, args.to)
    if reason is not None:
        console.say(reason_text(reason))
    return recipe.name


def report_text(done: str, size: int, report: QuantReport) -> str:
    """What was done, as a person reads it; `done` begins the sentence that tells the size."""
    errors = report.error_by_role, report.plain_error_by_role
    rows = [
        (role, f"{bits:.2f}", *(_share(by_role.get(role)) for by_role in errors))
        for role, bits in report.bits_per_weight_by_role.items()
    ]
    text = (
        f"{done}: {format_bytes(size)}, {report.bits_per_weight:.2f} bits per weight,"
        f" in {format_seconds(report.seconds)}.\n"
        + table(("ROLE", "BITS PER WEIGHT", "RELATIVE ERROR", "PLAIN ROUNDING"), rows)
    )
    if report.expected_kl is not None:
        text += f"\n{allotted_text(report)}"
    for notice in report.notices:
        text += f"\n{notice_text(notice)}"
    if report.choice is not None:
        text += f"\n{choice_sentence(report.choice)}"
    fallbacks = [tensor.name for tensor in report.fallbacks]
    if fallbacks:
        text += f"\n{len(fallbacks)} tensors have rows that the recipe's blocks do not divide"
        text += f" and use a wider format: {', '.join(fallbacks[:3])}"
        text += " ..." if len(fallbacks) > 3 else ""
    return text


def allotted_text(report: QuantReport) -> str:
    """Which formats a budget was spent on, by kind of matrix."""
    kinds: dict[str, Counter[str]] = {}
    costs: dict[str, float] = {}
    for tensor in report.tensors:
        if tensor.cost is not None:
            kind = re.sub(r"^blk\.\d+\.|\.weight$", "", tensor.name)
            kinds.setdefault(kind, Counter())[tensor.target_format] += 1
            costs[kind] = costs.get(kind, 0.0) + tensor.cost
    rows = [
        (
            kind,
            ", ".join(f"{n} × {name}" for name, n in sorted(formats.items())),
            f"{costs[kind]:.4f}",
        )
        for kind, formats in kinds.items()
    ]
    expected = f"Expected mean KL divergence: {report.expected_kl:.4f} (if errors add up)."
    return f"{table(('MATRIX', 'FORMATS', 'EXPECTED KL'), rows)}\n{expected}"


def _share(error: float | None) -> str:
    return "–" if error is None else f"{100 * error:.1f} %"


def quality(session: Session, args: Namespace, console: Console) -> None:
    """What quantization cost: perplexity, KL divergence, same top token."""
    conversion = session.conversion
    scoring = Scoring(tuple(args.text), args.set, args.quick, args.seconds)
    if args.schemes:
        if args.seconds is not None:
            raise InvalidRequest(field="--seconds", reason="no_limit", value="--schemes")
        result = conversion.schemes(args.model, console.progress, CancelToken(), scoring)
        console.end_progress()
        rows = [
            (entry.scheme, f"{entry.bits_per_weight:.2f}", *_figures(entry.report))
            for entry in result.schemes
        ]
        headings = ("SCHEME", "BITS", "PERPLEXITY", "MEAN KL", "99 % KL", "SAME TOP")
        console.result(result, table(headings, rows))
        return
    if args.against is None:
        raise InvalidRequest(field="--against", reason="needs_source")
    cancel = CancelToken()
    if args.versus is not None:
        pair = conversion.pair(
            args.model, args.versus, args.against, console.progress, cancel, scoring
        )
        console.end_progress()
        console.result(pair, pair_text(pair, args.model, args.versus, args.against))
        return
    report = conversion.quality(args.model, args.against, console.progress, cancel, scoring)
    console.end_progress()
    console.result(report, quality_text(report))


def pair_text(pair: PairedReport, first: str, second: str, source: str) -> str:
    """Which of two models is closer to their source, as a person reads it."""
    rows = [
        (
            text.name,
            str(text.tokens),
            _number(one.kl_mean, ".4f"),
            _number(other.kl_mean, ".4f"),
            _estimate(text.kl_difference, ".4f"),
        )
        for text, one, other in zip(pair.texts, pair.first.texts, pair.second.texts, strict=True)
    ]
    one, other, difference = (
        _estimate(each, ".4f")
        for each in (pair.first.kl_mean, pair.second.kl_mean, pair.kl_difference)
    )
    rows.append(("all", str(pair.first.tokens), one, other, difference))
    headings = ("TEXT", "TOKENS", "MEAN KL", "THE OTHER'S", "DIFFERENCE")
    lines = [str(pair_sentence(pair, first, second, source)), table(headings, rows)]
    return "\n".join([*lines, *_unfinished(pair.first)])


def _unfinished(report: QualityReport) -> list[str]:
    """That time ran out before the whole text was measured."""
    if report.tokens == report.planned:
        return []
    done = f"{report.tokens} of {report.planned} tokens in {format_seconds(report.seconds)}"
    return [f"Time ran out: measured {done}."]


def quality_text(report: QualityReport) -> str:
    """What was lost, as a person reads it."""
    names = ("perplexity", "mean KL", "99 % KL", "same top token")
    lines = [VERDICTS[report.verdict]]
    lines.extend(
        f"  {name:<15} {figure}" for name, figure in zip(names, _figures(report), strict=True)
    )
    source = _number(report.source_perplexity.value, ".2f")
    lines.append(f"  {'source':<15} perplexity {source}, over {report.tokens} tokens")
    lines.extend(
        f"  {role:<15} relative error {_share(error)}"
        for role, error in report.error_by_role.items()
    )
    return "\n".join([*lines, *_unfinished(report)])


def _figures(report: QualityReport) -> tuple[str, ...]:
    """Perplexity, mean and 99th-percentile KL, same-top share, with their intervals."""
    return (
        _estimate(report.perplexity, ".2f"),
        _estimate(report.kl_mean, ".4f"),
        _estimate(report.kl_p99, ".3f"),
        _estimate(report.same_top, ".1%"),
    )


def _estimate(estimate: Estimate, form: str) -> str:
    value = _number(estimate.value, form)
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({_number(estimate.low, form)} to {_number(estimate.high, form)})"


def _number(value: float | None, form: str) -> str:
    """A figure in a format of Python's; what has more than six digits in powers of ten."""
    if value is None:
        return "not a number"
    return format(value, form if value < _LARGE else ".3g")

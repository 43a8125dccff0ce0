"""Errors, reasons and notices in words: what happened, why, what to do.

Chooses among the sentences of `errors`, `codes` and `sentences` and fills them in. Knows every
error class by its name and the facts it carries; raises nothing and measures nothing.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from app.wording.codes import CODES
from app.wording.errors import CONTEXT_LIMITS, ERRORS, EXITS, FIELDS, OFFLINE, TITLED, WITHOUT
from app.wording.sentences import (
    CAUSES,
    FACTS,
    FINDINGS,
    NOTICES,
    PICKS,
    REASONS,
    UNAVAILABLE,
)
from app.wording.units import format_bytes, format_loss, format_seconds, format_tps
from app.wording.worded import Facts, Worded, worded
from quant.error_base import StillroomError
from runtime import registry
from runtime.answer.voting import Pick
from runtime.machine.providers import Fact, Preflight
from runtime.plan import Interval, Reason
from runtime.planning.diagnosis import SLOWER, Diagnosis
from runtime.progress import Cancelled


@dataclass(frozen=True)
class Explanation:
    """One failure in words: a title of a few words, one sentence, and what to do (may be empty)."""

    title: str
    sentence: str
    hint: str = ""


def explain(error: BaseException) -> Explanation:
    """Word an error. Unknown ones are named as what they are: a fault of the program."""
    if isinstance(error, StillroomError):
        return _explained(error)
    if isinstance(error, Cancelled):
        return Explanation("Cancelled", "The operation was cancelled; nothing was left behind.")
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        reason = error.strerror or str(error)
        return Explanation("The operating system reported an error", f"{reason}{where}.")
    return Explanation(
        "Something went wrong",
        f"{type(error).__name__}: {error}.",
        "This is a bug in Stillroom; the log has the details.",
    )


def _explained(error: StillroomError) -> Explanation:
    facts = Facts(_readable(error.facts))
    whole = _word_codes(error, facts)
    name = type(error).__name__
    if name in ("WorkerDied", "WorkerStartFailed", "WorkerStalled"):
        return _worker(name, facts)
    special = _SPECIAL.get(name)
    if special is not None:
        return special(facts)
    known = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in ERRORS)
    texts = TITLED.get((known, str(error.facts.get("reason"))), ERRORS[known])
    title, sentence, hint = (worded(text, facts) for text in texts)
    for (cls, fact), text in WITHOUT.items():
        if cls == known and not error.facts[fact]:
            sentence = worded(text, facts)
            break
    return Explanation(title, whole or sentence, hint)


_BYTES = frozenset(
    {
        "needed",
        "available",
        "reserve",
        "received",
        "total",
        "size",
        "largest",
        "asked",
        "least",
        "most",
    }
)


def _word_codes(error: StillroomError, words: dict[str, object]) -> Worded | None:
    """Put phrases in the places of an error's codes. A phrase that ends with a full stop is
    returned as well: it is the whole sentence."""
    whole = None
    for cls in type(error).__mro__:
        for name in error.fact_names():
            phrase = CODES.get((cls.__name__, name), {}).get(str(getattr(error, name)))
            if phrase is not None:
                words[name] = made = worded(phrase, words)
                whole = made if phrase.endswith(".") else whole
    return whole


def _readable(facts: Mapping[str, object]) -> dict[str, object]:
    """Facts as words: byte counts with units, lists joined, what a library says quoted."""
    words: dict[str, object] = {}
    for key, value in facts.items():
        if isinstance(value, list):
            words[key] = ", ".join(str(item) for item in value)
        elif key in _BYTES and isinstance(value, int):
            words[key] = format_bytes(value)
        else:
            words[key] = value
    field = str(facts.get("field"))
    words["field"] = worded(FIELDS[field]) if field in FIELDS else worded("“{field}”", facts)
    words["file"] = Path(str(facts["path"])).name if facts.get("path") else worded("The file")
    words["at_tensor"] = worded(" (tensor {tensor})", facts) if facts.get("tensor") else ""
    detail = str(facts.get("detail") or "").strip().rstrip(".")
    words["said"] = worded(": “{detail}”", {"detail": detail}) if detail else ""
    return words


def _worker(name: str, facts: Mapping[str, object]) -> Explanation:
    kind = {"WorkerStalled": "stalled", "WorkerStartFailed": "start_failed"}.get(name)
    kind = kind or str(facts.get("kind"))
    cause = facts.get("cause") or f"exit code {facts.get('exit_code')}"
    if kind == "crashed" and cause in ("SIGILL", "illegal instruction"):
        kind = "illegal_instruction"
    title, sentence, hint = EXITS.get(kind, EXITS["crashed"])
    words = {**facts, "cause": cause}
    if kind == "out_of_memory":
        return Explanation(title, worded(sentence, words), _instead(facts, hint))
    return Explanation(title, worded(sentence, words), worded(hint, words))


def _does_not_fit(facts: Mapping[str, object]) -> Explanation:
    return Explanation(
        "Not enough memory",
        worded("This needs {needed} on {device}, but only {available} is free.", facts),
        _instead(facts, "Choose a smaller model, or close other programs."),
    )


def _out_of_memory(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["OutOfMemory"]
    return Explanation(title, worded(sentence, facts), _instead(facts, hint))


def _instead(facts: Mapping[str, object], hint: str) -> str:
    """What would fit where memory does not, or `hint` where nothing is known to."""
    suggestion, smaller = facts.get("suggestion"), facts.get("smaller_model")
    words: dict[str, object] = {"model": smaller}
    if isinstance(suggestion, Mapping):
        words["suggestion"] = _suggestion(suggestion)
        if smaller:
            return worded("What would fit: {suggestion}; or the smaller model {model}.", words)
        return worded("What would fit: {suggestion}.", words)
    return worded("What would fit: the smaller model {model}.", words) if smaller else worded(hint)


def _suggestion(suggestion: Mapping[str, object]) -> Worded:
    """What a suggestion gives up of what was asked for; all it tells where it does not say."""
    texts = {
        "policy": _placement_suggested(suggestion),
        "n_ctx": "a context of {n_ctx} tokens",
        "kv_type": "a {kv_type} KV cache",
        "device": "device {device}",
        "machines": "{machines} such machines",
    }
    given_up = suggestion.get("gives_up")
    names = given_up if isinstance(given_up, list) and given_up else texts
    parts = [
        worded(text, suggestion)
        for name, text in texts.items()
        if name in names and suggestion.get(name)
    ]
    whole = parts[0] if parts else worded("a smaller model")
    for part in parts[1:]:
        whole = worded("{first}, {second}", {"first": whole, "second": part})
    return whole


def _placement_suggested(suggestion: Mapping[str, object]) -> str:
    off_cpu = suggestion.get("blocks_off_cpu", 0)
    if not off_cpu:
        return "placement {policy} with every block on the CPU"
    if off_cpu == suggestion.get("blocks"):
        return "placement {policy} with the LM head on the CPU"
    return "placement {policy} with {blocks_off_cpu} of {blocks} blocks on {accelerators}"


def _no_engine_ran(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["NoEngineRan"]
    words = {"failed": _failures(facts["failed"])}
    return Explanation(worded(title), worded(sentence, words), worded(hint))


def _failures(failed: object) -> str | Worded:
    """What failed, each with why: an error by its title, a signal by its name."""
    told: str | Worded = ""
    for name, why in failed.items() if isinstance(failed, Mapping) else ():
        title = worded(ERRORS[why][0]) if why in ERRORS else why
        one = worded("{name} ({why})", {"name": registry.title(name), "why": title})
        told = worded("{first}, {second}", {"first": told, "second": one}) if told else one
    return told


def _unknown_model(facts: Mapping[str, object]) -> Explanation:
    near = facts.get("suggestions")
    hint = "`stillroom search` lists the available models."
    if near:
        hint = "Did you mean {suggestions}?"
    sentence = worded("There is no model named “{name}”.", facts)
    return Explanation("Unknown model", sentence, worded(hint, facts))


def _device_unavailable(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["DeviceUnavailable"]
    if facts.get("known"):
        hint = "The usable devices are {known}."
    words = {**facts, "reason": unavailable_text(str(facts["reason"]))}
    return Explanation(title, worded(sentence, words), worded(hint, words))


def _draft_refused(facts: Mapping[str, object]) -> Explanation:
    sentence = reason_text(Reason(str(facts["code"]), dict(facts)))
    hint = "The model also works without a draft model."
    return Explanation("Draft model cannot be used", sentence, hint)


def _context_too_long(facts: Mapping[str, object]) -> Explanation:
    limit, or_else = CONTEXT_LIMITS.get(str(facts["why"]), ("possible here", ""))
    words = {**facts, "limit": worded(limit, facts), "or_else": worded(or_else, facts)}
    return Explanation(
        "Context too long",
        worded("A context of {n_ctx} tokens is more than {limit}: {longest}.", words),
        worded("Choose {longest} tokens or fewer{or_else}.", words),
    )


def _offline(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["Offline"]
    sentence, hint = OFFLINE.get(str(facts.get("kind")), (sentence, hint))
    return Explanation(worded(title, facts), worded(sentence, facts), worded(hint, facts))


def _interrupted(facts: Mapping[str, object]) -> Explanation:
    """The error that every try ended with says why."""
    title, sentence, hint = ERRORS["Interrupted"]
    last = facts.get("reason")
    reason = explain(StillroomError.from_json(last if isinstance(last, dict) else {})).sentence
    return Explanation(
        worded(title), worded(sentence, {**facts, "reason": reason}), worded(hint, facts)
    )


def _rate_limited(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["RateLimited"]
    if facts.get("retry_after") is None:
        sentence, hint = "The hub asked to wait but did not say how long.", "Try again later."
    return Explanation(worded(title), worded(sentence, facts), worded(hint))


def _remote_busy(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["RemoteBusy"]
    if facts.get("retry_after") is None:
        sentence = "{name} received too many requests and did not say how long to wait."
        hint = "Try again later."
    return Explanation(worded(title), worded(sentence, facts), worded(hint))


def _already_quantized(facts: Mapping[str, object]) -> Explanation:
    title, sentence, hint = ERRORS["AlreadyQuantized"]
    if facts.get("official"):
        hint = (
            "Get the full-precision weights with `stillroom pull hub:{official}` and quantize"
            " those, or continue anyway with --requantize."
        )
    return Explanation(title, worded(sentence, facts), worded(hint, facts))


_SPECIAL: dict[str, Callable[[Mapping[str, object]], Explanation]] = {
    "DeviceUnavailable": _device_unavailable,
    "DraftRefused": _draft_refused,
    "ContextTooLong": _context_too_long,
    "DoesNotFit": _does_not_fit,
    "OutOfMemory": _out_of_memory,
    "Interrupted": _interrupted,
    "Offline": _offline,
    "RateLimited": _rate_limited,
    "RemoteBusy": _remote_busy,
    "NoEngineRan": _no_engine_ran,
    "UnknownModel": _unknown_model,
    "AlreadyQuantized": _already_quantized,
}


def reason_text(reason: Reason) -> str:
    """Why a plan is as it is, as one sentence."""
    facts: dict[str, object] = dict(reason.facts)
    for key in ("decode_tps", "other_decode_tps", "chosen_tps", "comfortable_tps"):
        if key in facts:
            tps = facts[key]
            facts[key] = format_tps(tps if isinstance(tps, int | float) else None)
    for key in ("loss", "chosen_loss", "peer_loss"):
        if key in facts:
            facts[key] = format_loss(msgspec.convert(facts[key], Interval))
    if isinstance(facts.get("kl_mean"), float):
        facts["kl_mean"] = f"{reason.facts['kl_mean']:.3f}"
    for key in ("engine", "other"):
        if key in facts:
            facts[key] = registry.title(str(facts[key]))
    for key in ("needed", "available"):
        if isinstance(size := facts.get(key), int):
            facts[key] = format_bytes(size)
    if "failed" in facts:
        facts["failed"] = _failures(facts["failed"])
    if "why" in facts:
        facts["why"] = unavailable_text(str(facts["why"]))
    return worded(REASONS[reason.code], facts) if reason.code in REASONS else _unheard(reason.code)


def unavailable_text(code: str) -> str:
    """Why a device is not used."""
    return worded(UNAVAILABLE[code]) if code in UNAVAILABLE else _unheard(code)


def _unheard(code: str) -> Worded:
    """A code that is stored, or that another version of the program or the engine told."""
    return worded("“{code}”, which this version does not know", {"code": code.replace("_", " ")})


def preflight_text(preflight: Preflight) -> str:
    """What was found out about an execution provider, its five facts on a line each."""
    marks = {True: "ok ", False: "NO ", None: "–  "}
    lines = [f"{preflight.target}: {'usable' if preflight.usable else 'not usable'}"]
    for fact in preflight.facts:
        lines.append(f"  {marks[fact.ok]} {FACTS[fact.name]:<10} {finding_text(fact)}")
    return "\n".join(lines)


def finding_text(fact: Fact) -> str:
    """One fact in words: what was found, or what is missing and what to install."""
    facts: dict[str, object] = dict(fact.facts)
    for key, form in (
        ("bytes", format_bytes),
        ("needed", format_bytes),
        ("seconds", format_seconds),
    ):
        if isinstance(number := facts.get(key), int | float):
            facts[key] = form(number)
    if "cosine" in facts:
        facts["cosine"] = f"{fact.facts['cosine']:.5f}"
    code = fact.code
    if getattr(sys, "frozen", False) and code in ("not_installed", "provider_not_installed"):
        code = "not_installed_frozen"  # the program is one folder: there is no pip in it
    return worded(FINDINGS[code], facts) if code in FINDINGS else _unheard(code)


def notice_text(code: str) -> str:
    """A notice of a generation or a load, as one sentence."""
    return NOTICES[code] if code in NOTICES else _unheard(code)


def cause_words(code: str) -> tuple[str, str]:
    """What slowed a run down, and what to do (may be empty)."""
    return CAUSES[code] if code in CAUSES else (_unheard(code), "")


def pick_text(pick: Pick) -> str:
    """Which of several answers was kept, and why."""
    facts = {
        "number": pick.index + 1, "votes": pick.votes, "count": pick.count, "result": pick.result
    }  # fmt: skip
    return worded(PICKS[pick.method], facts)


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Why a run was slow, heaviest cause first, with its share and what to do."""
    if not diagnosis.causes:
        fast = diagnosis.slowdown < SLOWER
        return "It was as fast as predicted." if fast else "None of the measurements explains it."
    lines = []
    for cause in diagnosis.causes:
        what, remedy = cause_words(cause.code)
        lines.append(f"{100 * cause.share:.0f} %: {what}. {remedy}")
    return "\n".join(lines)

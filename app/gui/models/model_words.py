"""Models, plans and progress in the words of the lists and pages. Knows values, no widgets."""

from collections.abc import Sequence

from app.downloads.queue import QueueItem
from app.gui.models.control import ModelItem
from app.gui.parts import words
from app.gui.parts.words import tr
from runtime.plan import Plan
from runtime.progress import Progress


def fit_of(plan: Plan | None, problem: Exception | None) -> tuple[str, str, str]:
    """(word, icon, kind of colour) for whether something fits here; empty while unknown."""
    if plan is not None:
        return {
            "fits": (tr("fits"), "check", "good"),
            "tight": (tr("tight"), "tight", "warning"),
        }[plan.fits]
    if type(problem).__name__ == "DoesNotFit":
        return tr("does not fit"), "cross", "bad"
    return "", "", ""


def fit_words(item: ModelItem) -> tuple[str, str, str]:
    """`fit_of` a model of the list."""
    return fit_of(item.plan, item.plan_error)


def detail_words(item: ModelItem) -> str:
    """Size, fit and expected speed on one line."""
    parts = []
    if item.size:
        about = "≈ " if item.installed is None else ""  # worked out: the file is not here
        parts.append(f"{about}{words.size(item.size)}")
    elif item.hit is not None and item.hit.parameters:
        parts.append(words.parameters(item.hit.parameters))
    elif item.entry is not None:
        parts.append(words.parameters(item.entry.parameters))
    fit = fit_words(item)[0]
    if fit:
        parts.append(fit)
    if item.plan is not None and item.plan.speed is not None:
        decode = item.plan.speed.decode_tps
        parts += [f"{words.span(decode)} tok/s", words.pace(decode)]
    return " · ".join(parts)


def section_words(item: ModelItem) -> str:
    names = {
        "installed": tr("Installed"),
        "catalog": tr("Catalog"),
        "hub": tr("From the hub"),
    }
    return names[item.section]


def progress_words(progress: Progress) -> str:
    """How far a job is, in its own unit."""
    names = {
        "download": tr("Downloading"),
        "verify": tr("Checking"),
        "install": tr("Installing"),
        "quantize": tr("Quantizing"),
        "fetch": tr("Downloading"),
        "check": tr("Checking"),
        "quality": tr("Measuring"),
        "copy": tr("Copying"),
        "move": tr("Moving"),
    }
    name = names.get(progress.phase, progress.phase.capitalize())
    if progress.unit == "bytes":
        amount = words.size(progress.done)
        if progress.total:
            amount = tr("{0} of {1}", amount, words.size(progress.total))
        return f"{name} · {amount}"
    if progress.unit == "fraction" or not progress.total:
        done = f" · {progress.done / 10:.0f} %" if progress.total else ""
        return f"{name}{done} {progress.detail}".strip()
    return f"{name} · {tr('{0} of {1}', progress.done, progress.total)} {progress.detail}".strip()


def rate_words(bytes_per_second: float) -> str:
    """A download's rate: 35 MB/s; empty while unknown."""
    return f"{words.size(round(bytes_per_second))}/s" if bytes_per_second > 0 else ""


def download_words(item: QueueItem) -> str:
    """State, amount, rate and time left of one download on one line."""
    states = {
        "queued": tr("Queued"),
        "running": tr("Checking") if item.phase == "check" else tr("Downloading"),
        "paused": tr("Paused"),
        "waiting": tr("Waiting for the network"),
        "failed": tr("Stopped"),
        "done": tr("Installed"),
    }
    parts = [states[item.state]]
    if item.state == "done":
        parts.append(words.size(item.total or item.received))
    elif item.total:
        parts.append(tr("{0} of {1}", words.size(item.received), words.size(item.total)))
    if item.state == "running":
        parts.append(rate_words(item.rate))
        if item.seconds_left is not None:
            parts.append(tr("{0} left", words.seconds(item.seconds_left)))
    return " · ".join(part for part in parts if part)


def queue_words(items: Sequence[QueueItem]) -> str:
    """All downloads at work on one short line; empty when there is none."""
    running = [item for item in items if item.state == "running"]
    if not running:
        return ""
    rate = rate_words(sum(item.rate for item in running))
    name = running[0].request.name if len(running) == 1 else tr("{0} downloads", len(running))
    return " · ".join(part for part in (name, rate) if part)

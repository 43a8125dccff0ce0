"""Numbers as people read them, and translation. Knows units; knows no widget."""

from PySide6.QtCore import QCoreApplication

from app.history.records import AnswerFigures
from app.wording import units
from app.wording.worded import Worded
from runtime.plan import Interval

GB = 10**9


def tr(text: str, *values: object) -> str:
    """`text` in the window's language, with {0}, {1} ... filled in; a `Worded` with its facts."""
    if isinstance(text, Worded):
        return text.render(tr)
    translated = QCoreApplication.translate("Stillroom", text)
    return translated.format(*values) if values else translated


def size(count: int) -> str:
    """Bytes in decimal units: 985 MB, 1.32 GB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            digits = (
                0 if unit in ("B", "kB", "MB") or value >= 99.95 else 1 if value >= 9.995 else 2
            )
            return f"{value:.{digits}f} {unit}"
        value /= 1000
    raise AssertionError(count)


def seconds(value: float) -> str:
    """A duration: 0.42 s, 8.1 s, 3 min 20 s, 1 h 4 min."""
    if value < 0.9995:
        return f"{value:.2f} s"
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 59.5:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def rate(tps: float | None) -> str:
    """Tokens per second: 14.2 tok/s."""
    if tps is None:
        return "– tok/s"
    return f"{tps:.0f} tok/s" if tps >= 99.95 else f"{tps:.1f} tok/s"


def span(interval: Interval) -> str:
    """A predicted range without unit: 13–16."""
    digits = 0 if interval.high >= 9.95 else 1
    low, high = f"{interval.low:.{digits}f}", f"{interval.high:.{digits}f}"
    return low if low == high else f"{low}–{high}"


def pace(interval: Interval) -> str:
    """A predicted speed beside a reader's."""
    texts = {
        "slower than reading": tr("slower than reading"),
        "reading speed": tr("reading speed"),
        "faster than reading": tr("faster than reading"),
    }
    return texts[units.pace(interval)]


def count(number: int) -> str:
    """A whole number with thin spaces: 12 345."""
    return f"{number:,}".replace(",", "\u202f")


def parameters(number: int) -> str:
    """A parameter count: 135 M, 7.6 B, 671 B."""
    return units.format_parameters(number)


def tokens(number: int) -> str:
    """A context length or token count: 512, 4096, 32 K, 131 K (K = 1000) when it is large."""
    return count(number) if number < 10_000 else f"{number / 1000:.0f} K"


def time_shares(figures: AnswerFigures) -> str:
    """Where an answer's time went, and the seconds of each stage where stages are apart; "" for an
    answer that was not made here."""
    if not figures.peak_memory:
        return ""
    shares = (figures.engine_share, figures.sampling_share, figures.other_share)
    text = tr(
        "Time: engine {0}, sampling {1}, Stillroom itself {2}", *(f"{each:.0%}" for each in shares)
    )
    stages = [f"{name} {seconds(took)}" for name, took in figures.stage_seconds.items()]
    return f"{text}\n{tr('Stages: {0}', ', '.join(stages))}" if stages else text

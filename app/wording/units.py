"""Numbers as people read them: bytes, rates and times, always with their unit."""

import math

from runtime.plan import Interval

_DECIMAL = ("bytes", "kB", "MB", "GB", "TB")
READING_TPS = 6.5  # 5 words a second, 1.3 tokens a word
READING_RANGE = 1.4  # people differ by about so much


def format_bytes(count: float) -> str:
    """Decimal units: 1 GB is 10^9 bytes. Three significant digits."""
    value = float(count)
    for unit in _DECIMAL:
        if abs(value) < 1000 or unit == _DECIMAL[-1]:
            break
        value /= 1000
    if unit == "bytes":
        return f"{int(value)} bytes"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}"


def format_parameters(number: int) -> str:
    """A parameter count: 135 M, 7.6 B, 671 B."""
    if number >= 10**9:
        value = number / 10**9
        return f"{value:.0f} B" if value >= 99.5 else f"{value:.1f} B"
    return f"{number / 10**6:.0f} M"


def format_divergence(kl_mean: float) -> str:
    """A mean KL divergence, or a difference of two, to two significant digits: 0.25, -0.021,
    0.0004; 0 below all noise."""
    if abs(kl_mean) < 1e-6:
        return "0"
    return f"{kl_mean:.{max(0, 1 - math.floor(math.log10(abs(kl_mean))))}f}"


def format_seconds(seconds: float) -> str:
    """Milliseconds below a second, then seconds, minutes, hours."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def format_tps(tps: float | None) -> str:
    """Tokens per second; a dash where nothing was measured."""
    if tps is None:
        return "– tok/s"
    return f"{tps:.0f} tok/s" if tps >= 100 else f"{tps:.1f} tok/s"


def format_interval(interval: Interval | None) -> str:
    """A predicted range of tokens per second."""
    if interval is None:
        return "not predicted"
    digits = 0 if interval.low >= 10 else 1
    return f"{interval.low:.{digits}f}-{interval.high:.{digits}f} tok/s"


def format_loss(loss: Interval) -> str:
    """A mean KL divergence in nats per token, with its interval."""
    low, likely, high = map(format_divergence, (loss.low, loss.median, loss.high))
    return f"{likely} ({low}–{high})"


def format_duration(interval: Interval) -> str:
    """A predicted range of seconds."""
    low, high = format_seconds(interval.low), format_seconds(interval.high)
    return low if low == high else f"{low} to {high}"


def pace(interval: Interval) -> str:
    """A predicted speed beside a reader's: "slower than reading", "reading speed" or "faster than
    reading"; decided by the median."""
    if interval.median < READING_TPS / READING_RANGE:
        return "slower than reading"
    if interval.median > READING_TPS * READING_RANGE:
        return "faster than reading"
    return "reading speed"


def format_count(count: int) -> str:
    """Parameters: 135 M, 7.6 B."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} B" if count < 1e11 else f"{count / 1e9:.0f} B"
    return f"{count / 1e6:.0f} M"

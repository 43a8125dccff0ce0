"""Whether a window can be opened here, and what is printed when it cannot. Knows no Qt."""

import sys
from collections.abc import Mapping

NO_DISPLAY = (
    "stillroom: no display found for the window.\n"
    "Use `stillroom chat MODEL` or `stillroom try` in the terminal; `stillroom --help` lists all"
    " commands."
)


def has_display(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a window may be tried. An explicit Qt platform counts; a display that is named but
    gone shows only when Qt connects to it."""
    if platform in ("win32", "darwin"):
        return True
    names = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return any(environment.get(name) for name in names)

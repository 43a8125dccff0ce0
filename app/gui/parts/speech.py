"""Text spoken by screen readers as it comes: whole sentences, politely, not too often.

Knows Qt's announcements; what Qt tells nobody (no screen reader runs) costs nothing.
"""

import re
import time
from collections.abc import Callable

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

PAUSE_SECONDS = 3.0  # between two announcements, so that one does not interrupt the other
LONGEST = 600  # characters spoken at once; a screen reader can read the rest in the message itself
_SENTENCE = re.compile(r"[.!?:](?=\s)|[。！？：]|\n")
_MARKS = re.compile(r"[*_`#>|]+|\\[()\[\]]")


def announce(widget: QWidget, text: str) -> None:
    """Say `text`; polite: it waits for what is being spoken."""
    event = QAccessibleAnnouncementEvent(widget, text)
    event.setPoliteness(QAccessible.AnnouncementPoliteness.Polite)
    QAccessible.updateAccessibility(event)


class Sentences:
    """Growing text in, now and then whole sentences out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._text = ""
        self._next = 0.0

    def add(self, text: str) -> str:
        """What is to be said now, without Markdown's marks; often nothing."""
        self._text += text
        if self._clock() < self._next:
            return ""
        ends = [found.end() for found in _SENTENCE.finditer(self._text)]
        return self._take(ends[-1]) if ends else ""

    def rest(self) -> str:
        """What was not said when the text ended."""
        return self._take(len(self._text))

    def _take(self, end: int) -> str:
        said, self._text = self._text[:end], self._text[end:]
        said = " ".join(_MARKS.sub(" ", said).split())
        if said:
            self._next = self._clock() + PAUSE_SECONDS
        return said if len(said) <= LONGEST else f"{said[:LONGEST]} …"

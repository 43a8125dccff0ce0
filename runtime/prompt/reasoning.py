"""Separates a model's reasoning from its answer while the text streams.

Knows reasoning tags and enough Markdown to tell a tag from a quoted one, and finds a conversation's
title, which must not come out of reasoning. Knows no model, no template and no token: it works on
text, in pieces of any size, and its result does not depend on how the text was cut into pieces.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.generation import Message

OPEN_TAG = "<think>"
CLOSE_TAG = "</think>"

_SPECIAL = re.compile(r"[\n`~<]")
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」", "『": "』"}
_SPAN_LOOKAHEAD = 160  # characters searched for the end of a code span that holds a tag
_FEED = 256  # characters per step of `split`, which keeps its cost linear

Piece = tuple[str, bool]


@dataclass(frozen=True)
class Split:
    """A finished text in two parts. `closed` is False when reasoning was never ended."""

    reasoning: str
    answer: str
    closed: bool


@dataclass
class _Markdown:
    """Where in Markdown the last character stands: fence, code span, start of a line."""

    at_line_start: bool = True
    fence: str = ""
    on_fence_line: bool = False
    tag_opened_in_fence: bool = False
    span: int = 0  # backticks that opened the code span on this line
    previous: str = ""

    def plain(self, text: str) -> None:
        """Note text without line breaks, backticks or tildes."""
        if text:
            self.previous = text[-1]
            if text.strip():
                self.at_line_start = False

    def newline(self) -> None:
        self.at_line_start, self.span, self.on_fence_line = True, 0, False
        self.previous = "\n"

    def run(self, marks: str) -> None:
        """Note a run of backticks or tildes."""
        if self.fence and self.on_fence_line and marks[0] == "`" == self.fence[0]:
            # A backtick on the line that opened the fence: it was a code span after all.
            self.span, self.fence = len(self.fence), ""
            self._toggle_span(marks)
        elif self.at_line_start and len(marks) >= 3 and not self.fence:
            self.fence, self.on_fence_line, self.tag_opened_in_fence = marks, True, False
        elif self.at_line_start and self.fence and marks.startswith(self.fence):
            self.fence = ""
        elif marks[0] == "`" and not self.fence:
            self._toggle_span(marks)
        self.at_line_start = False
        self.previous = marks[-1]

    def _toggle_span(self, marks: str) -> None:
        if not self.span:
            self.span = len(marks)
        elif self.span == len(marks):
            self.span = 0


@dataclass
class ReasoningParser:
    """State machine over streamed text: feed pieces, get (text, is_reasoning) pieces back.

    Tags themselves and the blank lines around them are not part of either text. Inside reasoning
    the first closing tag that is not quoted ends it. An opening tag counts at the start of a text,
    or alone on a line. `missing_opening` becomes True when an answer follows a closing tag that had
    no opening one: the first `untagged_chars` characters of the answer were reasoning
    (`runtime.answer.answer_text` moves them). Text that may still turn out to be a tag is held
    back, never more than a line.
    """

    starts_inside: bool
    open_tag: str = OPEN_TAG
    close_tag: str = CLOSE_TAG
    inside: bool = field(init=False)
    missing_opening: bool = field(init=False, default=False)
    untagged_chars: int = field(init=False, default=0)
    _answer_length: int = field(init=False, default=0, repr=False)
    _stray_close: int = field(init=False, default=0, repr=False)
    _reasoned: bool = field(init=False, default=False, repr=False)
    _pending: str = field(init=False, default="", repr=False)
    _space: str = field(init=False, default="", repr=False)
    _empty: bool = field(init=False, default=True, repr=False)
    _trim: bool = field(init=False, repr=False)
    _where: _Markdown = field(init=False, default_factory=_Markdown, repr=False)
    _out: list[Piece] = field(init=False, default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.inside = self.starts_inside
        self._trim = self.starts_inside

    def feed(self, text: str) -> list[Piece]:
        """Take the next piece of text; returns what is decided so far, possibly nothing."""
        self._pending += text
        return self._drain(final=False)

    def finish(self) -> list[Piece]:
        """The text is over: returns what was held back."""
        pieces = self._drain(final=True)
        if self._space and not self._empty:
            pieces.append((self._space, self.inside))
        self._space = ""
        return _merged(pieces)

    def _drain(self, *, final: bool) -> list[Piece]:
        while self._pending:
            taken = self._step(final)
            if not taken:
                break
            self._pending = self._pending[taken:]
        pieces, self._out = self._out, []
        return _merged(pieces)

    def _step(self, final: bool) -> int:
        """Handle the head of the pending text; returns characters consumed, 0 to wait for more."""
        text = self._pending
        head = text[0]
        if head == "\n":
            self._emit("\n")
            self._where.newline()
            return 1
        if head in "`~":
            length = len(text) - len(text.lstrip(head))
            if length == len(text) and not final:
                return 0
            self._emit(text[:length])
            self._where.run(text[:length])
            return length
        if head == "<":
            for tag in (self.open_tag, self.close_tag):
                if text.startswith(tag):
                    return self._tag(tag, final)
            if not final and any(tag.startswith(text) for tag in (self.open_tag, self.close_tag)):
                return 0
        found = _SPECIAL.search(text, 1)
        length = found.start() if found else len(text)
        self._emit(text[:length])
        self._where.plain(text[:length])
        return length

    def _tag(self, tag: str, final: bool) -> int:
        real = self._opens(final) if tag == self.open_tag else self._closes(final)
        if real is None:
            return 0
        if real:
            self._turn(tag)
        else:
            if tag == self.open_tag:
                self._where.tag_opened_in_fence = bool(self._where.fence)
            self._emit(tag)
            self._where.plain(tag)
        return len(tag)

    def _opens(self, final: bool) -> bool | None:
        """Whether the opening tag at the head is a real one; None: not decided yet."""
        if self._empty:
            return True
        where = self._where
        if self.inside or where.fence or where.span or not where.at_line_start:
            return False
        return self._line_ends_after(len(self.open_tag), final)

    def _closes(self, final: bool) -> bool | None:
        where, after = self._where, len(self.close_tag)
        rest = self._pending[after:]
        if where.fence:
            return self._closes_in_fence(rest, final)
        if where.span:
            quoted = self._span_ends(rest, final)
            if quoted is None:
                return None
            if quoted:
                return False
        elif where.previous in _QUOTES:
            if not rest and not final:
                return None
            if rest.startswith(_QUOTES[where.previous]):
                return False
        if self.inside:
            return True
        if where.at_line_start and not rest and final:
            return True
        return self._line_ends_after(after, final)

    def _closes_in_fence(self, rest: str, final: bool) -> bool | None:
        """In an open fence a closing tag is an example, unless a blank line follows it.

        Models do forget to end a fence before they stop thinking, and always put a blank line
        after the tag; an example that began inside the same fence is an example whatever follows.
        """
        if self._where.tag_opened_in_fence:
            self._where.tag_opened_in_fence = False
            return False
        if not self.inside:
            return False
        blank = re.match(r"[ \t\r]*\n[ \t\r]*\n", rest)
        if blank:
            return True
        if re.fullmatch(r"[ \t\r]*(\n[ \t\r]*)?", rest):
            return True if final else None
        return False

    def _span_ends(self, rest: str, final: bool) -> bool | None:
        """Whether the open code span ends later on this line; None: not known yet."""
        line, newline, _ = rest[:_SPAN_LOOKAHEAD].partition("\n")
        complete = bool(newline) or len(rest) >= _SPAN_LOOKAHEAD or final
        for run in re.finditer(r"`+", line):
            if run.end() == len(line) and not complete:
                return None
            if len(run.group()) == self._where.span:
                return True
        return False if complete else None

    def _line_ends_after(self, offset: int, final: bool) -> bool | None:
        rest = self._pending[offset:].lstrip(" \t\r")
        if rest:
            return rest[0] == "\n"
        return False if final else None

    def _turn(self, tag: str) -> None:
        """Change sides at a real tag."""
        if tag == self.close_tag:
            if not self.inside:
                self._stray_close = self._answer_length
            self._space = ""
        else:
            self._space = "\n\n" if self._reasoned else ""
        self.inside = tag == self.open_tag
        self._empty = self._trim = True
        self._where = _Markdown()

    def _emit(self, text: str) -> None:
        """Give out text, holding back white space that a tag may still follow."""
        if self._trim:
            text = text.lstrip()
            if not text:
                return
            self._trim = False
        body = text.rstrip()
        if not body and (self.inside or self._empty):
            self._space += text
            return
        self._empty = False
        text, self._space = self._space + text, ""
        if self.inside:
            body = text.rstrip()
            self._out.append((body, True))
            self._space, self._reasoned = text[len(body) :], True
            return
        if self._stray_close and body:
            # Only an answer after the tag makes what came before it reasoning.
            self.missing_opening, self.untagged_chars = True, self._stray_close
            self._stray_close = 0
        self._answer_length += len(text)
        self._out.append((text, False))


def _merged(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for text, is_reasoning in pieces:
        if merged and merged[-1][1] == is_reasoning:
            merged[-1] = (merged[-1][0] + text, is_reasoning)
        elif text:
            merged.append((text, is_reasoning))
    return merged


def split(
    text: str, *, starts_inside: bool, open_tag: str = OPEN_TAG, close_tag: str = CLOSE_TAG
) -> Split:
    """Separate a complete text.

    Unlike the stream, which has given its answer pieces out already, this moves text before a
    closing tag without an opening one to the reasoning.
    """
    parser = ReasoningParser(starts_inside, open_tag, close_tag)
    pieces: list[Piece] = []
    for start in range(0, len(text), _FEED):
        pieces += parser.feed(text[start : start + _FEED])
    pieces += parser.finish()
    reasoning = "".join(piece for piece, is_reasoning in pieces if is_reasoning)
    answer = "".join(piece for piece, is_reasoning in pieces if not is_reasoning)
    reasoning, answer = with_untagged(reasoning, answer, parser.untagged_chars)
    return Split(reasoning, answer, not parser.inside)


def with_untagged(reasoning: str, answer: str, untagged: int) -> tuple[str, str]:
    """Reasoning and answer once the first `untagged` characters of the answer have turned out to be
    reasoning."""
    found = answer[:untagged].rstrip()
    if found:
        reasoning = f"{reasoning}\n\n{found}" if reasoning else found
    return reasoning, answer[untagged:]


def conversation_title(messages: Sequence[Message], *, length: int = 60) -> str:
    """A title out of the first user turn, or of the first answer; never out of reasoning."""
    for role in ("user", "assistant"):
        for message in messages:
            text = message.content
            if role == "assistant":
                text = split(text, starts_inside=False).answer
            line = " ".join(text.split())
            if message.role == role and line:
                return line if len(line) <= length else line[: length - 1].rstrip() + "…"
    return ""

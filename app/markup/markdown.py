r"""Markdown as answers write it: CommonMark with tables, strikethrough and LaTeX mathematics.

Knows markdown-it-py and which part of a growing text can no longer change. Knows no Qt. Raw HTML is
never interpreted and images are never fetched. Mathematics is \( \), \[ \], $ $, $$ $$ and
\begin{...} environments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

    InlineRule = Callable[[StateInline, bool], bool]


# What may begin, end or turn into more than the character it is, spaces but " " among it.
_MARK = re.compile(r"[^\S ]|[\\`*_~$\[\]<>&;|#+={}\0]")
_AROUND_WORDS = {
    f"{name}_close"
    for name in ("paragraph", "heading", "list_item", "bullet_list", "ordered_list", "blockquote")
}
_LINK = re.compile(r"\][:(]")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Growth:
    """A growing text, parsed: `settled` tokens will stay as they are, `open` ones may change.

    `settled_chars` counts the characters of the text that `settled` covers.
    """

    settled: tuple[Token, ...]
    open: tuple[Token, ...]
    settled_chars: int


@cache
def parser() -> MarkdownIt:
    """The one configuration in use; imported with the first message shown, not with the window."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.dollarmath.index import math_inline_dollar

    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.disable(["html_block", "html_inline"])
    markdown.use(dollarmath_plugin, label_normalizer=str)
    dollars = math_inline_dollar(allow_space=False, allow_digits=False, allow_double=True)
    markdown.inline.ruler.at("math_inline", _with_a_start(dollars))
    markdown.use(amsmath_plugin)
    markdown.block.ruler.before(
        "fence", "math_brackets", _block_rule, {"alt": ["paragraph", "reference", "blockquote"]}
    )
    markdown.inline.ruler.before("escape", "math_brackets", _inline_rule)
    return markdown


def grow(markdown: MarkdownIt, text: str) -> Growth:
    """Parse `text`, the part of an answer after what is settled already.

    The last top-level block stays open, because more text may still change it. Of a list only the
    last item does: each item can be read on its own.
    """
    tokens = markdown.parse(text)
    starts = _starts(tokens)
    if not starts:
        return Growth((), tuple(tokens), 0)
    index, line = starts[-1]
    offset = _offset(text, line)
    if index == 0 or offset == 0:
        return Growth((), tuple(tokens), 0)
    return Growth(tuple(tokens[:index]), tuple(markdown.parse(text[offset:])), offset)


def ends_in_words(tokens: Sequence[Token]) -> bool:
    """Whether the last thing these show is plain text at the end of a paragraph or heading."""
    for token in reversed(tokens):
        if token.type == "inline":
            last = token.children[-1] if token.children else None
            return last is not None and last.type == "text" and last.content != ""
        if token.nesting >= 0 or token.type not in _AROUND_WORDS:
            return False
    return False


def lengthens(text: str, more: str) -> bool:
    """Whether `more` behind `text`, which `ends_in_words`, is more words and changes nothing else.

    When in doubt it is not. A line without a letter may still become a list, a rule or the
    underline of a heading, and what follows "](" or "]:" a link or the definition of one.
    """
    end = text.rstrip(" ")
    line = end[end.rfind("\n") + 1 :]
    return (
        not _MARK.search(more)
        and not _MARK.match(end[-1:])
        and _LETTER.search(line) is not None
        and _LINK.search(text) is None
        and "$$" not in text  # words in brackets behind a formula may be its label
    )


def _starts(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    """(index, line) where a top-level block, or an item of a top-level list, begins."""
    found = []
    for index, token in enumerate(tokens):
        if token.map is None or token.nesting < 0:
            continue
        in_list = token.level == 1 and token.type == "list_item_open"
        is_list = token.type in ("bullet_list_open", "ordered_list_open")
        if in_list or (token.level == 0 and not is_list):
            found.append((index, token.map[0]))
    return found


def _offset(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.find("\n", offset) + 1
    return offset


def _with_a_start(rule: InlineRule) -> InlineRule:
    """`rule` with a space before the text: it looks at the character before a dollar, and before
    the first one takes the text's last (mdit_py_plugins/dollarmath/index.py)."""

    def spaced(state: StateInline, silent: bool) -> bool:
        if state.pos:
            return rule(state, silent)
        text = state.src
        state.src, state.pos, state.posMax = f" {text}", 1, state.posMax + 1
        try:
            return rule(state, silent)
        finally:
            state.src, state.pos, state.posMax = text, state.pos - 1, state.posMax - 1

    return spaced


def _inline_rule(state: StateInline, silent: bool) -> bool:
    r"""\( ... \) and \[ ... \] within a line of text."""
    opening = state.src[state.pos : state.pos + 2]
    if opening not in (r"\(", r"\["):
        return False
    closing = r"\)" if opening == r"\(" else r"\]"
    end = state.src.find(closing, state.pos + 2)
    if end < 0:
        return False
    if not silent:
        kind = "math_inline" if opening == r"\(" else "math_inline_double"
        token = state.push(kind, "math", 0)
        token.content = state.src[state.pos + 2 : end].strip()
    state.pos = end + 2
    return True


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    r"""\[ ... \] that begins a line and ends one."""
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    if not state.src.startswith(r"\[", begin):
        return False
    for line in range(start, end):
        if line > start and state.isEmpty(line):
            return False
        stop = state.eMarks[line]
        if state.src[begin:stop].rstrip().endswith(r"\]"):
            break
    else:
        return False
    if not silent:
        state.line = line + 1
        token = state.push("math_block", "math", 0)
        token.block = True
        token.content = state.src[begin:stop].strip()[2:-2].strip()
        token.map = [start, line + 1]
    return True

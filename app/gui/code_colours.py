"""Source code as coloured runs. Knows Pygments' token tree and two sets of colours."""

from collections.abc import Iterator

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

MAX_HIGHLIGHTED = 60_000  # characters; a longer listing stays plain

_Colours = dict[_TokenType, str]
LIGHT: _Colours = {
    Comment: "#66625a",
    Keyword: "#8a2f6b",
    Name.Function: "#1f5a8a",
    Name.Class: "#1f5a8a",
    Name.Builtin: "#7a4a00",
    Name.Decorator: "#7a4a00",
    Name.Tag: "#8a2f6b",
    Name.Attribute: "#7a4a00",
    Number: "#8a4b10",
    Operator.Word: "#8a2f6b",
    String: "#2b6633",
}
DARK: _Colours = {
    Comment: "#9a9ea4",
    Keyword: "#d9a0cf",
    Name.Function: "#8fc1e8",
    Name.Class: "#8fc1e8",
    Name.Builtin: "#e5c07b",
    Name.Decorator: "#e5c07b",
    Name.Tag: "#d9a0cf",
    Name.Attribute: "#e5c07b",
    Number: "#e0a878",
    Operator.Word: "#d9a0cf",
    String: "#a3cf9b",
}


def runs(code: str, language: str, *, dark: bool) -> Iterator[tuple[str, str]]:
    """(text, colour) pieces of `code`; colour "" is plain; so are unknown languages."""
    lexer = _lexer(language)
    if lexer is None or len(code) > MAX_HIGHLIGHTED:
        yield code, ""
        return
    colours = DARK if dark else LIGHT
    for kind, text in lexer.get_tokens(code):
        yield text, _colour(kind, colours)


def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _colour(kind: _TokenType, colours: _Colours) -> str:
    step: _TokenType | None = kind
    while step is not None:
        if step in colours:
            return colours[step]
        step = step.parent
    return ""

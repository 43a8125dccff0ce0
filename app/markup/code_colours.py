"""Source code as coloured runs. Knows Pygments' token tree and two sets of colours."""

from collections.abc import Iterator
from typing import Any

MAX_HIGHLIGHTED = 60_000  # characters; a longer listing stays plain

_Colours = dict[str, str]  # by the name of a token type, as Pygments writes it
LIGHT: _Colours = {
    "Comment": "#66625a",
    "Keyword": "#8a2f6b",
    "Name.Function": "#1f5a8a",
    "Name.Class": "#1f5a8a",
    "Name.Builtin": "#7a4a00",
    "Name.Decorator": "#7a4a00",
    "Name.Tag": "#8a2f6b",
    "Name.Attribute": "#7a4a00",
    "Literal.Number": "#8a4b10",
    "Operator.Word": "#8a2f6b",
    "Literal.String": "#2b6633",
}
DARK: _Colours = {
    "Comment": "#9a9ea4",
    "Keyword": "#d9a0cf",
    "Name.Function": "#8fc1e8",
    "Name.Class": "#8fc1e8",
    "Name.Builtin": "#e5c07b",
    "Name.Decorator": "#e5c07b",
    "Name.Tag": "#d9a0cf",
    "Name.Attribute": "#e5c07b",
    "Literal.Number": "#e0a878",
    "Operator.Word": "#d9a0cf",
    "Literal.String": "#a3cf9b",
}


def runs(code: str, language: str, *, dark: bool) -> Iterator[tuple[str, str]]:
    """(text, colour) pieces of `code`; colour "" is plain; so are unknown languages."""
    lexer = _lexer(language) if language and len(code) <= MAX_HIGHLIGHTED else None
    if lexer is None:
        yield code, ""
        return
    colours = DARK if dark else LIGHT
    for kind, text in lexer.get_tokens(code):
        yield text, _colour(kind, colours)


def _lexer(language: str) -> Any:
    """Pygments' lexer for a language, imported with the first listing; None for unknown ones."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _colour(kind: Any, colours: _Colours) -> str:
    """The colour of a token type, or of the nearest type it is a kind of."""
    name = str(kind).removeprefix("Token.")
    while name:
        if name in colours:
            return colours[name]
        name = name.rpartition(".")[0]
    return ""

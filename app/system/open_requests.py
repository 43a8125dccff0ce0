"""What a person hands to the program from outside: a model's file, or a `stillroom:` link.

Only says what was meant; whoever acts on it asks the person first, because a link comes from a web
page. Anything else than these few forms means nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

SCHEME = "stillroom:"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_MODEL = re.compile(rf"(?://)?model/({_NAME})/?")
_HUB = re.compile(rf"(?://)?hub/({_NAME}/{_NAME})/?")


@dataclass(frozen=True)
class OpenRequest:
    """kind "file": value is the path of a GGUF file; "model": a catalog id; "hub": OWNER/REPO;
    "none": the window is wanted and nothing more."""

    kind: Literal["file", "model", "hub", "none"]
    value: str = ""


def is_open_request(argument: str) -> bool:
    """Whether a command-line argument is a file or link for the window."""
    return argument.startswith(SCHEME) or argument.lower().endswith(".gguf")


def from_here(argument: str) -> str:
    """The same argument for another process, which works in another folder. Desktops hand files
    over as `file:` addresses (Desktop Entry Specification, field code %u)."""
    if not argument or argument.startswith(SCHEME):
        return argument
    if argument.startswith("file:"):
        argument = unquote(urlsplit(argument).path)
    return str(Path(argument).absolute())


def parse(argument: str) -> OpenRequest:
    """What an argument means:  PATH.gguf, stillroom:model/ID or stillroom:hub/OWNER/REPO."""
    if argument.startswith(SCHEME):
        link = argument.removeprefix(SCHEME)
        for kind, pattern in (("model", _MODEL), ("hub", _HUB)):
            found = pattern.fullmatch(link)
            if found:
                return OpenRequest("model" if kind == "model" else "hub", found[1])
        return OpenRequest("none")
    return OpenRequest("file", from_here(argument)) if argument else OpenRequest("none")

"""The prompt DeepSeek documents for files.

The wording is DeepSeek's own ("Official Prompts" in the README of DeepSeek-R1, MIT licence): the
models were trained with it, so it is used verbatim. Knows no file format.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_FILE = """[file name]: {name}
[file content begin]
{content}
[file content end]
"""


@dataclass(frozen=True)
class TextFile:
    """A file's name and its text."""

    name: str
    content: str


def file_prompt(files: Sequence[TextFile], question: str) -> str:
    """A user turn with files before the question, one block per file."""
    blocks = "".join(
        _FILE.format(name=_one_line(file.name), content=file.content) for file in files
    )
    return blocks + question


def _one_line(name: str) -> str:
    return " ".join(name.split())

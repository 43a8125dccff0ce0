"""The parts of a Hugging Face tokenizer.json that more than one reader needs, checked.

Knows no file and no meaning of a token.
"""

from dataclasses import dataclass

import msgspec

from quant.json_types import Json


@dataclass(frozen=True)
class AddedToken:
    """A token beside the model's vocabulary; a `special` one is for control."""

    id: int
    content: str
    special: bool = False


def added_tokens(document: Json) -> tuple[AddedToken, ...]:
    """The added tokens of a whole tokenizer.json. Raises ValueError where they are none."""
    return msgspec.convert(document, _Document).added_tokens or ()


@dataclass(frozen=True)
class _Document:
    added_tokens: tuple[AddedToken, ...] | None = None

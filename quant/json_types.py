"""JSON as types: what a document holds before its fields are checked.

Knows no document. Where the shape is ours, msgspec decodes into a dataclass instead.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None
else:  # msgspec resolves annotations, and no alias that names itself
    from typing import Any as Json

"""The value pipeline in order, for the window, the command line, the server and other programs.

What another program needs can be imported from here: a session, requests, and what answers are.
Names are looked up when they are first used (PEP 562), so that importing one module of this package
does not import all of them: the window's start depends on it (`tests/gui/test_start.py`).
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.session.answer_stream import AnswerPart
    from app.session.entry import open_session
    from app.session.session import Session
    from runtime.answer.answer_text import AnswerText
    from runtime.generation import GenerationRequest, GenerationStats, Message, SamplingParams

__all__ = [
    "AnswerPart",
    "AnswerText",
    "GenerationRequest",
    "GenerationStats",
    "Message",
    "SamplingParams",
    "Session",
    "open_session",
]

_HOMES = {
    "AnswerPart": "app.session.answer_stream",
    "AnswerText": "runtime.answer.answer_text",
    "Session": "app.session.session",
    "open_session": "app.session.entry",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "runtime.generation")), name)

"""Conversations read from files that `export` wrote. Knows the formats; a file may hold anything.

Everything is read and checked before the store is touched, and stored in one transaction.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import msgspec

from app.errors import StoreCode, StoreError
from app.history.export import ENTITIES, FORMAT, VERSION
from app.history.records import Attachment, Conversation, StoredMessage
from app.history.store import Store
from quant.json_types import Json
from runtime.generation import SamplingParams

MAX_FILE_BYTES = 200 * 2**20
_MARK = re.compile(r"^<!-- stillroom (\w+) (\{.*\}) -->$", re.MULTILINE)
_FENCE = re.compile(r"(?s)Attached: [^\n]*\n\n(`{3,})\n(.*)\n\1")
_DATA = re.compile(rf'<template data-{FORMAT}="([^"]*)"')
_OPTIONS: dict[str, type] = {
    "model": str, "context": int, "system": str, "max_tokens": int, "sampling": dict,
}  # fmt: skip

Read = tuple[Conversation, list[StoredMessage]]


class _Told(msgspec.Struct):
    """A message as a file has it."""

    id: int
    role: str
    content: str
    parent_id: int | None = None
    reasoning: str = ""
    state: str = "finished"
    created: float | None = None
    model: str = ""
    stats: dict[str, Json] = {}
    attachments: list[Attachment] = []


def import_file(store: Store, path: Path) -> Conversation:
    """Read an exported conversation into the store as a new one. Raises StoreError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused("too_large")
        text = path.read_text(encoding="utf-8-sig")
        reader = {".md": _markdown, ".markdown": _markdown, ".html": _html, ".htm": _html}
        conversation, messages = reader.get(path.suffix.lower(), _json)(text)
        if not messages:
            raise _refused("no_messages")
    except StoreError as error:
        error.path = str(path)
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(path=str(path), reason="unreadable", detail=str(error)) from error
    return store.add_copy(conversation, messages)


def _json(text: str) -> Read:
    data = json.loads(text)
    if data.get("format") != FORMAT or int(data["version"]) > VERSION:
        raise _refused("not_exported")
    found, messages = data["conversation"], msgspec.convert(data["messages"], list[_Told])
    conversation = Conversation(
        0,
        str(found.get("title") or ""),
        float(found.get("created") or time.time()),
        0.0,
        head_id=found.get("head_id"),
        pinned=bool(found.get("pinned")),
        folder=str(found.get("folder") or ""),
        title_set=bool(found.get("title_set")),
        options=_options(found.get("options") or {}),
    )
    return conversation, _checked([_message(each) for each in messages])


def _options(found: Mapping[str, Json]) -> dict[str, Json]:
    """The options this program knows, of the type it expects."""
    kept = {n: found[n] for n, kind in _OPTIONS.items() if type(found.get(n)) is kind}
    if isinstance(sampling := kept.get("sampling"), dict):
        known = {each.name for each in fields(SamplingParams)}
        numbers = (int, float)
        kept["sampling"] = {n: v for n, v in sampling.items() if n in known and type(v) in numbers}
    return kept


def _message(told: _Told) -> StoredMessage:
    if told.role not in ("user", "assistant"):
        raise _refused("unknown_role", told.role[:40])
    return StoredMessage(
        told.id,
        0,
        told.parent_id,
        "user" if told.role == "user" else "assistant",
        told.content,
        told.reasoning,
        "finished" if told.state == "finished" else "cut",
        told.created or time.time(),
        told.model,
        told.stats,
        tuple(told.attachments),
    )


def _checked(messages: list[StoredMessage]) -> list[StoredMessage]:
    """The same, when each has its own id and its parent stands before it."""
    seen: set[int] = set()
    for each in messages:
        if each.id in seen or each.id <= 0:
            raise _refused("message_twice", each.id)
        if each.parent_id is not None and each.parent_id not in seen:
            raise _refused("no_parent", each.id)
        seen.add(each.id)
    return messages


def _html(text: str) -> Read:
    """The data that `export.as_html` puts into the page."""
    found = _DATA.search(text)
    if found is None:
        raise _refused("not_exported")
    text = found[1]
    for character, name in reversed(ENTITIES):
        text = text.replace(name, character)
    return _json(text)


def _markdown(text: str) -> Read:
    """The parts between the comments; the first comment says with which key the others begin."""
    marks = list(_MARK.finditer(text))
    marks = [mark for mark in marks if mark[1] == marks[0][1]]
    if not marks:
        raise _refused("not_exported")
    title = text[: marks[0].start()].strip().removeprefix("# ").strip()
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    turns: list[_Told] = []
    for mark, end in zip(marks, ends, strict=True):
        facts, body = json.loads(mark[2]), text[mark.end() : end].strip("\n")
        if "role" in facts:
            identity = len(turns) + 1
            facts |= {"id": identity, "parent_id": identity - 1 or None, "content": ""}
            turns.append(msgspec.convert({**facts, "attachments": []}, _Told))
        elif "file" in facts:
            fenced = _FENCE.fullmatch(body)
            if fenced is None:
                raise _refused("text_cut", str(facts["file"])[:80])
            turns[-1].attachments.append(Attachment(str(facts["file"]), fenced[2]))
        elif facts["part"] == "reasoning":
            lines = body.split("\n")[2:]
            turns[-1].reasoning = "\n".join(line.removeprefix("> ") for line in lines)
        else:
            turns[-1].content = body
    conversation = Conversation(0, title, time.time(), 0.0, title_set=bool(title))
    return conversation, [_message(each) for each in turns]


def _refused(reason: StoreCode, value: str | int | None = None) -> StoreError:
    """`import_file` alone knows the path."""
    return StoreError(path="", reason=reason, value=value)

"""Rows of the history database as values, and the columns they are read from. Runs no SQL."""

import json
from typing import Any

from app.history.records import Attachment, Conversation, RunRecord, StoredMessage
from runtime.plan import Interval

CONVERSATION = "id, title, created, updated, head_id, pinned, folder, title_set, deleted, options"
MESSAGE = (
    "id, conversation_id, parent_id, role, content, reasoning, state, created, model, stats,"
    " attachments"
)
RUN = (
    "time, model, model_sha256, engine, engine_version, devices, placement, predicted_prefill_tps,"
    " predicted_decode_tps, measured_prefill_tps, measured_decode_tps, predicted_memory,"
    " measured_memory, stats"
)

Row = tuple[Any, ...]  # sqlite3 tells no types


def conversation(row: Row) -> Conversation:
    identity, title, created, updated, head_id, pinned, folder, title_set, deleted, options = row
    return Conversation(
        identity, title, created, updated, head_id, bool(pinned), folder, bool(title_set), deleted,
        json.loads(options),
    )  # fmt: skip


def message(row: Row) -> StoredMessage:
    identity, conversation_id, parent_id, role, content, reasoning, state, created, model = row[:9]
    attachments = tuple(Attachment(**each) for each in json.loads(row[10]))
    return StoredMessage(
        identity, conversation_id, parent_id, role, content, reasoning, state, created, model,
        json.loads(row[9]), attachments,
    )  # fmt: skip


def run(row: Row) -> RunRecord:
    values = dict(zip(RUN.replace(" ", "").split(","), row, strict=True))
    values["devices"] = tuple(json.loads(values["devices"]))
    for name in ("placement", "stats"):
        values[name] = json.loads(values[name])
    for name in ("predicted_prefill_tps", "predicted_decode_tps"):
        values[name] = None if values[name] is None else Interval(**json.loads(values[name]))
    return RunRecord(**values)

"""The history database: conversations, messages with branches, runs, and search over what was said.

Knows SQLite and the records of `app.history.records`. Knows no session, engine or widget. Every
method may be called from any thread, and several processes may have the same file open.
"""

import contextlib
import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import psutil

from app.errors import StoreError
from app.history import migrations
from app.history import rows as row_values
from app.history import search as store_search
from app.history.records import (
    Attachment,
    Conversation,
    MessageState,
    RunRecord,
    SearchHit,
    StoredMessage,
)
from quant.json_types import Json
from runtime.generation import Role

__all__ = [
    "Attachment",
    "Conversation",
    "RunRecord",
    "SearchHit",
    "Store",
    "StoredMessage",
]

log = logging.getLogger(__name__)

DAMAGED = "damaged"
CHECK_AT_OPEN_BYTES = 64 * 2**20  # larger files are checked by `check`, off the start-up path


class Store:
    """One open history database.

    Opening migrates it (after a backup), sets a damaged file aside and restores the newest sound
    backup, and closes answers that a dead process left streaming (they become "cut"). A file that
    is as it was closed is taken as sound; `check` reads it later, away from the start.
    Raises StoreError when the file cannot be opened or was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repaired_from: Path | None = None
        self._owner = f"{_identity(os.getpid())}:{secrets.token_hex(4)}"
        self._write_lock = threading.RLock()
        self._read_lock = threading.Lock()
        self._mark = path.with_name(f"{path.name}.mark")
        self._damaged = False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except StoreError:
            if not self._damaged:
                raise
            self._repair()
            self._open()

    def close(self) -> None:
        """Close the file; unfinished answers of this process become "cut"."""
        with self._write_lock, self._read_lock:
            self._settle(self._owner)
            self._reader.close()
            self._writer.close()
            # SQLite removes the journal with the last connection; while another process writes,
            # the file is not as it will be closed.
            if self._damaged or not self.path.with_name(f"{self.path.name}-wal").exists():
                self._write_mark()

    def _write_mark(self) -> None:
        with contextlib.suppress(OSError):  # then the next start reads the file once more
            self._mark.write_text(DAMAGED if self._damaged else _stamp(self.path), "utf-8")

    # -- conversations ---------------------------------------------------------------------------

    def add_conversation(
        self, title: str = "", *, folder: str = "", options: Mapping[str, Json] | None = None
    ) -> Conversation:
        """Start a conversation and return it."""
        now = time.time()
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO conversations (title, created, updated, folder, options)"
                " VALUES (?, ?, ?, ?, ?)",
                (title, now, now, folder, json.dumps(options or {})),
            )
            new_id = cursor.lastrowid or 0
        return Conversation(new_id, title, now, now, folder=folder, options=dict(options or {}))

    def add_copy(self, source: Conversation, messages: Sequence[StoredMessage]) -> Conversation:
        """Store a conversation that came from elsewhere, with new ids, whole or not at all."""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO conversations (title, title_set, created, updated, pinned, folder,"
                " options) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(source.title, source.title_set, source.created, time.time()),
                    *(source.pinned, source.folder, json.dumps(source.options)),
                ),
            )
            made = cursor.lastrowid or 0
            ids = self._insert_copies(db, made, messages, None)
            head = ids.get(source.head_id) or ids.get(messages[-1].id if messages else None)
            db.execute("UPDATE conversations SET head_id = ? WHERE id = ?", (head, made))
        return self.conversation(made)

    def conversations(self, *, deleted: bool = False) -> list[Conversation]:
        """All conversations, pinned first, then the latest; or those waiting to be purged."""
        test = "IS NOT NULL" if deleted else "IS NULL"
        rows = self._read(
            f"SELECT {row_values.CONVERSATION} FROM conversations WHERE deleted {test}"
            " ORDER BY pinned DESC, updated DESC, id DESC"
        )
        return [row_values.conversation(row) for row in rows]

    def conversation(self, conversation_id: int) -> Conversation:
        """One conversation. Raises StoreError when it is not there."""
        rows = self._read(
            f"SELECT {row_values.CONVERSATION} FROM conversations WHERE id = ?", (conversation_id,)
        )
        if not rows:
            raise StoreError(path=str(self.path), reason="no_conversation", value=conversation_id)
        return row_values.conversation(rows[0])

    def update_conversation(self, conversation_id: int, **changes: Json) -> None:
        """Change title, title_set, pinned, folder, head_id or options of a conversation."""
        allowed = {"title", "title_set", "pinned", "folder", "head_id", "options"}
        unknown = set(changes) - allowed
        if unknown:
            raise ValueError(f"cannot change {sorted(unknown)}")
        if "options" in changes:
            changes["options"] = json.dumps(changes["options"])
        names = ", ".join(f"{name} = ?" for name in changes)
        with self._transaction() as db:
            db.execute(
                f"UPDATE conversations SET {names} WHERE id = ?",
                (*changes.values(), conversation_id),
            )

    def delete_conversation(self, conversation_id: int) -> None:
        """Hide a conversation; `restore_conversation` brings it back until it is purged."""
        self._mark_deleted(conversation_id, time.time())

    def restore_conversation(self, conversation_id: int) -> None:
        """Undo `delete_conversation`."""
        self._mark_deleted(conversation_id, None)

    def purge(self, older_than_seconds: float = 30 * 86400) -> int:
        """Remove for good what was deleted longer ago than that; returns how many."""
        with self._transaction() as db:
            return db.execute(
                "DELETE FROM conversations WHERE deleted IS NOT NULL AND deleted <= ?",
                (time.time() - older_than_seconds,),
            ).rowcount

    def _mark_deleted(self, conversation_id: int, when: float | None) -> None:
        with self._transaction() as db:
            db.execute("UPDATE conversations SET deleted = ? WHERE id = ?", (when, conversation_id))

    # -- messages --------------------------------------------------------------------------------

    def add_message(
        self,
        conversation_id: int,
        role: Role,
        content: str = "",
        *,
        parent_id: int | None = None,
        reasoning: str = "",
        state: MessageState = "finished",
        model: str = "",
        stats: Mapping[str, Json] | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> StoredMessage:
        """Add a message below `parent_id` and make it the conversation's head."""
        now = time.time()
        owner = self._owner if state == "streaming" else ""
        with self._transaction() as db:
            cursor = db.execute(
                "INSERT INTO messages (conversation_id, parent_id, role, content, reasoning, state,"
                " owner, created, model, stats, attachments)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(conversation_id, parent_id, role, content, reasoning, state, owner, now),
                    *(model, json.dumps(stats or {})),
                    json.dumps([asdict(each) for each in attachments]),
                ),
            )
            new_id = cursor.lastrowid or 0
            db.execute(
                "UPDATE conversations SET head_id = ?, updated = ? WHERE id = ?",
                (new_id, now, conversation_id),
            )
        return StoredMessage(
            new_id, conversation_id, parent_id, role, content, reasoning, state, now, model,
            stats or {}, attachments,
        )  # fmt: skip

    def append(self, message_id: int, content: str = "", reasoning: str = "") -> None:
        """Add text to a streaming answer; durable on return, at a cost that does not grow."""
        parts = [(message_id, 1, reasoning), (message_id, 0, content)]
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO chunks (message_id, is_reasoning, text) VALUES (?, ?, ?)",
                [part for part in parts if part[2]],
            )

    def rewrite(self, message_id: int, content: str, reasoning: str) -> None:
        """Replace the text of a streaming answer, all at once or not at all."""
        with self._transaction() as db:
            db.execute("DELETE FROM chunks WHERE message_id = ?", (message_id,))
            db.execute(
                "UPDATE messages SET content = ?, reasoning = ? WHERE id = ?",
                (content, reasoning, message_id),
            )

    def reopen(self, message_id: int) -> None:
        """Make a cut answer stream again, to be continued with `append`."""
        with self._transaction() as db:
            db.execute(
                "UPDATE messages SET state = 'streaming', owner = ? WHERE id = ?",
                (self._owner, message_id),
            )

    def finish(
        self,
        message_id: int,
        state: MessageState = "finished",
        stats: Mapping[str, Json] | None = None,
    ) -> StoredMessage:
        """End a streaming answer: its chunks become its text. Returns the settled message."""
        with self._transaction() as db:
            if stats is not None:
                db.execute(
                    "UPDATE messages SET stats = ? WHERE id = ?", (json.dumps(stats), message_id)
                )
            _fold(db, message_id, state)
            db.execute(
                "UPDATE conversations SET updated = ? WHERE id ="
                " (SELECT conversation_id FROM messages WHERE id = ?)",
                (time.time(), message_id),
            )
        return self.message(message_id)

    def message(self, message_id: int) -> StoredMessage:
        """One message with all its text. Raises StoreError when it is not there."""
        rows = self._read(f"SELECT {row_values.MESSAGE} FROM messages WHERE id = ?", (message_id,))
        if not rows:
            raise StoreError(path=str(self.path), reason="no_message", value=message_id)
        message = row_values.message(rows[0])
        if message.state != "streaming":
            return message
        content, reasoning = self._streamed(message_id)
        return replace(
            message, content=message.content + content, reasoning=message.reasoning + reasoning
        )

    def messages(self, conversation_id: int) -> list[StoredMessage]:
        """Every message of a conversation, all branches, oldest first."""
        rows = self._read(
            f"SELECT {row_values.MESSAGE} FROM messages WHERE conversation_id = ? ORDER BY id",
            (conversation_id,),
        )
        found = [row_values.message(row) for row in rows]
        return [self.message(m.id) if m.state == "streaming" else m for m in found]

    def delete_message(self, message_id: int) -> None:
        """Remove a message with everything below it; the head moves to its parent."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT conversation_id, parent_id FROM messages WHERE id = ?", (message_id,)
            ).fetchone()
            if row is None:
                return
            db.execute("DELETE FROM messages WHERE id = ?", (message_id,))
            db.execute(
                "UPDATE conversations SET head_id = ? WHERE id = ?"
                " AND head_id NOT IN (SELECT id FROM messages WHERE conversation_id = ?)",
                (row[1], row[0], row[0]),
            )

    def put_back(
        self, conversation_id: int, messages: Sequence[StoredMessage], head_id: int | None
    ) -> None:
        """Undo `delete_message`: its subtree again, with new ids; `head_id` is the old head."""
        with self._transaction() as db:
            ids = self._insert_copies(db, conversation_id, messages, messages[0].parent_id)
            db.execute(
                "UPDATE conversations SET head_id = ? WHERE id = ?",
                (ids.get(head_id, head_id), conversation_id),
            )

    def _insert_copies(
        self,
        db: sqlite3.Connection,
        conversation_id: int,
        messages: Sequence[StoredMessage],
        parent_id: int | None,
    ) -> dict[int | None, int | None]:
        """Insert settled messages, parents before children, below one that is there; returns new
        ids by old ones."""
        row = db.execute(
            "SELECT id FROM messages WHERE id IS ? AND conversation_id = ?",
            (parent_id, conversation_id),
        ).fetchone()
        ids: dict[int | None, int | None] = {}
        if parent_id is None or row is not None:
            ids[parent_id] = parent_id
        for each in messages:
            if each.parent_id not in ids:
                raise StoreError(path=str(self.path), reason="no_message", value=each.parent_id)
            cursor = db.execute(
                "INSERT INTO messages (conversation_id, parent_id, role, content, reasoning, state,"
                " created, model, stats, attachments) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(conversation_id, ids[each.parent_id], each.role, each.content),
                    *(each.reasoning, each.state, each.created, each.model),
                    json.dumps(each.stats),
                    json.dumps([asdict(file) for file in each.attachments]),
                ),
            )
            ids[each.id] = cursor.lastrowid
        return ids

    def _streamed(self, message_id: int) -> tuple[str, str]:
        rows = self._read(
            "SELECT is_reasoning, text FROM chunks WHERE message_id = ? ORDER BY id", (message_id,)
        )
        content = "".join(row[1] for row in rows if not row[0])
        return content, "".join(row[1] for row in rows if row[0])

    # -- search ----------------------------------------------------------------------------------

    def search(self, text: str, limit: int = 100) -> list[SearchHit]:
        """Titles, then messages, then thinking that contain every word of `text` (parts of words
        count), best first. May read everything: call it away from the window."""
        return store_search.search(self._read, text, limit)

    # -- runs ------------------------------------------------------------------------------------

    def add_run(self, record: RunRecord) -> None:
        """Store the predicted and measured figures of one generation."""
        values = asdict(record)
        for name in ("devices", "placement", "stats"):
            values[name] = json.dumps(values[name])
        for name in ("predicted_prefill_tps", "predicted_decode_tps"):
            values[name] = None if values[name] is None else json.dumps(values[name])
        marks = ", ".join("?" * len(values))
        with self._transaction() as db:
            db.execute(
                f"INSERT INTO runs ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )

    def runs(self, limit: int = 200, model: str | None = None) -> list[RunRecord]:
        """The latest runs, newest first, of one model or of all."""
        test, values = ("WHERE model = ?", (model,)) if model else ("", ())
        rows = self._read(
            f"SELECT {row_values.RUN} FROM runs {test} ORDER BY time DESC, id DESC LIMIT ?",
            (*values, limit),
        )
        return [row_values.run(row) for row in rows]

    # -- upkeep ----------------------------------------------------------------------------------

    def check(self) -> bool:
        """Whether the whole file is sound; one that is not is repaired when it is next opened.
        Reads all of it: call it away from the window."""
        self._damaged = not migrations.is_sound(self.path)
        if self._damaged:
            self._write_mark()
        return not self._damaged

    def backup_if_older(self, seconds: float = 86400) -> Path | None:
        """Write a backup unless there is one younger than that; returns its path."""
        newest = next(iter(migrations.backups(self.path)), None)
        if newest is not None and time.time() - newest.stat().st_mtime < seconds:
            return None
        connection = _connect(self.path)
        try:
            return migrations.back_up(connection, self.path, "daily")
        finally:
            connection.close()

    def _open(self) -> None:
        try:
            if self.path.exists() and self.path.stat().st_size > 0 and not self._looks_sound():
                self._repair()
            with contextlib.ExitStack() as opened:
                self._writer = opened.enter_context(contextlib.closing(_connect(self.path)))
                if migrations.version_of(self._writer) > len(migrations.MIGRATIONS):
                    raise StoreError(path=str(self.path), reason="newer_version")
                migrations.migrate(self._writer, self.path)
                self._reader = opened.enter_context(contextlib.closing(_connect(self.path)))
                self._recover()
                opened.pop_all()
            with contextlib.suppress(OSError):  # after a crash there is none: the file is checked
                self._mark.unlink(missing_ok=True)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _repair(self) -> None:
        log.warning("history database is damaged; restoring: %s", self.path)
        self.repaired_from = migrations.repair(self.path)
        self._damaged = False

    def _looks_sound(self) -> bool:
        mark = self._mark.read_text("utf-8") if self._mark.exists() else ""
        if mark == DAMAGED:
            return False
        as_closed = mark == _stamp(self.path)
        large = self.path.stat().st_size > CHECK_AT_OPEN_BYTES
        return as_closed or large or migrations.is_sound(self.path)

    def _failed(self, error: Exception) -> StoreError:
        """A StoreError for an SQLite error; damage is remembered."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            self._damaged = True
        return StoreError(path=str(self.path), reason="failed", detail=str(error))

    def _recover(self) -> None:
        """Settle answers whose process is gone; those of a living process are left to it."""
        rows = self._read("SELECT DISTINCT owner FROM messages WHERE state = 'streaming'")
        for (owner,) in rows:
            if not _alive(owner):
                self._settle(owner)

    def _settle(self, owner: str) -> None:
        with self._transaction() as db:
            ids = db.execute(
                "SELECT id FROM messages WHERE state = 'streaming' AND owner = ?", (owner,)
            ).fetchall()
            for (message_id,) in ids:
                _fold(db, message_id, "cut")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One write; StoreError carries SQLite's reason (disk full, read-only, locked)."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._failed(error) from error

    def _read(self, sql: str, values: row_values.Row = ()) -> list[row_values.Row]:
        with self._read_lock:
            try:
                return self._reader.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise self._failed(error) from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=10, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut, too
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _stamp(path: Path) -> str:
    """Identifies a file that was not touched since."""
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns}"


def _fold(db: sqlite3.Connection, message_id: int, state: MessageState) -> None:
    """Move a message's chunks into its text and settle it."""
    rows = db.execute(
        "SELECT is_reasoning, text FROM chunks WHERE message_id = ? ORDER BY id", (message_id,)
    ).fetchall()
    content = "".join(row[1] for row in rows if not row[0])
    reasoning = "".join(row[1] for row in rows if row[0])
    db.execute(
        "UPDATE messages SET content = content || ?, reasoning = reasoning || ?,"
        " state = ?, owner = '' WHERE id = ?",
        (content, reasoning, state, message_id),
    )
    db.execute("DELETE FROM chunks WHERE message_id = ?", (message_id,))


def _identity(pid: int) -> str:
    """Identifies a process, distinct from a later one with the same number."""
    try:
        return f"{pid}:{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return f"{pid}:gone"


def _alive(owner: str) -> bool:
    process = owner.rpartition(":")[0]
    pid = owner.partition(":")[0]
    return pid.isdigit() and psutil.pid_exists(int(pid)) and _identity(int(pid)) == process

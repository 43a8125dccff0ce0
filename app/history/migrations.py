"""The numbered steps that bring a history database to today's shape, and its backups.

Knows SQL and file names; knows nothing about what callers store. A step, once released, never
changes: a new one is added after it.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from quant.files import replaced

_TABLES = """
CREATE TABLE conversations (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL DEFAULT '',
  title_set INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  head_id INTEGER,
  pinned INTEGER NOT NULL DEFAULT 0,
  folder TEXT NOT NULL DEFAULT '',
  deleted REAL,
  options TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX conversations_by_time ON conversations(deleted, updated);
CREATE TABLE messages (
  id INTEGER PRIMARY KEY,
  conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
  parent_id INTEGER REFERENCES messages(id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  content TEXT NOT NULL DEFAULT '',
  reasoning TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'finished',
  owner TEXT NOT NULL DEFAULT '',
  created REAL NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  stats TEXT NOT NULL DEFAULT '{}',
  attachments TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX messages_by_conversation ON messages(conversation_id, id);
CREATE INDEX messages_by_parent ON messages(parent_id);
CREATE INDEX messages_streaming ON messages(state) WHERE state = 'streaming';
CREATE TABLE chunks (
  id INTEGER PRIMARY KEY,
  message_id INTEGER NOT NULL REFERENCES messages(id) ON DELETE CASCADE,
  is_reasoning INTEGER NOT NULL,
  text TEXT NOT NULL
);
CREATE INDEX chunks_by_message ON chunks(message_id, id);
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  time REAL NOT NULL,
  model TEXT NOT NULL,
  model_sha256 TEXT NOT NULL DEFAULT '',
  engine TEXT NOT NULL,
  engine_version TEXT NOT NULL DEFAULT '',
  devices TEXT NOT NULL DEFAULT '[]',
  placement TEXT NOT NULL DEFAULT '{}',
  predicted_prefill_tps TEXT,
  predicted_decode_tps TEXT,
  measured_prefill_tps REAL,
  measured_decode_tps REAL,
  predicted_memory INTEGER NOT NULL DEFAULT 0,
  measured_memory INTEGER NOT NULL DEFAULT 0,
  stats TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX runs_by_model ON runs(model, time);
"""

# Trigrams find any part of a word and work for Chinese, which has no spaces between words. Only
# settled messages are indexed: re-indexing a growing answer would cost more than writing it.
_SEARCH = """
CREATE VIRTUAL TABLE messages_fts USING fts5(
  content, content='messages', content_rowid='id', tokenize='trigram'
);
INSERT INTO messages_fts(rowid, content)
  SELECT id, content FROM messages WHERE state <> 'streaming';
CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages WHEN new.state <> 'streaming' BEGIN
  INSERT INTO messages_fts(rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER messages_fts_update AFTER UPDATE OF content, state ON messages BEGIN
  INSERT INTO messages_fts(messages_fts, rowid, content)
    SELECT 'delete', old.id, old.content WHERE old.state <> 'streaming';
  INSERT INTO messages_fts(rowid, content)
    SELECT new.id, new.content WHERE new.state <> 'streaming';
END;
CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages WHEN old.state <> 'streaming' BEGIN
  INSERT INTO messages_fts(messages_fts, rowid, content) VALUES ('delete', old.id, old.content);
END;
"""

# What was thought. An index of its own, because the released one never changes and most messages
# have no thinking. Titles are few enough to be read.
_SEARCH_ALL = """
CREATE VIRTUAL TABLE reasoning_fts USING fts5(
  reasoning, content='messages', content_rowid='id', tokenize='trigram'
);
INSERT INTO reasoning_fts(rowid, reasoning)
  SELECT id, reasoning FROM messages WHERE state <> 'streaming' AND reasoning <> '';
CREATE TRIGGER reasoning_fts_insert AFTER INSERT ON messages
  WHEN new.state <> 'streaming' AND new.reasoning <> '' BEGIN
  INSERT INTO reasoning_fts(rowid, reasoning) VALUES (new.id, new.reasoning);
END;
CREATE TRIGGER reasoning_fts_update AFTER UPDATE OF reasoning, state ON messages BEGIN
  INSERT INTO reasoning_fts(reasoning_fts, rowid, reasoning)
    SELECT 'delete', old.id, old.reasoning
    WHERE old.state <> 'streaming' AND old.reasoning <> '';
  INSERT INTO reasoning_fts(rowid, reasoning)
    SELECT new.id, new.reasoning WHERE new.state <> 'streaming' AND new.reasoning <> '';
END;
CREATE TRIGGER reasoning_fts_delete AFTER DELETE ON messages
  WHEN old.state <> 'streaming' AND old.reasoning <> '' BEGIN
  INSERT INTO reasoning_fts(reasoning_fts, rowid, reasoning)
    VALUES ('delete', old.id, old.reasoning);
END;
"""

MIGRATIONS: tuple[str, ...] = (_TABLES, _SEARCH, _SEARCH_ALL)
BACKUPS_KEPT = 4


def version_of(connection: sqlite3.Connection) -> int:
    """The number of the last step applied to this database; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path) -> int:
    """Apply the missing steps, each in one transaction, after a backup; returns the new version.

    Safe when several processes start at once: the version is read again under the write lock.
    """
    start = version_of(connection)
    if 0 < start < len(MIGRATIONS):
        back_up(connection, path, f"v{start}")
    for number in range(start + 1, len(MIGRATIONS) + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if version_of(connection) < number:
                for statement in _statements(MIGRATIONS[number - 1]):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return version_of(connection)


def back_up(connection: sqlite3.Connection, path: Path, label: str) -> Path:
    """Copy the live database beside `path`, whole or not at all; old copies are removed."""
    target = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}-{label}.backup")
    with replaced(target) as part, closing(sqlite3.connect(part)) as copy:
        connection.backup(copy)
    for old in backups(path)[BACKUPS_KEPT:]:
        old.unlink(missing_ok=True)
    return target


def backups(path: Path) -> list[Path]:
    """The backups beside `path`, newest first."""
    return sorted(path.parent.glob(f"{path.name}.*.backup"), reverse=True)


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with the file. Reads all of it.

    Raises sqlite3.OperationalError when the file cannot be read at all: that is no damage.
    """
    try:
        connection = sqlite3.connect(path, timeout=10)
        try:
            row = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:
        return False
    return row is not None and row[0] == "ok"


def repair(path: Path) -> Path | None:
    """Set a broken database aside and put the newest sound backup in its place.

    Rows that can still be read from the broken file and are newer than the backup are added.
    Returns the path of the file set aside, or None when there was no sound backup (the caller
    then starts empty; the broken file is kept in either case).
    """
    broken = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}.broken")
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            os.replace(side, broken.with_name(broken.name + suffix))
    os.replace(path, broken)
    source = next((backup for backup in backups(path) if is_sound(backup)), None)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        if source is not None:
            with_backup = sqlite3.connect(source)
            with_backup.backup(connection)
            with_backup.close()
        migrate(connection, path)
        _salvage(connection, broken)
    finally:
        connection.close()
    return broken if source is not None else None


def _salvage(connection: sqlite3.Connection, broken: Path) -> None:
    """Copy what can still be read, row by row, from the broken file; stops at what cannot."""
    try:
        source = sqlite3.connect(f"file:{broken}?mode=ro", uri=True)
    except sqlite3.Error:
        return
    for table in ("conversations", "messages", "chunks", "runs"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        try:
            for row in source.execute(f"SELECT {names} FROM {table} NOT INDEXED ORDER BY rowid"):
                connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)
        except sqlite3.DatabaseError:
            continue
    source.close()


def _statements(script: str) -> list[str]:
    """Split a script into statements (triggers hold semicolons, so SQLite decides where)."""
    statements: list[str] = []
    current = ""
    for line in script.splitlines():
        current += line + "\n"
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements

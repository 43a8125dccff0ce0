"""Search over titles, messages and thinking. Knows SQL and the excerpt's marks, opens no file."""

from collections.abc import Callable

from app.history.records import SearchHit
from app.history.rows import Row

Read = Callable[[str, Row], list[Row]]
SHORTEST = 3  # characters of a trigram; shorter words are looked for in the text itself


def search(read: Read, text: str, limit: int) -> list[SearchHit]:
    """Titles, then messages, then thinking that hold every word, best or latest first."""
    words = text.split()
    if not words:
        return []
    found = _titles(read, words, limit)
    if all(len(word) >= SHORTEST for word in words):
        query = " ".join('"' + word.replace('"', '""') + '"' for word in words)
        for table in ("messages_fts", "reasoning_fts"):
            found += _indexed(read, table, query, limit)
    else:
        for column in ("content", "reasoning"):
            found += _read_through(read, column, words, limit)
    seen: set[tuple[int, int]] = set()  # a message is found once, in what it says if there
    kept = []
    for hit in found:
        if (hit.conversation_id, hit.message_id) not in seen:
            seen.add((hit.conversation_id, hit.message_id))
            kept.append(hit)
    return kept[:limit]


def _titles(read: Read, words: list[str], limit: int) -> list[SearchHit]:
    """Conversations by their title; the excerpt is the title, the message where they were left."""
    test = " AND ".join("title LIKE ? ESCAPE '\\'" for _ in words)
    rows = read(
        "SELECT id, COALESCE(head_id, 0), title, updated FROM conversations"
        f" WHERE {test} AND deleted IS NULL ORDER BY updated DESC LIMIT ?",
        (*_patterns(words), limit),
    )
    return [SearchHit(row[0], row[1], row[2], _excerpt(row[2], words[0]), row[3]) for row in rows]


def _indexed(read: Read, table: str, query: str, limit: int) -> list[SearchHit]:
    rows = read(
        "SELECT m.conversation_id, m.id, c.title,"
        f" snippet({table}, 0, char(2), char(3), '…', 24), c.updated"
        f" FROM {table} JOIN messages m ON m.id = {table}.rowid"
        " JOIN conversations c ON c.id = m.conversation_id"
        f" WHERE {table} MATCH ? AND c.deleted IS NULL ORDER BY rank LIMIT ?",
        (query, limit),
    )
    return [SearchHit(*row) for row in rows]


def _read_through(read: Read, column: str, words: list[str], limit: int) -> list[SearchHit]:
    """Words of one or two characters have no trigram: read the messages instead."""
    test = " AND ".join(f"m.{column} LIKE ? ESCAPE '\\'" for _ in words)
    rows = read(
        f"SELECT m.conversation_id, m.id, c.title, m.{column}, c.updated FROM messages m"
        f" JOIN conversations c ON c.id = m.conversation_id WHERE {test}"
        " AND m.state <> 'streaming' AND c.deleted IS NULL ORDER BY m.id DESC LIMIT ?",
        (*_patterns(words), limit),
    )
    return [SearchHit(row[0], row[1], row[2], _excerpt(row[3], words[0]), row[4]) for row in rows]


def _patterns(words: list[str]) -> list[str]:
    escaped = (word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in words)
    return [f"%{word}%" for word in escaped]


def _excerpt(content: str, word: str) -> str:
    at = max(content.lower().find(word.lower()), 0)
    start = max(at - 24, 0)
    before = ("…" if start else "") + content[start:at]
    return f"{before}\x02{content[at : at + len(word)]}\x03{content[at + len(word) : at + 80]}"

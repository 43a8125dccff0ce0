"""Conversations out of the store and back in: Markdown, JSON and HTML. Knows records, no Qt.

JSON holds everything, branches included, and is the form that can be read back.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.errors import StoreError
from app.gui.branches import Tree
from app.gui.markdown import parser
from app.records import Attachment, Conversation, StoredMessage
from app.store import Store

FORMAT = "stillroom-conversation"
VERSION = 1
SUFFIXES = (".md", ".json", ".html")


def exported(conversation: Conversation, messages: Sequence[StoredMessage], suffix: str) -> str:
    """A conversation as text of the kind that `suffix` names."""
    if suffix == ".json":
        return as_json(conversation, messages)
    shown = [turn.message for turn in Tree(messages).path(conversation.head_id)]
    if suffix == ".html":
        return as_html(conversation, shown)
    return as_markdown(conversation, shown)


def as_markdown(conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
    """The shown branch; thinking in a quoted block."""
    parts = [f"# {conversation.title}"]
    for message in messages:
        parts.append(f"## {'You' if message.role == 'user' else message.model or 'Answer'}")
        parts += [f"Attached: {each.name}" for each in message.attachments]
        if message.reasoning:
            quoted = "\n".join(f"> {line}" for line in message.reasoning.strip().splitlines())
            parts.append(f"> **Thinking**\n>\n{quoted}")
        parts.append(message.content.strip())
    return "\n\n".join(parts) + "\n"


def as_json(conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
    """Everything, with all branches."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        "conversation": asdict(conversation),
        "messages": [asdict(message) for message in messages],
    }
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def as_html(conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
    """One page without scripts or outside references; formulas stay as LaTeX."""
    markdown = parser()
    for rule in ("math_inline", "math_inline_double", "math_block"):
        markdown.add_render_rule(rule, _formula)
    title = html.escape(conversation.title)
    body = []
    for message in messages:
        name = "You" if message.role == "user" else message.model or "Answer"
        body.append(f"<h2>{html.escape(name)}</h2>")
        if message.reasoning:
            body.append(
                "<details><summary>Thinking</summary>"
                f"<pre>{html.escape(message.reasoning)}</pre></details>"
            )
        body.append(markdown.render(message.content))
    style = (
        "body{max-width:42em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif}"
        "pre{background:#f1efea;padding:.8em;overflow:auto;white-space:pre-wrap}"
        "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em}"
    )
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{style}</style></head><body><h1>{title}</h1>{''.join(body)}</body></html>\n"
    )


def _formula(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    return f"<code>{html.escape(tokens[index].content)}</code>"


def import_json(store: Store, path: Path) -> Conversation:
    """Read an exported conversation into the store as a new one. Raises StoreError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT or int(data["version"]) > VERSION:
            raise ValueError("not an exported conversation")
        conversation, messages = data["conversation"], data["messages"]
        rows = [_message(each) for each in messages]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(path=str(path), reason=f"cannot be imported: {error}") from error
    made = store.add_conversation(str(conversation.get("title", "")), options={})
    new_ids: dict[int, int] = {}
    for old_id, parent, values in rows:
        stored = store.add_message(made.id, parent_id=new_ids.get(parent or 0), **values)
        new_ids[old_id] = stored.id
    head = new_ids.get(conversation.get("head_id") or 0)
    if head is not None:
        store.update_conversation(made.id, head_id=head)
    return store.conversation(made.id)


def _message(each: dict[str, Any]) -> tuple[int, int | None, dict[str, Any]]:
    """(id, parent, arguments of Store.add_message) of one exported message."""
    if each["role"] not in ("user", "assistant"):
        raise ValueError(f"unknown role {each['role']!r}")
    attachments = tuple(Attachment(**found) for found in each.get("attachments", []))
    values = {
        "role": each["role"],
        "content": str(each["content"]),
        "reasoning": str(each.get("reasoning", "")),
        "state": "cut" if each.get("state") == "cut" else "finished",
        "model": str(each.get("model", "")),
        "stats": dict(each.get("stats", {})),
        "attachments": attachments,
    }
    return int(each["id"]), each.get("parent_id"), values

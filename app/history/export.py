"""Conversations written to files: Markdown, JSON and HTML. Knows records, no Qt and no store.

JSON holds everything, branches included; Markdown and HTML hold the branch that is shown. All three
are read back by `export_reader`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.history.branches import Tree
from app.history.records import Conversation, StoredMessage
from app.markup import latex
from app.markup.markdown import parser
from quant.files import write_atomically

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

FORMAT = "stillroom-conversation"
VERSION = 1
ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"))
SUFFIXES = (".md", ".json", ".html")
MARK = "<!-- stillroom {} {} -->"  # a key that occurs nowhere else, and a message's facts as JSON

_STYLE = (
    "body{max-width:42em;margin:2em auto;padding:0 1em;font:16px/1.5 sans-serif}"
    "pre{background:#f1efea;padding:.8em;overflow:auto;white-space:pre-wrap}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em}"
    ".formula{text-align:center;overflow-x:auto}"
)
# Nothing a model wrote may contact a server from the page, even if it gets past the renderer.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def exported(conversation: Conversation, messages: Sequence[StoredMessage], suffix: str) -> str:
    """A conversation as text of the kind that `suffix` names."""
    if suffix == ".json":
        return as_json(conversation, messages)
    shown = [turn.message for turn in Tree(messages).path(conversation.head_id)]
    if suffix == ".html":
        return as_html(conversation, shown)
    return as_markdown(conversation, shown)


def export_to(
    path: Path, conversation: Conversation, messages: Sequence[StoredMessage], suffix: str = ""
) -> None:
    """Write a conversation to a file, whole or not at all, as the kind that `suffix` or the file's
    own ending names. Raises OSError."""
    text = exported(conversation, messages, suffix or path.suffix.lower())
    write_atomically(path, text.encode())


def as_markdown(conversation: Conversation, messages: Sequence[StoredMessage]) -> str:
    """The shown branch; thinking and attached files in blocks of their own.

    A comment before each message, invisible where Markdown is displayed, says what it is and where
    its parts end.
    """
    said = "".join(part for m in messages for part in (m.content, m.reasoning))
    key = format(conversation.id, "x")
    while f"stillroom {key}" in said or any(key in f.text for m in messages for f in m.attachments):
        key += "x"
    parts = [f"# {conversation.title}"]
    for message in messages:
        facts = {"role": message.role, "model": message.model, "state": message.state}
        parts.append(MARK.format(key, json.dumps(facts)))
        parts.append(f"## {_speaker(message)}")
        for each in message.attachments:
            parts.append(MARK.format(key, json.dumps({"file": each.name})))
            parts.append(f"Attached: {' '.join(each.name.split())}\n\n{_fenced(each.text)}")
        if message.reasoning:
            quoted = "\n".join(f"> {line}" for line in message.reasoning.strip().splitlines())
            parts.append(MARK.format(key, '{"part": "reasoning"}'))
            parts.append(f"> **Thinking**\n>\n{quoted}")
        parts.append(MARK.format(key, '{"part": "content"}'))
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
    """One page without scripts or outside references; formulas drawn into it.

    The shown branch is also in it as data, for `export_reader`; nothing that is not shown.
    """
    title = escape(conversation.title)
    shown = Conversation(conversation.id, conversation.title, conversation.created, 0.0)
    data = escape(as_json(shown, [_seen(message) for message in messages]))
    body = [part for message in messages for part in _html_message(message)]
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>{''.join(body)}"
        f'<template data-{FORMAT}="{data}"></template></body></html>\n'
    )


def _seen(message: StoredMessage) -> StoredMessage:
    """What the page shows of a message."""
    return StoredMessage(
        message.id, 0, message.parent_id, message.role, message.content, message.reasoning,
        message.state, message.created, message.model, attachments=message.attachments,
    )  # fmt: skip


def _html_message(message: StoredMessage) -> list[str]:
    parts = [f"<h2>{escape(_speaker(message))}</h2>"]
    parts += [_folded(each.name, each.text) for each in message.attachments]
    if message.reasoning:
        parts.append(_folded("Thinking", message.reasoning))
    parts.append(_html_parser().render(message.content))
    return parts


def _folded(name: str, text: str) -> str:
    return f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"


def escape(text: str) -> str:
    """`text` for an element or a quoted attribute of HTML. (The standard library's functions for it
    import tables or a network client, which the window's start would pay for.)"""
    for character, name in ENTITIES:
        text = text.replace(character, name)
    return text


def _speaker(message: StoredMessage) -> str:
    return "You" if message.role == "user" else message.model or "Answer"


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}"


@cache
def _html_parser() -> "MarkdownIt":
    """The window's Markdown, rendered to HTML: formulas as SVG, images as their text."""
    markdown = parser()
    markdown.add_render_rule("math_inline", _inline_formula)
    for rule in ("math_inline_double", "math_block", "math_block_label", "amsmath"):
        markdown.add_render_rule(rule, _display_formula)
    markdown.add_render_rule("image", _image)
    return markdown


def _inline_formula(
    self: "RendererHTML", tokens: Sequence["Token"], index: int, options: object, env: object
) -> str:
    return _formula(tokens[index].content, inline=True)


def _display_formula(
    self: "RendererHTML", tokens: Sequence["Token"], index: int, options: object, env: object
) -> str:
    token = tokens[index]
    label = f" ({escape(token.info)})" if token.type == "math_block_label" else ""
    return f'<div class="formula">{_formula(token.content, inline=False)}{label}</div>'


def _formula(source: str, *, inline: bool) -> str:
    drawing = latex.draw(source, inline=inline, size=18.0 if inline else 20.0, colour="#000000")
    if drawing is None:
        return f"<code>{escape(source)}</code>"
    return (
        f'<span role="img" aria-label="{escape(source)}"'
        f' style="display:inline-block;vertical-align:{-drawing.below:.1f}px">{drawing.svg}</span>'
    )


def _image(
    self: "RendererHTML", tokens: Sequence["Token"], index: int, options: object, env: object
) -> str:
    """An image's alternative text and address; fetching the image would contact a server."""
    source = str(tokens[index].attrGet("src") or "")
    return escape(f"[image: {tokens[index].content or source}]")

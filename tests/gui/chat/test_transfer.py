"""Conversations to files and back, and onto paper: what is written, kept, refused."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSizeF
from PySide6.QtPrintSupport import QPrinter
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.errors import StoreError
from app.gui.main_window import MainWindow
from app.gui.text.printing import printable
from app.history.export import SUFFIXES, as_html, exported
from app.history.export_reader import import_file
from app.history.records import Attachment, Conversation, StoredMessage
from app.history.store import Store
from app.wording.explain import explain
from quant.json_types import Json

OPTIONS: dict[str, Json] = {
    "model": "starter",
    "context": 4096,
    "system": "Be short.",
    "sampling": {"temperature": 0.1, "top_k": 3},
}
FILE = Attachment("notes.md", "one\n```\n## You\n```\n<!-- stillroom 1 {} -->\n", 7)
ANSWER = (
    "**Because** \\(x^2\\) <script>\n\n## You\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
    "\\begin{align}a &= b\\end{align}\n\n![p](https://tracker.example/p.png)"
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "history.sqlite3")
    yield opened
    opened.close()


def talk(store: Store) -> tuple[Conversation, list[StoredMessage]]:
    """A question with a file, and two answers of which the second is shown."""
    chat = store.add_conversation("On <stills>", folder="work", options=OPTIONS)
    store.update_conversation(chat.id, pinned=True, title_set=True)
    ask = store.add_message(chat.id, "user", "Why?", attachments=(FILE,))
    store.add_message(chat.id, "assistant", "First", parent_id=ask.id)
    store.add_message(
        chat.id, "assistant", ANSWER, parent_id=ask.id, reasoning="hm\n\n> so", model="starter",
        state="cut", stats={"decode_tps": 14.2},
    )  # fmt: skip
    return store.conversation(chat.id), store.messages(chat.id)


def seen(message: StoredMessage) -> tuple[object, ...]:
    files = [(each.name, each.text) for each in message.attachments]
    return (message.role, message.content, message.reasoning, message.model, message.state, files)


def test_json_keeps_everything(store: Store, tmp_path: Path) -> None:
    chat, messages = talk(store)
    path = tmp_path / "out.json"
    path.write_text(exported(chat, messages, ".json"))
    copy = import_file(store, path)
    again = store.messages(copy.id)
    assert [seen(m) for m in again] == [seen(m) for m in messages]
    assert again[1].parent_id == again[2].parent_id == again[0].id
    assert again[2].stats == messages[2].stats
    assert copy.head_id == again[2].id
    same = ("title", "title_set", "folder", "pinned", "options", "created")
    assert [getattr(copy, name) for name in same] == [getattr(chat, name) for name in same]


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_markdown_and_html_keep_what_is_shown(store: Store, tmp_path: Path, suffix: str) -> None:
    chat, messages = talk(store)
    path = tmp_path / f"out{suffix}"
    path.write_text(exported(chat, messages, suffix))
    copy = import_file(store, path)
    assert copy.title == "On <stills>"
    assert [seen(m) for m in store.messages(copy.id)] == [seen(messages[0]), seen(messages[2])]
    assert "First" not in path.read_text()  # the branch that is not shown


def test_markdown_reads_well(store: Store) -> None:
    chat, messages = talk(store)
    text = re.sub("<!--.*-->\n*", "", exported(chat, messages, ".md"))
    assert text.startswith("# On <stills>\n\n## You\n\nAttached: notes.md\n\n````\none\n")
    assert "## starter\n\n> **Thinking**\n>\n> hm\n" in text


def test_a_page_fetches_nothing_and_draws_its_mathematics(store: Store) -> None:
    chat, messages = talk(store)
    page = as_html(chat, [messages[0], messages[2]])
    shown = page.partition("<template")[0]
    assert not re.search(r"<(img|script|link|iframe)\b", page)
    assert "[image: p]" in shown
    assert "default-src 'none'" in shown
    assert shown.count("<svg ") == 2  # inline, and the environment
    assert "\\begin{align}" not in re.sub('aria-label="[^"]*"', "", shown)
    assert "<summary>notes.md</summary><pre>one\n" in shown
    assert "<strong>Because</strong>" in shown
    assert "Be short." not in page  # what is not seen is not in it


def damaged(**changes: object) -> str:
    conversation = {"id": 1, "title": "x", "head_id": 1, "options": {}}
    message = {"id": 1, "role": "user", "content": "hello", "parent_id": None}
    data = {"format": "stillroom-conversation", "version": 1, "conversation": conversation,
            "messages": [message]}  # fmt: skip
    return json.dumps({**data, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": "other"}',
        json.dumps({"format": 1}),
        damaged(version=2),
        damaged(conversation=[]),
        damaged(messages={}),
        damaged(messages=[{"id": 1, "role": "system", "content": ""}]),
        damaged(messages=[{"id": 2, "role": "user", "content": "", "parent_id": 1}]),
        damaged(messages=[{"id": 1, "role": "user", "content": "x"}] * 2),
        damaged(messages=[{"id": 1, "role": "user", "content": "", "attachments": [{}]}]),
        "[" * 100_000,
    ],
)
def test_what_is_no_export_is_refused_and_adds_nothing(
    store: Store, tmp_path: Path, text: str
) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        import_file(store, tmp_path / "x.json")
    assert "x.json cannot be imported" in explain(caught.value).sentence
    assert store.conversations() == []


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_other_text_is_refused(store: Store, tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"x{suffix}").write_text("# A recipe\n\nBoil the mash.\n")
    with pytest.raises(StoreError) as caught:
        import_file(store, tmp_path / f"x{suffix}")
    assert caught.value.reason == "not_exported"
    assert store.conversations() == []


def test_an_import_that_fails_half_way_leaves_nothing(store: Store) -> None:
    chat, messages = talk(store)
    broken = [*messages[:2], replace(messages[2], parent_id=10**9)]  # no such message
    with pytest.raises(StoreError):
        store.add_copy(chat, broken)
    assert [each.id for each in store.conversations()] == [chat.id]
    assert len(store.search("First")) == 1


def test_options_that_the_program_does_not_know_are_left_out(store: Store, tmp_path: Path) -> None:
    options = {"model": 7, "context": "big", "sampling": {"temperature": "hot", "x": 1, "top_k": 5}}
    path = tmp_path / "x.json"
    path.write_text(damaged(conversation={"title": "x", "head_id": 1, "options": options}))
    assert import_file(store, path).options == {"sampling": {"top_k": 5}}


def test_the_window_exports_imports_and_tells_what_it_cannot(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    chat, _ = talk(window.session.store)
    for suffix in SUFFIXES:
        path = tmp_path / f"out{suffix}"
        window.conversations.export_to(chat, path)
        window.conversations.import_from(path)
        assert window.chat.conversation is not None
        assert window.chat.conversation.id != chat.id
        assert window.chat_page.transcript.views()[-1].answer.markdown == ANSWER
    count = len(window.session.store.conversations())
    (tmp_path / "bad.json").write_text(damaged(conversation=[]))
    window.conversations.import_from(tmp_path / "bad.json")
    assert "cannot be imported" in window.toast.text()
    assert len(window.session.store.conversations()) == count


def test_print_draws_the_formulas_and_names_the_files(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    chat, messages = talk(window.session.store)
    document = printable(chat, [messages[0], messages[2]], QSizeF(700, 900))
    assert document.toHtml().count("<img ") == 2
    assert "▪ notes.md" in document.toPlainText()
    window.open_conversation(chat.id)
    printer = QPrinter(QPrinter.PrinterMode.HighResolution)
    printer.setOutputFormat(QPrinter.OutputFormat.PdfFormat)
    printer.setOutputFileName(str(tmp_path / "out.pdf"))
    window.conversations.print_to(printer)
    printed = (tmp_path / "out.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Subtype /Image") >= 2


def test_long_prints_have_several_pages(qapp: QApplication) -> None:
    chat = Conversation(1, "Long", 0.0, 0.0)
    text = "\n\n".join(f"Paragraph {n} about the worm and the neck." for n in range(120))
    message = StoredMessage(1, 1, None, "assistant", text, "", "finished", 0.0)
    assert printable(chat, [message], QSizeF(700, 900)).pageCount() > 2

"""What becomes of an answer while the history cannot be written: another program has it locked."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.errors import StoreError
from app.gui.main_window import MainWindow
from app.gui.parts.controls import Problem
from app.history.recorder import FLUSH_SECONDS, AnswerRecorder
from app.history.store import Store
from app.history.stream_chunks import ChunkBuffer
from runtime.generation import TokenChunk

ExpectLog = Callable[[str], None]


@contextlib.contextmanager
def locked(store: Store) -> Iterator[None]:
    """Another connection holds the file, and this store does not wait for it."""
    store._writer.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def text(content: str) -> tuple[TokenChunk, ...]:
    return (TokenChunk("answer", content, False, 1),)


def test_what_could_not_be_stored_is_stored_later(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("could not be stored yet")
    store = Store(tmp_path / "history.db")
    chat = store.add_conversation()
    message = store.add_message(chat.id, "assistant", state="streaming")
    buffer = ChunkBuffer()
    with AnswerRecorder(store, message.id, buffer):
        with locked(store):
            buffer.put(text("one "), None)
            time.sleep(2.2 * FLUSH_SECONDS)  # two flushes
            buffer.put(text("two "), None)
        time.sleep(2 * FLUSH_SECONDS)
        assert store.message(message.id).content == "one two "
        buffer.put(text("three"), None)
    assert store.message(message.id).content == "one two three"
    assert store.finish(message.id).content == "one two three"
    store.close()


def test_an_answer_ends_and_says_so_when_the_store_fails(
    qtbot: QtBot, window: MainWindow, expect_log: ExpectLog
) -> None:
    expect_log("could not be settled")
    expect_log("could not be stored yet")
    window.chat.set_options(max_tokens=40)
    busy: list[bool] = []
    ended: list[tuple[object, object]] = []
    window.chat.busy_changed.connect(busy.append)
    window.chat.answer_ended.connect(lambda message, error: ended.append((message, error)))
    window.chat.send("Count from one to fifty.")
    with locked(window.session.store):
        qtbot.waitUntil(lambda: bool(ended), timeout=60000)
        assert busy == [True, False]
        assert isinstance(ended[0][1], StoreError)
        view = window.chat_page.transcript.views()[-1]
        assert view.answer.toPlainText()
        (problem,) = view.findChildren(Problem)
        assert "locked" in problem.accessibleName() + problem.accessibleDescription()
    window.chat.set_options(max_tokens=4)
    window.chat.send("And now?")
    qtbot.waitUntil(lambda: len(ended) == 2, timeout=60000)
    assert ended[1][1] is None


def test_the_waiting_text_is_stored_when_the_answer_ends(tmp_path: Path) -> None:
    store = Store(tmp_path / "history.db")
    message = store.add_message(store.add_conversation().id, "assistant", state="streaming")
    buffer = ChunkBuffer()
    recorder = AnswerRecorder(store, message.id, buffer)
    buffer.put(text("last words"), None)
    with locked(store), pytest.raises(StoreError):
        recorder.flush()
    recorder.flush()
    assert store.message(message.id).content == "last words"
    store.close()

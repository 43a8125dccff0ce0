"""The history database: what goes in comes out, after crashes, damage and old versions too."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import StoreError
from app.history import migrations
from app.history.store import Attachment, RunRecord, Store
from runtime.plan import Interval
from tests.helpers.killed_store import kill_recorder, kill_writer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "history.sqlite3")
    yield opened
    opened.close()


def record(model: str = "starter", when: float = 1.0) -> RunRecord:
    return RunRecord(
        time=when,
        model=model,
        model_sha256="ab" * 32,
        engine="llamacpp",
        engine_version="0.3.36",
        devices=("cpu",),
        placement={"engine": "llamacpp", "layers": [{"device": "cpu", "first": 0, "last": 29}]},
        predicted_prefill_tps=None,
        predicted_decode_tps=Interval(10.0, 12.0, 14.0),
        measured_prefill_tps=100.0,
        measured_decode_tps=11.5,
        predicted_memory=10**9,
        measured_memory=10**9 + 5,
        stats={"finish_reason": "stop"},
    )


def test_messages_and_attachments_round_trip(store: Store) -> None:
    chat = store.add_conversation("Stills", options={"n_ctx": 4096})
    question = store.add_message(
        chat.id, "user", "What is a still?", attachments=(Attachment("a.txt", "text", 3),)
    )
    answer = store.add_message(
        chat.id, "assistant", "A vessel.", parent_id=question.id, reasoning="hm", stats={"n": 1}
    )
    assert store.messages(chat.id) == [question, answer]
    assert store.conversation(chat.id).head_id == answer.id
    assert store.conversation(chat.id).options == {"n_ctx": 4096}


def test_streamed_text_is_whole_while_streaming_and_after(store: Store) -> None:
    chat = store.add_conversation()
    answer = store.add_message(chat.id, "assistant", state="streaming")
    store.append(answer.id, reasoning="think ")
    store.append(answer.id, content="one ", reasoning="ing")
    store.append(answer.id, content="two")
    assert store.message(answer.id).content == "one two"
    done = store.finish(answer.id, stats={"decode_tps": 3.5})
    assert (done.content, done.reasoning, done.state) == ("one two", "think ing", "finished")
    assert done.stats == {"decode_tps": 3.5}


def test_a_cut_answer_can_be_continued(store: Store) -> None:
    chat = store.add_conversation()
    answer = store.add_message(chat.id, "assistant", state="streaming")
    store.append(answer.id, content="one ")
    store.finish(answer.id, "cut")
    store.reopen(answer.id)
    store.append(answer.id, content="two")
    assert store.finish(answer.id).content == "one two"


def test_branches_share_a_parent_and_deleting_one_leaves_the_other(store: Store) -> None:
    chat = store.add_conversation()
    root = store.add_message(chat.id, "user", "q")
    first = store.add_message(chat.id, "assistant", "a1", parent_id=root.id)
    second = store.add_message(chat.id, "assistant", "a2", parent_id=root.id)
    store.add_message(chat.id, "user", "below", parent_id=second.id)
    store.delete_message(second.id)
    assert [m.id for m in store.messages(chat.id)] == [root.id, first.id]
    assert store.conversation(chat.id).head_id == root.id


def test_pinned_come_first_and_delete_can_be_undone(store: Store) -> None:
    old, new = store.add_conversation("old"), store.add_conversation("new")
    assert [c.title for c in store.conversations()] == ["new", "old"]
    store.update_conversation(old.id, pinned=True, title="older", title_set=True)
    assert [c.title for c in store.conversations()] == ["older", "new"]
    store.delete_conversation(new.id)
    assert [c.id for c in store.conversations()] == [old.id]
    assert [c.id for c in store.conversations(deleted=True)] == [new.id]
    store.restore_conversation(new.id)
    assert len(store.conversations()) == 2
    store.delete_conversation(new.id)
    assert store.purge(older_than_seconds=0) == 1
    assert store.conversations(deleted=True) == []


def test_only_known_columns_can_be_changed(store: Store) -> None:
    chat = store.add_conversation()
    with pytest.raises(ValueError, match="id"):
        store.update_conversation(chat.id, id=7)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("copper", [1]),
        ("opp", [1]),  # part of a word
        ("copper vapour", [1]),
        ("vapour glass", []),
        ("蒸馏", [2]),  # two characters: no trigram
        ("蒸馏模型", [2]),
        ("100%", [3]),
        ('say "hi"', [4]),
        ("a_c", []),  # not a wildcard: "abc" is not found
        ("   ", []),
    ],
)
def test_search_finds_words_parts_and_chinese(store: Store, query: str, found: list[int]) -> None:
    texts = ["A copper still condenses vapour", "用蒸馏模型聊天", "100% pure abc", 'they say "hi"']
    ids = {}
    for number, text in enumerate(texts, start=1):
        chat = store.add_conversation(f"c{number}")
        ids[store.add_message(chat.id, "user", text).id] = number
    assert sorted(ids[hit.message_id] for hit in store.search(query)) == found


def test_search_finds_titles_and_thinking(store: Store) -> None:
    chat = store.add_conversation("On alembics")
    ask = store.add_message(chat.id, "user", "Why copper?")
    answer = store.add_message(chat.id, "assistant", state="streaming", parent_id=ask.id)
    store.append(answer.id, content="It conducts.", reasoning="sulphur binds to copper 铜")
    assert store.search("sulphur") == []  # not while it streams
    store.finish(answer.id)
    (hit,) = store.search("alembic")
    assert (hit.conversation_id, hit.excerpt) == (chat.id, "On \x02alembic\x03s")
    assert [h.message_id for h in store.search("sulphur")] == [answer.id]
    assert [h.message_id for h in store.search("铜")] == [answer.id]
    assert [h.message_id for h in store.search("copper")] == [ask.id, answer.id]
    store.delete_message(answer.id)
    assert store.search("sulphur") == []


def test_thinking_of_an_older_database_is_found(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    old = sqlite3.connect(path, isolation_level=None)
    for step in migrations.MIGRATIONS[:2]:
        old.executescript(step)
    old.execute("PRAGMA user_version = 2")
    old.execute("INSERT INTO conversations (title, created, updated) VALUES ('kept', 1, 1)")
    old.execute(
        "INSERT INTO messages (conversation_id, role, content, reasoning, created)"
        " VALUES (1, 'assistant', 'answer', 'about the worm', 1)"
    )
    old.close()
    store = Store(path)
    assert [hit.title for hit in store.search("worm")] == ["kept"]
    store.close()


def test_search_marks_the_match_and_follows_changes(store: Store) -> None:
    chat = store.add_conversation("t")
    answer = store.add_message(chat.id, "assistant", state="streaming")
    store.append(answer.id, content="an alembic of glass")
    assert store.search("alembic") == []  # settled messages only
    store.finish(answer.id)
    (hit,) = store.search("alembic")
    assert "\x02alembic\x03" in hit.excerpt
    store.delete_conversation(chat.id)
    assert store.search("alembic") == []
    store.purge(0)
    assert store.search("alembic") == []


def test_runs_round_trip_newest_first_and_by_model(store: Store) -> None:
    runs = [record("a", 1.0), record("b", 2.0), record("a", 3.0)]
    for run in runs:
        store.add_run(run)
    assert store.runs(2) == [runs[2], runs[1]]
    assert store.runs(9, model="a") == [runs[2], runs[0]]


def test_two_stores_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    one, two = Store(path), Store(path)
    failures: list[BaseException] = []

    def write(store: Store) -> None:
        try:
            for _ in range(25):
                chat = store.add_conversation()
                store.add_message(chat.id, "user", "x")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(s,)) for s in (one, two, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(two.conversations()) == 75
    one.close()
    two.close()


def test_processes_write_the_same_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    store = Store(path)
    program = (
        "import sys; from pathlib import Path; from app.history.store import Store\n"
        "store = Store(Path(sys.argv[1])); chat = store.add_conversation(sys.argv[2])\n"
        "for n in range(25): store.add_message(chat.id, 'user', f'message {n}')\n"
        "store.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    writers = [
        subprocess.Popen([sys.executable, "-P", "-c", program, str(path), name], env=environment)
        for name in ("one", "two")
    ]
    mine = store.add_conversation("mine")
    for number in range(25):
        store.add_message(mine.id, "user", f"message {number}")
    assert [writer.wait(60) for writer in writers] == [0, 0]
    found = {chat.title: store.messages(chat.id) for chat in store.conversations()}
    assert {title: len(messages) for title, messages in found.items()} == {
        "one": 25, "two": 25, "mine": 25,
    }  # fmt: skip
    assert store.check()
    store.close()


def test_a_living_process_keeps_its_stream_when_a_second_opens(store: Store) -> None:
    chat = store.add_conversation()
    answer = store.add_message(chat.id, "assistant", state="streaming")
    store.append(answer.id, content="still going")
    second = Store(store.path)
    assert second.message(answer.id).state == "streaming"
    second.close()
    assert store.message(answer.id).state == "streaming"


def test_kill_while_writing_loses_nothing_reported(tmp_path: Path) -> None:
    generator = random.Random(8)
    path = tmp_path / "history.sqlite3"
    lost = [kill_writer(path, generator.uniform(0.0, 0.25)) for _ in range(4)]
    assert sum(each.pieces for each in lost) > 10
    assert [(e.lost_finished, e.lost_pieces, e.unsound) for e in lost] == [(0, 0, 0)] * 4


def test_kill_while_an_answer_streams_loses_at_most_its_last_second(tmp_path: Path) -> None:
    lost = [kill_recorder(tmp_path / "history.sqlite3", seconds) for seconds in (0.3, 1.25, 1.7)]
    assert [(each.lost_pieces, each.unsound) for each in lost] == [(0, 0)] * 3
    assert max(each.seconds for each in lost) <= 1.0
    assert lost[2].pieces > 20


def test_an_old_database_is_backed_up_then_migrated(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(migrations.MIGRATIONS[0])
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO conversations (title, created, updated) VALUES ('kept', 1, 1)")
    old.execute(
        "INSERT INTO messages (conversation_id, role, content, created)"
        " VALUES (1, 'user', 'from version one', 1)"
    )
    old.close()
    store = Store(path)
    assert store.search("version one")[0].title == "kept"
    store.close()
    (backup,) = migrations.backups(path)
    assert "-v1" in backup.name
    copy = sqlite3.connect(backup)
    assert migrations.version_of(copy) == 1
    assert copy.execute("SELECT content FROM messages").fetchall() == [("from version one",)]
    copy.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    Store(path).close()
    newer = sqlite3.connect(path, isolation_level=None)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert caught.value.facts["reason"] == "newer_version"
    assert migrations.backups(path) == []


def damage(path: Path) -> None:
    """Overwrite the middle of the file, keeping its first page."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size // 2))


def test_a_damaged_database_is_restored_from_its_backup(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("history database is damaged")
    path = tmp_path / "history.sqlite3"
    store = Store(path)
    chat = store.add_conversation("precious")
    for number in range(200):
        store.add_message(chat.id, "user", f"message {number} " + "x" * 200)
    assert store.backup_if_older() is not None
    assert store.backup_if_older() is None
    store.close()
    damage(path)
    restored = Store(path)
    assert restored.repaired_from is not None
    assert restored.repaired_from.exists()
    assert len(restored.messages(chat.id)) == 200
    assert restored.search("message 199")
    restored.close()


def test_damage_that_no_clock_betrays_is_found_by_the_check_and_repaired_at_the_next_start(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("history database is damaged")
    path = tmp_path / "history.sqlite3"
    store = Store(path)
    chat = store.add_conversation("precious")
    for number in range(200):
        store.add_message(chat.id, "user", f"message {number} " + "x" * 200)
    store.backup_if_older()
    store.close()
    closed = path.stat()
    with path.open("r+b") as file:  # a page of old messages, which opening does not read
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xa5" * 4096)
    os.utime(path, ns=(closed.st_atime_ns, closed.st_mtime_ns))
    trusted = Store(path)  # as it was closed, by size and time: not read at the start
    assert trusted.repaired_from is None
    assert not trusted.check()
    trusted.close()
    restored = Store(path)
    assert restored.repaired_from is not None
    assert len(restored.messages(chat.id)) == 200
    restored.close()


def test_after_a_crash_that_left_only_the_journal_changed_the_file_is_read_at_the_start(
    tmp_path: Path, expect_log: Callable[[str], None]
) -> None:
    expect_log("history database is damaged")
    path = tmp_path / "history.sqlite3"
    store = Store(path)
    chat = store.add_conversation("precious")
    for number in range(200):
        store.add_message(chat.id, "user", f"message {number} " + "x" * 200)
    store.backup_if_older()
    store.close()
    closed = path.stat()
    program = (
        "import os, sys; from pathlib import Path; from app.history.store import Store;"
        "Store(Path(sys.argv[1])).add_conversation('later'); os._exit(9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    subprocess.run([sys.executable, "-P", "-c", program, str(path)], env=environment, check=False)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 3 // 4096 * 4096)
        file.write(b"\xa5" * 4096)
    os.utime(path, ns=(closed.st_atime_ns, closed.st_mtime_ns))
    restored = Store(path)
    assert restored.repaired_from is not None
    assert len(restored.messages(chat.id)) == 200
    restored.close()


def test_while_another_has_the_file_open_closing_it_vouches_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    first, second = Store(path), Store(path)
    mark = path.with_name(f"{path.name}.mark")
    first.close()
    assert not mark.exists()
    second.close()
    assert mark.exists()


def test_a_deleted_subtree_is_put_back_whole(store: Store) -> None:
    chat = store.add_conversation("Stills")
    ask = store.add_message(chat.id, "user", "Why?")
    first = store.add_message(chat.id, "assistant", "copper conducts", parent_id=ask.id)
    more = store.add_message(chat.id, "user", "And tin?", parent_id=first.id)
    gone = store.messages(chat.id)[1:]
    store.delete_message(first.id)
    other = store.add_message(chat.id, "assistant", "another", parent_id=ask.id)
    store.put_back(chat.id, gone, more.id)
    again = store.messages(chat.id)
    assert [m.content for m in again] == ["Why?", "another", "copper conducts", "And tin?"]
    assert other.parent_id == again[2].parent_id == ask.id
    assert again[3].parent_id == again[2].id
    assert store.conversation(chat.id).head_id == again[3].id
    assert store.search("conducts")[0].message_id == again[2].id
    store.delete_message(ask.id)
    with pytest.raises(StoreError):  # what it answered is gone as well
        store.put_back(chat.id, gone, more.id)
    assert store.messages(chat.id) == []


@pytest.mark.parametrize("content", [b"not a database at all" * 400, b"SQLite format 3\x00junk"])
def test_a_file_that_is_no_database_is_set_aside(
    tmp_path: Path, content: bytes, expect_log: Callable[[str], None]
) -> None:
    expect_log("history database is damaged")
    path = tmp_path / "history.sqlite3"
    path.write_bytes(content)
    store = Store(path)
    store.add_conversation("fresh start")
    store.close()
    assert [p.read_bytes() for p in tmp_path.glob("*.broken")] == [content]


def test_an_unwritable_place_is_one_store_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError):
        Store(tmp_path / "folder")

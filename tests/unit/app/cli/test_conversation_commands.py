"""Attachments, and the export and import of conversations, through the command line's own main."""

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.commands.chat import _turn
from app.cli.main import main
from app.history.records import Attachment, Conversation
from app.history.store import Store
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from runtime.prompt.chat_profile import MATH_HINT

FILE = Attachment("notes.txt", "Copper conducts heat.", 6)


@pytest.fixture
def store(stillroom_home: Path) -> Iterator[Store]:
    """The history that the commands of this test see."""
    session = Session(Paths.under(stillroom_home), Settings())
    yield session.store
    session.close()


def talk(store: Store, title: str) -> Conversation:
    made = store.add_conversation(title)
    asked = store.add_message(made.id, "user", "Why copper?", attachments=(FILE,))
    store.add_message(made.id, "assistant", "It **conducts**.", parent_id=asked.id, model="r1")
    return store.conversation(made.id)


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_conversations_are_listed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export"]) == 0
    assert "no conversations" in shown(capsys)
    made = talk(store, "Copper stills")
    assert main(["export"]) == 0
    line = shown(capsys).splitlines()[1]
    assert line.split()[0] == str(made.id)
    assert line.endswith("Copper stills")
    assert main(["export", "--json"]) == 0
    assert [each["title"] for each in json.loads(shown(capsys))] == ["Copper stills"]


@pytest.mark.parametrize("called", ["NUMBER", "copper STILLS", "still"])
def test_one_is_named_by_number_title_or_words(
    store: Store, capsys: pytest.CaptureFixture[str], called: str
) -> None:
    made = talk(store, "Copper stills")
    talk(store, "Glass")
    assert main(["export", str(made.id) if called == "NUMBER" else called]) == 0
    text = shown(capsys)
    assert text.startswith("# Copper stills\n")
    assert "Copper conducts heat." in text
    assert "It **conducts**." in text


@pytest.mark.parametrize(
    ("called", "reason", "words"),
    [("iron", "missing", "no conversation iron"), ("copper", "several", "use the number")],
)
def test_none_or_several_is_a_sentence(
    store: Store, capsys: pytest.CaptureFixture[str], called: str, reason: str, words: str
) -> None:
    talk(store, "Copper stills")
    talk(store, "Copper pots")
    assert main(["export", called, "--json"]) == 1
    refusal = json.loads(shown(capsys))
    assert (refusal["error"], refusal["facts"]["reason"]) == ("UnknownConversation", reason)
    assert words in refusal["sentence"]


@pytest.mark.parametrize(
    ("options", "written", "begins"),
    [
        (["--output", "a.html"], "a.html", "<!doctype html>"),
        (["--output", "a.json"], "a.json", "{"),
        (["--output", "notes", "--format", "json"], "notes", "{"),
        (["--output", "notes"], "notes", "# "),
        (["--output", "."], "Copper-stills.md", "# "),
    ],
)
def test_the_kind_is_told_or_the_files_ending(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    written: str,
    begins: str,
) -> None:
    made = talk(store, "Copper stills")
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(made.id), *options]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [written]
    assert (tmp_path / written).read_text("utf-8").startswith(begins)


@pytest.mark.parametrize("suffix", [".json", ".md", ".html"])
def test_what_was_exported_is_imported(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    made = talk(store, "Copper stills")
    file = tmp_path / f"talk{suffix}"
    assert main(["export", str(made.id), "--output", str(file)]) == 0
    assert main(["import", str(file)]) == 0
    assert "is conversation" in shown(capsys)
    copy = next(each for each in store.conversations() if each.id != made.id)
    assert copy.title == "Copper stills"
    assert [(m.role, m.content) for m in store.messages(copy.id)] == [
        ("user", "Why copper?"),
        ("assistant", "It **conducts**."),
    ]
    assert store.messages(copy.id)[0].attachments[0].text == FILE.text


def test_a_file_that_is_no_export_is_refused(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.json"
    file.write_text("[1]")
    assert main(["import", str(file), "--json"]) == 1
    assert json.loads(shown(capsys))["error"] == "StoreError"
    assert store.conversations() == []


def test_a_folder_that_is_not_there_is_a_sentence(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = talk(store, "Copper stills")
    assert main(["export", str(made.id), "--output", str(tmp_path / "gone" / "a.md")]) == 1
    assert "No such file" in capsys.readouterr().err


# -- attachments ----------------------------------------------------------------------------------


def test_files_go_before_the_question_in_the_documented_form() -> None:
    assert _turn(Namespace(math=False), "Why?", (FILE, FILE)).content == (
        "[file name]: notes.txt\n[file content begin]\nCopper conducts heat.\n[file content end]\n"
        * 2
        + "Why?"
    )
    with_hint = _turn(Namespace(math=True), "Why?", (Attachment("a.tex", "\\boxed{1}"),))
    assert with_hint.content.endswith(f"Why?\n{MATH_HINT}")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "it no longer exists"),
        (b"PK\x00\x01", "it contains no text"),
        (b" \n", "it is empty"),
        (b"%PDF-1.7 broken", "it may be damaged"),
    ],
    ids=["missing", "binary", "empty", "damaged"],
)
def test_a_bad_file_is_a_sentence_before_any_model_is_loaded(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    words: str,
) -> None:
    file = tmp_path / ("paper.pdf" if content and content.startswith(b"%PDF") else "paper.txt")
    if content is not None:
        file.write_bytes(content)
    command = ["chat", "no-such-model", "--prompt", "x", "--attach", str(file), "--json"]
    assert main(command) == 1
    refusal = json.loads(shown(capsys))
    assert refusal["error"] == "UnreadableFile"
    assert file.name in refusal["sentence"]
    assert words in refusal["sentence"]

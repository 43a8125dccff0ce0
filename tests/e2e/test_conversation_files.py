"""Files into a chat and conversations out of the store, through the installed console script."""

from pathlib import Path

from app.session.session import Session
from tests.helpers.command_line import json_of, stillroom

NOTES = "The boiler is made of copper. " * 20


def test_an_attached_file_is_in_the_prompt(session: Session, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text(NOTES)
    name = session.installed()[0].name
    question = ("--prompt", "What is the boiler made of?", "--seed", "1", "--max-tokens", "24")
    bare = json_of(stillroom("chat", name, *question, "--json"))
    process = stillroom("chat", name, *question, "--attach", notes, "--attach", notes, "--json")
    asked = json_of(process)
    assert process.stderr.count("Attached notes.txt, about ") == 2
    more = asked["stats"]["prompt_tokens"] - bare["stats"]["prompt_tokens"]
    assert more > 2 * len(NOTES.split())
    assert "copper" in asked["answer"].lower()


def test_a_conversation_goes_out_and_comes_back(session: Session, tmp_path: Path) -> None:
    made = session.store.add_conversation("Kupfer und 铜")
    session.store.add_message(made.id, "user", "Why?")
    listed = stillroom("export")
    assert "Kupfer und 铜" in listed.stdout
    file = tmp_path / "talk.html"
    assert json_of(stillroom("export", "铜", "--output", file, "--json"))["path"] == str(file)
    assert stillroom("import", file).returncode == 0
    again = json_of(stillroom("export", "--json"))
    assert [each["title"] for each in again] == ["Kupfer und 铜"] * 2

"""The command line in this process: arguments, exit codes, and where the window begins."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import app.__main__ as entry
from app.cli.arguments import parser
from app.cli.commands import models
from app.cli.main import main
from app.session.session import Session
from app.system.display import has_display

COMMANDS = {"try", "devices", "search", "inspect", "plan", "pull", "list", "remove", "verify",
            "quantize", "chat", "doctor"}  # fmt: skip


def test_every_command_takes_json_and_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    (action,) = [a for a in parser()._actions if a.dest == "command"]
    assert isinstance(action.choices, dict)
    assert set(action.choices) >= COMMANDS
    for name, command in action.choices.items():
        options = {option for a in command._actions for option in a.option_strings}
        assert {"--json", "--home", "--help"} <= options, name
        assert command.description


def test_lists_an_empty_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["list"]) == 0
    assert "No models installed" in capsys.readouterr().out


def test_ways_that_are_compared_with_each_other_take_no_limit_of_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["quality", "model.gguf", "--schemes", "--seconds", "9"]) == 1
    told = "“--seconds” does not go with --schemes: all of them are measured on the same text."
    assert told in capsys.readouterr().err


def test_home_may_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--home", str(tmp_path / "elsewhere")]) == 0
    assert (tmp_path / "elsewhere" / "logs").is_dir()
    assert capsys.readouterr().err == ""


def test_a_failure_is_a_sentence_a_hint_and_exit_code_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", "nothing", "--json"]) == 1
    streams = capsys.readouterr()
    document = json.loads(streams.out)
    assert document["error"] == "UnknownModel"
    assert document["facts"]["name"] == "nothing"
    assert streams.err.splitlines() == ["stillroom: " + document["sentence"], document["hint"]]


def test_a_fault_of_the_program_is_logged_and_worded(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    expect_log: Callable[[str], None],
) -> None:
    def broken(_session: Session, _args: object, _console: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(models, "list_models", broken)
    expect_log("command list failed")
    assert main(["list"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert "bug in Stillroom" in error


def test_interrupting_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_session: Session, _args: object, _console: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "list_models", interrupted)
    assert main(["list"]) == 1
    assert "cancelled" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "window"),
    [([], True), (["--home", "x"], True), (["--screenshot", "x.png"], True), (["list"], False),
     (["--help"], False), (["--version"], False), (["--worker"], False)],
)  # fmt: skip
def test_when_the_window_opens(arguments: list[str], window: bool) -> None:
    assert entry._wants_window(arguments) == window


@pytest.mark.parametrize(
    ("environment", "platform", "display"),
    [({}, "linux", False), ({"DISPLAY": ":0"}, "linux", True), ({"DISPLAY": ""}, "linux", False),
     ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True), ({}, "darwin", True), ({}, "win32", True),
     ({"QT_QPA_PLATFORM": "offscreen"}, "linux", True)],
)  # fmt: skip
def test_what_counts_as_a_display(
    environment: dict[str, str], platform: str, display: bool
) -> None:
    assert has_display(environment, platform) == display

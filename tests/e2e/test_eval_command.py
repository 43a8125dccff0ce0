"""`stillroom eval` with the real harness, which gets an environment of its own: it is large."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.paths import Paths
from app.session import Session
from app.settings import Settings

TASKS = Path(__file__).parents[1] / "data" / "eval"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_task_of_ones_own_is_scored_offline(tmp_path: Path, starter_gguf: Path) -> None:
    environment = tmp_path / "harness"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    folder = "Scripts" if sys.platform == "win32" else "bin"
    python = environment / folder / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "lm-eval[api]>=0.4.8"], check=True)
    home = tmp_path / "home"
    session = Session(Paths.under(home), Settings())
    session.library.add(
        starter_gguf, name="starter", format="gguf", source="import", licence=None, link=True
    )
    session.close()
    command = [sys.executable, "-m", "app", "eval", "starter", "--json", "--home", str(home)]
    command += ["--tasks", "capitals", "--include", str(TASKS), "--python", str(python)]
    done = subprocess.run([*command, "--context", "512"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (score,) = json.loads(done.stdout)
    assert score["samples"] == 8
    assert score["value"] >= 0.5  # even this model knows most capitals
    assert 0 < score["low"] < score["value"] < score["high"] <= 1 or score["value"] == 1

"""`stillroom eval` with the real harness against the real server."""

import json
import os
import sys
from pathlib import Path

import pytest

from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from tests.helpers.command_line import stillroom

TASKS = Path(__file__).parents[2] / "data" / "eval"


@pytest.fixture
def home(tmp_path: Path, starter_gguf: Path, starter_q4: Path) -> Path:
    """Two models: the starter as it comes, and smaller."""
    session = Session(Paths.under(tmp_path / "home"), Settings())
    for name, model in (("starter", starter_gguf), ("small", starter_q4)):
        session.library.add(
            model, name=name, format="gguf", source="import", licence=None, link=True
        )
    session.close()
    return tmp_path / "home"


@pytest.mark.timeout(300)
def test_a_task_of_ones_own_is_scored_offline_beside_another_model(home: Path) -> None:
    python = os.path.relpath(sys.executable)  # the harness runs in another folder
    asked = ["eval", "starter", "--json", "--home", str(home), "--against", "small"]
    asked += ["--tasks", "capitals", "--include", str(TASKS), "--python", python]
    done = stillroom(*asked, "--context", "512")
    assert done.returncode == 0, done.stderr
    (score,) = json.loads(done.stdout)
    assert score["samples"] == 8
    assert score["value"] >= 0.5  # even this model knows most capitals
    assert 0 < score["low"] < score["value"] < score["high"] <= 1 or score["value"] == 1
    found = score["difference"]
    assert found["value"] == pytest.approx(score["value"] - found["other"])
    assert found["low"] < found["value"] < found["high"]


def test_an_interpreter_without_the_harness_is_named(home: Path, tmp_path: Path) -> None:
    python = tmp_path / "none"
    asked = ["--tasks", "capitals", "--include", str(TASKS), "--python", str(python)]
    done = stillroom("eval", "starter", "--home", str(home), *asked)
    assert done.returncode == 1
    assert f"The interpreter {python} has no lm-eval" in done.stderr

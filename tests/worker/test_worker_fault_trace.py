"""A fault of the program inside the worker leaves its traceback in the worker's log."""

import os
from pathlib import Path

import pytest

from app.wording.explain import explain
from runtime.backends.fake import Fault
from runtime.errors import InternalError
from runtime.process.client import Worker, run_job
from runtime.process.job_table import INSPECT
from runtime.process.job_values import InspectArgs
from tests.helpers.fake_engine import WORDS, Collector, ask, fake_placement, write_script

SECRET = " ".join(("I", "love", "somebody"))


def test_a_fault_in_an_answer_is_in_the_log_without_the_prompt(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    worker = Worker.start(log)
    script = write_script(tmp_path / "a.fake", Fault("raise", 2), pieces=WORDS)
    worker.load(str(script), fake_placement())
    with pytest.raises(InternalError) as caught:
        worker.generate(ask(SECRET), Collector())
    assert worker.alive, "the next answer may go well"
    worker.close()
    text = log.read_text()
    assert "a command failed\nTraceback (most recent call last):" in text
    assert 'File "runtime/answer/decoding.py"' in text
    assert "ZeroDivisionError: a scripted fault" in text
    assert SECRET not in text
    assert "log has the details" in explain(caught.value).hint


def test_a_fault_in_a_job_is_in_the_log_without_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's job "inspect" is one that fails: Python imports `sitecustomize` by itself."""
    (tmp_path / "sitecustomize.py").write_text(
        "import broken, runtime.process.job_table as table\ntable.JOBS['inspect'] = broken\n"
    )
    (tmp_path / "broken.py").write_text("def run(args, on_progress):\n    int(bytes(args))\n")
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(tmp_path), before))))
    log = tmp_path / "worker.log"
    with pytest.raises(InternalError):
        run_job(INSPECT, InspectArgs(Path(SECRET)), log=log)
    text = log.read_text()
    assert "a command failed\nTraceback (most recent call last):" in text
    assert 'File "broken.py", line 2, in run' in text
    assert SECRET not in text

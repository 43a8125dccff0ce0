"""Jobs of a real worker process: what it is asked and what it answers are checked on both sides."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.errors import JobMismatch, ModelFileError
from runtime.model.info import ModelInfo, inspect
from runtime.process.client import Worker
from runtime.process.job import Args, Job
from runtime.process.job_table import INSPECT
from runtime.process.job_values import InspectArgs
from tests.helpers.shapes import write_small_gguf


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker.start()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_gguf(tmp_path_factory.mktemp("model") / "small.gguf")


def test_an_answer_is_the_value_that_the_job_returned(worker: Worker, model: Path) -> None:
    assert worker.run_job(INSPECT, InspectArgs(model)) == inspect(model)
    with pytest.raises(ModelFileError):
        worker.run_job(INSPECT, InspectArgs(model.with_name("absent.gguf")))


@dataclass(frozen=True)
class WithMore:
    path: Path
    brief: bool = False
    colour: str = "red"


@dataclass(frozen=True)
class WithLess:
    brief: bool = False


@dataclass(frozen=True)
class WithOther:
    path: Path
    brief: str = "no"


@pytest.mark.parametrize(
    ("args", "field"),
    [(WithMore(Path("m")), "colour"), (WithLess(), "path"), (WithOther(Path("m")), "brief")],
)
def test_the_process_refuses_arguments_that_are_not_the_job_s(
    worker: Worker, model: Path, args: object, field: str
) -> None:
    with pytest.raises(JobMismatch) as caught:
        worker.run_job(asking(args), args)
    assert caught.value.facts["side"] == "arguments"
    assert (caught.value.facts["job"], caught.value.facts["field"]) == ("inspect", field)
    assert worker.run_job(INSPECT, InspectArgs(model)).file_size == model.stat().st_size


def asking(args: Args) -> Job[Args, ModelInfo]:
    """The job as a parent would know it that is of another version."""
    return Job(INSPECT.function, type(args), ModelInfo)


@dataclass(frozen=True)
class Needy:
    path: str
    seal: str


@dataclass(frozen=True)
class TextSize:
    path: str
    file_size: str


@dataclass(frozen=True)
class Narrow:
    path: str


@pytest.mark.parametrize(
    ("answer", "field"), [(Needy, "seal"), (TextSize, "file_size"), (Narrow, "format")]
)
def test_the_parent_refuses_an_answer_that_is_not_the_job_s(
    worker: Worker, model: Path, answer: type, field: str
) -> None:
    with pytest.raises(JobMismatch) as caught:
        worker.run_job(Job(INSPECT.function, InspectArgs, answer), InspectArgs(model))
    assert caught.value.facts["side"] == "answer"
    assert (caught.value.facts["job"], caught.value.facts["field"]) == ("inspect", field)
    assert worker.alive

"""What a job takes and answers is written, read back, and refused where it does not fit."""

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quant.estimate import Estimate
from quant.quality.figures import QualityReport, TextQuality
from quant.recipe import QuantReport, TensorReport, recipe_named
from quant.roles import TensorRole
from runtime.errors import InvalidRequest, JobMismatch
from runtime.plan import LayerRange, Placement
from runtime.planning.bandwidth import BandwidthProfile
from runtime.process.job import Job
from runtime.process.job_table import JOBS, find_job
from runtime.process.job_values import ExportArgs, HeaderPart, MemoryArgs, PrefixArgs, QualityArgs
from runtime.progress import ignore_progress

PAGE = Path(__file__).parents[4] / "docs" / "protocol.md"
PROFILE = Path(__file__).parents[3] / "data" / "profile.json"
PLACEMENT = Placement("llamacpp", (LayerRange("cpu", 0, 3),), "cpu", 512)
ESTIMATE = Estimate(0.1, None, 0.2)
VALUES = (
    PrefixArgs("m", (HeaderPart(Path("a/b"), 7),)),
    MemoryArgs(Path("m.gguf"), PLACEMENT),
    ExportArgs(Path("s"), Path("t"), recipe_named("onnx-q4-b32"), calibrate=True, static_context=0),
    ExportArgs(Path("s"), Path("t"), recipe_named("q4_k_m"), Path("i"), "text", threads=2),
    QualityArgs({"a": Path("a.txt")}, source=Path("s"), target=Path("t"), skip=3),
    msgspec.json.decode(PROFILE.read_bytes(), type=BandwidthProfile),
    QuantReport(
        "s", "t", "q4_0", "round",
        (TensorReport("x", TensorRole.LM_HEAD, "F16", "Q4_0", 64, 36, rmse=0.1),),
        128, 36, 0.5, notices=("n",),
    ),
    QualityReport(
        "s", "t", 9, 12, ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, ESTIMATE, "close",
        (TextQuality("a", 9, 1.0, 1.1, 0.1, 0.9),), {"attention": 0.1},
    ),
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_crosses_the_pipe_as_it_is(value: object) -> None:
    job = Job("here:echo_job", type(value), type(value))
    assert job.read_answer(line(bytes(job.write_args(value)))) == value


def line(data: bytes) -> msgspec.Raw:
    """Read from a buffer, as from a pipe."""
    return msgspec.json.decode(data, type=msgspec.Raw)


def changed(value: object, path: tuple[str | int, ...], new: object) -> msgspec.Raw:
    """`value` as it is written, with another value at `path`; ... leaves the field out."""
    data: Any = json.loads(bytes(Job("here:echo_job", type(value), object).write_args(value)))
    *above, last = path
    at = data
    for step in above:
        at = at[step]
    if new is ...:
        del at[last]
    else:
        at[last] = new
    return line(json.dumps(data).encode())


MISFITS: Mapping[str, tuple[object, tuple[str | int, ...], object]] = {
    "name": (VALUES[0], ("name",), ...),
    "size": (VALUES[0], ("parts", 0, "size"), "7"),
    "path": (VALUES[0], ("parts", 0, "path"), 7),
    "parts.0.where": (VALUES[0], ("parts", 0, "where"), "x"),
    "more": (VALUES[0], ("more",), None),
    "placement.n_ctx": (VALUES[1], ("placement", "n_ctx"), 512.5),
    "placement.engine": (VALUES[1], ("placement", "engine"), ...),
    "placement.depth": (VALUES[1], ("placement", "depth"), 1),
    "static_context": (VALUES[2], ("static_context",), -1),
    "threads": (VALUES[3], ("threads",), 0),
}


@pytest.mark.parametrize("field", MISFITS)
@pytest.mark.parametrize("side", ["arguments", "answer"])
def test_what_does_not_fit_is_refused_by_job_and_field(field: str, side: str) -> None:
    value, path, new = MISFITS[field]
    job = Job("runtime.tasks.absent:mine_job", type(value), type(value))
    data = changed(value, path, new)
    read = job.read_answer if side == "answer" else partial(job.run, on_progress=ignore_progress)
    with pytest.raises(JobMismatch) as caught:
        read(data)
    facts = caught.value.facts
    assert (facts["job"], facts["side"]) == ("mine", side)
    assert caught.value.field.split(".")[-1] == field.split(".")[-1]


def test_every_job_can_be_asked_for_and_refuses_what_is_no_object() -> None:
    assert len(JOBS) == 21
    for name, job in JOBS.items():
        assert find_job(name) is job
        assert isinstance(job, Job)
        with pytest.raises(JobMismatch):
            job.run(line(b"[]"), ignore_progress)
        with pytest.raises(JobMismatch):
            job.read_answer(line(b"[]"))
    with pytest.raises(InvalidRequest):
        find_job("absent")


def test_the_page_names_every_job_with_what_it_takes_and_answers() -> None:
    section = PAGE.read_text().split("\n## Jobs\n")[1].split("\n## ")[0]
    rows = [tuple(re.findall("`([^`]+)`", row)) for row in section.splitlines() if "| `" in row]
    assert rows == [
        (name, job.args.__name__, job.answer.__name__, job.function.partition(":")[0])
        for name, job in JOBS.items()
        if isinstance(job, Job)
    ]

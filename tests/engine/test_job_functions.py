"""Each job's function takes and answers what the table says: its module may need an engine."""

from importlib import import_module
from typing import get_type_hints

import pytest

from runtime.process.job import Job
from runtime.process.job_table import JOBS


@pytest.mark.parametrize("name", JOBS)
def test_the_function_is_there_and_of_the_table_s_types(name: str) -> None:
    job = JOBS[name]
    assert isinstance(job, Job)
    module, _, function = job.function.partition(":")
    args, _progress, answer = get_type_hints(getattr(import_module(module), function)).values()
    assert (args, answer) == (job.args, job.answer)

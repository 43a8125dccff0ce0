"""The named jobs a child process can run, as data.

A job is a function `(args: dict, on_progress) -> dict` of JSON values. It runs in a process of its
own: a crash in native code or an endless parse ends only the child. Nothing is imported until a
child runs the job; cancelling a job ends its process, so jobs write to temporary names.
"""

import importlib
from collections.abc import Callable
from typing import Any

from runtime.errors import InvalidRequest
from runtime.jobs import OnProgress

Job = Callable[[dict[str, Any], OnProgress], dict[str, Any]]

JOBS: dict[str, str] = {
    "inspect": "runtime.model.info:inspect_job",
    "inspect_prefix": "runtime.model.headers:prefix_job",
    "inspect_checkpoint": "runtime.model.headers:checkpoint_job",
    "probe": "runtime.tasks.probe:probe_job",
    "rpc_server": "runtime.backends.llama.rpc:rpc_server_job",
    "simulate_memory": "runtime.backends.llama.memory:simulate_memory_job",
    "compare_vocabularies": "runtime.backends.llama.vocabulary:compare_vocabularies_job",
    "score_cpu_libraries": "runtime.backends.llama.self_test:score_cpu_libraries_job",
    "check_cpu_library": "runtime.backends.llama.self_test:check_cpu_library_job",
    "quantize_gguf": "runtime.tasks.convert:quantize_gguf_job",
    "quality": "runtime.tasks.quality:quality_job",
    "schemes": "runtime.tasks.quality:schemes_job",
    "profile": "runtime.tasks.profile:profile_job",
    "read_rate": "runtime.tasks.profile:read_rate_job",
    "export_onnx": "runtime.tasks.convert:export_onnx_job",
    "preflight_targets": "runtime.backends.onnx.preflight:preflight_targets_job",
    "preflight": "runtime.backends.onnx.preflight:preflight_job",
    "measure_engines": "runtime.planning.engine_choice:measure_engines_job",
    "imatrix": "runtime.tasks.quality:imatrix_job",
}


def find_job(name: str) -> Job:
    """Import and return a job's function. Raises InvalidRequest for an unknown name."""
    target = JOBS.get(name)
    if target is None:
        raise InvalidRequest(field="job", reason=f"unknown job {name!r}")
    module, _, function = target.partition(":")
    job: Job = getattr(importlib.import_module(module), function)
    return job

"""Preflight of an execution provider: compiles a one-block body on it, compares with the CPU.

For a child process: a driver that crashes costs the child. Knows how to find out the two facts that
files cannot tell; `runtime.providers` knows the other three.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from quant.onnx.manifest import StaticBody as StaticGraph
from quant.onnx.probe_model import PROBE_SPEC, write_probe_bodies
from runtime.backends.onnx_bodies import StaticBody
from runtime.backends.onnx_native import run_options
from runtime.backends.onnx_session import cpu_session, provider_session
from runtime.errors import DeviceUnavailable
from runtime.jobs import OnProgress, Progress
from runtime.providers import (
    TARGETS,
    Fact,
    Preflight,
    ProviderTarget,
    find_npus,
    resolve_target,
    static_facts,
)

SMALLEST_COSINE = 0.999  # half precision on the provider, int8 activations on the CPU
_TOKENS = 7
OpenSession = Callable[[Path, ProviderTarget], Any]


def _open(path: Path, target: ProviderTarget) -> Any:
    return provider_session(path, target, 1)


def preflight(target: ProviderTarget, open_session: OpenSession = _open) -> Preflight:
    """The five facts about a target. Runs the self-test only where the first four hold.

    `open_session` opens a graph on the target; a test passes one that misbehaves.
    """
    known = static_facts(target, find_npus(), psutil.virtual_memory().total)
    if not all(fact.ok for fact in known.facts if fact.name != "self_test"):
        return known
    try:
        tested = self_test(target, open_session)
        provider = known.fact("provider")
    except DeviceUnavailable as error:
        facts = {key: value for key, value in error.facts.items() if key != "reason"}
        tested = Fact("self_test", None, "not_run")
        provider = Fact("provider", False, str(error.facts["reason"]), facts)
        if provider.code == "compile_failed":
            provider = known.fact("provider")
            tested = Fact("self_test", False, "compile_failed", facts)
    replaced = {"provider": provider, "self_test": tested}
    return replace(known, facts=tuple(replaced.get(fact.name, fact) for fact in known.facts))


def self_test(target: ProviderTarget, open_session: OpenSession = _open) -> Fact:
    """Compile a body of one block on the target and compare its numbers with the CPU's.

    Raises DeviceUnavailable where the provider does not load or does not compile it.
    """
    started = time.perf_counter()
    random = np.random.default_rng(0)
    embeds = random.standard_normal((1, _TOKENS, PROBE_SPEC.embedding_length)).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="stillroom-selftest-") as name:
        wide, single = write_probe_bodies(Path(name))
        paths = [Path(name) / body.file for body in (wide, single)]
        sessions = [cpu_session(path, 1) for path in paths]
        wanted = _evaluate(sessions, wide, embeds)
        sessions = [open_session(path, target) for path in paths]
        got = _evaluate(sessions, wide, embeds)
        del sessions  # before the files they map are removed
    seconds = time.perf_counter() - started
    if not np.isfinite(got).all():
        return Fact("self_test", False, "not_finite", {"seconds": seconds})
    length = float(np.linalg.norm(wanted) * np.linalg.norm(got))
    cosine = float(wanted @ got) / length if length else 0.0
    facts = {"cosine": cosine, "smallest": SMALLEST_COSINE, "seconds": seconds}
    passed = cosine >= SMALLEST_COSINE
    return Fact("self_test", passed, "passed" if passed else "wrong_numbers", facts)


def _evaluate(
    sessions: list[Any], wide: StaticGraph, embeds: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """A few tokens at once, then one: both graphs, the second with a filled cache. Flattened."""
    prefill, decode = sessions
    body = StaticBody(prefill, decode, PROBE_SPEC, rows=wide.rows, context=wide.context)
    first = body.evaluate(embeds, 0, run_options())
    second = body.evaluate(embeds[:, :1], embeds.shape[1], run_options())
    return np.concatenate([first, second], axis=1).reshape(-1).astype(np.float64)


def preflight_job(args: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
    """Job "preflight": {"devices": [id, ...]} -> {"preflights": [Preflight as JSON, ...]}.

    Without "devices": every NPU found and every target whose package is installed.
    """
    npus = find_npus()
    wanted = args.get("devices")
    if wanted is None:
        targets = {resolve_target(npu.id, npus).id: resolve_target(npu.id, npus) for npu in npus}
        memory = psutil.virtual_memory().total
        for target in TARGETS.values():
            if static_facts(target, npus, memory).fact("provider").ok:
                targets[target.id] = target
        chosen = list(targets.values())
    else:
        chosen = [resolve_target(device, npus) for device in wanted]
    results = []
    for done, target in enumerate(chosen):
        on_progress(Progress("preflight", done, len(chosen), "steps", target.id))
        results.append(asdict(preflight(target)))
    on_progress(Progress("preflight", len(chosen), len(chosen), "steps"))
    return {"preflights": results}

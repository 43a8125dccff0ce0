"""Preflight of an execution provider: compiles a one-block body on it, compares with the CPU.

For child processes, one for each provider: a driver that crashes ends the child, and the parent
reports it. Knows how to find out the facts that files cannot tell; `runtime.machine.providers`
knows the rest.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quant.onnx.manifest import StaticBody as StaticGraph
from quant.onnx.probe_model import PROBE_SPEC, write_probe_bodies
from runtime.backends.onnx.bodies import StaticBody
from runtime.backends.onnx.hardware import npus_here
from runtime.backends.onnx.native import ort, run_options
from runtime.backends.onnx.session import cpu_session, device_memory, provider_session
from runtime.errors import DeviceUnavailable
from runtime.machine.host import cpu_device
from runtime.machine.providers import (
    TARGETS,
    Fact,
    Preflight,
    ProviderTarget,
    memory_fact,
    resolve_target,
    static_facts,
)
from runtime.process.job_values import Nothing, PreflightArgs, PreflightsAnswer
from runtime.progress import OnProgress

SMALLEST_COSINE = 0.999  # half precision on the provider, int8 activations on the CPU
_TOKENS = 7
OpenSession = Callable[[Path, ProviderTarget], ort.InferenceSession]


def _open(path: Path, target: ProviderTarget) -> ort.InferenceSession:
    return provider_session(path, target, 1)


def preflight(target: ProviderTarget, open_session: OpenSession = _open) -> Preflight:
    """The five facts about a target. Runs the self-test only where the first four hold.

    `open_session` opens a graph on the target; a test passes one that misbehaves.
    """
    left = cpu_device().memory_free
    known = static_facts(target, npus_here(), left)
    if not known.to_be_tested:
        return known
    memory, provider = known.fact("memory"), known.fact("provider")
    try:
        memory = memory_fact(left, device_memory(target))
        tested = (
            self_test(target, open_session) if memory.ok else Fact("self_test", None, "not_run")
        )
    except DeviceUnavailable as error:
        told = {"detail": error.detail, "package": error.package}
        facts = {key: value for key, value in told.items() if value is not None}
        tested = Fact("self_test", None, "not_run")
        provider = Fact("provider", False, error.reason, facts)
        if provider.code == "compile_failed":
            provider = known.fact("provider")
            tested = Fact("self_test", False, "compile_failed", facts)
    return known.with_fact(provider).with_fact(memory).with_fact(tested)


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
    sessions: list[ort.InferenceSession], wide: StaticGraph, embeds: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """A few tokens at once, then one: both graphs, the second with a filled cache. Flattened."""
    prefill, decode = sessions
    body = StaticBody(prefill, decode, PROBE_SPEC, rows=wide.rows, context=wide.context)
    first = body.evaluate(embeds, 0, run_options())
    second = body.evaluate(embeds[:, :1], embeds.shape[1], run_options())
    return np.concatenate([first, second], axis=1).reshape(-1).astype(np.float64)


def preflight_targets_job(_args: Nothing, _on_progress: OnProgress) -> PreflightsAnswer:
    """What is known of each target from files alone; no provider is loaded."""
    npus, left = npus_here(), cpu_device().memory_free
    targets = {target.id: target for target in (resolve_target(npu.id, npus) for npu in npus)}
    found = {target.id: static_facts(target, npus, left) for target in TARGETS.values()}
    chosen = [found[name] for name in TARGETS if name in targets or found[name].fact("provider").ok]
    return PreflightsAnswer(tuple(chosen))


def preflight_job(args: PreflightArgs, _on_progress: OnProgress) -> Preflight:
    """The five facts about one target, the self-test's included."""
    return preflight(resolve_target(args.target, npus_here()))

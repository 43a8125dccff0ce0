"""Runs made slow on purpose, by means the operating system gives, and the cause named for each.

    python -m benchmarks.slow_runs --starter FILE --mapped FILE [--only CASE,...] [--output FILE]

STARTER is the starter as installed (GGUF); MAPPED a GGUF model in a format the engine uses straight
from the mapped file (Q8_0), larger than 300 MB. Each case is a process of its own: it profiles the
machine (once, kept), loads through the product's session, makes the run slow and asks why. Control
groups (versions 1 and 2), swap and eviction need root; a case that cannot be staged here is listed
as not staged. FILE gets the table, and all conditions as JSON beside it.
"""

import argparse
import ctypes
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from benchmarks.common.options import command_line
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.planning.bandwidth import BandwidthProfile, Curve, CurvePoint

CGROUPS = Path("/sys/fs/cgroup")
MADV_PAGEOUT, PROCESS_MADVISE = 21, 440  # Linux, x86-64 and arm64
GROUP = "stillroom-slow"
TOKENS = 48


class NotHere(Exception):
    """This system cannot stage a case."""


@dataclass
class Stage:
    """What a case may change: where the session lives, its model, its settings, its prompt."""

    home: Path
    starter: Path
    mapped: Path
    undo: ExitStack  # what was changed outside
    sessions: ExitStack  # closed before

    def session(self, **settings: Any) -> Session:
        session = Session(Paths.under(self.home), replace(Settings(), **settings))
        self.sessions.callback(session.close)
        return session


def generate(session: Session, prompt: str, **more: Any) -> float:
    """Tokens per second of one answer."""
    sampling = more.pop("sampling", SamplingParams(temperature=0.8, seed=1))
    request = GenerationRequest("slow", (Message("user", prompt),), sampling, TOKENS)
    return session.generate(request, lambda _: None).decode_tps or 0.0


def worker_pid() -> int:
    children = psutil.Process().children()
    return next(c.pid for c in children if "runtime.process.worker" in " ".join(c.cmdline()))


def burn() -> None:
    while True:
        sum(range(10000))


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Real processes that compute, at the priority of everything else."""
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(processes)]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def control_group(stage: Stage, controller: str, pid: int, **limits: int) -> None:
    """Put a process, and what it starts from now on, into a group with limits: "quota" in
    microseconds of 100,000 for the controller cpu, "nbytes" for memory. Versions 1 and 2."""
    version_2 = (CGROUPS / "cgroup.controllers").exists()
    top = CGROUPS if version_2 else CGROUPS / controller
    group, home = top / f"{GROUP}-{os.getpid()}", top / _group_of(pid, controller).lstrip("/")
    try:
        if version_2:
            (top / "cgroup.subtree_control").write_text(f"+{controller}")
        group.mkdir()
        stage.undo.callback(group.rmdir)
        for name, value in _limit_files(version_2, **limits).items():
            (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        raise NotHere(f"no control group {controller}: {error}") from error
    if pid == os.getpid():
        stage.undo.callback(lambda: (home / "cgroup.procs").write_text(str(pid)))


def _group_of(pid: int, controller: str) -> str:
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return path if number == "0" else "/"  # version 2 has one line, the last


def _limit_files(version_2: bool, quota: int = 0, nbytes: int = 0) -> dict[str, str]:
    if quota and version_2:
        return {"cpu.max": f"{quota} 100000"}
    if quota:
        return {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": str(quota)}
    return {"memory.max" if version_2 else "memory.limit_in_bytes": str(nbytes)}


def drop_cached(path: Path) -> None:
    """Take a file's unmapped pages out of the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@contextmanager
def evicting(pid: int, path: Path) -> Iterator[None]:
    """Keep taking a mapped file's pages away from a process, as memory pressure does."""
    libc, ended = ctypes.CDLL(None, use_errno=True), threading.Event()
    descriptor = os.pidfd_open(pid)

    def evict() -> None:
        while not ended.wait(0.2):
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                if not line.endswith(path.name):
                    continue
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                vector = (ctypes.c_size_t * 2)(low, high - low)
                libc.syscall(
                    PROCESS_MADVISE, descriptor, vector, ctypes.c_size_t(1), MADV_PAGEOUT, 0
                )
            drop_cached(path)

    thread = threading.Thread(target=evict)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.close(descriptor)


@contextmanager
def swap_file(size: int) -> Iterator[None]:
    """Swap space for the time of a case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "swap"
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        path.chmod(0o600)
        for command in (["mkswap", str(path)], ["swapon", str(path)]):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise NotHere(done.stderr.strip())
        try:
            yield
        finally:
            subprocess.run(["swapoff", path], check=True)


# -- the cases -----------------------------------------------------------------------------------

PROMPT = "Tell a story about a copper still and the people who worked with it."


def one_busy_core(stage: Stage) -> Session:
    session = loaded(stage)
    with busy(1):
        generate(session, PROMPT)
    return session


def all_cores_busy(stage: Stage) -> Session:
    session = loaded(stage)
    with busy(psutil.cpu_count() or 1):
        generate(session, PROMPT)
    return session


def one_thread(stage: Stage) -> Session:
    session = loaded(stage, threads=1)
    generate(session, PROMPT)
    return session


def long_context(stage: Stage) -> Session:
    session = loaded(stage)
    generate(session, PROMPT * 220)
    return session


def cpu_quota(stage: Stage) -> Session:
    session = loaded(stage)
    control_group(stage, "cpu", worker_pid(), quota=60_000)
    generate(session, PROMPT)
    return session


def memory_limit(stage: Stage) -> Session:
    session = stage.session()
    plan = session.plan(str(stage.mapped), n_ctx=1024)
    drop_cached(stage.mapped)
    size = stage.mapped.stat().st_size
    limit = plan.memory.total - size // 5
    control_group(stage, "memory", os.getpid(), nbytes=limit)
    session.load(str(stage.mapped), plan)
    generate(session, PROMPT)
    return session


def cold_file(stage: Stage) -> Session:
    session = stage.session()
    session.load(str(stage.mapped), session.plan(str(stage.mapped), n_ctx=1024))
    generate(session, PROMPT)
    with evicting(worker_pid(), stage.mapped):
        generate(session, PROMPT)
    return session


def swapping(stage: Stage) -> Session:
    stage.undo.enter_context(swap_file(1 << 30))
    session = stage.session()
    plan = session.plan(str(stage.starter), n_ctx=8192)
    limit = plan.memory.total // 4
    control_group(stage, "memory", os.getpid(), nbytes=limit)
    session.load(str(stage.starter), plan)
    generate(session, PROMPT)
    return session


def old_profile(stage: Stage) -> Session:
    session = stage.session()
    profile = session.learning.load().profile
    assert profile is not None
    (stage.home / "other").mkdir(exist_ok=True)
    stage.home = stage.home / "other"
    session = stage.session()
    session.learning.keep_profile(scaled(profile, 2.0))
    session.load(str(stage.starter), session.plan(str(stage.starter)))
    generate(session, PROMPT)
    return session


def wrong_drafts(stage: Stage) -> Session:
    session = loaded(stage)
    words = " ".join(f"{n} is {n * 7919 % 1000} and" for n in range(24))
    sampling = SamplingParams(temperature=1.5, top_k=0, top_p=1.0, seed=2)
    generate(session, f"Go on: {words}", sampling=sampling)
    return session


def loaded(stage: Stage, **settings: Any) -> Session:
    """A session with the starter loaded and warm."""
    session = stage.session(**settings)
    session.load(str(stage.starter), session.plan(str(stage.starter)))
    generate(session, "Hello")
    return session


def scaled(profile: BandwidthProfile, factor: float) -> BandwidthProfile:
    """The profile as it would be of a machine so many times faster."""

    def faster(curves: tuple[Curve, ...]) -> tuple[Curve, ...]:
        return tuple(
            Curve(c.threads, tuple(CurvePoint(p.working_set, p.bytes_per_second * factor)
                                   for p in c.points))
            for c in curves
        )  # fmt: skip

    devices = tuple(
        replace(
            device,
            plain=faster(device.plain),
            products={name: faster(curves) for name, curves in device.products.items()},
            costs=tuple(
                replace(
                    cost,
                    operation_seconds=cost.operation_seconds / factor,
                    attention_decode={k: v / factor for k, v in cost.attention_decode.items()},
                    attention_far={k: v / factor for k, v in cost.attention_far.items()},
                )
                for cost in device.costs
            ),
        )
        for device in profile.devices
    )
    return replace(profile, devices=devices)


CASES: dict[str, tuple[Callable[[Stage], Session], str]] = {
    "one busy core": (one_busy_core, "other_load"),
    "all cores busy": (all_cores_busy, "other_load"),
    "one thread": (one_thread, "few_threads"),
    "long context": (long_context, "long_context"),
    "processor quota by control group": (cpu_quota, "cpu_quota"),
    "memory limit by control group": (memory_limit, "memory_limit"),
    "weights taken from memory": (cold_file, "cold_file"),
    "memory limit with swap": (swapping, "swapping"),
    "profile of a faster machine": (old_profile, "slower_memory"),
    "drafts that are wrong": (wrong_drafts, "low_acceptance"),
}


def run_case(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Stage one case in this process and ask why it was slow."""
    stage_, expected = CASES[name]
    with ExitStack() as undo, ExitStack() as sessions:
        files = options.starter.resolve(), options.mapped.resolve()
        stage = Stage(options.home, *files, undo, sessions)
        try:
            session = stage_(stage)
        except NotHere as error:
            return {"case": name, "not_staged": str(error)}
        found = session.why_slow()
        last = session.store.runs(1)[0]
        causes = [(c.code, round(c.share, 2)) for c in found.causes] if found else []
        return {
            "case": name,
            "expected": expected,
            "right": bool(causes) and causes[0][0] == expected,
            "slowdown": found.slowdown if found else None,
            "unexplained": found.unexplained if found else None,
            "causes": causes,
            "tps": last.measured_decode_tps,
            "conditions": last.stats["conditions"],
        }


def profile_once(options: argparse.Namespace) -> None:
    session = Session(Paths.under(options.home), Settings())
    if session.learning.load().profile is None:
        session.profile()
    session.close()


def report(results: list[dict[str, Any]]) -> str:
    lines = [
        f"{'run made slow by':<36}{'tok/s':>7}{'slower':>8}  causes named (share), heaviest first"
    ]
    for result in results:
        if "not_staged" in result:
            lines.append(f"{result['case']:<36}not staged: {result['not_staged']}")
            continue
        causes = ", ".join(f"{code} {share:.0%}" for code, share in result["causes"]) or "none"
        mark = "right" if result["right"] else f"WRONG, should be {result['expected']}"
        figures = f"{result['tps']:>7.1f}{result['slowdown']:>7.1f}x"
        lines.append(f"{result['case']:<36}{figures}  {causes}: {mark}")
    staged = [result for result in results if "not_staged" not in result]
    right = sum(result["right"] for result in staged)
    total = f"right cause first: {right} of {len(staged)} staged, {len(results)} cases"
    return "\n".join([*lines, total]) + "\n"


def main() -> None:
    parser = command_line(__doc__, "benchmarks.slow_runs")
    parser.add_argument("--starter", type=Path, required=True)
    parser.add_argument("--mapped", type=Path, required=True)
    parser.add_argument("--only", default="", help="cases, separated by commas")
    parser.add_argument("--home", type=Path, help="kept between runs: it has the profile")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(run_case(options.case, options)))
        return
    options.home = options.home or Path(tempfile.mkdtemp())
    profile_once(options)
    results = []
    for name in options.only.split(",") if options.only else CASES:
        command = [
            sys.executable, "-m", "benchmarks.slow_runs", "--case", name,
            "--home", str(options.home), "--starter", str(options.starter),
            "--mapped", str(options.mapped),
        ]  # fmt: skip
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            results.append({"case": name, "not_staged": done.stderr.strip()[-200:]})
        else:
            results.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    text = report(results)
    print(text)
    if options.output:
        options.output.write_text(text)
        options.output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

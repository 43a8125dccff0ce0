"""Memory that runs out under the real engine, at load and in an answer: named, with what fits.

The limit on a worker's address space is the system's own, so that an allocation really fails.
"""

import sys
from pathlib import Path

import pytest

from app.paths import Paths
from app.session.session import Session
from app.settings import Settings
from app.wording.explain import explain
from runtime.errors import OutOfMemory, WorkerDied
from runtime.generation import GenerationRequest, Message, SamplingParams
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker

resource = pytest.importorskip("resource", reason="this system has no limits on address spaces")
if sys.platform != "linux":
    pytest.skip("only Linux limits another process", allow_module_level=True)

MB = 1_000_000
PLACEMENT = Placement(
    "llamacpp", (LayerRange("cpu", 0, 29),), "cpu", 8192, n_threads=2, n_threads_batch=2
)
LONG = GenerationRequest(
    "long", (Message("user", "hello " * 1500),), SamplingParams(temperature=0), max_tokens=4
)
SHORT = GenerationRequest(
    "short", (Message("user", "hello"),), SamplingParams(temperature=0), max_tokens=4
)


def address_space(pid: int) -> int:
    """Bytes of a process's address space."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSize"))


@pytest.fixture(scope="module")
def enough(starter_gguf: Path) -> int:
    """Bytes of address space that the starter takes with a context of 8192 tokens."""
    worker = Worker.start()
    try:
        worker.load(str(starter_gguf), PLACEMENT)
        return address_space(worker.pid)
    finally:
        worker.close()


@pytest.fixture
def session(stillroom_home: Path) -> Session:
    return Session(Paths.under(stillroom_home), Settings(threads=2))


@pytest.mark.parametrize(
    ("lacks", "allocation"),
    [(20 * MB, 22 * MB), (150 * MB, 188 * MB), (270 * MB, None)],
    ids=["compute buffers", "KV cache", "weights"],
)
def test_a_refusal_for_memory_is_no_damaged_file(
    starter_gguf: Path, enough: int, lacks: int, allocation: int | None
) -> None:
    worker = Worker.start()
    try:
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (enough - lacks, enough - lacks))
        with pytest.raises(OutOfMemory) as raised:
            worker.load(str(starter_gguf), PLACEMENT)
    finally:
        worker.close()
    assert raised.value.facts["device"] == "cpu"
    needed = raised.value.facts["needed"]
    assert needed == (None if allocation is None else pytest.approx(allocation, rel=0.05))


def test_memory_that_runs_out_while_loading_brings_a_plan_that_loads(
    session: Session, starter_gguf: Path, enough: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    limit = enough - 20 * MB
    (tmp_path / "sitecustomize.py").write_text(
        f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    model = str(starter_gguf)
    try:
        plan = session.plan(model, n_ctx=8192)
        with pytest.raises(OutOfMemory) as raised:
            session.load(model, plan)
        assert session.loaded is None
        offer = raised.value.suggestion
        assert offer is not None
        assert offer["gives_up"] == ["kv_type"]
        assert explain(raised.value).hint == "What would fit: a q8_0 KV cache."
        assert offer["needed"] < plan.memory.total
        assert offer["kv_type"] == "q8_0"
        session.load(model, session.plan(model, n_ctx=offer["n_ctx"], kv_type="q8_0"))
        assert session.generate(SHORT, lambda _: None).generated_tokens > 0
    finally:
        session.close()


def test_memory_that_runs_out_in_an_answer_ends_the_worker_only(
    session: Session, starter_gguf: Path
) -> None:
    model = str(starter_gguf)
    try:
        session.load(model, session.plan(model, n_ctx=8192))
        assert session._worker is not None
        pid = session._worker.pid
        session.generate(SHORT, lambda _: None)  # loads what a first answer needs beside its cells
        full = address_space(pid)
        resource.prlimit(pid, resource.RLIMIT_AS, (full, full))
        with pytest.raises(WorkerDied) as raised:
            session.generate(LONG, lambda _: None)
        assert raised.value.facts["kind"] == "out_of_memory"
        words = explain(raised.value)
        assert words.title == "Out of memory"
        assert words.hint == "What would fit: a q8_0 KV cache."
        assert session.generate(SHORT, lambda _: None).generated_tokens > 0  # by another worker
    finally:
        session.close()

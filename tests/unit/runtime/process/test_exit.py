"""Exit codes, signals and last words as one value."""

from pathlib import Path

import pytest

from runtime.process.exit import EndedByUs, WorkerExit, classify, oom_kills

CUDA = "CUDA error: out of memory\n  current device: 0"
GRAPH = "ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed"
BLAS = "OpenBLAS error: Memory allocation still failed after 10 retries, giving up."
CASES: list[tuple[int, EndedByUs | None, int, str, str, str]] = [
    (0, None, 0, "", "clean", ""),
    (1, None, 0, "Traceback", "crashed", ""),
    (-11, None, 0, "", "crashed", "SIGSEGV"),
    (-6, None, 0, "GGML_ASSERT failed", "crashed", "SIGABRT"),
    (-4, None, 0, "", "crashed", "SIGILL"),
    (-9, None, 0, "", "killed", "SIGKILL"),
    (-15, None, 0, "", "killed", "SIGTERM"),
    (-9, None, 1, "", "out_of_memory", "SIGKILL"),
    (-15, None, 1, "", "killed", "SIGTERM"),
    (-11, None, 1, "", "crashed", "SIGSEGV"),
    (-6, None, 0, CUDA, "out_of_memory", "SIGABRT"),
    (1, None, 0, "MemoryError", "out_of_memory", ""),
    (-6, None, 0, GRAPH, "out_of_memory", "SIGABRT"),
    (1, None, 0, BLAS, "out_of_memory", ""),
    (-9, None, 0, CUDA, "killed", "SIGKILL"),
    (0, None, 0, CUDA, "clean", ""),
    (-9, "cancelled", 1, CUDA, "cancelled", "SIGKILL"),
    (-9, "stalled", 0, "", "stalled", "SIGKILL"),
    (-9, "lost_protocol", 0, "", "lost_protocol", "SIGKILL"),
    (0, "clean", 0, "", "clean", ""),
    (0xC0000005, None, 0, "", "crashed", "access violation"),
    (0xC000001D - (1 << 32), None, 0, "", "crashed", "signal 1073741795"),
    (0xC000001D, None, 0, "", "crashed", "illegal instruction"),
    (-200, None, 0, "", "crashed", "signal 200"),
]


@pytest.mark.parametrize(("code", "ended", "kills", "tail", "kind", "cause"), CASES)
def test_classify(
    code: int, ended: EndedByUs | None, kills: int, tail: str, kind: str, cause: str
) -> None:
    assert classify(code, ended, kills, tail) == WorkerExit(kind, code, cause, tail)  # type: ignore[arg-type]


def test_facts_are_what_an_error_carries() -> None:
    facts = classify(-11, None, 0, "last words").as_error().facts
    assert (
        facts.items()
        >= {
            "kind": "crashed",
            "exit_code": -11,
            "cause": "SIGSEGV",
            "stderr_tail": "last words",
        }.items()
    )


def test_the_kernels_count(tmp_path: Path) -> None:
    file = tmp_path / "vmstat"
    file.write_text("nr_free_pages 12\noom_kill 7\noom_kill_disable 3\n")
    assert oom_kills(file) == 7
    file.write_text("nr_free_pages 12\n")
    assert oom_kills(file) == 0
    assert oom_kills(tmp_path / "absent") == 0

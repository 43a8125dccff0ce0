"""`stillroom bench` with the real engine: a saved run, and two of them compared."""

import argparse
import io
import json
from pathlib import Path

import pytest

from app.cli.arguments import parser
from app.cli.commands.bench import bench, read_run
from app.cli.commands.console import Console
from app.session.session import Session
from runtime.errors import InvalidRequest
from runtime.planning.bandwidth import machine_fingerprint


def arguments(*words: str) -> argparse.Namespace:
    return parser().parse_args(["bench", *words])


def run(session: Session, *words: str) -> str:
    out = io.StringIO()
    bench(session, arguments(*words, "--json"), Console(as_json=True, out=out))
    return out.getvalue()


QUICK = (
    "--prompt-tokens", "64", "--generate-tokens", "8", "--repeat", "1", "--depths", "0", "96",
    "--context", "512",
)  # fmt: skip


def test_a_run_is_measured_saved_and_compared(
    session: Session, starter_gguf: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "run.json"
    document = json.loads(run(session, str(starter_gguf), *QUICK, "--save", str(saved)))
    assert [(row["kind"], row["depth"]) for row in document["rows"]] == [
        ("prefill", 0), ("prefill", 96), ("decode", 0), ("decode", 96),
    ]  # fmt: skip
    assert all(row["tps"]["median"] > 1 for row in document["rows"])
    assert document["peak_memory"] > 50_000_000
    assert document["engine_version"]
    assert document["engine_build"]["ggml_commit"]
    assert document["engine_build"]["cpu_library"]
    assert document["machine"]["processor"] == machine_fingerprint()["processor"]
    assert read_run(saved).rows[0].tps.median == document["rows"][0]["tps"]["median"]

    compared = json.loads(run(session, "--compare", str(saved), str(saved)))
    assert [row["ratio"] for row in compared] == [1.0] * 4
    assert not any(row["differs"] for row in compared)


def test_a_file_that_is_no_run_is_refused(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"model": 3}')
    with pytest.raises(InvalidRequest):
        run(session, "--compare", str(path), str(path))


def test_depths_beyond_the_context_are_refused_before_loading(
    session: Session, starter_gguf: Path
) -> None:
    with pytest.raises(InvalidRequest):
        run(session, str(starter_gguf), "--depths", "4096", "--context", "512")
    assert session.loaded is None

"""`--self-test` from source: every check passes, and a part that is broken is named."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.session.session import Session

pytestmark = pytest.mark.timeout(400)
CHECKS = ("system", "model", "llama.cpp", "onnx", "genai", "hub", "tls", "window", "silence")


def self_test(model: Path, tmp_path: Path, *watch: str) -> subprocess.CompletedProcess[str]:
    temporary = tmp_path / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.run(
        [*watch, sys.executable, "-P", "-m", "app", "--self-test", str(model)],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True, text=True, check=False, timeout=380,
    )  # fmt: skip


def states(output: str) -> dict[str, str]:
    """Check -> "ok" or "BAD"."""
    return {name: state for state, name in re.findall(r"^(ok|BAD) +(\S+)", output, re.MULTILINE)}


@pytest.mark.slow
def test_a_whole_program_passes_and_no_process_of_it_asks_the_network(
    session: Session, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    watch = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(trace)]
    result = self_test(
        session.installed()[0].path, tmp_path, *(watch * bool(shutil.which(watch[0])))
    )
    assert states(result.stdout) == dict.fromkeys((*CHECKS, "folders"), "ok"), result.stdout
    assert result.returncode == 0
    if trace.exists():
        assert re.findall(r"AF_INET6?\b.*", trace.read_text()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_is_broken_is_named_and_the_rest_still_tried(session: Session, tmp_path: Path) -> None:
    model = tmp_path / "broken.gguf"
    model.write_bytes(session.installed()[0].path.read_bytes()[:5_000_000])
    result = self_test(model, tmp_path)
    found = states(result.stdout)
    assert result.returncode == 1
    assert {found[name] for name in ("llama.cpp", "onnx", "genai")} == {"BAD"}
    assert {found[name] for name in ("system", "hub", "tls", "silence", "folders")} == {"ok"}

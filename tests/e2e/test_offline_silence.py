"""On installed models nothing of ours opens a network socket or writes outside its folders.

Where strace is installed it watches every system call of every process; everywhere an audit hook in
each Python process, the workers included, notes sockets as they are made.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.session.session import Session
from tests.helpers.command_line import SCRIPT, without_display

SITE = """
import os, sys
def note(event, arguments):
    if event in ("socket.__new__", "socket.connect", "socket.getaddrinfo", "socket.bind"):
        with open(os.environ["SOCKETS_FILE"], "a") as file:
            file.write(f"{event} {arguments[1:]!r}\\n")
sys.addaudithook(note)
with open(os.environ["SOCKETS_FILE"], "a") as file:
    file.write(f"process {sys.orig_argv[1:4]!r}\\n")
"""


def commands(model: str) -> dict[str, list[str]]:
    return {
        "list": ["list"],
        "inspect": ["inspect", model],
        "plan": ["plan", model],
        "quantize": ["quantize", model, "--requantize"],
        "chat": ["chat", model, "--prompt", "Hello", "--max-tokens", "4"],
    }


@pytest.fixture
def user_home(tmp_path: Path) -> Path:
    """A fresh HOME, where a library that phones home would keep its identity."""
    home = tmp_path / "user"
    home.mkdir()
    return home


def watched(site: Path) -> str:
    """The path of modules with the watch in front."""
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def environment(user_home: Path, tmp_path: Path) -> dict[str, str]:
    return {
        name: value
        for name, value in without_display().items()
        if not name.startswith(("XDG_", "HF_", "ORT_"))
    } | {"HOME": str(user_home), "TMPDIR": str(tmp_path / "tmp")}


@pytest.mark.parametrize("name", ["list", "inspect", "plan", "quantize", "chat"])
def test_no_process_opens_a_network_socket(
    session: Session, tmp_path: Path, user_home: Path, name: str
) -> None:
    model = session.installed()[0].name
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    (tmp_path / "tmp").mkdir()
    noted = tmp_path / "sockets"
    result = subprocess.run(
        [str(SCRIPT), *commands(model)[name]],
        env=environment(user_home, tmp_path)
        | {"PYTHONPATH": watched(site), "SOCKETS_FILE": str(noted)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lines = noted.read_text().splitlines()
    assert lines[0].startswith("process ")
    if name != "list":
        assert any("runtime.process.worker" in line for line in lines), "the worker was not watched"
    assert [line for line in lines if not line.startswith("process ")] == []
    assert [path for path in user_home.rglob("*") if path.is_file()] == []
    assert [path for path in (tmp_path / "tmp").rglob("*") if path.is_file()] == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_network_system_call_in_a_chat(
    session: Session, tmp_path: Path, user_home: Path
) -> None:
    """Native code too: the engine's own libraries, and those of everything imported."""
    (tmp_path / "tmp").mkdir()
    trace = tmp_path / "trace"
    model = session.installed()[0].name
    result = subprocess.run(
        ["strace", "-f", "-e", "trace=socket,connect,sendto", "-o", str(trace), str(SCRIPT)]
        + commands(model)["chat"],
        env=environment(user_home, tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    if "PTRACE" in result.stderr and result.returncode:
        pytest.skip("this machine does not let processes be traced")
    assert result.returncode == 0, result.stderr
    calls = trace.read_text()
    assert "exited with 0" in calls
    assert re.findall(r"AF_INET6?\b.*", calls) == []


def test_the_watch_sees_a_socket(tmp_path: Path) -> None:
    """The hook above, on a program that does open one."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    noted = tmp_path / "sockets"
    subprocess.run(
        [sys.executable, "-P", "-c", "import socket; socket.socket().close()"],
        env={**os.environ, "PYTHONPATH": str(site), "SOCKETS_FILE": str(noted)},
        check=True,
    )
    first, second = noted.read_text().splitlines()
    assert first.startswith("process ")
    assert second.startswith("socket.__new__ ")
